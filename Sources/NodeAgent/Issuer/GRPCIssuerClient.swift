package import AgentDomain
package import Bootstrap
internal import Foundation
package import GRPCCore
internal import GRPCProtobuf
internal import IssuerAPIProtos
package import Logging
package import NodeAttestation
internal import Platform
package import SPIFFE
internal import SwiftProtobuf
internal import Synchronization

/// The issuer over gRPC: the public API that any node agent speaks, whatever carries it.
package final class GRPCIssuerClient<Transport: ClientTransport>: IssuerClient {
    private static var timeout: Duration { .seconds(20) }
    /// An issuer may ask others before it answers.
    private static var attestationTimeout: Duration { .seconds(60) }

    private let client: RotatingClient<Transport>
    private let trustDomain: TrustDomain
    let logger: Logger

    package init(_ client: RotatingClient<Transport>, trustDomain: TrustDomain, logger: Logger) {
        (self.client, self.trustDomain, self.logger) = (client, trustDomain, logger)
    }

    var options: CallOptions {
        var options = CallOptions.defaults
        options.timeout = Self.timeout
        return options
    }

    package func authorizedEntries(
        held: [String: AuthorizedEntry]
    ) async throws(IssuerClientError) -> [String: AuthorizedEntry] {
        let wire = try await call { [options] client in
            do {
                return try await EntrySync.run(
                    with: Mintmark_V1_AuthorizedEntries.Client(wrapping: client), held: held, options: options)
            } catch let error as RPCError where error.code == .unimplemented {
                // An issuer of another make; one of ours never says so, and hands out less through the public API.
                return try await EntrySync.run(
                    withoutTerms: Spire_Api_Server_Entry_V1_Entry.Client(wrapping: client), held: held,
                    options: options)
            }
        }
        var entries: [String: AuthorizedEntry] = wire.kept
        for fetched in wire.fetched {
            let id = fetched.wire.id
            do {
                entries[id] = try AuthorizedEntry(fetched)
                guard entries[id] == nil else { continue }
                logger.warning(
                    "entry is not served: this agent does not understand what it asks for",
                    metadata: ["entry.id": "\(id.prefix(255))", "hint": "upgrade this agent"])
            } catch { throw .badAnswer(detail: "entry \(id): \(error)") }
        }
        return entries
    }

    package func bundle() async throws(IssuerClientError) -> (bundle: TrustBundle, tainted: TaintedAuthorities) {
        let wire = try await call { [options] client in
            try await Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client).getBundle(.init(), options: options)
        }
        do { return (try TrustBundle(wire: wire, expected: trustDomain), try TaintedAuthorities(wire: wire)) } catch {
            throw .badAnswer(detail: "\(error)")
        }
    }

    package func x509SVIDs(
        _ requests: [(slot: SVIDSlot, csr: [UInt8])]
    ) async throws(IssuerClientError) -> [[[UInt8]]?] {
        // Each kind in a call of its own, and the answers back in order.
        let plain = requests.enumerated().filter { $0.element.slot.identity == nil }
        let templated = requests.enumerated().filter { $0.element.slot.identity != nil }
        var chains = [[[UInt8]]?](repeating: nil, count: requests.count)
        if !plain.isEmpty {
            let answers = try await plainX509SVIDs(plain.map(\.element))
            for (request, chain) in zip(plain, answers) { chains[request.offset] = chain }
        }
        if !templated.isEmpty {
            let answers = try await templatedX509SVIDs(templated.map(\.element))
            for (request, chain) in zip(templated, answers) { chains[request.offset] = chain }
        }
        return chains
    }

    private func plainX509SVIDs(
        _ requests: [(slot: SVIDSlot, csr: [UInt8])]
    ) async throws(IssuerClientError) -> [[[UInt8]]?] {
        let message = Spire_Api_Server_Svid_V1_BatchNewX509SVIDRequest.with {
            $0.params = requests.map { request in
                .with {
                    $0.entryID = request.slot.entryID
                    $0.csr = Data(request.csr)
                }
            }
        }
        let response = try await call { [options] client in
            try await Spire_Api_Server_Svid_V1_SVID.Client(wrapping: client)
                .batchNewX509SVID(message, options: options)
        }
        guard response.results.count == requests.count else {
            throw .badAnswer(detail: "\(response.results.count) results for \(requests.count) requests")
        }
        return response.results.map { $0.status.code == 0 ? $0.svid.certChain.map { Array($0) } : nil }
    }

    private func templatedX509SVIDs(
        _ requests: [(slot: SVIDSlot, csr: [UInt8])]
    ) async throws(IssuerClientError) -> [[[UInt8]]?] {
        let message = Mintmark_V1_BatchNewTemplatedX509SVIDRequest.with {
            $0.items = requests.map { request in
                .with {
                    $0.entryID = request.slot.entryID
                    $0.csr = Data(request.csr)
                    if let identity = request.slot.identity { $0.spiffeID = identity.onWire }
                }
            }
        }
        let response = try await call { [options] client in
            try await Mintmark_V1_TemplatedSVIDs.Client(wrapping: client).batchNewX509SVID(message, options: options)
        }
        guard response.results.count == requests.count else {
            throw .badAnswer(detail: "\(response.results.count) results for \(requests.count) requests")
        }
        return response.results.map { $0.status.code == 0 ? $0.svid.certChain.map { Array($0) } : nil }
    }

    package func jwtSVID(slot: SVIDSlot, audience: [String]) async throws(IssuerClientError) -> HeldJWTSVID {
        let svid = try await call { [options] client in
            guard let identity = slot.identity else {
                let message = Spire_Api_Server_Svid_V1_NewJWTSVIDRequest.with {
                    $0.entryID = slot.entryID
                    $0.audience = audience
                }
                return try await Spire_Api_Server_Svid_V1_SVID.Client(wrapping: client)
                    .newJWTSVID(message, options: options).svid
            }
            let message = Mintmark_V1_NewTemplatedJWTSVIDRequest.with {
                $0.entryID = slot.entryID
                $0.audience = audience
                $0.spiffeID = identity.onWire
            }
            return try await Mintmark_V1_TemplatedSVIDs.Client(wrapping: client)
                .newJWTSVID(message, options: options).svid
        }
        do {
            return HeldJWTSVID(
                spiffeID: try SPIFFEID(trustDomain: TrustDomain(svid.id.trustDomain), path: svid.id.path),
                token: SecretText(svid.token), issuedAt: Date(timeIntervalSince1970: TimeInterval(svid.issuedAt)),
                expiresAt: Date(timeIntervalSince1970: TimeInterval(svid.expiresAt)),
                keyID: (try? UnverifiedJWTSVID(parsing: svid.token))?.keyID)
        } catch { throw .badAnswer(detail: "\(error)") }
    }

    /// Asks the issuer for this agent's own SVID.
    ///
    /// - Parameters:
    ///   - prover: What this node shows, and how it answers challenges.
    ///   - csr: PKCS#10, DER.
    /// - Returns: The chain, leaf first, and whether to attest again instead of renewing.
    /// - Throws: ``IssuerClientError``.
    package func attest(
        _ prover: any NodeProver, csr: [UInt8]
    ) async throws(IssuerClientError) -> (chain: [[UInt8]], canReattest: Bool) {
        let result: Result<Spire_Api_Server_Agent_V1_AttestAgentResponse.Result, IssuerClientError>
        do throws(IssuerClientError) {
            result = .success(try await hold(prover, csr: csr))
        } catch { result = .failure(error) }
        await prover.finish()
        let answer = try result.get()
        return (answer.svid.certChain.map { Array($0) }, answer.reattestable)
    }

    private func hold(
        _ prover: any NodeProver, csr: [UInt8]
    ) async throws(IssuerClientError) -> Spire_Api_Server_Agent_V1_AttestAgentResponse.Result {
        let payload: [UInt8]
        do throws(NodeAttestationError) { payload = try await prover.payload() } catch {
            throw .unproven(detail: "\(error)")
        }
        let opening = Spire_Api_Server_Agent_V1_AttestAgentRequest.with {
            $0.params = .with {
                $0.data = .with {
                    $0.type = prover.type
                    $0.payload = Data(payload)
                }
                $0.params = .with { $0.csr = Data(csr) }
            }
        }
        var options = CallOptions.defaults
        options.timeout = Self.attestationTimeout
        return try await call { [options] client in
            let (answers, answer) = AsyncStream.makeStream(of: Spire_Api_Server_Agent_V1_AttestAgentRequest.self)
            defer { answer.finish() }
            return try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client).attestAgent(options: options) {
                writer in
                try await writer.write(opening)
                for await message in answers { try await writer.write(message) }
            } onResponse: { response in
                // However it ends, the sending half ends with it.
                defer { answer.finish() }
                var challenges = 0
                for try await message in response.messages {
                    switch message.step {
                    case .result(let result)?: return result
                    case .challenge(let challenge)?:
                        challenges += 1
                        guard challenges <= NodeAttestationLimits.challenges else {
                            throw RPCError(code: .failedPrecondition, message: "issuer asks too much")
                        }
                        let reply = try await prover.answer(to: Array(challenge))
                        answer.yield(.with { $0.challengeResponse = Data(reply) })
                    case nil: throw RPCError(code: .failedPrecondition, message: "issuer says nothing that is known")
                    }
                }
                throw RPCError(code: .unavailable, message: "issuer ended the attestation without a result")
            }
        }
    }

    /// Registers the key by which this node may come back.
    ///
    /// - Parameters:
    ///   - publicKey: SubjectPublicKeyInfo, DER.
    ///   - signature: By that key, over the registration.
    /// - Throws: ``IssuerClientError``; `refused` by an issuer that has no such keys.
    package func registerNodeKey(publicKey: [UInt8], signature: [UInt8]) async throws(IssuerClientError) {
        let message = Mintmark_V1_RegisterNodeKeyRequest.with {
            $0.publicKey = Data(publicKey)
            $0.signature = Data(signature)
        }
        _ = try await call { [options] client in
            try await Mintmark_V1_Nodes.Client(wrapping: client).registerNodeKey(message, options: options)
        }
    }

    /// Renews this agent's own SVID.
    func renew(csr: [UInt8]) async throws(IssuerClientError) -> [[UInt8]] {
        let message = Spire_Api_Server_Agent_V1_RenewAgentRequest.with { $0.params = .with { $0.csr = Data(csr) } }
        return try await call(isRenewal: true) { [options] client in
            try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client)
                .renewAgent(message, options: options).svid.certChain.map { Array($0) }
        }
    }

    /// Tells the issuer which version this is.
    func postStatus(version: String, bundleSequence: UInt64) async throws(IssuerClientError) {
        let message = Spire_Api_Server_Agent_V1_PostStatusRequest.with {
            $0.agentVersion = version
            $0.currentBundleSerial = bundleSequence
        }
        _ = try await call { [options] client in
            try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client).postStatus(message, options: options)
        }
    }

    /// Follows the issuer's announcements until the call ends.
    ///
    /// - Parameters:
    ///   - applied: Revisions to acknowledge.
    ///   - announce: Called with each revision announced.
    /// - Throws: ``IssuerClientError`` when the call fails.
    func follow(
        applied: AsyncStream<UInt64>, announce: @escaping @Sendable (UInt64) -> Void
    ) async throws(IssuerClientError) {
        try await call { client in
            try await Mintmark_V1_Propagation.Client(wrapping: client).follow { writer in
                for await revision in applied { try await writer.write(.with { $0.appliedRevision = revision }) }
            } onResponse: { response in
                for try await message in response.messages { announce(message.revision) }
            }
        }
    }

    /// Reports incidents.
    ///
    /// - Returns: The number up to which everything is recorded.
    func report(runID: String, _ batch: IncidentQueue.Batch) async throws(IssuerClientError) -> UInt64 {
        let message = Mintmark_V1_ReportIncidentsRequest.with {
            $0.runID = runID
            $0.dropped = batch.dropped
            $0.incidents = batch.incidents.map { numbered in
                .with {
                    $0.number = numbered.number
                    $0.atMs = numbered.incident.at.unixMilliseconds
                    $0.kind = numbered.incident.kind
                    $0.detail = numbered.incident.detail
                    $0.instance = numbered.incident.instance
                    $0.pid = numbered.incident.pid
                    $0.uid = numbered.incident.uid
                    $0.entryIds = numbered.incident.entryIDs
                }
            }
        }
        return try await call { [options] client in
            try await Mintmark_V1_Incidents.Client(wrapping: client).report(message, options: options).recordedNumber
        }
    }

    func call<Value: Sendable>(
        isRenewal: Bool = false, _ body: @escaping @Sendable (GRPCClient<Transport>) async throws -> Value
    ) async throws(IssuerClientError) -> Value {
        do { return try await client.withClient(body) } catch {
            let failure = IssuerClientError(error)
            // Only in place of a renewal is there something else to do about it.
            if case .mustReattest = failure, !isRenewal { throw .agentRefused(detail: "\(failure)") }
            throw failure
        }
    }
}

