#if AsyncHTTPClient
    public import SPIFFE
    public import WorkloadIdentity

    /// The tokens that a client shows to one service.
    public struct BearerTokens: Sendable {
        let fetch: @Sendable () async throws -> String

        /// Takes them from a source, which renews them ahead of their end.
        ///
        /// - Parameters:
        ///   - source: Whose tokens.
        ///   - audience: Whom they are for, as that service calls itself.
        ///   - id: Which identity to show; nil for the endpoint's default.
        public init(_ source: JWTSource, for audience: String, as id: SPIFFEID? = nil) {
            self.init { try await source.token(for: audience, as: id).token }
        }

        /// Takes them from anywhere.
        ///
        /// - Parameter fetch: Asked before each request.
        package init(_ fetch: @escaping @Sendable () async throws -> String) { self.fetch = fetch }
    }
#endif
