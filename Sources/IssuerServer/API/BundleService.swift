internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Platform

/// `spire.api.server.bundle.v1.Bundle`.
///
/// The bundle is public: it is how a node learns whom to trust.
struct BundleService: Spire_Api_Server_Bundle_V1_Bundle.SimpleServiceProtocol {
    let access: AccessControl
    let authorities: AuthorityKeeper
    let entries: EntryRegistrar
    let clock: any WallClock

    func getBundle(
        request: Spire_Api_Server_Bundle_V1_GetBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Bundle {
        _ = try access.requireKnown(context)
        return try Spire_Api_Types_Bundle(
            authorities.snapshot, mask: request.hasOutputMask ? request.outputMask : nil)
    }

    func countBundles(
        request: Spire_Api_Server_Bundle_V1_CountBundlesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_CountBundlesResponse {
        throw RPCError(code: .unimplemented, message: "CountBundles is not implemented")
    }

    func appendBundle(
        request: Spire_Api_Server_Bundle_V1_AppendBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Bundle {
        try access.requireLocal(context)
        return try await OwnBundleChanges(authorities: authorities).append(request, now: clock.now)
    }

    func publishJWTAuthority(
        request: Spire_Api_Server_Bundle_V1_PublishJWTAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_PublishJWTAuthorityResponse {
        _ = try access.requireDownstream(context, entries: entries)
        return try await OwnBundleChanges(authorities: authorities).publish(request, now: clock.now)
    }

    func publishWITAuthority(
        request: Spire_Api_Server_Bundle_V1_PublishWITAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_PublishWITAuthorityResponse {
        throw RPCError(code: .unimplemented, message: "PublishWITAuthority is not implemented")
    }

    func listFederatedBundles(
        request: Spire_Api_Server_Bundle_V1_ListFederatedBundlesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_ListFederatedBundlesResponse {
        throw RPCError(code: .unimplemented, message: "ListFederatedBundles is not implemented")
    }

    func getFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_GetFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Bundle {
        throw RPCError(code: .unimplemented, message: "GetFederatedBundle is not implemented")
    }

    func batchCreateFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_BatchCreateFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_BatchCreateFederatedBundleResponse {
        throw RPCError(code: .unimplemented, message: "BatchCreateFederatedBundle is not implemented")
    }

    func batchUpdateFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_BatchUpdateFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_BatchUpdateFederatedBundleResponse {
        throw RPCError(code: .unimplemented, message: "BatchUpdateFederatedBundle is not implemented")
    }

    func batchSetFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_BatchSetFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_BatchSetFederatedBundleResponse {
        throw RPCError(code: .unimplemented, message: "BatchSetFederatedBundle is not implemented")
    }

    func batchDeleteFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_BatchDeleteFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_BatchDeleteFederatedBundleResponse {
        throw RPCError(code: .unimplemented, message: "BatchDeleteFederatedBundle is not implemented")
    }
}
