public import GRPCCore
public import Logging
internal import SPIFFE
public import WorkloadIdentity

/// Finds out who makes each call, refuses whom it cannot name or may not let in, and tells the handler.
///
/// ```swift
/// let server = GRPCServer(
///     transport: transport, services: [Greeter()],
///     interceptors: [PeerIdentityInterceptor(.certificate, authorizing: .any)])
/// ```
///
/// Handlers ask `PeerIdentity.current`, also while they stream. Who is refused learns one of three things: `unauthenticated`,
/// `permissionDenied`, or `unavailable` when this side has no bundles to judge by. The reason goes to the log.
public struct PeerIdentityInterceptor: ServerInterceptor {
    private let proof: CallerProof
    private let authorizer: PeerAuthorizer
    private let logger: Logger

    /// Creates an interceptor.
    ///
    /// - Parameters:
    ///   - proof: What a caller may prove itself with.
    ///   - authorizer: Which proven callers may go on.
    ///   - logger: Where it tells whom it refused, and why.
    public init(
        _ proof: CallerProof, authorizing authorizer: PeerAuthorizer,
        logger: Logger = Logger(label: "spiffe.grpc.server")
    ) {
        (self.proof, self.authorizer, self.logger) = (proof, authorizer, logger)
    }

    /// Handles one call.
    ///
    /// - Parameters:
    ///   - request: The call.
    ///   - context: Who is at the other end of the connection.
    ///   - next: The rest of the way to the handler.
    /// - Returns: The handler's response.
    /// - Throws: `RPCError` when the caller is refused, and what the handler throws.
    public func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let peer: PeerIdentity
        do throws(PeerRefusal) {
            // A value that is no text counts as well: two readers might each believe another one.
            peer = try proof.identify(
                authorization: request.metadata[BearerToken.header].map { $0.encoded() },
                certificate: (context.transportSpecific as? TLSPeer)?.svid)
            try authorizer.authorize(peer)
        } catch {
            logger.info(
                "call refused",
                metadata: ["method": "\(context.descriptor)", "code": "\(error.code)", "error": "\(error)"])
            throw RPCError(error)
        }
        return try await PeerIdentity.$current.withValue(peer) {
            var response = try await next(request, context)
            // The handler returns before it has written anything: what writes runs later, outside of this scope.
            if case .success(var contents) = response.accepted {
                contents.producer = { [producer = contents.producer] writer in
                    try await PeerIdentity.$current.withValue(peer) { try await producer(writer) }
                }
                response.accepted = .success(contents)
            }
            return response
        }
    }
}
