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

    private static let metadata: Metadata = ["workload.spiffe.io": "true"]

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

    /// Asks for the X.509-SVIDs of this process once.
    ///
    /// - Parameter timeout: How long to wait.
    /// - Returns: The first update; at least one SVID, with the bundles to judge peers by.
    /// - Throws: ``WorkloadAPIError``.
    public func fetchX509SVIDs(timeout: Duration = .seconds(10)) async throws(WorkloadAPIError) -> X509Update {
        try await call { client in
            var options = CallOptions.defaults
            options.timeout = timeout
            return try await client.fetchX509SVID(.init(), metadata: Self.metadata, options: options) { response in
                for try await message in response.messages { return try X509Update(message) }
                throw WorkloadAPIError(.unavailable, "the endpoint ended the stream without an answer")
            }
        }
    }

    /// Follows the X.509-SVIDs of this process until the endpoint ends the stream.
    ///
    /// - Parameter update: Called with each update, the first at once; throwing ends the stream.
    /// - Throws: ``WorkloadAPIError`` with the reason why the stream ended.
    public func followX509SVIDs(
        _ update: @escaping @Sendable (X509Update) async throws -> Void
    ) async throws(WorkloadAPIError) {
        try await call { client in
            try await client.fetchX509SVID(.init(), metadata: Self.metadata) { response in
                for try await message in response.messages { try await update(try X509Update(message)) }
                throw WorkloadAPIError(.unavailable, "the endpoint ended the stream")
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
            var options = CallOptions.defaults
            options.timeout = timeout
            let response = try await client.fetchJWTSVID(request, metadata: Self.metadata, options: options)
            guard !response.svids.isEmpty else {
                throw WorkloadAPIError(.invalidResponse, "the endpoint sent no JWT-SVID")
            }
            return try response.svids.map { try FetchedJWTSVID($0) }
        }
    }

    /// Has the endpoint judge a token (WLAPI-42).
    ///
    /// - Parameters:
    ///   - token: The token.
    ///   - audience: The audience the caller goes by.
    /// - Returns: Who the token names, and its claims as JSON.
    /// - Throws: ``WorkloadAPIError`` with code `invalidRequest` when the token is refused.
    public func validateJWTSVID(
        _ token: String, audience: String
    ) async throws(WorkloadAPIError) -> (id: SPIFFEID, claimsJSON: String) {
        let request = WorkloadValidateJWTSVIDRequest.with {
            $0.audience = audience
            $0.svid = token
        }
        return try await call { client in
            let response = try await client.validateJWTSVID(request, metadata: Self.metadata)
            return (try SPIFFEID(response.spiffeID), try response.claims.jsonString())
        }
    }

    private func call<Value: Sendable>(
        _ body: @escaping @Sendable (WorkloadSpiffeWorkloadAPI.Client<HTTP2ClientTransport.Posix>) async throws -> Value
    ) async throws(WorkloadAPIError) -> Value {
        do {
            let transport = try HTTP2ClientTransport.Posix(target: endpoint.target, transportSecurity: .plaintext)
            return try await withGRPCClient(transport: transport) { client in
                try await body(WorkloadSpiffeWorkloadAPI.Client(wrapping: client))
            }
        } catch let error as WorkloadAPIError {
            throw error
        } catch let error as RPCError {
            throw WorkloadAPIError(error)
        } catch let error as SPIFFEError {
            throw WorkloadAPIError(.invalidResponse, error.message)
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
