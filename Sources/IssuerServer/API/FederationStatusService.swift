internal import GRPCCore
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark.v1.Federation`.
struct FederationStatusService: Mintmark_V1_Federation.SimpleServiceProtocol {
    let access: AccessControl
    let follower: BundleFollower

    func listStatuses(
        request: Mintmark_V1_ListFederationStatusesRequest, context: ServerContext
    ) async throws -> Mintmark_V1_ListFederationStatusesResponse {
        try access.requireLocal(context)
        return .with {
            $0.statuses = follower.statuses.map { domain, status in
                .with {
                    $0.trustDomain = domain.name
                    $0.attemptedAt = status.attempted.map { $0.unixSeconds } ?? 0
                    $0.succeededAt = status.succeeded.map { $0.unixSeconds } ?? 0
                    $0.error = status.error ?? ""
                    $0.nextAttemptAt = status.due.unixSeconds
                }
            }
        }
    }
}
