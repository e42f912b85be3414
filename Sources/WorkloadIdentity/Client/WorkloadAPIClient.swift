internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
public import SPIFFE
internal import SwiftProtobuf
internal import WorkloadAPIProtos

/// One connection to a workload endpoint: asks once, or follows a stream.
///
/// It neither retries nor caches.
public struct WorkloadAPIClient: Sendable {
    /// Where the endpoint listens.
    public let endpoint: WorkloadEndpoint

    /// The largest message taken from an endpoint, in bytes; what other SPIFFE clients take as well (GS-18).
    public static let maximumMessageSize = 4 << 20

    private static let metadata: Metadata = ["workload.spiffe.io": "true"]

    private static var streaming: CallOptions { options(timeout: nil) }

    private static func options(timeout: Duration?) -> CallOptions {
        var options = CallOptions.defaults
        options.timeout = timeout
        options.maxResponseMessageBytes = maximumMessageSize
        return options
    }

    /// Creates a client; nothing is opened until a call is made.
    ///
    /// - Parameter endpoint: Where the endpoint listens.
    public init(endpoint: WorkloadEndpoint) { self.endpoint = endpoint }

    /// Finds the endpoint in the environment (WLEP-18); no default is guessed (E09).
    ///
    /// - Parameter environment: The process's environment.
    /// - Throws: ``WorkloadAPIError`` with code `noEndpoint`.
    public init(environment: [String: String]) throws(WorkloadAPIError) {
        guard let text = environment[WorkloadEndpoint.environmentVariable], !text.isEmpty else {
            throw WorkloadAPIError(.noEndpoint, "\(WorkloadEndpoint.environmentVariable) is not set")
        }
        do { endpoint = try WorkloadEndpoint(text) } catch {
            throw WorkloadAPIError(.noEndpoint, "\(WorkloadEndpoint.environmentVariable): \(error.message)")
        }
    }

    init(options: SourceOptions) throws(WorkloadAPIError) {
        if let endpoint = options.endpoint {
            self.init(endpoint: endpoint)
        } else {
            try self.init(environment: ProcessInfo.processInfo.environment)
        }
    }

    /// Asks for the X.509-SVIDs of this process once.
    ///
    /// - Parameter timeout: How long to wait.
    /// - Returns: The first update; at least one SVID, with the bundles to judge peers by.
    /// - Throws: ``WorkloadAPIError``.
    public func fetchX509SVIDs(timeout: Duration = .seconds(10)) async throws(WorkloadAPIError) -> X509Update {
        try await call { client in
            return try await client.fetchX509SVID(
                .init(), metadata: Self.metadata, options: Self.options(timeout: timeout)
            ) { response in
                for try await message in response.messages { return try X509Update(message) }
                throw WorkloadAPIError(.unavailable, "the endpoint ended the stream without an answer")
            }
        }
    }

    /// Follows the X.509-SVIDs of this process until the endpoint ends the stream.
    ///
    /// A message that breaks the rules arrives as a failure and changes nothing; the stream goes on (WLAPI-36).
    ///
    /// - Parameter update: Called with each update, the first at once; throwing ends the stream.
    /// - Throws: ``WorkloadAPIError`` with the reason why the stream ended.
    public func followX509SVIDs(
        _ update: @escaping @Sendable (Result<X509Update, WorkloadAPIError>) async throws -> Void
    ) async throws(WorkloadAPIError) {
        try await call { client in
            try await client.fetchX509SVID(.init(), metadata: Self.metadata, options: Self.streaming) { response in
                try await Self.follow(response, reading: X509Update.init, update)
            }
        }
    }

    /// Follows the X.509 bundles this process may judge peers by, until the endpoint ends the stream.
    ///
    /// - Parameter update: Called with the bundles by trust domain, the first at once; throwing ends the stream.
    /// - Throws: ``WorkloadAPIError`` with the reason why the stream ended.
    public func followX509Bundles(
        _ update: @escaping @Sendable (Result<X509BundleUpdate, WorkloadAPIError>) async throws -> Void
    ) async throws(WorkloadAPIError) {
        try await call { client in
            try await client.fetchX509Bundles(.init(), metadata: Self.metadata, options: Self.streaming) { response in
                try await Self.follow(response, reading: X509BundleUpdate.init, update)
            }
        }
    }

