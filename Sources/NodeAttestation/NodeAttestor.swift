/// The issuer's half of a way to attest nodes.
///
/// Everything a node says is hostile until an attestor has proven it. An attestor keeps no state of its own: what has
/// to be used once, or remembered over a restart, is the issuer's to keep.
package protocol NodeAttestor: Sendable {
    /// The `type` of the attestation data, as it stands in agents' SPIFFE IDs.
    var type: String { get }

    /// Whether a node that was attested once may be attested again by the same proof.
    ///
    /// False where the proof is of the kind that is trusted on first use.
    var canReattest: Bool { get }

    /// Judges a node's evidence.
    ///
    /// - Parameters:
    ///   - payload: The attestation data as they came; at most ``NodeAttestationLimits/payload`` bytes.
    ///   - context: What else is known of the call.
    ///   - exchange: Asks the node.
    /// - Returns: Who the node is.
    /// - Throws: ``NodeAttestationError``.
    func attest(
        _ payload: [UInt8], context: NodeAttestationContext, exchange: any ChallengeExchange
    ) async throws(NodeAttestationError) -> AttestedNode
}

/// Sends a node what it must answer; bounded in number, size and time by whoever carries it.
package protocol ChallengeExchange: Sendable {
    /// Sends a challenge and waits for the answer.
    ///
    /// - Throws: ``NodeAttestationError/exchange``, when the node went away, took too long or sent too much.
    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8]
}

/// The agent's half of a way to attest nodes.
package protocol NodeProver: Sendable {
    var type: String { get }

    /// The attestation data to send first.
    ///
    /// - Throws: ``NodeAttestationError``.
    func payload() async throws(NodeAttestationError) -> [UInt8]

    /// The answer to a challenge.
    ///
    /// - Throws: ``NodeAttestationError``.
    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8]

    /// Lets go of what an attestation took, whether it worked or not.
    func finish() async
}

extension NodeProver {
    package func finish() async {}
}
