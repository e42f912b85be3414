internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SwiftProtobuf

/// `mintmark.v1.Approvals`.
struct ApprovalService: Mintmark_V1_Approvals.SimpleServiceProtocol {
    let access: AccessControl
    let desk: ApprovalDesk
    let policy: AccessPolicy
    let clock: any WallClock
    let logger: Logger

    func list(
        request: Mintmark_V1_ListApprovalsRequest, context: ServerContext
    ) async throws -> Mintmark_V1_ListApprovalsResponse {
        try access.requireLocal(context)
        let waiting = try await desk.waiting(now: clock.now)
        return .with { $0.approvals = waiting.map { Mintmark_V1_Approval($0) } }
    }

    func approve(
        request: Mintmark_V1_ApproveRequest, context: ServerContext
    ) async throws -> Mintmark_V1_Approval {
        try access.requireLocal(context)
        let caller = try access.resolved(context).principal
        let approval = try await desk.approve(request.id, by: policy.person(behind: caller), now: clock.now)
        logger.notice(
            "request approved",
            metadata: [
                "approval.id": "\(approval.id)", "rpc.method": "\(approval.method)", "principal": "\(caller)",
                "requester": "\(approval.requester)",
            ])
        return Mintmark_V1_Approval(approval)
    }

    func deny(request: Mintmark_V1_DenyRequest, context: ServerContext) async throws -> Mintmark_V1_DenyResponse {
        try access.requireLocal(context)
        let caller = try access.resolved(context).principal
        try await desk.deny(request.id, now: clock.now)
        logger.notice(
            "request denied", metadata: ["approval.id": "\(request.id.prefix(64))", "principal": "\(caller)"])
        return Mintmark_V1_DenyResponse()
    }
}

extension Mintmark_V1_Approval {
    init(_ approval: PendingApproval) {
        self = .with {
            $0.id = approval.id
            $0.method = approval.method
            $0.request = approval.summary
            $0.requester = approval.requester
            $0.requestedAt = approval.requestedAt.unixSeconds
            $0.expiresAt = approval.expiresAt.unixSeconds
            $0.approver = approval.approver ?? ""
        }
    }
}
