import Synchronization
import TestSupport
import Testing
import WorkloadIdentity

/// A clock that notes every sleep and lets no time pass but those.
final class PauseClock: Clock, Sendable {
    struct Instant: InstantProtocol {
        var offset: Duration
        func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        func duration(to other: Instant) -> Duration { other.offset - offset }
        static func < (one: Instant, other: Instant) -> Bool { one.offset < other.offset }
    }

    private let state = Mutex<(offset: Duration, pauses: [Duration])>((.zero, []))

    var now: Instant { Instant(offset: state.withLock { $0.offset }) }
    let minimumResolution = Duration.nanoseconds(1)

    /// Every pause so far.
    var pauses: [Duration] { state.withLock { $0.pauses } }

    /// Lets time pass.
    func advance(by duration: Duration) { state.withLock { $0.offset += duration } }

    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
        try Task.checkCancellation()
        state.withLock { state in
            state.pauses.append(deadline.offset - state.offset)
            state.offset = max(state.offset, deadline.offset)
        }
    }
}

@Suite("Following a stream", .timeLimit(.minutes(1)))
struct StreamFollowerTests {
    typealias Update = Result<String, WorkloadAPIError>

    /// One opening of the stream: what it brings, how long it lasts, how it ends.
    struct Stream: Sendable {
        var updates: [Update] = []
        var life: Duration = .zero
        var end = WorkloadAPIError(.unavailable, "over")
    }

    /// What following a list of streams came to; after the last the follower is cancelled.
    struct Outcome {
        let latest: LatestValue<Update>
        let pauses: [Duration]
        let openings: Int
        let log: LogWatch
    }

    private func follow(_ streams: [Stream], backoff: Backoff = Backoff()) async -> Outcome {
        let (latest, clock, log) = (LatestValue<Update>(), PauseClock(), LogWatch())
        let openings = Mutex(0)
        let isOver = Signal()
        let follower = StreamFollower(
            name: "test", latest: latest, backoff: backoff, logger: log.logger()
        ) { update throws(WorkloadAPIError) in
            let number = openings.withLock { number in
                number += 1
                return number
            }
            guard number <= streams.count else {
                isOver.fire()
                _ = await LatestValue<Int>().change(after: 0)
                throw WorkloadAPIError(.unavailable, "cancelled")
            }
            let stream = streams[number - 1]
            do {
                for each in stream.updates { try await update(each) }
            } catch { throw WorkloadAPIError(.unavailable, "refused by the follower") }
            clock.advance(by: stream.life)
            throw stream.end
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await follower.run(using: SeededEntropy(), clock: clock)
                isOver.fire()
            }
            await isOver.wait()
            group.cancelAll()
        }
        return Outcome(
            latest: latest, pauses: clock.pauses, openings: openings.withLock { $0 }, log: log)
    }

    private let good = Update.success("state")
    private let bad = Update.failure(WorkloadAPIError(.invalidResponse, "malformed"))

    @Test("WLAPI-33: a stream that lasted is reopened at once")
    func atOnce() async {
        let outcome = await follow(Array(repeating: Stream(updates: [good], life: .seconds(2)), count: 5))
        #expect(outcome.pauses == Array(repeating: .zero, count: 5))
    }

    @Test("an endpoint that greets and hangs up is asked ever less often")
    func flapping() async {
        let outcome = await follow(Array(repeating: Stream(updates: [good]), count: 12))
        for (pause, full) in zip(outcome.pauses, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10, 10, 10, 10]) {
            #expect(.seconds(full / 2) <= pause && pause <= .seconds(full))
        }
        #expect(outcome.pauses.count == 12)
    }

    @Test("an endpoint that holds on and says nothing is asked ever less often")
    func mute() async {
        let outcome = await follow(Array(repeating: Stream(life: .seconds(30)), count: 10))
        #expect(outcome.pauses.allSatisfy { $0 > .zero })
        #expect(outcome.pauses[9] >= .seconds(5))
    }

    @Test("one that lasted starts the pauses over")
    func recovery() async {
        let outcome = await follow(
            Array(repeating: Stream(), count: 8) + [Stream(updates: [good], life: .seconds(60)), Stream()])
        #expect(outcome.pauses[7] >= .seconds(5))
        #expect(outcome.pauses[8] == .zero)
        #expect(outcome.pauses[9] <= .milliseconds(200))
    }

    @Test(
        "WLEP-22, WLEP-25: a refusal for good before the first answer ends it",
        arguments: [WorkloadAPIError.Code.invalidRequest, .unsupported])
    func final(_ code: WorkloadAPIError.Code) async {
        let outcome = await follow([Stream(end: WorkloadAPIError(code, "no"))])
        #expect(outcome.openings == 1)
        #expect(outcome.latest.snapshot.value == .failure(WorkloadAPIError(code, "no")))
    }

    @Test(
        "the same after an answer is looked at again, rarely, and the state is kept",
        arguments: [WorkloadAPIError.Code.invalidRequest, .unsupported])
    func broken(_ code: WorkloadAPIError.Code) async {
        let outcome = await follow([
            Stream(updates: [good], life: .seconds(60)), Stream(end: WorkloadAPIError(code, "no")),
        ])
        #expect(outcome.openings == 3)
        #expect(outcome.pauses[1] >= .seconds(5))
        #expect(outcome.latest.snapshot.value == good)
    }

    @Test(
        "what merely went wrong leaves the state as it is",
        arguments: [WorkloadAPIError.Code.unavailable, .invalidResponse, .timedOut])
    func kept(_ code: WorkloadAPIError.Code) async {
        let outcome = await follow([Stream(updates: [good], end: WorkloadAPIError(code, "oops"))])
        #expect(outcome.latest.snapshot.value == good)
    }

    @Test("WLAPI-40: a refusal takes the state back, once, and waits (WLAPI-41)")
    func withdrawal() async {
        let refusal = WorkloadAPIError(.noIdentity, "none")
        let outcome = await follow(
            [Stream(updates: [good], life: .seconds(60), end: refusal)]
                + Array(
                    repeating: Stream(end: refusal), count: 5))
        #expect(outcome.latest.snapshot.value == .failure(refusal))
        #expect(outcome.latest.snapshot.version == 2, "a repeated refusal is no news")
        #expect(outcome.pauses.allSatisfy { $0 > .zero })
    }

    @Test("WLAPI-36: a bad message changes nothing, and is not told a thousand times")
    func discard() async {
        let outcome = await follow([Stream(updates: [good] + Array(repeating: bad, count: 1000))])
        #expect(outcome.latest.snapshot.value == good)
        #expect(outcome.log.messages.count("unreadable message discarded") == 10)
    }

    @Test("a bad message before any good one is the reason that a waiting caller is given")
    func reason() async {
        let outcome = await follow([Stream(updates: [bad], end: WorkloadAPIError(.invalidResponse, "malformed"))])
        #expect(outcome.latest.snapshot.value == bad)
        #expect(outcome.pauses.allSatisfy { $0 > .zero }, "bad messages are no sign of health")
    }
}
