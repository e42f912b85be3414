internal import AgentDomain
internal import Foundation
internal import GRPCCore
internal import LinuxKernel
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf
internal import WorkloadAPIProtos
internal import WorkloadAttestation

/// The SPIFFE Workload API.
///
/// Each call attests its caller first. Streams answer at once, then again, in full, whenever what they would say has
/// changed, and end with PermissionDenied when nothing is left to say (WLAPI-04..06, WLAPI-16).
struct WorkloadAPIService<Attestor: WorkloadAttestor>: WorkloadSpiffeWorkloadAPI.SimpleServiceProtocol
where Attestor.Peer == PeerProcess {
    let attestor: Attestor
    let state: AgentState
    let supply: SVIDSupply
    let clock: any WallClock
    let logger: Logger

    func fetchX509SVID(
        request: WorkloadX509SVIDRequest, response: RPCWriter<WorkloadX509SVIDResponse>, context: ServerContext
    ) async throws {
        let (peer, found) = try await attest(context)
        try await stream(to: response, for: peer, context: context) {
            try await x509Response(for: identities(of: found, peer: peer, call: "FetchX509SVID"))
        }
    }

    func fetchX509Bundles(
        request: WorkloadX509BundlesRequest, response: RPCWriter<WorkloadX509BundlesResponse>, context: ServerContext
    ) async throws {
        let (peer, found) = try await attest(context)
        try await stream(to: response, for: peer, context: context) {
            _ = try identities(of: found, peer: peer, call: "FetchX509Bundles")
            let bundle = try currentBundle()
            let bytes = Data(try DERConcatenation.bytes(of: bundle.x509.authorities))
            return .with { $0.bundles = ["\(bundle.trustDomain.id)": bytes] }
        }
    }

    func fetchJWTSVID(
        request: WorkloadJWTSVIDRequest, context: ServerContext
    ) async throws -> WorkloadJWTSVIDResponse {
        guard !request.audience.isEmpty, request.audience.allSatisfy({ !$0.isEmpty }) else {
            throw RPCError(code: .invalidArgument, message: "audience must be specified")
        }
        let wanted = try requestedID(request.spiffeID)
        let (peer, found) = try await attest(context)
        let entries = try identities(of: found, peer: peer, call: "FetchJWTSVID")
            .filter { wanted == nil || $0.spiffeID == wanted }
        guard !entries.isEmpty else { throw Self.noIdentity }
        var svids: [WorkloadJWTSVID] = []
        for entry in entries {
            let svid = try await supply.jwtSVID(for: entry, audience: request.audience)
            svids.append(
                .with {
                    $0.spiffeID = "\(svid.spiffeID)"
                    $0.svid = svid.token.exposed
                    $0.hint = entry.hint
                })
        }
        guard attestor.isPresent(peer) else { throw Self.gone }
        return .with { $0.svids = svids }
    }

    func fetchJWTBundles(
        request: WorkloadJWTBundlesRequest, response: RPCWriter<WorkloadJWTBundlesResponse>, context: ServerContext
    ) async throws {
        let (peer, found) = try await attest(context)
        try await stream(to: response, for: peer, context: context) {
            _ = try identities(of: found, peer: peer, call: "FetchJWTBundles")
            let bundle = try currentBundle()
            let document = Data(bundle.jwkSet.compactText.utf8)
            return .with { $0.bundles = ["\(bundle.trustDomain.id)": document] }
        }
    }

    func validateJWTSVID(
        request: WorkloadValidateJWTSVIDRequest, context: ServerContext
    ) async throws -> WorkloadValidateJWTSVIDResponse {
        guard !request.audience.isEmpty else {
            throw RPCError(code: .invalidArgument, message: "audience must be specified")
        }
        guard !request.svid.isEmpty else { throw RPCError(code: .invalidArgument, message: "svid must be specified") }
        _ = try await attest(context)
        let bundle = try currentBundle()
        do {
            let svid = try JWTSVID.verify(request.svid, audience: request.audience, at: clock.now) {
                $0 == bundle.trustDomain ? bundle.jwt : nil
            }
            return .with {
                $0.spiffeID = "\(svid.id)"
                $0.claims = Google_Protobuf_Struct(claims: svid.claims, audience: svid.audience)
            }
        } catch {
            throw RPCError(code: .invalidArgument, message: "\(error)")
        }
    }

    func fetchWITSVID(
        request: WorkloadWITSVIDRequest, response: RPCWriter<WorkloadWITSVIDResponse>, context: ServerContext
    ) async throws {
        throw RPCError(code: .unimplemented, message: "the WIT-SVID profile is not supported")
    }

    func fetchWITBundles(
        request: WorkloadWITBundlesRequest, response: RPCWriter<WorkloadWITBundlesResponse>, context: ServerContext
    ) async throws {
        throw RPCError(code: .unimplemented, message: "the WIT-SVID profile is not supported")
    }

    // MARK: Who calls

    private func attest(_ context: ServerContext) async throws(RPCError) -> (PeerProcess, Attestation) {
        guard let peer = (context.transportSpecific as? WorkloadPeer)?.process else {
            throw RPCError(code: .unavailable, message: "connection is closed")
        }
        let view = state.view
        guard view.bundle != nil else {
            throw RPCError(code: .unavailable, message: "agent is not ready yet; it has not heard from the issuer")
        }
        do {
            let found = try await attestor.attest(peer) {
                view.matcher.needsDigest($0, isDigest: UnixSelectors.isDigest)
            }
            // THE LINE TO REPLACE: claims what the attestor above does not show. The evidence pipeline says what it found.
            let attestation = Attestation(
                selectors: found, level: .boundImage, levelAdmittingJIT: .boundImage, methods: [])
            return (peer, attestation)
        } catch {
            logger.warning(
                "workload attestation failed",
                metadata: [
                    "workload.pid": "\(peer.credentials.pid)", "workload.uid": "\(peer.credentials.uid)",
                    "error": "\(error)",
                ])
            throw RPCError(code: .unavailable, message: "workload attestation failed")
        }
    }

    /// The entries that match now; at least one.
    private func identities(
        of found: Attestation, peer: PeerProcess, call: String
    ) throws(RPCError) -> [AuthorizedEntry] {
        let entries = HintRule.resolve(state.view.matcher.matches(found, now: clock.now))
        guard entries.isEmpty else { return entries }
        logger.info(
            "no identity issued",
            metadata: [
                "workload.pid": "\(peer.credentials.pid)", "workload.uid": "\(peer.credentials.uid)",
                "rpc.method": "\(call)",
            ])
        throw Self.noIdentity
    }

    private func requestedID(_ text: String) throws(RPCError) -> SPIFFEID? {
        guard !text.isEmpty else { return nil }
        do { return try SPIFFEID(text) } catch {
            throw RPCError(code: .invalidArgument, message: "invalid requested SPIFFE ID: \(error)")
        }
    }

    // MARK: What is said

    private func currentBundle() throws(RPCError) -> TrustBundle {
        guard let bundle = state.view.bundle else {
            throw RPCError(code: .unavailable, message: "agent is not ready yet; it has not heard from the issuer")
        }
        return bundle
    }

    private func x509Response(for entries: [AuthorizedEntry]) async throws -> WorkloadX509SVIDResponse {
        let svids = try await supply.x509SVIDs(for: entries)
        let bundle = Data(try DERConcatenation.bytes(of: currentBundle().x509.authorities))
        return .with {
            $0.svids = svids.map { entry, svid in
                .with {
                    $0.spiffeID = "\(svid.spiffeID)"
                    $0.x509Svid = Data(svid.chain)
                    $0.x509SvidKey = Data(svid.key.exposed)
                    $0.bundle = bundle
                    $0.hint = entry.hint
                }
            }
        }
    }

    /// Writes what `build` says, now and whenever it says something new, until the caller leaves.
    private func stream<Message: Equatable & Sendable>(
        to response: RPCWriter<Message>, for peer: PeerProcess, context: ServerContext,
        build: @escaping @Sendable () async throws -> Message
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var last: Message?
                for await _ in state.ticks(startingWithOne: true) {
                    guard attestor.isPresent(peer) else { throw Self.gone }
                    let message = try await build()
                    guard message != last else { continue }
                    try await response.write(message)
                    last = message
                }
            }
            group.addTask {
                try await context.cancellation.cancelled
                // Never Cancelled: some clients take that for the end of the identity, for good (GS-03).
                throw RPCError(code: .unavailable, message: "agent is shutting down")
            }
            try await group.next()
            group.cancelAll()
        }
    }

    // The exact text that clients look for (SP-01).
    private static var noIdentity: RPCError { RPCError(code: .permissionDenied, message: "no identity issued") }

    private static var gone: RPCError { RPCError(code: .unavailable, message: "the calling process is gone") }
}
