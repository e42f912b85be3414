public import Foundation
public import SPIFFE
internal import WorkloadAPIProtos

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
