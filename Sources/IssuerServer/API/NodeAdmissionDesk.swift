internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import NodeAttestation
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// Lets a node in that wants to be: finds the attestor, hears the proof, and asks the registrar.
struct NodeAdmissionDesk: Sendable {
    let agents: AgentRegistrar
    let attestors: NodeAttestors
    let trustDomain: TrustDomain
    let clock: any WallClock
    /// How long a node may take for everything, its first message among it.
    let patience: Duration

    /// Judges attestation data, and signs an SVID for whoever they are of.
    ///
    /// - Throws: ``AgentRefusal``, `IssuanceError`.
    func admit(
        _ params: Spire_Api_Server_Agent_V1_AttestAgentRequest.Params, caller: Caller, peer: String,
        exchange: AttestationExchange
    ) async throws -> NodeAdmission {
        let data = params.data
        guard !data.type.isEmpty else {
            throw AgentRefusal.badRequest(detail: "the type of node attestation is missing")
        }
        guard data.payload.count <= NodeAttestationLimits.payload else {
            throw AgentRefusal.attestation(.init(.malformed, "attestation data are too long"))
        }
        let request = try SigningRequest(der: Array(params.params.csr))
        switch (data.type, caller) {
        case (JoinToken.attestationType, _):
            guard let token = String(validating: data.payload, as: UTF8.self), !token.isEmpty else {
                throw AgentRefusal.tokenRefused
            }
            let svid = try await agents.attest(
                joinToken: SecretText(token), request: request, now: clock.now, using: SystemEntropy())
            return NodeAdmission(svid: svid, canReattest: false, hasNewSelectors: false)
        case (AgentRegistrar.embeddedType, .embedded):
            let svid = try await agents.attestEmbedded(request: request, now: clock.now, using: SystemEntropy())
            return NodeAdmission(svid: svid, canReattest: true, hasNewSelectors: false)
        default:
            guard let attestor = attestors[data.type] else {
                throw AgentRefusal.methodRefused(String(data.type.prefix(64)))
            }
            let context = NodeAttestationContext(
                trustDomain: trustDomain, now: clock.now, peerAddress: PeerAddress(peer).literal,
                agentKey: request.key.info)
            let node: AttestedNode
            do throws(NodeAttestationError) {
                node = try await attestor.attest(Array(data.payload), context: context, exchange: exchange)
            } catch { throw AgentRefusal.attestation(NodeProofFailure(error)) }
            return try await admit(node, by: attestor, request: request)
        }
    }

    private func admit(
        _ node: AttestedNode, by attestor: any NodeAttestor, request: SigningRequest
    ) async throws(AgentRefusal) -> NodeAdmission {
        guard attestor.type != NodeKeyAttestor.type else {
            let id: SPIFFEID
            do throws(SPIFFEError) {
                id = try SPIFFEID(trustDomain: trustDomain, path: "/spire/agent/\(node.path)")
            } catch { throw .attestation(.init(.malformed, error.message)) }
            return try await agents.rejoin(id, request: request, now: clock.now, using: SystemEntropy())
        }
        let proof = try NodeProof(
            type: attestor.type, path: node.path, selectors: node.selectors,
            canReattest: attestor.canReattest && node.canReattest, in: trustDomain)
        return try await agents.admit(proof, request: request, now: clock.now, using: SystemEntropy())
    }

    /// Runs an attestation for as long as a node may take.
    ///
    /// - Throws: ``AgentRefusal`` when it takes longer, and what the body throws.
    func withinPatience(_ body: @escaping @Sendable () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(operation: body)
            group.addTask { [patience] in
                try await Task.sleep(for: patience)
                throw AgentRefusal.attestation(.init(.exchange, "the node took too long"))
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

extension NodeProofFailure {
    init(_ error: NodeAttestationError) {
        let kind: Kind =
            switch error {
            case .malformed: .malformed
            case .refused: .refused
            case .exchange: .exchange
            case .unavailable: .unavailable
            }
        self.init(kind, "\(error)")
    }
}
