/// Answers at this host's name while it is being attested: the agent's half of `http_challenge`.
package actor HTTPChallengeProver: NodeProver {
    /// Where this agent listens, and what it says of that.
    package struct Place: Sendable {
        package let hostname: String
        package let agentName: String
        /// 0 for any.
        package let port: Int
        /// What a proxy before this host listens on; nil when there is none.
        package let advertisedPort: Int?

        package init(hostname: String, agentName: String = "default", port: Int, advertisedPort: Int? = nil) {
            (self.hostname, self.agentName) = (hostname, agentName)
            (self.port, self.advertisedPort) = (port, advertisedPort)
        }
    }

    private let place: Place
    private let bindAddress: String?
    private var listener: ChallengeListener?

    /// Creates a prover; nothing listens yet.
    ///
    /// - Parameters:
    ///   - place: Where to answer.
    ///   - bindAddress: An IP literal; nil for all addresses.
    package init(_ place: Place, bindAddress: String? = nil) {
        (self.place, self.bindAddress) = (place, bindAddress)
    }

    package nonisolated var type: String { HTTPChallengeAttestor.type }

    package func payload() async throws(NodeAttestationError) -> [UInt8] {
        await finish()
        let listener = try await listen()
        self.listener = listener
        return HTTPChallengeMessages.payload(
            .init(
                hostname: place.hostname, agentName: place.agentName,
                port: place.advertisedPort ?? listener.port))
    }

    package func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        guard let listener else { throw .exchange("a challenge came before the payload") }
        listener.show(try HTTPChallengeMessages.nonce(in: challenge))
        // Something must be said, or SPIRE's server takes it for an end.
        return [UInt8(ascii: "\n")]
    }

    private func listen() async throws(NodeAttestationError) -> ChallengeListener {
        let path = HTTPChallengeMessages.path(agentName: place.agentName)
        if let bindAddress { return try await ChallengeListener(address: bindAddress, port: place.port, path: path) }
        do throws(NodeAttestationError) {
            return try await ChallengeListener(address: "::", port: place.port, path: path)
        } catch {
            // A host without IPv6.
            return try await ChallengeListener(address: "0.0.0.0", port: place.port, path: path)
        }
    }

    package func finish() async {
        await listener?.close()
        listener = nil
    }
}
