internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain

/// `spire.api.server.bundle.v1.Bundle`.
///
/// The bundle is public: it is how a node learns whom to trust.
struct BundleService: Spire_Api_Server_Bundle_V1_Bundle.SimpleServiceProtocol {
    let access: AccessControl
    let authorities: AuthorityKeeper

    func getBundle(
        request: Spire_Api_Server_Bundle_V1_GetBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Bundle {
        _ = try access.requireKnown(context)
        return try Spire_Api_Types_Bundle(
            authorities.snapshot, mask: request.hasOutputMask ? request.outputMask : nil)
    }
}
