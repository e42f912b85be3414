public import Foundation
internal import SwiftASN1
public import X509

/// What one authority has revoked: a complete certificate revocation list of version 2 (RFC 5280 §5).
///
/// Parsed, not verified: verification asks for a signature of the authority that issued the certificate in question.
public struct RevocationList: Hashable, Sendable {
    /// The longest list parsed, in bytes.
    public static let maximumLength = 1 << 20

    /// The most revoked certificates that a list may hold.
    public static let maximumCount = 40_000

    /// The authority that made the list.
    public let issuer: DistinguishedName

    /// When it was made.
    public let thisUpdate: Date

    /// When the next one is due; nil when the list does not say.
    public let nextUpdate: Date?

    /// The serial numbers of the revoked certificates, also of those only on hold.
    public let revokedSerialNumbers: Set<Certificate.SerialNumber>

    private let issuerName: ArraySlice<UInt8>
    private let signedBytes: ArraySlice<UInt8>
    private let signature: ArraySlice<UInt8>
    private let algorithm: Certificate.SignatureAlgorithm

    /// Parses a list.
    ///
    /// Refused are lists that speak of less or of others than their issuer's certificates: delta lists, indirect lists,
    /// and those split by distribution point; and lists signed by an unsound algorithm.
    ///
    /// - Parameter der: One list, and nothing after it.
    /// - Returns: The list.
    /// - Throws: ``SPIFFEError`` with code `unsupportedRevocationList` for the kinds above, `invalidRevocationList` for what is
    ///   no list at all.
    public static func parse(der: some Collection<UInt8>) throws(SPIFFEError) -> RevocationList {
        guard der.count <= maximumLength else {
            throw SPIFFEError(.invalidRevocationList, "revocation list is longer than \(maximumLength) bytes")
        }
        do {
            return try RevocationList(parsing: DER.parse(Array(der)))
        } catch let error as SPIFFEError {
            throw error
        } catch {
            throw SPIFFEError(.invalidRevocationList, "revocation list cannot be parsed")
        }
    }

    private init(parsing node: ASN1Node) throws {
        let (list, algorithm, signature) = try DER.sequence(node, identifier: .sequence) { nodes in
            guard let list = nodes.next(), let algorithm = nodes.next() else {
                throw ASN1Error.invalidASN1Object(reason: "not a signed list")
            }
            return (list, algorithm.encodedBytes, try ASN1BitString(derEncoded: &nodes))
        }
        let body = try Body(parsing: list)
        guard body.algorithm == algorithm, signature.paddingBits == 0 else {
            throw SPIFFEError(.invalidRevocationList, "revocation list has no well-formed signature")
        }
        guard let sound = SoundSignature.algorithm(algorithm) else {
            throw SPIFFEError(.unsupportedRevocationList, "revocation list is not signed in a sound way")
        }
        (issuer, issuerName) = (body.issuer, body.issuerName)
        (thisUpdate, nextUpdate) = (body.thisUpdate, body.nextUpdate)
        revokedSerialNumbers = body.serialNumbers
        (signedBytes, self.signature, self.algorithm) = (list.encodedBytes, signature.bytes, sound)
    }

    /// Whether this list, if its signature holds, revokes a certificate that an authority has issued.
    ///
    /// Asked before the signature is checked: most certificates are on no list.
    func names(_ certificate: PathCertificate, issuedBy authority: PathCertificate) -> Bool {
        issuerName == certificate.issuer && issuerName == authority.subject
            && revokedSerialNumbers.contains(certificate.certificate.serialNumber)
    }

    /// Whether an authority may stand behind this list: it has the name that the list gives, and may sign lists.
    func mayBeSigned(by authority: PathCertificate) -> Bool {
        issuerName == authority.subject && authority.keyUsage?.cRLSign ?? true
    }

    /// Whether the signature is an authority's.
    func isSigned(by authority: PathCertificate) -> Bool {
        authority.certificate.publicKey.isValidSignature(signature, for: signedBytes, signatureAlgorithm: algorithm)
    }
}

/// The signed part of a list (RFC 5280 §5.1.2).
private struct Body {
    let algorithm: ArraySlice<UInt8>
    let issuer: DistinguishedName
    let issuerName: ArraySlice<UInt8>
    let thisUpdate: Date
    let nextUpdate: Date?
    let serialNumbers: Set<Certificate.SerialNumber>

