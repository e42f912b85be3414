internal import GRPCCore
internal import IssuerDomain
internal import Synchronization

/// Writes down what one call brings about, before its answer leaves.
final class IssuanceRecorder: Sendable {
    let trail = IssuanceTrail()
    private let call: IssuanceRecord.Call
    private let book: IssuanceBook
    private let counters: ServerCounters
    /// What the caller is told from others by.
    private let source: String
    /// The last request; it is read only when it has been refused.
    private let asked = Mutex<(any Sendable)?>(nil)
    private let hasFailed = Mutex(false)

    /// Which way a node wants to be let in; nil where none does.
    private let attestation = Mutex<String?>(nil)

    init(call: IssuanceRecord.Call, source: String, book: IssuanceBook, counters: ServerCounters) {
        (self.call, self.source, self.book, self.counters) = (call, source, book, counters)
    }

    /// Looks at a request.
    func notice(_ message: some Sendable) {
        asked.withLock { $0 = message }
        if let type = CallMeter.attestationType(of: message) { attestation.withLock { $0 = type } }
    }

    /// Writes down what was noted, so that the message that tells of it may leave.
    ///
    /// - Throws: `RPCError` Unavailable when it cannot be written: what is not recorded is not handed out.
    func flush(before message: Any) throws(RPCError) {
        let facts = trail.take()
        try append(facts)
        if !facts.isEmpty, let type = attestation.withLock({ $0 }) { counters.attested(type, .issued) }
    }

    /// Writes down that the call failed; once, however often it is told.
    func fail(_ error: any Error) throws(RPCError) {
        let isFirst = hasFailed.withLock { hasFailed in
            defer { hasFailed = true }
            return !hasFailed
        }
        guard isFirst else { return }
        let reason = Self.reason(of: error)
        var facts = trail.take().map { $0.withheld(because: reason) }
        if let type = attestation.withLock({ $0 }) { counters.attested(type, .denied) }
        if trail.isEmpty {
            var fact = IssuanceFact.denied(IssuanceFact.cut(reason))
            if let message = asked.withLock({ $0 }) { CallMeter.describe(message, in: &fact) }
            facts.append(fact)
        }
        try append(facts)
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

    private func append(_ facts: [IssuanceFact]) throws(RPCError) {
        guard !facts.isEmpty else { return }
        let asked = asked.withLock { $0 }.flatMap { CallMeter.words(for: $0) }
        do throws(StoreError) {
            try book.append(
                facts.map { fact in
                    var fact = fact
                    fact.asked = fact.asked ?? asked
                    return IssuanceRecord(call: call, fact: fact)
                }, from: source, isStranger: call.callerClass == .any)
            for fact in facts { counters.count(fact, of: call.method) }
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
        try recorder.flush(before: element)
        try await base.write(element)
    }

    func write(contentsOf elements: some Sequence<Element>) async throws {
        for element in elements { try await write(element) }
    }
}
