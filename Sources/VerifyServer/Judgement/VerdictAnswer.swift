internal import Foundation
package import HTTPTypes
internal import SPIFFE
internal import WorkloadIdentity

/// An answer as it goes over the wire.
package struct VerdictAnswer: Hashable, Sendable {
    package let head: HTTPResponse
    package let body: String

    private init(_ status: HTTPResponse.Status, _ fields: HTTPFields, _ body: JSONValue) {
        self.body = body.compactText + "\n"
        var fields = fields
        fields[.contentType] = "application/json"
        fields[.contentLength] = "\(self.body.utf8.count)"
        // A verdict is good for one request, whatever stands between.
        fields[.cacheControl] = "no-store"
        head = HTTPResponse(status: status, headerFields: fields)
    }

    /// Says who calls, or with one word why that is not known.
    ///
    /// The reason goes no further: Envoy shows this body to the client.
    ///
    /// - Parameter verdict: The verdict.
    package init(_ verdict: RequestVerdict) {
        switch verdict {
        case .allowed(let caller):
            let expiry = caller.expiry.formatted(.iso8601)
            // None of these can hold a line break: IDs are of letters, digits and a few marks.
            self.init(
                .ok,
                [
                    Self.spiffeID: "\(caller.id)", Self.trustDomain: caller.id.trustDomain.name,
                    Self.expiresAt: expiry, Self.proof: caller.proofKind,
                ],
                .members([
                    "spiffe_id": .string("\(caller.id)"), "trust_domain": .string(caller.id.trustDomain.name),
                    "expires_at": .string(expiry), "proof": .string(caller.proofKind),
                ]))
        case .refused(let refusal):
            let reason = JSONValue.members(["reason": .string("\(refusal.code)")])
            switch refusal.code {
            case .notAuthorized: self.init(.forbidden, [:], reason)
            case .unavailable: self.init(.serviceUnavailable, [.retryAfter: "1"], reason)
            case .noIdentity: self.init(.unauthorized, [.wwwAuthenticate: "Bearer"], reason)
            default: self.init(.unauthorized, [.wwwAuthenticate: #"Bearer error="invalid_token""#], reason)
            }
        }
    }

    /// Says whether requests can be judged.
    ///
    /// - Parameter isHealthy: Whether they can.
    package init(isHealthy: Bool) {
        if isHealthy {
            self.init(.ok, [:], .members(["status": .string("ok")]))
        } else {
            self.init(.refused(PeerRefusal(.unavailable, "bundles are missing")))
        }
    }

    /// Says that nothing is here.
    package static let notFound = VerdictAnswer(.notFound, [:], .members(["reason": .string("not_found")]))

    private static let spiffeID = fieldName("x-spiffe-id")
    private static let trustDomain = fieldName("x-spiffe-trust-domain")
    private static let expiresAt = fieldName("x-spiffe-expires-at")
    private static let proof = fieldName("x-spiffe-proof")

    private static func fieldName(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("a name of ours is malformed") }
        return name
    }
}
