internal import Foundation
public import SPIFFE
public import WorkloadIdentity

/// What a caller may prove itself with.
public struct CallerProof: Sendable {
    typealias Judge = @Sendable (String) async throws(PeerRefusal) -> JWTSVID

    let acceptsCertificate: Bool
    /// Judges a bearer token; nil where none is looked at.
    let judge: Judge?

    private init(acceptsCertificate: Bool, judge: Judge?) {
        (self.acceptsCertificate, self.judge) = (acceptsCertificate, judge)
    }

    /// The certificate of the connection alone; the `authorization` of a call is not looked at.
    public static let certificate = CallerProof(acceptsCertificate: true, judge: nil)

    /// A bearer JWT-SVID with each call, whatever the connection shows.
    ///
    /// - Parameters:
    ///   - audience: The name this service goes by.
    ///   - source: Whom to judge tokens by.
    /// - Returns: The rule.
    public static func token(for audience: JWTAudience, source: JWTSource) -> CallerProof {
        CallerProof(acceptsCertificate: false, judge: judge(audience) { source.updates })
    }

    /// A bearer JWT-SVID with each call, whatever the connection shows.
    ///
    /// - Parameters:
    ///   - audience: The name this service goes by.
    ///   - source: Whom to judge tokens by.
    /// - Returns: The rule.
    public static func token(for audience: JWTAudience, source: BundleSource) -> CallerProof {
        CallerProof(acceptsCertificate: false, judge: judge(audience) { source.jwtUpdates })
    }

    /// A bearer JWT-SVID if the call has an `authorization`, else the certificate of the connection.
    ///
    /// The token speaks for the caller even where the connection belongs to somebody else, such as a proxy. So a call with a
    /// bad token is refused, however good the certificate.
    ///
    /// - Parameters:
    ///   - audience: The name this service goes by.
    ///   - source: Whom to judge tokens by.
    /// - Returns: The rule.
    public static func tokenOrCertificate(for audience: JWTAudience, source: JWTSource) -> CallerProof {
        CallerProof(acceptsCertificate: true, judge: judge(audience) { source.updates })
    }

    /// A bearer JWT-SVID if the call has an `authorization`, else the certificate of the connection.
    ///
    /// The token speaks for the caller even where the connection belongs to somebody else, such as a proxy. So a call with a
    /// bad token is refused, however good the certificate.
    ///
    /// - Parameters:
    ///   - audience: The name this service goes by.
    ///   - source: Whom to judge tokens by.
    /// - Returns: The rule.
    public static func tokenOrCertificate(for audience: JWTAudience, source: BundleSource) -> CallerProof {
        CallerProof(acceptsCertificate: true, judge: judge(audience) { source.jwtUpdates })
    }

    /// A rule whose tokens are judged by anything.
    package static func token(
        orCertificate acceptsCertificate: Bool, judge: @escaping @Sendable (String) async throws(PeerRefusal) -> JWTSVID
    ) -> CallerProof { CallerProof(acceptsCertificate: acceptsCertificate, judge: judge) }

    private static func judge(
        // Asked each time, since a source lives only for as long as somebody holds it.
        _ audience: JWTAudience, by updates: @escaping @Sendable () -> SourceUpdates<[TrustDomain: JWTBundle]>
    ) -> Judge {
        { token async throws(PeerRefusal) in
            // The first element is what is held now. Nothing held is our failure, not the caller's.
            var states = updates().makeAsyncIterator()
            guard case .success(let bundles)? = await states.next() else {
                throw PeerRefusal(.unavailable, "no JWT bundles are held")
            }
            do throws(SPIFFEError) {
                return try JWTSVID.verify(token, audience: audience, at: MachineClock.now()) { bundles[$0] }
            } catch { throw PeerRefusal(error) }
        }
    }
}
