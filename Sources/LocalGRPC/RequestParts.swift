internal import GRPCCore
internal import Synchronization

/// The parts of one request, for one reader.
final class RequestParts: AsyncSequence, Sendable {
    typealias Element = RPCRequestPart<[UInt8]>
    typealias Failure = any Error

    private enum Step {
        case part(Element)
        case end
        case failure(any Error)
    }

    private struct State {
        var parts: [Element]
        /// Of the part that is read next.
        var next = 0
        var end: Step?
        var reader: CheckedContinuation<Element?, any Error>?

        mutating func step() -> Step? {
            // Whatever still waits to be read is worth nothing after a failure.
            if case .failure? = end { return end }
            guard next < parts.count else { return end }
            defer {
                next += 1
                if next == parts.count { (parts, next) = ([], 0) }
            }
            return .part(parts[next])
        }
    }

    private let state: Mutex<State>
    /// Told how many bytes of a message, with its prefix, were read.
    private let onTaken: (@Sendable (Int) -> Void)?

    /// A request with exactly one message.
    init(_ metadata: Metadata, only message: [UInt8]) {
        state = Mutex(State(parts: [.metadata(metadata), .message(message)], end: .end))
        onTaken = nil
    }

    /// A request whose messages are added as they come.
    init(_ metadata: Metadata, onTaken: @escaping @Sendable (Int) -> Void) {
        state = Mutex(State(parts: [.metadata(metadata)]))
        self.onTaken = onTaken
    }

    func add(_ message: [UInt8]) { change { $0.parts.append(.message(message)) } }

    func end() { change { $0.end = $0.end ?? .end } }

    func fail(_ error: any Error) { change { $0.end = .failure(error) } }

    func makeAsyncIterator() -> Iterator { Iterator(parts: self) }

    struct Iterator: AsyncIteratorProtocol {
        let parts: RequestParts

        func next() async throws -> Element? { try await parts.read() }
    }

    private func read() async throws -> Element? {
        if let step = state.withLock({ $0.step() }) { return try result(of: step).get() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { reader in
                let step: Step? = state.withLock { state in
                    if let step = state.step() { return step }
                    state.reader = reader
                    return nil
                }
                if let step { reader.resume(with: result(of: step)) }
            }
        } onCancel: {
            fail(CancellationError())
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let woken = state.withLock { state -> (CheckedContinuation<Element?, any Error>, Step)? in
            body(&state)
            guard let reader = state.reader, let step = state.step() else { return nil }
            state.reader = nil
            return (reader, step)
        }
        if let (reader, step) = woken { reader.resume(with: result(of: step)) }
    }

    private func result(of step: Step) -> Result<Element?, any Error> {
        switch step {
        case .part(let part):
            if case .message(let message) = part { onTaken?(message.count + 5) }
            return .success(part)
        case .end: return .success(nil)
        case .failure(let error): return .failure(error)
        }
    }
}
