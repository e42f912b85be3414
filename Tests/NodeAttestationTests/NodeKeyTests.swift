import Crypto
import Foundation
import NodeAttestation
import Platform
import SPIFFE
import Testing

@Suite("Node keys")
struct NodeKeyTests {
    private static let agentKey: [UInt8] = [4, 2]

    @Test("A node with the key that it registered comes back as itself")
    func attests() async throws {
        let (id, key) = (try agent(), P256.Signing.PrivateKey())
        let prover = NodeKeyProver(key: key, agentID: id, agentKey: Self.agentKey)
        let node = try await attestor(id, key).attest(
            prover.payload(), context: .now(agentKey: Self.agentKey), exchange: Node(prover: prover))
        #expect(node.path == "join_token/one")
    }

    @Test("Another key, another agent, another SVID key, an unknown agent and a replay are refused alike")
    func refused() async throws {
        let (id, key) = (try agent(), P256.Signing.PrivateKey())
        let sound = NodeKeyProver(key: key, agentID: id, agentKey: Self.agentKey)
        let old = try await sound.answer(
            to: Array("{\"nonce\":\"\(Data(repeating: 7, count: 32).base64EncodedString())\"}".utf8))
        let context = try NodeAttestationContext.now(agentKey: Self.agentKey)
        let cases: [(NodeKeyProver, any ChallengeExchange, SPIFFEID?)] = [
            (sound, Node(prover: NodeKeyProver(key: .init(), agentID: id, agentKey: Self.agentKey)), id),
            (sound, Node(prover: NodeKeyProver(key: key, agentID: id, agentKey: [9])), id),
            (sound, DeafNode(answer: old), id), (sound, Node(prover: sound), nil),
            (
                NodeKeyProver(key: key, agentID: try agent("other"), agentKey: Self.agentKey), Node(prover: sound), id
            ),
        ]
        var words: Set<String> = []
        for (prover, exchange, known) in cases {
            do throws(NodeAttestationError) {
                _ = try await attestor(known, key).attest(
                    try await prover.payload(), context: context, exchange: exchange)
                Issue.record("let in")
            } catch { words.insert("\(error)") }
        }
        #expect(words.count == 1, "who asks learns nothing of who is known")
    }

    @Test("Broken evidence is refused as such", arguments: brokenPayloads.indices)
    func brokenEvidence(index: Int) async throws {
        let (id, key) = (try agent(), P256.Signing.PrivateKey())
        let context = try NodeAttestationContext.now()
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor(id, key).attest(brokenPayloads[index], context: context, exchange: DeafNode(answer: []))
        }
        #expect(found == .malformed)
    }

    @Test(
        "An agent of another trust domain, or an ID that is no agent's, is refused",
        arguments: [
            "spiffe://other.org/spire/agent/join_token/one", "spiffe://example.org/web", "spiffe://example.org",
        ])
    func foreign(text: String) async throws {
        let key = P256.Signing.PrivateKey()
        let prover = NodeKeyProver(key: key, agentID: try SPIFFEID(text), agentKey: Self.agentKey)
        let context = try NodeAttestationContext.now(agentKey: Self.agentKey)
        let found = await outcome { () async throws(NodeAttestationError) in
            try await NodeKeyAttestor { _ in Array(key.publicKey.derRepresentation) }.attest(
                try await prover.payload(), context: context, exchange: Node(prover: prover))
        }
        #expect(found == .refused)
    }

    @Test("A registration counts for its own key and agent only")
    func registration() throws {
        let key = P256.Signing.PrivateKey()
        let signature = Array(try key.signature(for: NodeKeyStatement.registration(agentID: "a")).derRepresentation)
        let der = Array(key.publicKey.derRepresentation)
        #expect(NodeKeyStatement.isRegistration(publicKey: der, signature: signature, agentID: "a"))
        #expect(!NodeKeyStatement.isRegistration(publicKey: der, signature: signature, agentID: "b"))
        #expect(!NodeKeyStatement.isRegistration(publicKey: der, signature: [], agentID: "a"))
        #expect(!NodeKeyStatement.isRegistration(publicKey: [], signature: signature, agentID: "a"))
        let other = Array(P256.Signing.PrivateKey().publicKey.derRepresentation)
        #expect(!NodeKeyStatement.isRegistration(publicKey: other, signature: signature, agentID: "a"))
    }

    private func agent(_ name: String = "one") throws -> SPIFFEID {
        try SPIFFEID("spiffe://example.org/spire/agent/join_token/\(name)")
    }

    private func attestor(_ id: SPIFFEID?, _ key: P256.Signing.PrivateKey) -> NodeKeyAttestor {
        let der = Array(key.publicKey.derRepresentation)
        return NodeKeyAttestor { $0 == id ? der : nil }
    }
}
