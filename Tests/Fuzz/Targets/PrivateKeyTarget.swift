internal import Foundation
internal import SPIFFE

/// Private keys as the Workload API carries them: a byte that chooses one of four leaves, then PKCS#8.
enum PrivateKeyTarget {
    private static let leaves = Fixtures.leaves.compactMap { Data(base64Encoded: $0) }

    static func judge(_ input: [UInt8], flaw: Flaw?) {
        guard let choice = input.first else { return }
        let (leaf, key) = (leaves[Int(choice) % leaves.count], Data(input.dropFirst()))
        let read = flaw.map { Data($0.der(Array(key))) } ?? key
        guard let svid = try? X509SVID(chain: leaf, privateKey: read) else { return }
        claim(svid.certificates.count == 1 && svid.id.description == "spiffe://example.org/w", "the leaf is as ever")
        claim(svid.privateKeyDER == read, "the key is kept as it was read")
        claim(DERForest.lengthOfFirst(in: Array(key)[...]) == key.count, "nothing follows the key")
        let base64 = svid.privateKeyPEM.split(separator: "\n").dropFirst().dropLast().joined()
        claim(Data(base64Encoded: base64) == read, "the key is written as it was read")
        claim(!"\(svid) \(String(reflecting: svid))".contains(base64.prefix(16)), "no description holds the key")
        let fields = DERForest(Array(read)[...])?.trees.first.flatMap(\.children) ?? []
        claim(fields.count >= 3 && fields[0].bytes == [0x02, 0x01, 0x00] && fields[2].tag == 0x04, "the key is PKCS#8")
        let algorithm = fields.count > 1 ? fields[1].bytes : []
        claim(leaf.range(of: Data(algorithm)) != nil, "the key is of the leaf's kind")
        let pem = try? X509SVID(pemChain: svid.chainPEM(), pemKey: svid.privateKeyPEM)
        claim(pem?.privateKeyDER == read && pem?.certificates == svid.certificates, "PEM reads as written")
        let secret = secrets[Int(choice) % leaves.count]
        claim(secret.isEmpty || fields[2].content.bytes.firstRange(of: secret) != nil, "the key is the leaf's")
    }

    /// What a key of each curve must hold: the number three, at its full length.
    private static let secrets: [[UInt8]] = [32, 48, 66, 0].map { size in
        size == 0 ? [] : [UInt8](repeating: 0, count: size - 1) + [3]
    }
}
