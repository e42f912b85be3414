package import Foundation
package import HTTPTypes
package import SPIFFE
package import WorkloadIdentity
internal import X509

/// Judges requests by their headers; a decision without a clock, a network or a memory of its own.
package struct RequestJudge: Sendable {
    /// The names that this side goes by; a token must be meant for one of them.
    package let audience: JWTAudience

    /// Which proven callers may go on.
    package let authorizer: PeerAuthorizer

    /// Where the proxy passes certificates on; nil believes no header.
    package let certificateHeader: ForwardedCertificateHeader?

    /// Creates a judge.
    ///
    /// - Parameters:
    ///   - audience: The names that this side goes by.
    ///   - authorizer: Which proven callers may go on.
    ///   - certificateHeader: Where the proxy passes certificates on; nil believes no header.
    package init(
        audience: JWTAudience, authorizer: PeerAuthorizer, certificateHeader: ForwardedCertificateHeader? = nil
    ) {
        (self.audience, self.authorizer, self.certificateHeader) = (audience, authorizer, certificateHeader)
    }

    /// Judges one request.
    ///
    /// Whatever is shown must hold: a bad token is not made good by a certificate beside it, and two proofs must name
    /// the same caller.
    ///
    /// - Parameters:
    ///   - fields: The request's headers.
    ///   - bundles: What there is to judge by.
    ///   - instant: The time at which everything must be valid.
    /// - Returns: The verdict.
    package func verdict(
        on fields: HTTPFields, holding bundles: HeldBundles, at instant: Date
    ) -> RequestVerdict {
        do throws(PeerRefusal) {
            let token = try BearerToken.read(from: fields[values: .authorization])
            let chain = try certificateHeader?.certificates(in: fields)
            let byCertificate = try chain.map { chain throws(PeerRefusal) in
                try verify(chain, holding: bundles, at: instant)
            }
            let byToken = try token.map { token throws(PeerRefusal) in
                try verify(token, holding: bundles, at: instant)
            }
            guard let caller = byToken ?? byCertificate else {
                throw PeerRefusal(.noIdentity, "the request shows no identity")
            }
            if let byCertificate, byCertificate.id != caller.id {
                throw PeerRefusal(
                    .invalidIdentity, "the token names \(caller.id), and the certificate \(byCertificate.id)")
            }
            try authorizer.authorize(caller)
            return .allowed(caller)
        } catch {
            return .refused(error)
        }
    }

    private func verify(
        _ token: String, holding bundles: HeldBundles, at instant: Date
    ) throws(PeerRefusal) -> PeerIdentity {
        guard let held = bundles.jwt else { throw PeerRefusal(.unavailable, "no jwt bundles are held") }
        do throws(SPIFFEError) {
            return PeerIdentity(
                try JWTSVID.verify(token, audience: audience, at: instant) { held[$0] })
        } catch {
            throw PeerRefusal(error)
        }
    }

    private func verify(
        _ chain: [Certificate], holding bundles: HeldBundles, at instant: Date
    ) throws(PeerRefusal) -> PeerIdentity {
        guard let held = bundles.x509 else { throw PeerRefusal(.unavailable, "no x509 bundles are held") }
        do throws(SPIFFEError) {
            return PeerIdentity(
                try X509SVIDVerification.verify(
                    chain, at: instant, revocationLists: bundles.revocationLists, bundle: { held[$0] }))
        } catch {
            throw PeerRefusal(error)
        }
    }
}
