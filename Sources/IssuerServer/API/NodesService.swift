internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import NodeAttestation
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark.v1.Nodes`: what the public API cannot say of nodes.
struct NodesService: Mintmark_V1_Nodes.SimpleServiceProtocol {
    /// Agents that one call asks about.
    private static let maximumAgents = 1000

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
            if let marked = rollback.marked { $0.markedRevision = marked }
        }
    }

    func getStatus(
        request: Mintmark_V1_GetNodeStatusRequest, context: ServerContext
    ) async throws -> Mintmark_V1_GetNodeStatusResponse {
        try access.requireLocal(context)
        guard request.agentIds.count <= Self.maximumAgents else {
            throw RPCError(code: .invalidArgument, message: "at most \(Self.maximumAgents) agents in one call")
        }
        var answer = Mintmark_V1_GetNodeStatusResponse()
        for text in request.agentIds {
            guard let id = try? SPIFFEID(text) else {
                throw RPCError(code: .invalidArgument, message: "an agent's ID is not a SPIFFE ID")
            }
            guard let agent = agents.agent(id) else { continue }
            answer.nodes.append(
                .with {
                    $0.agentID = text
                    if let serial = agent.bundleSerial { $0.bundleSerial = serial }
                    if let seen = agents.lastSeen(id) { $0.lastSeenAt = seen.unixSeconds }
                })
        }
        return answer
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
