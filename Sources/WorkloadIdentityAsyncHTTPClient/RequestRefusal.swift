#if AsyncHTTPClient
    /// Why a request was not sent: where it should go, it would not be safe.
    public struct RequestRefusal: Error, Hashable, Sendable, CustomStringConvertible {
        /// What kind of refusal it is.
        ///
        /// New codes may be added.
        public struct Code: Hashable, Sendable, CustomStringConvertible {
            /// The code as it is written in logs.
            public let description: String

            private init(_ description: String) { self.description = description }

            /// Others could read the request on its way, or the server would not be known (JWT-25).
            public static let notConfidential = Code("not_confidential")
            /// The URL is malformed or of a scheme that is not served.
            public static let invalidURL = Code("invalid_url")
            /// The request brings TLS settings of its own, which would not take effect.
            public static let foreignTLS = Code("foreign_tls")
        }

        /// What kind of refusal it is.
        public let code: Code

        /// What is wrong, for people.
        public let message: String

        /// Creates a refusal.
        ///
        /// - Parameters:
        ///   - code: What kind of refusal it is.
        ///   - message: What is wrong.
        public init(_ code: Code, _ message: String) {
            (self.code, self.message) = (code, message)
        }

        /// The message alone.
        public var description: String { message }
    }
#endif
