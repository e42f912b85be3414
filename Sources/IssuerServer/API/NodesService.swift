internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import NodeAttestation
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark.v1.Nodes`: what the public API cannot say of nodes.
struct NodesService: Mintmark_V1_Nodes.SimpleServiceProtocol {
    let access: AccessControl
    let agents: AgentRegistrar
    let logger: Logger

    func registerNodeKey(
        request: Mintmark_V1_RegisterNodeKeyRequest, context: ServerContext
    ) async throws -> Mintmark_V1_RegisterNodeKeyResponse {
        let agent = try await access.requireAgent(context)
        let key = Array(request.publicKey)
        guard
            NodeKeyStatement.isRegistration(
                publicKey: key, signature: Array(request.signature), agentID: "\(agent.id)")
        else {
            throw RPCError(
                code: .invalidArgument, message: "the node key is not P-256, or did not sign its registration")
        }
        try await agents.register(nodeKey: key, of: agent.id)
        logger.info("node key registered", metadata: ["agent.id": "\(agent.id)"])
        return Mintmark_V1_RegisterNodeKeyResponse()
    }

    func getRollback(
        request: Mintmark_V1_GetRollbackRequest, context: ServerContext
    ) async throws -> Mintmark_V1_Rollback {
        try access.requireLocal(context)
        return .with {
            guard let rollback = agents.rollback else { return }
            $0.found = true
            $0.storedRevision = rollback.stored
            $0.markedRevision = rollback.marked
        }
    }

    func acceptRollback(
        request: Mintmark_V1_AcceptRollbackRequest, context: ServerContext
    ) async throws -> Mintmark_V1_AcceptRollbackResponse {
        try access.requireLocal(context)
        guard let dropped = try await agents.acceptRollback() else { return Mintmark_V1_AcceptRollbackResponse() }
        logger.warning("rolled-back store accepted", metadata: ["tokens.dropped": "\(dropped)"])
        return .with {
            $0.accepted = true
            $0.droppedTokens = UInt32(clamping: dropped)
        }
    }
}
