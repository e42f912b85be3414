/// Why a caller does not pass for an agent, or a node was not let in.
package enum AgentRefusal: Error, Hashable {
    /// No certificate, or one that names no agent of this issuer.
    case notAttested
    case banned
    case expired
    /// The certificate is not the agent's current one.
    case notActive
    /// The join token is unknown, already used, or over. Which of these is not said.
    case tokenRefused
    /// The method is not one that this issuer knows, or not from here.
    case methodRefused(String)
    case badRequest(detail: String)
    case issuance(IssuanceError)
    case store(StoreError)
}

extension AgentRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notAttested: "agent is not attested"
        case .banned: "agent is banned"
        case .expired: "agent SVID has expired"
        case .notActive: "agent SVID is not the active one"
        case .tokenRefused: "join token does not exist, has been used, or has expired"
        case .methodRefused(let method): "node attestation by '\(method)' is not accepted here"
        case .badRequest(let detail): detail
        case .issuance(let error): "\(error)"
        case .store(let error): "\(error)"
        }
    }
}
