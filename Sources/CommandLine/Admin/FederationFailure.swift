internal import Bootstrap
internal import GRPCCore
internal import IssuerAPIProtos

/// Turns refusals about other trust domains into ends that a person understands.
enum FederationFailure {
    static let noResult = Failure(.refused, "server sent no result", hint: "see the server's log")

    /// Passes a call on, but for what it refuses.
    static func describing<Value: Sendable>(_ call: () async throws -> Value) async throws -> Value {
        do { return try await call() } catch let error as RPCError {
            guard let failure = describe(error.code, error.message) else { throw error }
            throw failure
        }
    }

    /// Judges the status of one item of a batch.
    ///
    /// - Throws: ``Failure`` when it was refused.
    static func check(_ status: Spire_Api_Types_Status) throws(Failure) {
        guard status.code != 0 else { return }
        let code = Status.Code(rawValue: Int(status.code)).flatMap { RPCError.Code($0) }
        throw code.flatMap { describe($0, status.message) }
            ?? Failure(.refused, status.message, hint: "correct the value and try again")
    }

    private static func describe(_ code: RPCError.Code, _ message: String) -> Failure? {
        switch code {
        case .notFound:
            Failure(
                .refused, message, hint: "list what exists with 'mintmark bundle list' and 'mintmark federation list'")
        case .alreadyExists: Failure(.refused, message, hint: "change it with 'mintmark federation update'")
        case .failedPrecondition, .internalError:
            Failure(
                .refused, message,
                hint: """
                    see 'mintmark federation list' for endpoints, 'mintmark bundle set' for bundles, and 'mintmark bundle \
                    delete --help' for entries that stand in the way
                    """)
        default: nil
        }
    }
}
