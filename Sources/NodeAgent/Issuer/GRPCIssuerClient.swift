package import AgentDomain
package import Bootstrap
internal import Foundation
package import GRPCCore
internal import GRPCProtobuf
internal import IssuerAPIProtos
package import Logging
internal import Platform
package import SPIFFE
internal import SwiftProtobuf
internal import Synchronization

/// The issuer over gRPC: the public API that any node agent speaks, whatever carries it.
package final class GRPCIssuerClient<Transport: ClientTransport>: IssuerClient {
    private static var timeout: Duration { .seconds(20) }

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
                    "entry is not served: this agent does not know the assurance level that it asks for",
                    metadata: ["entry.id": "\(id.prefix(255))", "hint": "upgrade this agent"])
            } catch { throw .badAnswer(detail: "entry \(id): \(error)") }
        }
        return entries
    }

    package func bundle() async throws(IssuerClientError) -> TrustBundle {
        let wire = try await call { [options] client in
            try await Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client).getBundle(.init(), options: options)
        }
        do { return try TrustBundle(wire: wire, expected: trustDomain) } catch { throw .badAnswer(detail: "\(error)") }
    }

    package func x509SVIDs(
        _ requests: [(entryID: String, csr: [UInt8])]
    ) async throws(IssuerClientError) -> [[[UInt8]]?] {
        let message = Spire_Api_Server_Svid_V1_BatchNewX509SVIDRequest.with {
            $0.params = requests.map { request in
                .with {
                    $0.entryID = request.entryID
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

    package func jwtSVID(entryID: String, audience: [String]) async throws(IssuerClientError) -> HeldJWTSVID {
        let message = Spire_Api_Server_Svid_V1_NewJWTSVIDRequest.with {
            $0.entryID = entryID
            $0.audience = audience
        }
        let svid = try await call { [options] client in
            try await Spire_Api_Server_Svid_V1_SVID.Client(wrapping: client).newJWTSVID(message, options: options).svid
        }
        do {
            return HeldJWTSVID(
                spiffeID: try SPIFFEID(trustDomain: TrustDomain(svid.id.trustDomain), path: svid.id.path),
                token: SecretText(svid.token), issuedAt: Date(timeIntervalSince1970: TimeInterval(svid.issuedAt)),
                expiresAt: Date(timeIntervalSince1970: TimeInterval(svid.expiresAt)))
        } catch { throw .badAnswer(detail: "\(error)") }
    }

    /// Asks the issuer for this agent's own SVID.
    func attest(_ evidence: NodeEvidence, csr: [UInt8]) async throws(IssuerClientError) -> [[UInt8]] {
        let opening = Spire_Api_Server_Agent_V1_AttestAgentRequest.with {
            $0.params = .with {
                $0.data = .with {
                    $0.type = evidence.type
                    $0.payload = Data(evidence.payload.exposed)
                }
                $0.params = .with { $0.csr = Data(csr) }
            }
        }
        return try await call { [options] client in
            try await Spire_Api_Server_Agent_V1_Agent.Client(wrapping: client).attestAgent(options: options) { writer in
                try await writer.write(opening)
            } onResponse: { response in
                for try await message in response.messages {
                    if case .result(let result)? = message.step { return result.svid.certChain.map { Array($0) } }
                    throw RPCError(code: .failedPrecondition, message: "issuer asks for more than this method offers")
                }
                throw RPCError(code: .unavailable, message: "issuer ended the attestation without a result")
            }
        }
    }

    /// Renews this agent's own SVID.
    func renew(csr: [UInt8]) async throws(IssuerClientError) -> [[UInt8]] {
        let message = Spire_Api_Server_Agent_V1_RenewAgentRequest.with { $0.params = .with { $0.csr = Data(csr) } }
        return try await call { [options] client in
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
                    $0.atMs = Int64(exactly: (numbered.incident.at.timeIntervalSince1970 * 1000).rounded()) ?? 0
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
        _ body: @escaping @Sendable (GRPCClient<Transport>) async throws -> Value
    ) async throws(IssuerClientError) -> Value {
        do { return try await client.withClient(body) } catch { throw IssuerClientError(error) }
    }
}

/// What a node shows to be let in.
struct NodeEvidence: Sendable {
    let type: String
    let payload: SecretBytes
}

extension IssuerClientError {
    /// Sorts what a call threw by what this agent can do about it.
    init(_ error: any Error) {
        guard let error = error as? RPCError else {
            self = .unavailable(detail: "\(error)")
            return
        }
        let detail = error.cause.map { "\(error.message) (\($0))" } ?? error.message
        switch error.code {
        case .permissionDenied where error.isAboutThisAgent: self = .agentRefused(detail: error.message)
        case .invalidArgument: self = .badRequest(detail: error.message)
        case .notFound, .permissionDenied: self = .notEntitled(detail: error.message)
        case .failedPrecondition, .alreadyExists, .outOfRange, .unimplemented: self = .refused(detail: error.message)
        default: self = .unavailable(detail: detail)
        }
    }
}

extension RPCError {
    /// Whether the error's details say that the agent itself may not act.
    fileprivate var isAboutThisAgent: Bool {
        guard let status = try? unpackGoogleRPCStatus() else { return false }
        return status.details.contains { detail in
            guard let any = detail.any,
                let details = try? Spire_Api_Types_PermissionDeniedDetails(unpackingAny: any)
            else { return false }
            return details.reason != .unknown
        }
    }
}
