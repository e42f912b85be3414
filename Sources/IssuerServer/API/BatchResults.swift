internal import GRPCCore
internal import IssuerAPIProtos

/// One result for each item of a batch: those that could not be read were refused before the domain saw them.
enum BatchResults {
    /// Has a batch decided.
    ///
    /// - Parameters:
    ///   - items: What was read of each item, or why it was not.
    ///   - decide: Handles those that were read; answers for each, in order.
    /// - Returns: What became of each item, in order.
    /// - Throws: What deciding throws; then nothing was changed.
    static func of<Item: Sendable, Value: Sendable, Refusal: RPCErrorConvertible>(
        _ items: [Result<Item, RPCError>], decide: ([Item]) async throws -> [Result<Value, Refusal>]
    ) async throws -> [Result<Value, RPCError>] {
        var outcomes = try await decide(items.compactMap { try? $0.get() }).makeIterator()
        return items.map { item in
            switch item {
            case .failure(let error): return .failure(error)
            case .success:
                guard let outcome = outcomes.next() else {
                    return .failure(RPCError(code: .internalError, message: "no result"))
                }
                return outcome.mapError { RPCError($0) }
            }
        }
    }
}

extension Result where Failure == RPCError {
    /// What became of it, in one word for all batches.
    var status: Spire_Api_Types_Status {
        switch self {
        case .success: .ok
        case .failure(let error): Spire_Api_Types_Status(error)
        }
    }

    var value: Success? { try? get() }
}
