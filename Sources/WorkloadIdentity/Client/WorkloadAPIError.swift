internal import GRPCCore
internal import SPIFFE
internal import SwiftProtobuf

/// Why the workload endpoint did not give what was asked for.
public struct WorkloadAPIError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of refusal it was.
    ///
    /// New codes may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        /// The code as it is written in logs.
        public let description: String

        private init(_ description: String) { self.description = description }

        /// Nothing is registered for the calling process, or not what it asked for.
        public static let noIdentity = Code("no_identity")
        /// The endpoint cannot be reached, or is not ready; try again.
        public static let unavailable = Code("unavailable")
        /// The request was wrong; trying again will not help.
        public static let invalidRequest = Code("invalid_request")
        /// The endpoint does not offer this.
        public static let unsupported = Code("unsupported")
        /// The endpoint answered what it should not have.
        public static let invalidResponse = Code("invalid_response")
        /// The endpoint gave identities, but none that was asked for.
        public static let noSuchIdentity = Code("no_such_identity")
        /// What is held has expired, and the endpoint has not sent anything newer.
        public static let expired = Code("expired")
        /// Nothing came within the time allowed.
        public static let timedOut = Code("timed_out")
        /// The source was closed.
        public static let closed = Code("closed")
        /// The endpoint's address is missing or malformed.
        public static let noEndpoint = Code("no_endpoint")
    }

    /// What kind of refusal it was.
    public let code: Code

    /// What the endpoint said, for people.
    public let message: String

    /// Creates an error.
    ///
    /// - Parameters:
    ///   - code: What kind of refusal it was.
    ///   - message: What the endpoint said.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: RPCError) {
        // Not the endpoint's word, but this side's on bytes that are no message.
        guard !(error.cause is BinaryDecodingError) else {
            self.init(reading: error)
            return
        }
        let code: Code
        switch error.code {
        case .permissionDenied: code = .noIdentity
        case .invalidArgument: code = .invalidRequest
        case .unimplemented: code = .unsupported
        default: code = .unavailable
        }
        self.init(code, Self.sentence(error.message))
    }

    /// A message of the endpoint that cannot be read.
    init(reading error: any Error) {
        switch error {
        case let error as WorkloadAPIError: self = error
        case let error as SPIFFEError: self.init(.invalidResponse, error.message)
        default: self.init(.invalidResponse, "the endpoint sent what cannot be read")
        }
    }

    /// What an endpoint said, fit for one line of a log.
    private static func sentence(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(512).map { $0.properties.generalCategory == .control ? " " : $0 }
        return String(String.UnicodeScalarView(scalars))
    }

    /// The message alone.
    public var description: String { message }
}
