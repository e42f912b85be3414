package import Platform

/// Shows a join token: the agent's half of `join_token`, whose other half is the issuer's own.
package struct JoinTokenProver: NodeProver {
    package static let type = "join_token"

    private let token: SecretText

    package init(_ token: SecretText) { self.token = token }

    package var type: String { Self.type }

    package func payload() async throws(NodeAttestationError) -> [UInt8] { Array(token.exposed.utf8) }

    package func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        throw .exchange("a join token answers no challenge")
    }
}
