internal import Foundation
package import SPIFFE

/// The issuer, as a node agent needs it.
package protocol IssuerClient: Sendable {
    /// Every entry that this node may serve, given what is already held.
    ///
    /// - Parameter held: Entries by ID.
    /// - Returns: The whole set, by ID; what is held and no longer in it may not be served.
    /// - Throws: ``IssuerClientError``.
    func authorizedEntries(
        held: [String: AuthorizedEntry]
    ) async throws(IssuerClientError) -> [String: AuthorizedEntry]

    /// The trust domain's bundle, and which of its authorities are tainted.
    ///
    /// - Throws: ``IssuerClientError``.
    func bundle() async throws(IssuerClientError) -> (bundle: TrustBundle, tainted: TaintedAuthorities)

    /// X.509-SVIDs for signing requests.
    ///
    /// - Parameter requests: A slot and a PKCS#10 request (DER) each.
    /// - Returns: For each request, in order, the chain (DER, leaf first), or nil if it was refused.
    /// - Throws: ``IssuerClientError``.
    func x509SVIDs(
        _ requests: [(slot: SVIDSlot, csr: [UInt8])]
    ) async throws(IssuerClientError) -> [[[UInt8]]?]

    /// A JWT-SVID for a slot.
    ///
    /// - Throws: ``IssuerClientError``.
    func jwtSVID(slot: SVIDSlot, audience: [String]) async throws(IssuerClientError) -> HeldJWTSVID
}

/// Why the issuer did not answer as hoped.
package enum IssuerClientError: Error, Hashable {
    /// It cannot be reached, or is not ready.
    case unavailable(detail: String)
    /// It says that this agent may not act; joining again may help.
    case agentRefused(detail: String)
    /// It asks this agent to prove itself again instead of renewing.
    case mustReattest
    /// This agent cannot prove itself: what it should show or ask is not there.
    case unproven(detail: String)
    /// It refused this one request, which is not sound.
    case badRequest(detail: String)
    /// It refused this one request: the entry is gone, or not this agent's.
    case notEntitled(detail: String)
    /// It refused this one request for another reason.
    case refused(detail: String)
    /// It answered what it should not.
    case badAnswer(detail: String)
}

extension IssuerClientError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let detail): "issuer is unavailable: \(detail)"
        case .agentRefused(let detail): "issuer refuses this agent: \(detail)"
        case .badRequest(let detail), .notEntitled(let detail), .refused(let detail): "issuer refused: \(detail)"
        case .mustReattest: "issuer wants this agent to attest again"
        case .unproven(let detail): "this agent cannot prove itself: \(detail)"
        case .badAnswer(let detail): "issuer answered badly: \(detail)"
        }
    }
}
