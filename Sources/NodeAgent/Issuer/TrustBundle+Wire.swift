internal import Foundation
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

extension TrustBundle {
    /// Reads a bundle from the wire; one of another trust domain is refused.
    ///
    /// - Parameters:
    ///   - wire: As the issuer sent it.
    ///   - trustDomain: Whose it must be.
    ///   - mayLackX509: Whether a bundle without X.509 authorities, by which no server is known, is of use.
    /// - Throws: ``SPIFFEError``.
    init(wire: Spire_Api_Types_Bundle, expected trustDomain: TrustDomain, mayLackX509: Bool = false) throws {
        guard wire.trustDomain == trustDomain.name || wire.trustDomain == "\(trustDomain.id)" else {
            throw SPIFFEError(.invalidBundle, "bundle is of another trust domain")
        }
        var keys: [String: JWTVerificationKey] = [:]
        for key in wire.jwtAuthorities where !key.keyID.isEmpty {
            keys[key.keyID] = try JWTVerificationKey(derRepresentation: key.publicKey)
        }
        let certificates = try wire.x509Authorities.flatMap { try DERConcatenation.certificates(in: $0.asn1) }
        guard mayLackX509 || !certificates.isEmpty else {
            throw SPIFFEError(.invalidBundle, "bundle holds no X.509 authority")
        }
        self.init(
            trustDomain: trustDomain, x509Authorities: certificates, jwtAuthorities: keys,
            sequence: wire.sequenceNumber, refreshHint: wire.refreshHint > 0 ? UInt64(wire.refreshHint) : nil)
    }
}
