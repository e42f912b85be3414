internal import Foundation
internal import SPIFFE
internal import X509

/// Revocation lists, and what they do to a leaf: DER, or an `L` and then what a list says, which is signed here.
enum RevocationTarget {
    private static let leafSerialNumber = Certificate.SerialNumber(7)
    private static let leaf = Fixtures.leaves.first.flatMap { Data(base64Encoded: $0) }.map { Array($0) } ?? []
    private static let leafIssuer = leafFields.count > 3 ? leafFields[3].bytes : []
    private static let leafFields = DERForest(leaf[...])?.trees.first?.children?.first?.children ?? []

    static func judge(_ input: [UInt8], flaw: Flaw?) {
        let isSigned = input.first == UInt8(ascii: "L")
        let bytes =
            isSigned ? SigningKeys.certificate(of: Array(input.dropFirst()), signedBy: SigningKeys.root) : input
        guard let list = try? RevocationList.parse(der: flaw?.der(bytes) ?? bytes) else { return }
        claim(DERForest.lengthOfFirst(in: bytes[...]) == bytes.count, "nothing follows the list")
        guard let audit = RevocationAudit(bytes) else { broken("a revocation list has the structure of one") }
        claim(audit.serialNumbers == list.revokedSerialNumbers, "every entry is revoked, and nothing else")
        claim(list.revokedSerialNumbers.count <= RevocationList.maximumCount, "there are not too many entries")
        claim(!audit.hasCriticalExtension, "no critical extension is passed over")
        claim((try? RevocationList.parse(der: bytes)) == list, "the same bytes are the same list")

        let verdict = verdict(with: [list])
        let namesLeaf = audit.serialNumbers.contains(leafSerialNumber) && audit.issuer == leafIssuer
        switch verdict {
        case .success: claim(!isSigned || !namesLeaf, "a leaf that its authority has revoked is refused")
        case .failure(let error):
            claim(error.code == .revoked && namesLeaf, "a list does nothing to a leaf but revoke it")
        }
        if case .failure = self.verdict(with: []) { broken("a sound leaf is accepted") }
    }

    private static func verdict(with lists: [RevocationList]) -> Result<VerifiedX509SVID, SPIFFEError> {
        Result { () throws(SPIFFEError) in
            try X509SVIDVerification.verify(
                presentedDER: [leaf], at: Date(timeIntervalSince1970: Fixtures.instant), revocationLists: lists
            ) { _ in TokenTarget.trusted.x509 }
        }
    }
}
