public import Foundation
public import SPIFFE
package import WorkloadAPIProtos

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

    /// Whom it is for.
    let audience: [String]

    /// When it ends.
    public let expiry: Date

    /// What the issuer says the identity is for; empty when it does not.
    public let hint: String

    /// Reads one token of a message.
    package init(_ wire: WorkloadJWTSVID) throws {
        let parsed = try UnverifiedJWTSVID(parsing: wire.svid)
        guard wire.spiffeID.utf8.elementsEqual("\(parsed.subject)".utf8) else {
            throw WorkloadAPIError(.invalidResponse, "the token names another identity than its message")
        }
        id = parsed.subject
        token = wire.svid
        audience = parsed.audience
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

extension FetchedJWTSVID {
    /// Reads every token of one message, all of them or none.
    ///
    /// A token for others than those asked about is a key to somebody else's door, so it is not handed out.
    package static func tokens(
        _ message: WorkloadJWTSVIDResponse, for audience: [String], as id: SPIFFEID?
    ) throws -> [FetchedJWTSVID] {
        guard !message.svids.isEmpty else { throw WorkloadAPIError(.invalidResponse, "the endpoint sent no JWT-SVID") }
        let asked = Set(audience.map(ExactText.init))
        var tokens: [FetchedJWTSVID] = []
        var hints: Set<ExactText> = []
        for wire in message.svids {
            let token = try FetchedJWTSVID(wire)
            guard asked.isSubset(of: token.audience.map(ExactText.init)) else {
                throw WorkloadAPIError(.invalidResponse, "the endpoint sent a token for another audience")
            }
            guard id == nil || token.id == id else {
                throw WorkloadAPIError(.invalidResponse, "the endpoint sent a token of another identity")
            }
            // WLAPI-39: the first with a hint keeps it.
            if wire.hint.isEmpty || hints.insert(ExactText(wire.hint)).inserted { tokens.append(token) }
        }
        return tokens
    }
}
