internal import GRPCCore

/// Refuses calls without `workload.spiffe.io: true` (WLEP-05): a browser or proxy tricked into calling cannot add it.
struct SecurityHeaderInterceptor: ServerInterceptor {
    private static let header = "workload.spiffe.io"

    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let values = Array(request.metadata[stringValues: Self.header])
        guard values == ["true"] else {
            throw RPCError(code: .invalidArgument, message: "security header missing from request")
        }
        return try await next(request, context)
    }
}
