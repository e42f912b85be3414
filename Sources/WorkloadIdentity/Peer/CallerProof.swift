public import SPIFFE

/// What a caller may prove itself with: the certificate of its connection, a bearer JWT-SVID with each request, or either.
public struct CallerProof: Sendable {
    package typealias Judge = @Sendable (String) throws(PeerRefusal) -> JWTSVID

    private let acceptsCertificate: Bool
    private let judge: Judge?

    package init(acceptsCertificate: Bool, judge: Judge?) {
        (self.acceptsCertificate, self.judge) = (acceptsCertificate, judge)
    }

    /// The certificate of the connection alone; a token is not looked at.
    public static let certificate = CallerProof(acceptsCertificate: true, judge: nil)

    /// A bearer JWT-SVID with each request, whatever the connection shows.
    ///
    /// - Parameters:
    ///   - audience: The names this service goes by.
    ///   - source: Whom to judge tokens by.
    /// - Returns: The rule.
    public static func token(for audience: JWTAudience, source: JWTSource) -> CallerProof {
        CallerProof(
            acceptsCertificate: false, judge: judge(audience) { () throws(WorkloadAPIError) in try source.held })
    }

    /// A bearer JWT-SVID with each request, whatever the connection shows.
    ///
    /// - Parameters:
    ///   - audience: The names this service goes by.
    ///   - source: Whom to judge tokens by.
    /// - Returns: The rule.
    public static func token(for audience: JWTAudience, source: BundleSource) -> CallerProof {
        CallerProof(
            acceptsCertificate: false, judge: judge(audience) { () throws(WorkloadAPIError) in try source.heldJWT })
    }

    /// A bearer JWT-SVID if the request has one, else the certificate of the connection.
    ///
    /// The token speaks for the caller even where the connection belongs to somebody else, such as a proxy. So a request with
    /// a bad token is refused, however good the certificate.
    ///
    /// - Parameters:
    ///   - audience: The names this service goes by.
    ///   - source: Whom to judge tokens by.
    /// - Returns: The rule.
    public static func tokenOrCertificate(for audience: JWTAudience, source: JWTSource) -> CallerProof {
        CallerProof(acceptsCertificate: true, judge: judge(audience) { () throws(WorkloadAPIError) in try source.held })
    }

    /// A bearer JWT-SVID if the request has one, else the certificate of the connection.
    ///
    /// The token speaks for the caller even where the connection belongs to somebody else, such as a proxy. So a request with
    /// a bad token is refused, however good the certificate.
    ///
    /// - Parameters:
    ///   - audience: The names this service goes by.
    ///   - source: Whom to judge tokens by.
    /// - Returns: The rule.
    public static func tokenOrCertificate(for audience: JWTAudience, source: BundleSource) -> CallerProof {
        CallerProof(
            acceptsCertificate: true, judge: judge(audience) { () throws(WorkloadAPIError) in try source.heldJWT })
    }

    /// Whether a caller without a token can be asked for one.
    package var asksForToken: Bool { judge != nil }

    /// Finds out who makes a request.
    ///
    /// - Parameters:
    ///   - authorization: Every value of the request's `authorization`.
    ///   - certificate: What the connection has proven.
    /// - Returns: The caller, proven; whether that is enough is the authorizer's to say.
    /// - Throws: ``PeerRefusal``.
    package func identify(
        authorization: some Sequence<String>, certificate: VerifiedX509SVID?
    ) throws(PeerRefusal) -> PeerIdentity {
        if let judge, let token = try BearerToken.read(from: authorization) { return PeerIdentity(try judge(token)) }
        guard acceptsCertificate else { throw PeerRefusal(.noIdentity, "the request has no bearer token") }
        guard let certificate else { throw PeerRefusal(.noIdentity, "the connection has no client certificate") }
        return PeerIdentity(certificate)
    }

    private static func judge(
        _ audience: JWTAudience,
        by held: @escaping @Sendable () throws(WorkloadAPIError) -> [TrustDomain: JWTBundle]
    ) -> Judge {
        { token throws(PeerRefusal) in
            let bundles: [TrustDomain: JWTBundle]
            // Nothing held is this side's failure, not the caller's.
            do throws(WorkloadAPIError) { bundles = try held() } catch {
                throw PeerRefusal(.unavailable, error.message)
            }
            do throws(SPIFFEError) {
                return try JWTSVID.verify(token, audience: audience, at: MachineClock.now()) { bundles[$0] }
            } catch {
                throw PeerRefusal(error)
            }
        }
    }
}