extension SPIFFEID {
    fileprivate var onWire: Spire_Api_Types_SPIFFEID {
        .with {
            $0.trustDomain = trustDomain.name
            $0.path = path
        }
    }
}

extension IssuerClientError {
    /// Sorts what a call threw by what this agent can do about it.
    init(_ error: any Error) {
        if let error = error as? NodeAttestationError {
            self = .unproven(detail: "\(error)")
            return
        }
        guard let error = error as? RPCError else {
            self = .unavailable(detail: "\(error)")
            return
        }
        let detail = error.cause.map { "\(error.message) (\($0))" } ?? error.message
        switch error.code {
        case .permissionDenied where error.reason == .agentMustReattest: self = .mustReattest
        case .permissionDenied where error.reason != .unknown: self = .agentRefused(detail: error.message)
        case .invalidArgument: self = .badRequest(detail: error.message)
        case .notFound, .permissionDenied: self = .notEntitled(detail: error.message)
        case .failedPrecondition, .alreadyExists, .outOfRange, .unimplemented: self = .refused(detail: error.message)
        default: self = .unavailable(detail: detail)
        }
    }
}

extension RPCError {
    /// What the error's details say of the agent itself.
    fileprivate var reason: Spire_Api_Types_PermissionDeniedDetails.Reason {
        guard let status = try? unpackGoogleRPCStatus() else { return .unknown }
        for detail in status.details {
            guard let any = detail.any,
                let details = try? Spire_Api_Types_PermissionDeniedDetails(unpackingAny: any)
            else { continue }
            return details.reason
        }
        return .unknown
    }
}
