internal import GRPCCore
internal import IssuerDomain
internal import Synchronization

/// Writes down what one call brings about, before its answer leaves.
final class IssuanceRecorder: Sendable {
    let trail = IssuanceTrail()
    private let call: IssuanceRecord.Call
    private let journal: IssuanceJournal
    /// What is known of the request, for the record of its refusal.
    private let asked = Mutex(IssuanceFact.denied(""))
    private let hasFailed = Mutex(false)

    init(call: IssuanceRecord.Call, journal: IssuanceJournal) { (self.call, self.journal) = (call, journal) }

    /// Looks at a request.
    func notice(_ message: Any) { asked.withLock { CallMeter.describe(message, in: &$0) } }

    /// Writes down what was noted, so that the message that tells of it may leave.
    ///
    /// - Throws: `RPCError` Unavailable when it cannot be written: what is not recorded is not handed out.
    func flush(before message: Any) async throws(RPCError) {
        try await append(trail.take())
    }

    /// Writes down that the call failed; once, however often it is told.
    func fail(_ error: any Error) async throws(RPCError) {
        let isFirst = hasFailed.withLock { hasFailed in
            defer { hasFailed = true }
            return !hasFailed
        }
        guard isFirst else { return }
        let reason = Self.reason(of: error)
        var facts = trail.take().map { $0.withheld(because: reason) }
        if trail.isEmpty {
            var fact = asked.withLock { $0 }
            fact.reason = IssuanceFact.cut(reason)
            facts.append(fact)
        }
        try await append(facts)
    }

    /// An error as the caller reads it.
    static func reason(of error: any Error) -> String {
        switch error {
        case let error as RPCError: error.message
        case let error as any RPCErrorConvertible: error.rpcErrorMessage
        case is CancellationError: "cancelled"
        default: "failed"
        }
    }

    private func append(_ facts: [IssuanceFact]) async throws(RPCError) {
        guard !facts.isEmpty else { return }
        do throws(StoreError) {
            try await journal.append(facts.map { IssuanceRecord(call: call, fact: $0) })
        } catch {
            throw RPCError(code: .unavailable, message: "the issuance record cannot be written; nothing was issued")
        }
    }
}

/// A writer that records before it writes.
struct RecordingWriter<Element: Sendable>: RPCWriterProtocol {
    private let base: RPCWriter<Element>
    private let recorder: IssuanceRecorder

    init(_ base: RPCWriter<Element>, _ recorder: IssuanceRecorder) { (self.base, self.recorder) = (base, recorder) }

    func write(_ element: Element) async throws {
        try await recorder.flush(before: element)
        try await base.write(element)
    }

    func write(contentsOf elements: some Sequence<Element>) async throws {
        for element in elements { try await write(element) }
    }
}