    init(parsing node: ASN1Node) throws {
        self = try DER.sequence(node, identifier: .sequence) { nodes in
            guard nodes.peek != nil else { throw ASN1Error.invalidASN1Object(reason: "fields are missing") }
            guard nodes.peek == .integer, try Int(derEncoded: &nodes) == 1 else {
                throw SPIFFEError(.unsupportedRevocationList, "revocation list is not of version 2")
            }
            guard let algorithm = nodes.next(), let issuer = nodes.next(), let thisUpdate = nodes.next() else {
                throw ASN1Error.invalidASN1Object(reason: "fields are missing")
            }
            let nextUpdate = nodes.peek == .utcTime || nodes.peek == .generalizedTime ? nodes.next() : nil
            let revoked = nodes.peek == .sequence ? nodes.next() : nil
            let extensions = try DER.optionalExplicitlyTagged(&nodes, tagNumber: 0, tagClass: .contextSpecific) {
                try Certificate.Extensions(
                    DER.sequence(of: Certificate.Extension.self, identifier: .sequence, rootNode: $0))
            }
            try Self.check(extensions ?? Certificate.Extensions())
            return Body(
                algorithm: algorithm.encodedBytes, issuer: try DistinguishedName(derEncoded: issuer),
                issuerName: issuer.encodedBytes, thisUpdate: try Date(parsing: thisUpdate),
                nextUpdate: try nextUpdate.map { try Date(parsing: $0) },
                serialNumbers: try revoked.map { try Self.serialNumbers(in: $0) } ?? [])
        }
    }

    private init(
        algorithm: ArraySlice<UInt8>, issuer: DistinguishedName, issuerName: ArraySlice<UInt8>, thisUpdate: Date,
        nextUpdate: Date?, serialNumbers: Set<Certificate.SerialNumber>
    ) {
        (self.algorithm, self.issuer, self.issuerName) = (algorithm, issuer, issuerName)
        (self.thisUpdate, self.nextUpdate, self.serialNumbers) = (thisUpdate, nextUpdate, serialNumbers)
    }

    private static func serialNumbers(in node: ASN1Node) throws -> Set<Certificate.SerialNumber> {
        guard case .constructed(let entries) = node.content else {
            throw ASN1Error.invalidASN1Object(reason: "entries are no sequence")
        }
        var numbers: Set<Certificate.SerialNumber> = []
        for entry in entries {
            guard numbers.count < RevocationList.maximumCount else {
                throw SPIFFEError(
                    .invalidRevocationList,
                    "revocation list holds more than \(RevocationList.maximumCount) certificates")
            }
            numbers.insert(
                try DER.sequence(entry, identifier: .sequence) { nodes in
                    let number = try ArraySlice<UInt8>(derEncoded: &nodes)
                    guard let revoked = nodes.next() else {
                        throw ASN1Error.invalidASN1Object(reason: "an entry has no date")
                    }
                    // A date to come still revokes: the authority has made up its mind.
                    _ = try Date(parsing: revoked)
                    if let extensions = nodes.next() {
                        try checkEntry(
                            Certificate.Extensions(
                                DER.sequence(
                                    of: Certificate.Extension.self, identifier: .sequence, rootNode: extensions)))
                    }
                    return Certificate.SerialNumber(bytes: number)
                })
        }
        return numbers
    }

    /// Distribution points and deltas change what the list means; they are critical by rule, and refused even if not.
    private static func check(_ extensions: Certificate.Extensions) throws {
        let (deltaIndicator, distributionPoint): (ASN1ObjectIdentifier, ASN1ObjectIdentifier) =
            ([2, 5, 29, 27], [2, 5, 29, 28])
        guard !extensions.contains(where: { $0.critical || $0.oid == deltaIndicator || $0.oid == distributionPoint })
        else { throw SPIFFEError(.unsupportedRevocationList, "revocation list is of a kind that is not understood") }
    }

    /// An entry may name another issuer only in an indirect list, and be taken back only in a delta.
    private static func checkEntry(_ extensions: Certificate.Extensions) throws {
        let (reason, issuer): (ASN1ObjectIdentifier, ASN1ObjectIdentifier) = ([2, 5, 29, 21], [2, 5, 29, 29])
        let removal: [UInt8] = [0x0A, 0x01, 0x08]
        guard
            !extensions.contains(where: {
                $0.critical || $0.oid == issuer || ($0.oid == reason && $0.value.elementsEqual(removal))
            })
        else {
            throw SPIFFEError(
                .unsupportedRevocationList, "revocation list has an entry of a kind that is not understood")
        }
    }
}

extension ASN1NodeCollection.Iterator {
    /// What comes next, without taking it.
    fileprivate var peek: ASN1Identifier? {
        var copy = self
        return copy.next()?.identifier
    }
}

extension Date {
    /// Reads a Time (RFC 5280 §5.1.2.4); GeneralizedTime without fractions.
    fileprivate init(parsing node: ASN1Node) throws {
        if node.identifier == .utcTime {
            let time = try UTCTime(derEncoded: node)
            self.init(
                year: time.year, month: time.month, day: time.day,
                secondOfDay: (time.hours * 60 + time.minutes) * 60 + time.seconds)
        } else {
            let time = try GeneralizedTime(derEncoded: node)
            guard time.fractionalSeconds == 0 else { throw ASN1Error.invalidASN1Object(reason: "fraction of a second") }
            self.init(
                year: time.year, month: time.month, day: time.day,
                secondOfDay: (time.hours * 60 + time.minutes) * 60 + time.seconds)
        }
    }

    /// Counts days from March on, so that the leap day comes last in its year.
    private init(year: Int, month: Int, day: Int, secondOfDay: Int) {
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
        self.init(timeIntervalSince1970: Double(days * 86_400 + secondOfDay))
    }
}
