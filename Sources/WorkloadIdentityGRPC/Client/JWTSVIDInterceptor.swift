public import GRPCCore
public import SPIFFE
public import WorkloadIdentity

/// Adds a JWT-SVID to each call, from the source's memory while it is fresh.
///
/// ```swift
/// let client = GRPCClient(
///     transport: transport, interceptors: [JWTSVIDInterceptor(source: source, audience: "orders")])
/// ```
///
/// A call without a token to send fails before anything is sent. An interceptor cannot see what carries the call: use it over
/// TLS or a Unix socket only, since whoever reads a token can use it until it ends (JWT-25). An `authorization` that the caller
/// set itself is replaced.
public struct JWTSVIDInterceptor: ClientInterceptor {
    private let token: @Sendable (MethodDescriptor) async throws(WorkloadAPIError) -> String

    /// Creates an interceptor for calls to one service.
    ///
    /// - Parameters:
    ///   - source: Where the tokens come from.
    ///   - audience: Whom the tokens are for, as that service calls itself.
    ///   - id: Which identity to show; nil for the endpoint's default.
    public init(source: JWTSource, audience: String, as id: SPIFFEID? = nil) {
        self.init(source: source, as: id) { _ in audience }
    }

    /// Creates an interceptor for calls to several services.
    ///
    /// - Parameters:
    ///   - source: Where the tokens come from.
    ///   - id: Which identity to show; nil for the endpoint's default.
    ///   - audience: Says whom the token for a method is for.
    public init(
        source: JWTSource, as id: SPIFFEID? = nil, audience: @escaping @Sendable (MethodDescriptor) -> String
    ) {
        self.init { method async throws(WorkloadAPIError) in
            try await source.token(for: audience(method), as: id).token
        }
    }

    package init(token: @escaping @Sendable (MethodDescriptor) async throws(WorkloadAPIError) -> String) {
        self.token = token
    }

    /// Handles one call.
    ///
    /// - Parameters:
    ///   - request: The call.
    ///   - context: What is called.
    ///   - next: The rest of the way to the server.
    /// - Returns: The server's response.
    /// - Throws: `RPCError` when there is no token to send, and what the call throws.
    public func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingClientRequest<Input>, context: ClientContext,
        next: (StreamingClientRequest<Input>, ClientContext) async throws -> StreamingClientResponse<Output>
    ) async throws -> StreamingClientResponse<Output> {
        var request = request
        do throws(WorkloadAPIError) {
            let token = try await token(context.descriptor)
            request.metadata.removeAllValues(forKey: BearerToken.header)
            request.metadata.addString(BearerToken.credentials(token), forKey: BearerToken.header)
        } catch {
            // Only what can pass is worth a retry.
            let code: RPCError.Code =
                [.unavailable, .timedOut, .expired].contains(error.code) ? .unavailable : .unauthenticated
            throw RPCError(code: code, message: "no token for this call: \(error)", cause: error)
        }
        return try await next(request, context)
    }
}
