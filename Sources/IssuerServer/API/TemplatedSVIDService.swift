internal import GRPCCore
internal import IssuerAPIProtos

/// `mintmark.v1.TemplatedSVIDs`: for entries whose identity depends on the process.
struct TemplatedSVIDService: Mintmark_V1_TemplatedSVIDs.SimpleServiceProtocol {
    let access: AccessControl
    let issuance: AgentIssuance

    func batchNewX509SVID(
        request: Mintmark_V1_BatchNewTemplatedX509SVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_BatchNewX509SVIDResponse {
        try await issuance.x509SVIDs(request.items, for: access.requireAgent(context)) { item in
            .init(entryID: item.entryID, identity: item.spiffeID, csr: item.csr)
        }
    }

    func newJWTSVID(
        request: Mintmark_V1_NewTemplatedJWTSVIDRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Svid_V1_NewJWTSVIDResponse {
        try issuance.jwtSVID(
            entryID: request.entryID, identity: request.spiffeID, audience: request.audience,
            for: await access.requireAgent(context))
    }
}
