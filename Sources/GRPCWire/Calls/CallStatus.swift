/// How a call ended, as gRPC says it.
package struct CallStatus: Error, Hashable, Sendable {
    package enum Code: UInt8, Hashable, Sendable, CaseIterable {
        case ok, cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied
        case resourceExhausted, failedPrecondition, aborted, outOfRange, unimplemented, `internal`, unavailable
        case dataLoss, unauthenticated
    }

    package let code: Code
    /// What the caller may read; any text.
    package let message: String
    /// A serialised `google.rpc.Status`; empty for none.
    package let details: [UInt8]

    package init(_ code: Code, _ message: String = "", details: [UInt8] = []) {
        (self.code, self.message, self.details) = (code, message, details)
    }

    package static let ok = CallStatus(.ok)
}
