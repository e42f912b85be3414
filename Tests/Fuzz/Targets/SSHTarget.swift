internal import Crypto
internal import Foundation
internal import NodeAttestation

/// Host certificates and signatures of OpenSSH, as nodes send them; what is read is held against a second, slower reader.
enum SSHTarget {
    /// Whose signatures count; its private key is known to everyone.
    private static let authority = try? P256.Signing.PrivateKey(rawRepresentation: Data(repeating: 0, count: 31) + [7])
    private static let now = Date(timeIntervalSince1970: Fixtures.instant)

    static func judge(_ input: [UInt8], flaw: Flaw?) {
        let read = flaw?.unpadded(input) ?? input
        if let signature = try? SSHSignature(wire: read) {
            claim(strings(in: input) == [Array(signature.format.utf8), signature.blob], "a signature is two strings")
        }
        guard let certificate = try? SSHHostCertificate(blob: read) else { return }
        guard let whole = Certificate(input) else { broken("a certificate is read to its end, and no further") }
        claim(certificate.keyID == text(whole.keyID), "the key's name is that of its field")
        claim(certificate.principals == whole.principals.map(text), "the principals are those of their field")
        claim(certificate.validity == (whole.start, whole.end), "the validity is that of its fields")
        claim(certificate.key.blob.count + 20 < input.count, "the key is a part of the certificate")
        claim((try? certificate.judge(authorities: [], now: now)) == nil, "nobody is trusted unless named")
        guard let authority else { broken("seven is a private key") }
        let blob =
            field("ecdsa-sha2-nistp256".utf8) + field("nistp256".utf8) + field(authority.publicKey.x963Representation)
        guard let trusted = try? SSHPublicKey(blob: blob) else { broken("a key is read as it is written") }
        guard let name = try? certificate.judge(authorities: [trusted], now: now) else { return }
        claim(whole.type == 2 && whole.options.isEmpty, "only a host's certificate is a host's")
        claim(whole.start <= UInt64(Fixtures.instant) && UInt64(Fixtures.instant) < whole.end, "it holds now")
        claim(whole.principals.first.map(text) == name && !name.isEmpty, "the name is the first principal")
        claim(whole.authority == blob, "the authority is the one that is trusted")
        claim(whole.isSigned(by: authority.publicKey), "the authority has signed all of it")
    }

    /// The fields of a certificate for a key on P-256, RSA or Ed25519, by the order that OpenSSH gives them.
    private struct Certificate {
        let keyID, options, authority, signature: [UInt8]
        let principals: [[UInt8]]
        let type: UInt64
        let start, end: UInt64
        let signed: [UInt8]

        init?(_ input: [UInt8]) {
            var rest = input[...]
            func string() -> [UInt8]? { SSHTarget.string(&rest) }
            func number(_ size: Int) -> UInt64? {
                guard rest.count >= size else { return nil }
                defer { rest = rest.dropFirst(size) }
                return rest.prefix(size).reduce(0) { $0 << 8 | UInt64($1) }
            }
            guard let kind = string(), string() != nil else { return nil }
            let parts = text(kind).hasPrefix("ssh-ed25519") ? 1 : 2
            for _ in 0..<parts { guard string() != nil else { return nil } }
            guard number(8) != nil, let type = number(4), let keyID = string(), let names = string(),
                let start = number(8), let end = number(8), let options = string(), string() != nil, string() != nil,
                let authority = string()
            else { return nil }
            signed = Array(input.prefix(input.count - rest.count))
            guard let signature = string(), rest.isEmpty, let principals = SSHTarget.strings(in: names) else {
                return nil
            }
            (self.type, self.keyID, self.principals, self.start, self.end) = (type, keyID, principals, start, end)
            (self.options, self.authority, self.signature) = (options, authority, signature)
        }

        func isSigned(by key: P256.Signing.PublicKey) -> Bool {
            guard let parts = SSHTarget.strings(in: signature), parts.count == 2,
                let numbers = SSHTarget.strings(in: parts[1]), numbers.count == 2
            else { return false }
            let raw = numbers.map { number in
                let digits = number.drop { $0 == 0 }
                return [UInt8](repeating: 0, count: max(0, 32 - digits.count)) + digits
            }
            guard let signature = try? P256.Signing.ECDSASignature(rawRepresentation: raw[0] + raw[1]) else {
                return false
            }
            return key.isValidSignature(signature, for: signed)
        }
    }

    private static func string(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard rest.count >= 4 else { return nil }
        let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        guard rest.count - 4 >= length else { return nil }
        defer { rest = rest.dropFirst(4 + length) }
        return Array(rest.dropFirst(4).prefix(length))
    }

    /// Strings and nothing else; nil when something is left over.
    private static func strings(in bytes: [UInt8]) -> [[UInt8]]? {
        var (rest, found) = (bytes[...], [[UInt8]]())
        while !rest.isEmpty {
            guard let next = string(&rest) else { return nil }
            found.append(next)
        }
        return found
    }

    private static func field(_ bytes: some Collection<UInt8>) -> [UInt8] {
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: bytes.count).bigEndian) { Array($0) } + bytes
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
