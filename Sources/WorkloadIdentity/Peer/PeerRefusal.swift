public import SPIFFE

/// Why a peer may not go on: it did not prove who it is, or that is not enough.
public struct PeerRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of refusal it is.
    ///
    /// New codes may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code as it is written in logs.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// No certificate and no token came.
        public static let noIdentity = Code("no_identity")
        /// What came does not prove an identity.
        public static let invalidIdentity = Code("invalid_identity")
        /// The identity is proven, and may not do this.
        public static let notAuthorized = Code("not_authorized")
        /// This side cannot judge just now, for want of bundles.
        public static let unavailable = Code("unavailable")
    }

    /// What kind of refusal it is.
    public let code: Code

    /// The reason, for this side's logs; the peer should be told the code alone.
    public let message: String

    /// Creates a refusal.
    ///
    /// - Parameters:
    ///   - code: What kind of refusal it is.
    ///   - message: The reason, for this side's logs.
    public init(_ code: Code, _ message: String) {
        (self.code, self.message) = (code, message)
    }

    /// A refusal because verification failed.
    ///
    /// - Parameter error: What verification said.
    public init(_ error: SPIFFEError) { self.init(.invalidIdentity, error.message) }

    /// The message alone.
    public var description: String { message }
}
