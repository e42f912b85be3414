import AgentDomain
import Foundation
import NodeAgent
import Synchronization
import TestSupport
import Testing

@Suite("Reports of incidents", .timeLimit(.minutes(2)))
struct IncidentReporterTests {
    private static func incident(_ number: Int) -> Incident {
        Incident(
            at: Date(timeIntervalSince1970: 1_800_000_000), kind: "executed", detail: "", instance: "b/1",
            pid: Int32(number), uid: 0, entryIDs: ["e"])
    }

    /// Runs a reporter against an issuer until something holds, and stops it.
    private static func run(
        _ queue: IncidentQueue, _ issuer: ScriptedIssuer, until done: @escaping @Sendable () -> Bool
    ) async throws {
        let reporter = IncidentReporter(queue: queue, runID: "run", logger: LogCollector().logger()) {
            (run, batch) async throws(IssuerClientError) in try issuer.take(run, batch)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await reporter.run() }
            let deadline = ContinuousClock.now + .seconds(30)
            while !done(), ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
            group.cancelAll()
            // That it stops at all is part of the test.
            while let result = await group.nextResult() {
                if case .failure(let error) = result, !(error is CancellationError) { throw error }
            }
        }
        #expect(done())
    }

    @Test("Each is sent once, in order, at most a hundred at once, under the name of the run")
    func order() async throws {
        let (queue, issuer) = (IncidentQueue(), ScriptedIssuer())
        for number in 1...250 { queue.report(Self.incident(number)) }
        try await Self.run(queue, issuer) { issuer.recorded.count == 250 && queue.next(limit: 1) == nil }
        #expect(issuer.recorded == Array(1...250))
        #expect(issuer.sizes == [100, 100, 50])
        #expect(issuer.runs == ["run"])
    }

    @Test("What comes later is sent as well")
    func later() async throws {
        let (queue, issuer) = (IncidentQueue(), ScriptedIssuer())
        queue.report(Self.incident(1))
        try await Self.run(queue, issuer) {
            if issuer.recorded == [1] { queue.report(Self.incident(2)) }
            return issuer.recorded.suffix(1) == [2]
        }
    }

    @Test("A failure is tried again after a pause, and nothing is lost or sent twice as new")
    func retry() async throws {
        let (queue, issuer) = (IncidentQueue(), ScriptedIssuer())
        issuer.answer(.failure(.unavailable(detail: "down")), .failure(.unavailable(detail: "down")))
        for number in 1...3 { queue.report(Self.incident(number)) }
        let start = ContinuousClock.now
        try await Self.run(queue, issuer) { issuer.recorded.count == 3 }
        #expect(issuer.recorded == [1, 2, 3])
        #expect(issuer.sizes == [3, 3, 3])
        #expect(ContinuousClock.now - start >= .milliseconds(600))
    }

    @Test("What was recorded in part is sent from there")
    func partly() async throws {
        let (queue, issuer) = (IncidentQueue(), ScriptedIssuer())
        issuer.answer(.success(2))
        for number in 1...5 { queue.report(Self.incident(number)) }
        try await Self.run(queue, issuer) { issuer.recorded.last == 5 }
        #expect(issuer.sizes == [5, 3])
    }

    @Test("An issuer that says it has more than there is empties nothing ahead")
    func tooMuch() async throws {
        let (queue, issuer) = (IncidentQueue(), ScriptedIssuer())
        issuer.answer(.success(.max))
        queue.report(Self.incident(1))
        try await Self.run(queue, issuer) {
            if issuer.sizes.count == 1 { queue.report(Self.incident(2)) }
            return issuer.recorded.last == 2
        }
    }

    @Test("An issuer that records nothing is not asked without a pause")
    func nothingRecorded() async throws {
        let (queue, issuer) = (IncidentQueue(), ScriptedIssuer())
        issuer.answer(.success(0), .success(0), .success(0))
        queue.report(Self.incident(1))
        let start = ContinuousClock.now
        try await Self.run(queue, issuer) { issuer.recorded.last == 1 }
        #expect(issuer.sizes.count == 4)
        #expect(ContinuousClock.now - start >= .milliseconds(1400))
    }

    @Test("An issuer without such a service gets none, and the queue does not fill")
    func refused() async throws {
        let (queue, issuer) = (IncidentQueue(), ScriptedIssuer())
        issuer.answer(.failure(.refused(detail: "unknown service")))
        for number in 1...3 { queue.report(Self.incident(number)) }
        try await Self.run(queue, issuer) { issuer.sizes.count == 1 && queue.next(limit: 1) == nil }
        #expect(issuer.recorded.isEmpty)
    }

    @Test("It stops while it waits to try again")
    func stops() async throws {
        let (queue, issuer) = (IncidentQueue(), ScriptedIssuer())
        issuer.answer(.failure(.unavailable(detail: "down")))
        queue.report(Self.incident(1))
        let start = ContinuousClock.now
        try await Self.run(queue, issuer) { issuer.sizes.count == 1 }
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(queue.next(limit: 1) != nil)
    }
}

/// Answers in turn; then records everything.
private final class ScriptedIssuer: Sendable {
    private struct State {
        var answers: [Result<UInt64, IssuerClientError>] = []
        var recorded: [Int] = []
        var sizes: [Int] = []
        var runs: Set<String> = []
    }

    private let state = Mutex(State())

    var recorded: [Int] { state.withLock { $0.recorded } }
    var sizes: [Int] { state.withLock { $0.sizes } }
    var runs: Set<String> { state.withLock { $0.runs } }

    func answer(_ answers: Result<UInt64, IssuerClientError>...) { state.withLock { $0.answers += answers } }

    func take(_ run: String, _ batch: IncidentQueue.Batch) throws(IssuerClientError) -> UInt64 {
        let answer = state.withLock { state -> Result<UInt64, IssuerClientError> in
            state.runs.insert(run)
            state.sizes.append(batch.incidents.count)
            let answer = state.answers.isEmpty ? .success(.max) : state.answers.removeFirst()
            if case .success(let number) = answer {
                state.recorded += batch.incidents.filter { $0.number <= number }.map { Int($0.incident.pid) }
            }
            return answer
        }
        return try answer.get()
    }
}
