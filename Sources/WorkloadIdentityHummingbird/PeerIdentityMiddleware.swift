#if Hummingbird
    public import Hummingbird
    internal import HTTPTypes
    internal import Logging
    public import WorkloadIdentity

    /// Lets requests through whose caller is proven and permitted, and tells the handler who it is.
    ///
    /// ```swift
    /// router.add(middleware: PeerIdentityMiddleware(.certificate, authorizing: .memberOf(domain)))
    /// router.get("whoami") { _, _ in try PeerIdentity.required().id.description }
    /// ```
    ///
    /// The handler, and every middleware after this one, finds the caller in `PeerIdentity.current`. A body that is streamed
    /// after the handler returned does not: take the identity before.
    ///
    /// Others are answered with 401 when no identity was proven, 403 when it is not enough, 503 when this side has no bundles
    /// to judge by. The answer holds a code and no reason; the reason is logged at level `info`. For other rules on some
    /// routes, add another one to their group.
    public struct PeerIdentityMiddleware<Context: RequestContext>: RouterMiddleware {
        private let proof: CallerProof
        private let authorizer: PeerAuthorizer

        /// Creates the middleware.
        ///
        /// - Parameters:
        ///   - proof: What a caller may prove its identity with.
        ///   - authorizer: Which proven identities may go on.
        public init(_ proof: CallerProof, authorizing authorizer: PeerAuthorizer) {
            (self.proof, self.authorizer) = (proof, authorizer)
        }

        /// Judges the caller, and hands the request on or answers it.
        ///
        /// - Parameters:
        ///   - request: The request.
        ///   - context: Its context; what is refused is logged there.
        ///   - next: What handles the request.
        /// - Returns: The handler's response, or a refusal.
        /// - Throws: What the handler throws.
        public func handle(
            _ request: Request, context: Context, next: (Request, Context) async throws -> Response
        ) async throws -> Response {
            var caller: PeerIdentity?
            do throws(PeerRefusal) {
                let peer = try proof.identify(
                    authorization: request.headers[values: .authorization],
                    certificate: ConnectionPeer.current?.svid)
                caller = peer
                try authorizer.authorize(peer)
            } catch {
                var metadata: Logger.Metadata = [LogKey.code: "\(error.code)", LogKey.reason: "\(error.message)"]
                if let caller { metadata[LogKey.caller] = "\(caller.id)" }
                context.logger.info("request refused", metadata: metadata)
                return error.response(challenge: proof.asksForToken)
            }
            // A refusal that the handler throws is of a peer of its own, not of this caller.
            return try await PeerIdentity.$current.withValue(caller) { try await next(request, context) }
        }
    }
#endif
