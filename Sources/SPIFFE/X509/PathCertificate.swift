internal import Foundation
internal import SwiftASN1
internal import X509

/// A certificate with everything that the profile and path validation ask of it, read once.
///
/// A class, because the search passes it around and the X.509 library's value is some twenty references to count.
final class PathCertificate: Sendable {
    let certificate: Certificate

    /// First and last instant of validity, both included (RFC 5280 §4.1.2.5).
    let notBefore: Date
    let notAfter: Date

    // As they lie in the DER: names chain byte for byte, which is stricter than the library's comparison of text.
    let issuer: ArraySlice<UInt8>
    let subject: ArraySlice<UInt8>
    let publicKeyInfo: ArraySlice<UInt8>

    /// The algorithm inside the signed part, which the library reads and does not show.
    let signedAlgorithm: ArraySlice<UInt8>

    let basicConstraints: BasicConstraints?
    let keyUsage: KeyUsage?
    let nameConstraints: NameConstraints?

    /// Whether an extension is critical that nothing here understands (RFC 5280 §4.2).
    let hasUnknownCriticalExtension: Bool

    private let subjectAlternativeNames: Certificate.Extension?

    /// Reads a certificate.
    ///
    /// - Parameter certificate: Any certificate; nothing about it has been checked.
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID` when an extension cannot be parsed that judging needs.
    init(_ certificate: consuming Certificate) throws(SPIFFEError) {
        (notBefore, notAfter) = (certificate.notValidBefore, certificate.notValidAfter)
        guard let fields = SignedFields(of: certificate.tbsCertificateBytes) else {
            throw SPIFFEError(.invalidX509SVID, "a certificate cannot be parsed")
        }
        (issuer, subject, publicKeyInfo) = (fields.issuer, fields.subject, fields.publicKeyInfo)
        signedAlgorithm = fields.algorithm
        var basicConstraints: BasicConstraints?
        var keyUsage: KeyUsage?
        var nameConstraints: NameConstraints?
        var names: Certificate.Extension?
        var hasUnknown = false
        for one in certificate.extensions {
            switch one.oid {
            case .X509ExtensionID.basicConstraints:
                basicConstraints = try Self.read(one, "basic constraints") {
                    try CommonExtensions.basicConstraints(in: $0)
                }
            case .X509ExtensionID.keyUsage:
                keyUsage = try Self.read(one, "key usage") { try CommonExtensions.keyUsage(in: $0) }
            case .X509ExtensionID.nameConstraints:
                nameConstraints = try Self.read(one, "name constraints") { try NameConstraints($0) }
            case .X509ExtensionID.subjectAlternativeName:
                names = one
            case .X509ExtensionID.extendedKeyUsage:
                // Says nothing that SPIFFE verification relies on, critical or not (X11).
                continue
            default:
                hasUnknown = hasUnknown || one.critical
            }
        }
        (self.basicConstraints, self.keyUsage, self.nameConstraints) = (basicConstraints, keyUsage, nameConstraints)
        (subjectAlternativeNames, hasUnknownCriticalExtension) = (names, hasUnknown)
        // Last, so that the value moves here instead of being copied.
        self.certificate = certificate
    }

    /// The subject alternative names; empty when there are none.
    ///
    /// - Throws: ``SPIFFEError`` with code `invalidX509SVID` when they cannot be parsed.
    func alternativeNames() throws(SPIFFEError) -> SubjectAlternativeNames {
        guard let subjectAlternativeNames else { return SubjectAlternativeNames() }
        return try Self.read(subjectAlternativeNames, "subject alternative names") { try SubjectAlternativeNames($0) }
    }

    /// Whether subject and issuer are one name, as in a root or a certificate of an authority for its next key.
    var isSelfIssued: Bool { issuer == subject }

    /// Whether the extensions say that this is an authority that may sign certificates.
    ///
    /// Without a key usage it may (RFC 5280 §6.1.4 n); the profile asks intermediates for one.
    var maySignCertificates: Bool {
        guard case .isCertificateAuthority? = basicConstraints else { return false }
        return keyUsage?.keyCertSign ?? true
    }

    /// How many authorities may lie between this one and a leaf; nil when it does not say.
    var maximumPathLength: Int? {
        guard case .isCertificateAuthority(let length)? = basicConstraints else { return nil }
        return length
    }

    /// How likely it is by the key identifiers that this one signed another: the higher, the sooner it is tried.
    ///
    /// A hint to save work, never a reason to trust or refuse; so identifiers that cannot be parsed are no hint.
    func likelihoodOfIssuing(_ other: PathCertificate) -> IssuerLikelihood {
        guard let wanted = (try? other.certificate.extensions.authorityKeyIdentifier)?.keyIdentifier,
            let own = try? certificate.extensions.subjectKeyIdentifier
        else { return .unknown }
        return own.keyIdentifier == wanted ? .high : .low
    }

    private static func read<Value>(
        _ one: Certificate.Extension, _ name: String, _ parse: (Certificate.Extension) throws -> Value
    ) throws(SPIFFEError) -> Value {
        do {
            return try parse(one)
        } catch {
            throw SPIFFEError(.invalidX509SVID, "\(name) cannot be parsed")
        }
    }
}

/// What the key identifiers of two certificates say about one having signed the other.
enum IssuerLikelihood: CaseIterable {
    case high
    case unknown
    case low
}

/// The parts of a certificate's signed bytes that path validation compares (RFC 5280 §4.1).
private struct SignedFields {
    let algorithm: ArraySlice<UInt8>
    let issuer: ArraySlice<UInt8>
    let subject: ArraySlice<UInt8>
    let publicKeyInfo: ArraySlice<UInt8>

    init?(of signedBytes: ArraySlice<UInt8>) {
        var outer = DERCursor(signedBytes)
        guard let body = outer.next() else { return nil }
        var fields = DERCursor(signedBytes[body.content])
        let explicitVersion: UInt8 = 0xA0
        guard let first = fields.next(), first.tag != explicitVersion || fields.next() != nil,
            let algorithm = fields.next(), let issuer = fields.next(), fields.next() != nil,
            let subject = fields.next(), let publicKeyInfo = fields.next()
        else { return nil }
        (self.algorithm, self.issuer) = (signedBytes[algorithm.whole], signedBytes[issuer.whole])
        (self.subject, self.publicKeyInfo) = (signedBytes[subject.whole], signedBytes[publicKeyInfo.whole])
    }
}

/// The two extensions of every certificate, known at sight in the form that nearly all have; the library's parser, which
/// reads the others, would take longer than all else that is read.
private enum CommonExtensions {
    private static let keyUsages: [(der: [UInt8], value: KeyUsage)] = [
        ([0x03, 0x02, 0x07, 0x80], KeyUsage(digitalSignature: true)),
        ([0x03, 0x02, 0x02, 0x04], KeyUsage(keyCertSign: true)),
        ([0x03, 0x02, 0x01, 0x06], KeyUsage(keyCertSign: true, cRLSign: true)),
        ([0x03, 0x02, 0x05, 0xA0], KeyUsage(digitalSignature: true, keyEncipherment: true)),
        ([0x03, 0x02, 0x03, 0xA8], KeyUsage(digitalSignature: true, keyEncipherment: true, keyAgreement: true)),
    ]

    private static let basicConstraints: [(der: [UInt8], value: BasicConstraints)] = [
        ([0x30, 0x00], .notCertificateAuthority),
        ([0x30, 0x03, 0x01, 0x01, 0xFF], .isCertificateAuthority(maxPathLength: nil)),
    ]

    static func keyUsage(in one: Certificate.Extension) throws -> KeyUsage {
        try keyUsages.first { one.value.elementsEqual($0.der) }?.value ?? KeyUsage(one)
    }

    static func basicConstraints(in one: Certificate.Extension) throws -> BasicConstraints {
        try basicConstraints.first { one.value.elementsEqual($0.der) }?.value ?? BasicConstraints(one)
    }
}
