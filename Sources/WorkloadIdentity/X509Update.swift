public import Foundation
public import SPIFFE
internal import WorkloadAPIProtos

/// Every X.509-SVID of this process and the bundles to judge peers by, as of one message: the whole state, no delta.
public struct X509Update: Sendable {
    /// The identities; the first is the default one (WLAPI-11).
    ///
    /// Never empty.
    public let svids: [X509SVID]

    /// Bundles by trust domain: the own one and those federated with.
    public let bundles: [TrustDomain: X509Bundle]

    init(_ message: WorkloadX509SVIDResponse) throws {
        guard !message.svids.isEmpty else { throw WorkloadAPIError(.invalidResponse, "the endpoint sent no SVID") }
        var svids: [X509SVID] = []
        var bundles: [TrustDomain: X509Bundle] = [:]
        var hints: Set<String> = []
        for wire in message.svids {
            let svid = try X509SVID(chain: wire.x509Svid, privateKey: wire.x509SvidKey, hint: wire.hint)
            let domain = svid.id.trustDomain
            bundles[domain] = X509Bundle(
                trustDomain: domain, authorities: try DERConcatenation.certificates(in: wire.bundle))
            // WLAPI-39: the first with a hint keeps it.
            if wire.hint.isEmpty || hints.insert(wire.hint).inserted { svids.append(svid) }
        }
        for (name, bytes) in message.federatedBundles {
            let domain = try SPIFFEID(name.hasPrefix("spiffe://") ? name : "spiffe://\(name)").trustDomain
            guard bundles[domain] == nil else { continue }
            bundles[domain] = X509Bundle(
                trustDomain: domain, authorities: try DERConcatenation.certificates(in: bytes))
        }
        self.svids = svids
        self.bundles = bundles
    }
}

/// A JWT-SVID as the endpoint sent it.
///
/// The endpoint is trusted; the token was parsed, not verified.
public struct FetchedJWTSVID: Sendable {
    /// Who this process is to the audience.
    public let id: SPIFFEID

    /// The token.
    ///
    /// A bearer credential: keep it out of logs.
    public let token: String

    /// When it ends.
    public let expiry: Date

    /// What the issuer says the identity is for; empty when it does not.
    public let hint: String

    init(_ wire: WorkloadJWTSVID) throws {
        let parsed = try UnverifiedJWTSVID(parsing: wire.svid)
        guard "\(parsed.subject)" == wire.spiffeID else {
            throw WorkloadAPIError(.invalidResponse, "the token names another identity than its message")
        }
        id = parsed.subject
        token = wire.svid
        expiry = Date(timeIntervalSince1970: parsed.expiry)
        hint = wire.hint
    }
}

extension FetchedJWTSVID: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Names the identity, never the token.
    public var description: String { "FetchedJWTSVID(\(id), token: <redacted>)" }

    /// The same as ``description``.
    public var debugDescription: String { description }

    /// Shows the identity alone.
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }
}
