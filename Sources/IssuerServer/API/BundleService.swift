internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `spire.api.server.bundle.v1.Bundle`.
///
/// The issuer's own bundle is public: it is how a node learns whom to trust. Those of other domains are for admins and
/// agents.
struct BundleService: Spire_Api_Server_Bundle_V1_Bundle.SimpleServiceProtocol {
    let access: AccessControl
    let authorities: AuthorityKeeper
    let federation: FederationRegistrar
    let entries: EntryRegistrar
    let clock: any WallClock
    let logger: Logger

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
        try access.requireLocal(context)
        return .with { $0.count = Int32(clamping: federation.current.bundles.count + 1) }
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
        let caller = try access.requireDownstream(context)
        let now = clock.now
        guard let power = entries.read({ $0.downstreamPower(of: caller, now: now) }) else {
            throw RPCError(code: .permissionDenied, message: "this call is for downstream servers")
        }
        return try await OwnBundleChanges(authorities: authorities).publish(
            request, by: caller, power: power, now: now)
    }

    func publishWITAuthority(
        request: Spire_Api_Server_Bundle_V1_PublishWITAuthorityRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_PublishWITAuthorityResponse {
        throw RPCError(code: .unimplemented, message: "PublishWITAuthority is not implemented")
    }

    func listFederatedBundles(
        request: Spire_Api_Server_Bundle_V1_ListFederatedBundlesRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_ListFederatedBundlesResponse {
        try access.requireLocal(context)
        let (page, next) = try DomainPages.page(
            of: federation.current.bundles, size: request.pageSize, after: request.pageToken,
            weight: \.approximateSize)
        let mask = request.hasOutputMask ? request.outputMask : nil
        let bundles = try page.map { try Spire_Api_Types_Bundle($0, mask: mask) }
        return .with {
            $0.bundles = bundles
            $0.nextPageToken = next
        }
    }

    /// Also for agents: the bundles go on to workloads.
    func getFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_GetFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Types_Bundle {
        try await access.requireLocalOrAgent(context)
        let domain = try TrustDomain(wire: request.trustDomain)
        guard domain != authorities.snapshot.bundle.trustDomain else { throw FederationError.ownTrustDomain }
        guard let bundle = federation.current.bundles[domain] else { throw FederationError.bundleMissing(domain) }
        return try Spire_Api_Types_Bundle(bundle, mask: request.hasOutputMask ? request.outputMask : nil)
    }

    func batchCreateFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_BatchCreateFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_BatchCreateFederatedBundleResponse {
        try access.requireLocal(context)
        let outcomes = try await BatchResults.of(Self.read(request.bundle)) { try await federation.create($0) }
        let written = try record("federated bundle created", outcomes, request.hasOutputMask ? request.outputMask : nil)
        return .with {
            $0.results = written.map { status, bundle in
                .with {
                    $0.status = status
                    if let bundle { $0.bundle = bundle }
                }
            }
        }
    }

    func batchUpdateFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_BatchUpdateFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_BatchUpdateFederatedBundleResponse {
        try access.requireLocal(context)
        let input = request.hasInputMask ? request.inputMask : nil
        let patches = request.bundle.map { wire in
            Result { () throws(RPCError) in try FederatedBundlePatch(wire: wire, mask: input) }
        }
        let outcomes = try await BatchResults.of(patches) { try await federation.update($0) }
        let written = try record("federated bundle updated", outcomes, request.hasOutputMask ? request.outputMask : nil)
        return .with {
            $0.results = written.map { status, bundle in
                .with {
                    $0.status = status
                    if let bundle { $0.bundle = bundle }
                }
            }
        }
    }

    func batchSetFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_BatchSetFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_BatchSetFederatedBundleResponse {
        try access.requireLocal(context)
        let outcomes = try await BatchResults.of(Self.read(request.bundle)) { try await federation.set($0) }
        let written = try record("federated bundle set", outcomes, request.hasOutputMask ? request.outputMask : nil)
        return .with {
            $0.results = written.map { status, bundle in
                .with {
                    $0.status = status
                    if let bundle { $0.bundle = bundle }
                }
            }
        }
    }

    func batchDeleteFederatedBundle(
        request: Spire_Api_Server_Bundle_V1_BatchDeleteFederatedBundleRequest, context: ServerContext
    ) async throws -> Spire_Api_Server_Bundle_V1_BatchDeleteFederatedBundleResponse {
        try access.requireLocal(context)
        let mode = try BundleDeletion(wire: request.mode)
        // What becomes of entries, whoever they are of, is for those who may register anywhere.
        if mode != .restrict { try access.requireRegistrar(context, isBound: false) }
        let domains = request.trustDomains.map { name in
            Result { () throws(RPCError) in try TrustDomain(wire: name) }
        }
        let outcomes = try await BatchResults.of(domains) {
            try await federation.deleteBundles(of: $0, mode: mode, entries: entries)
        }
        for domain in outcomes.compactMap(\.value) {
            logger.info(
                "federated bundle deleted", metadata: ["trust_domain": "\(domain)", "bundle.mode": "\(mode)"])
        }
        return .with {
            $0.results = zip(request.trustDomains, outcomes).map { name, outcome in
                .with {
                    $0.status = outcome.status
                    $0.trustDomain = name
                }
            }
        }
    }

    private static func read(_ wire: [Spire_Api_Types_Bundle]) -> [Result<FederatedBundle, RPCError>] {
        wire.map { wire in Result { () throws(RPCError) in try FederatedBundle(wire: wire) } }
    }

    /// Logs what was done, and writes it for the caller.
    private func record(
        _ event: Logger.Message, _ outcomes: [Result<FederatedBundle, RPCError>], _ mask: Spire_Api_Types_BundleMask?
    ) throws -> [(status: Spire_Api_Types_Status, bundle: Spire_Api_Types_Bundle?)] {
        try outcomes.map { outcome in
            guard let bundle = outcome.value else { return (outcome.status, nil) }
            logger.info(
                event,
                metadata: [
                    "trust_domain": "\(bundle.trustDomain)", "bundle.sequence": "\(bundle.trust.sequence ?? 0)",
                    "bundle.x509_authorities": "\(bundle.trust.x509.authorities.count)",
                    "bundle.jwt_authorities": "\(bundle.trust.jwt.authorities.count)",
                ])
            return (outcome.status, try Spire_Api_Types_Bundle(bundle, mask: mask))
        }
    }
}
