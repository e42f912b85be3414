internal import Crypto
internal import Foundation

/// The private keys of authorities and tokens, as `make-corpus` has them: small numbers, known to everyone.
enum SigningKeys {
    /// The key of the root authority and of the token key `k1`.
    static let root = key(1)

    /// The key of an authority so many steps below the root.
    static func authority(_ steps: Int) -> P256.Signing.PrivateKey { authorities[steps] }

    /// The most steps that an authority can be below the root.
    static let deepest = 3

    private static let authorities = [root, key(2), key(4), key(5)]

    private static func key(_ scalar: UInt8) -> P256.Signing.PrivateKey {
        guard let key = try? P256.Signing.PrivateKey(rawRepresentation: [UInt8](repeating: 0, count: 31) + [scalar])
        else { fatalError("\(scalar) is no P-256 key") }
        return key
    }

    /// Makes a certificate of what it says, whatever it says.
    ///
    /// - Parameters:
    ///   - tbs: A TBSCertificate, DER or not.
    ///   - key: The issuer's.
    /// - Returns: DER, provided that the part was.
    static func certificate(of tbs: [UInt8], signedBy key: P256.Signing.PrivateKey) -> [UInt8] {
        guard let signature = try? key.signature(for: tbs).derRepresentation else { fatalError("P-256 cannot sign") }
        return DERForest.element(0x30, tbs + ecdsaWithSHA256 + DERForest.element(0x03, [0] + signature))
    }

    private static let ecdsaWithSHA256: [UInt8] = [
        0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02,
    ]
}
