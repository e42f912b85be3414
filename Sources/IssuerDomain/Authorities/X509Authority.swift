package import Foundation
internal import Platform
package import SPIFFE
internal import SwiftASN1
package import X509

/// A CA certificate with the key to sign under it.
package struct X509Authority: Sendable {
    package let record: AuthorityRecord
    package let certificate: Certificate
    package let key: any SigningKey
    /// The subject key identifier, which leaves name as their authority key identifier.
    package let keyIdentifier: ArraySlice<UInt8>
    /// nil when the certificate's key is of no kind that signs leaves.
    let subjectKey: SubjectKey?
    /// nil when the certificate's name cannot be written again.
    package let leafPattern: LeafPattern?

    package init(record: AuthorityRecord, certificate: Certificate, key: any SigningKey) {
        (self.record, self.certificate, self.key) = (record, certificate, key)
        keyIdentifier = Self.keyIdentifier(of: certificate)
        subjectKey = try? SubjectKey(certificate.publicKey)
        leafPattern = try? LeafPattern(
            subject: certificate.subject, keyIdentifier: keyIdentifier, keyType: key.type)
    }

    /// What every leaf is followed by: nothing when the bundle holds the certificate itself, otherwise the certificate and
    /// what leads from it to the bundle; DER.
    package var chain: [[UInt8]] { record.upstreamKeyID == nil ? [] : [record.publicDER] + record.chain }

    /// When leaves may be valid: within the certificate and everything above it.
    package var validity: Range<Date> { record.notBefore..<max(record.notBefore, record.notAfter) }

    /// The subject key identifier that a certificate states, or else the usual one for its key.
    static func keyIdentifier(of certificate: Certificate) -> ArraySlice<UInt8> {
        (try? certificate.extensions.subjectKeyIdentifier)?.keyIdentifier
            ?? SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier
    }

    /// Makes a self-signed CA certificate for a trust domain (X509-12..18, C-07).
    ///
    /// - Parameters:
    ///   - trustDomain: The trust domain, whose own ID the certificate names.
    ///   - key: The key to sign with and under.
    ///   - validity: From when to when, in whole seconds.
    ///   - serial: 16 random bytes.
    /// - Returns: The certificate, signed by its own key.
    /// - Throws: ``AuthorityError``.
    package static func selfSigned(
        for trustDomain: TrustDomain, key: any SigningKey, validity: Range<Date>, serial: [UInt8]
    ) throws(AuthorityError) -> Certificate {
        do {
            let publicKey = key.certificateKey.publicKey
            let identifier = SubjectKeyIdentifier(hash: publicKey)
            let name = DistinguishedName([
                RelativeDistinguishedName(
                    .init(type: .RDNAttributeType.organizationName, utf8String: "Mintmark")),
                RelativeDistinguishedName(
                    .init(type: .RDNAttributeType.commonName, utf8String: String(trustDomain.name.prefix(64)))),
                // Tells the authorities of one trust domain apart for verifiers that look up issuers by name.
                RelativeDistinguishedName(
                    try .init(type: [2, 5, 4, 5], printableString: Hex.encode(serial).uppercased())),
            ])
            return try Certificate(
                version: .v3,
                serialNumber: SerialNumber.positive(serial),
                publicKey: publicKey,
                notValidBefore: validity.lowerBound,
                notValidAfter: validity.upperBound,
                issuer: name,
                subject: name,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    identifier
                    AuthorityKeyIdentifier(keyIdentifier: identifier.keyIdentifier)
                    SubjectAlternativeNames([.uniformResourceIdentifier("\(trustDomain.id)")])
                },
                issuerPrivateKey: key.certificateKey)
        } catch {
            throw .refused(detail: "\(error)")
        }
    }
}

/// Serial numbers of certificates (RFC 5280 §4.1.2.2): positive, at most 20 octets, unpredictable.
package enum SerialNumber {
    /// Makes a positive number of random bytes.
    package static func positive(_ bytes: [UInt8]) -> Certificate.SerialNumber {
        var bytes = bytes
        // The top bit would make it negative; the next one keeps the length, and so the text, constant.
        bytes[0] = bytes[0] & 0x7F | 0x40
        return Certificate.SerialNumber(bytes: bytes)
    }

    /// The number in lower-case hex.
    package static func text(_ serial: Certificate.SerialNumber) -> String { serial.hexText }

    /// The same number in decimal, as the public API writes it.
    ///
    /// - Parameter hex: The number in hex, at most 20 octets.
    /// - Returns: nil when it is no such number.
    package static func decimal(hex: String) -> String? { rewrite(hex, from: 16, to: 10, limit: 40) }

    /// The number in lower-case hex, two digits an octet.
    ///
    /// - Parameter decimal: The number in decimal, of at most 20 octets.
    /// - Returns: nil when it is no such number.
    package static func hex(decimal: String) -> String? {
        rewrite(decimal, from: 10, to: 16, limit: 49).map { $0.count.isMultiple(of: 2) ? $0 : "0" + $0 }
    }

    private static func rewrite(_ text: String, from base: Int, to other: Int, limit: Int) -> String? {
        guard (1...limit).contains(text.utf8.count) else { return nil }
        // Digits of the other base, the lowest first.
        var digits: [Int] = [0]
        for character in text {
            guard character.isASCII, var carry = character.hexDigitValue, carry < base else { return nil }
            for position in digits.indices {
                let value = digits[position] * base + carry
                digits[position] = value % other
                carry = value / other
            }
            while carry > 0 {
                digits.append(carry % other)
                carry /= other
            }
        }
        return digits.reversed().map { String($0, radix: other) }.joined()
    }
}