    /// Follows the JWT bundles this process may judge tokens by, until the endpoint ends the stream.
    ///
    /// - Parameter update: Called with the bundles by trust domain, the first at once; throwing ends the stream.
    /// - Throws: ``WorkloadAPIError`` with the reason why the stream ended.
    public func followJWTBundles(
        _ update: @escaping @Sendable (Result<[TrustDomain: JWTBundle], WorkloadAPIError>) async throws -> Void
    ) async throws(WorkloadAPIError) {
        try await call { client in
            try await client.fetchJWTBundles(.init(), metadata: Self.metadata, options: Self.streaming) { response in
                try await Self.follow(response, reading: JWTBundle.bundles, update)
            }
        }
    }

    /// Asks for JWT-SVIDs.
    ///
    /// - Parameters:
    ///   - audience: Whom the tokens are for; at least one.
    ///   - id: Which identity to ask for; nil for all of this process.
    ///   - timeout: How long to wait.
    /// - Returns: One token for each identity, in the endpoint's order; at least one.
    /// - Throws: ``WorkloadAPIError``.
    public func fetchJWTSVIDs(
        audience: [String], id: SPIFFEID? = nil, timeout: Duration = .seconds(10)
    ) async throws(WorkloadAPIError) -> [FetchedJWTSVID] {
        let request = WorkloadJWTSVIDRequest.with {
            $0.audience = audience
            $0.spiffeID = id?.description ?? ""
        }
        return try await call { client in
            let response = try await client.fetchJWTSVID(
                request, metadata: Self.metadata, options: Self.options(timeout: timeout))
            return try FetchedJWTSVID.tokens(response, for: audience, as: id)
        }
    }

    /// Has the endpoint judge a token (WLAPI-42).
    ///
    /// - Parameters:
    ///   - token: The token.
    ///   - audience: The audience the caller goes by.
    ///   - timeout: How long to wait.
    /// - Returns: Who the token names, and its claims as JSON.
    /// - Throws: ``WorkloadAPIError`` with code `invalidRequest` when the token is refused.
    public func validateJWTSVID(
        _ token: String, audience: String, timeout: Duration = .seconds(10)
    ) async throws(WorkloadAPIError) -> (id: SPIFFEID, claimsJSON: String) {
        let request = WorkloadValidateJWTSVIDRequest.with {
            $0.audience = audience
            $0.svid = token
        }
        return try await call { client in
            let response = try await client.validateJWTSVID(
                request, metadata: Self.metadata, options: Self.options(timeout: timeout))
            return (try SPIFFEID(response.spiffeID), try response.claims.jsonString())
        }
    }

    /// Reads a stream: what cannot be read is reported and skipped, what equals the message before it is left out.
    private static func follow<Message: SwiftProtobuf.Message & Equatable, Update: Sendable>(
        _ response: StreamingClientResponse<Message>, reading read: (Message) throws -> Update,
        _ update: (Result<Update, WorkloadAPIError>) async throws -> Void
    ) async throws {
        var previous: Message?
        for try await message in response.messages where message != previous {
            previous = message
            let result: Result<Update, WorkloadAPIError>
            do {
                result = .success(try read(message))
            } catch {
                result = .failure(WorkloadAPIError(reading: error))
            }
            try await update(result)
        }
        throw WorkloadAPIError(.unavailable, "the endpoint ended the stream")
    }

    private func call<Value: Sendable>(
        _ body: @escaping @Sendable (WorkloadSpiffeWorkloadAPI.Client<HTTP2ClientTransport.Posix>) async throws -> Value
    ) async throws(WorkloadAPIError) -> Value {
        do {
            var configuration = HTTP2ClientTransport.Posix.Config.defaults
            // What an endpoint may send ahead of its reader. The default of 8 MiB holds thousands of messages, and a flood of
            // them takes hundreds of megabytes.
            configuration.http2.targetWindowSize = 256 << 10
            let transport = try HTTP2ClientTransport.Posix(
                target: endpoint.target, transportSecurity: .plaintext, config: configuration)
            return try await withGRPCClient(transport: transport) { client in
                try await body(WorkloadSpiffeWorkloadAPI.Client(wrapping: client))
            }
        } catch let error as WorkloadAPIError {
            throw error
        } catch let error as RPCError {
            throw WorkloadAPIError(error)
        } catch let error as SPIFFEError {
            throw WorkloadAPIError(reading: error)
        } catch {
            throw WorkloadAPIError(.unavailable, "\(error)")
        }
    }
}

extension WorkloadEndpoint {
    fileprivate var target: any ResolvableTarget {
        switch self {
        case .unix(let path): .unixDomainSocket(path: path)
        case .tcp(let address, let port) where address.contains(":"): .ipv6(address: address, port: Int(port))
        case .tcp(let address, let port): .ipv4(address: address, port: Int(port))
        }
    }
}
