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
    /// The text chosen for a join token is that of another.
    case tokenTaken
    /// The method is not one that this issuer knows, or not from here.
    case methodRefused(String)
    /// The node's proof does not hold, or was not given.
    case attestation(NodeProofFailure)
    /// The proof is of the kind that is trusted on first use, and has been used.
    case alreadyAttested
    /// The agent has a proof that it can repeat, so it must.
    case mustReattest
    /// The store is older than what has been done with it: see ``Rollback``.
    case rolledBack
    /// What was done stands, and could not be noted where a rollback of the store would show.
    case unmarked(detail: String)
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
        case .tokenTaken: "there is such a join token already; choose another text, or leave it to be drawn"
        case .methodRefused(let method): "node attestation by '\(method)' is not accepted here"
        case .attestation(let failure): "\(failure)"
        case .alreadyAttested: "a node is trusted on first use by this method, and has been let in; evict it first"
        case .mustReattest: "agent must reattest instead of renew"
        case .rolledBack:
            "the issuer's store is older than it was; an admin must run 'mintmark server accept-rollback' before agents may act"
        case .unmarked(let detail): "done, and not noted against a rollback of the store: \(detail)"
        case .badRequest(let detail): detail
        case .issuance(let error): "\(error)"
        case .store(let error): "\(error)"
        }
    }
}
