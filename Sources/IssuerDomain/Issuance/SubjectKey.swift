internal import Crypto
internal import CryptoExtras
internal import Foundation
package import X509

/// A public key as certificates carry it.
package struct SubjectKey: Hashable, Sendable {
    package let publicKey: Certificate.PublicKey
    /// SubjectPublicKeyInfo, DER; the same bytes for the same key.
    package let info: [UInt8]
    /// SHA-1 of the key's bits (RFC 5280 §4.2.1.2, method 1).
    let identifier: [UInt8]

    /// The start of every SubjectPublicKeyInfo with an uncompressed point on P-256 and P-384 (RFC 5480 §2).
    private static let p256Prefix: [UInt8] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
        0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ]
    private static let p384Prefix: [UInt8] = [
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x05, 0x2B, 0x81, 0x04,
        0x00, 0x22, 0x03, 0x62, 0x00,
    ]

    /// Takes a key of a kind that is signed for: EC P-256, P-384, or RSA of 2048 to 8192 bits.
    ///
    /// - Throws: `keyNotAllowed`.
    package init(_ publicKey: Certificate.PublicKey) throws(IssuanceError) {
        self.publicKey = publicKey
        if let key = P256.Signing.PublicKey(publicKey) {
            info = Self.p256Prefix + key.x963Representation
            identifier = Self.identifier(of: info[Self.p256Prefix.count...])
        } else if let key = P384.Signing.PublicKey(publicKey) {
            info = Self.p384Prefix + key.x963Representation
            identifier = Self.identifier(of: info[Self.p384Prefix.count...])
        } else if let key = _RSA.Signing.PublicKey(publicKey), (2048...8192).contains(key.keySizeInBits) {
            info = Array(key.derRepresentation)
            identifier = Self.identifier(of: publicKey.subjectPublicKeyInfoBytes)
        } else {
            throw .keyNotAllowed
        }
    }

    /// Takes a P-256 key as it lies in DER, if it lies there in its usual form; nil when it does not.
    ///
    /// Writing a point costs as much as a tenth of a signature, so one that came written well is kept as it is. The
    /// public key is read from these very bytes.
    init?(p256Info: ArraySlice<UInt8>) {
        guard p256Info.count == Self.p256Prefix.count + 65, p256Info.starts(with: Self.p256Prefix) else { return nil }
        let point = p256Info.dropFirst(Self.p256Prefix.count)
        guard point.first == 0x04, let key = try? P256.Signing.PublicKey(x963Representation: point) else { return nil }
        publicKey = Certificate.PublicKey(key)
        info = Array(p256Info)
        identifier = Self.identifier(of: point)
    }

    package static func == (one: SubjectKey, other: SubjectKey) -> Bool { one.info == other.info }

    package func hash(into hasher: inout Hasher) { hasher.combine(info) }

    private static func identifier(of bits: ArraySlice<UInt8>) -> [UInt8] { Array(Insecure.SHA1.hash(data: bits)) }
}
