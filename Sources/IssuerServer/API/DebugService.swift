internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `spire.api.server.debug.v1.Debug`.
struct DebugService: Spire_Api_Server_Debug_V1_Debug.SimpleServiceProtocol {
    let access: AccessControl
    let agents: AgentRegistrar
    let entries: EntryRegistrar
    let federation: FederationRegistrar
    let serverSVID: ServerSVID
    let startedAt: Date
    let clock: any WallClock

    func getInfo(
        request: Spire_Api_Server_Debug_V1_GetInfoRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Debug_V1_GetInfoResponse {
        try access.requireLocal(context)
        let entryCount = entries.read { $0.count }
        let chain = serverSVID.chain
        return .with {
            $0.svidChain = chain.map { link in
                .with {
                    if let id = link.id { $0.id = id.wire }
                    $0.expiresAt = link.expiresAt.unixSeconds
                    $0.subject = link.subject
                }
            }
            $0.uptime = Int32(clamping: max(0, clock.now.unixSeconds - startedAt.unixSeconds))
            $0.agentsCount = Int32(clamping: agents.all.count)
            $0.federatedBundlesCount = Int32(clamping: federation.current.bundles.count)
            $0.entriesCount = Int32(clamping: entryCount)
        }
    }
}
