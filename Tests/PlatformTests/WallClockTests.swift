import Foundation
import Platform
import Synchronization
import TestSupport
import Testing

@Suite("The machine's clock")
struct SystemWallClockTests {
    @Test("returns at once from a sleep until an instant that has passed")
    func past() async {
        let clock = SystemWallClock()
        await #expect(throws: Never.self) { try await clock.sleep(until: clock.now - 60) }
        await #expect(throws: Never.self) { try await clock.sleep(for: .zero) }
    }

    @Test("ends a sleep when its task is cancelled", arguments: [1.0, 3600, 1e12])
    func cancellation(_ seconds: TimeInterval) async {
        let clock = SystemWallClock()
        let outcome = await withTaskGroup(of: Result<Void, any Error>.self) { group in
            group.addTask {
                await Result(catchingAsync: { try await clock.sleep(until: clock.now + seconds) })
            }
            group.cancelAll()
            return await group.next()
        }
        #expect(throws: CancellationError.self) { try outcome?.get() }
    }

    @Test("reports cancellation also when there is nothing left to sleep for")
    func cancelledBefore() async {
        let clock = SystemWallClock()
        let outcome = await withTaskGroup(of: Result<Void, any Error>.self) { group in
            group.cancelAll()
            group.addTask { await Result(catchingAsync: { try await clock.sleep(until: .distantPast) }) }
            return await group.next()
        }
        #expect(throws: CancellationError.self) { try outcome?.get() }
    }

    @Test("wakes no earlier than asked")
    func wakes() async throws {
        let clock = SystemWallClock()
        let deadline = clock.now + 0.01
        try await clock.sleep(until: deadline)
        #expect(clock.now >= deadline)
        let start = ContinuousClock.now
        try await clock.sleep(for: .milliseconds(10))
        #expect(start.duration(to: .now) >= .milliseconds(10))
    }
}

@Suite("The clock that tests hold")
struct ManualClockTests {
    @Test("stands still until moved, forwards or back")
    func moves() {
        let clock = ManualClock()
        let start = clock.now
        #expect(clock.now == start)
        clock.advance(by: .seconds(10))
        #expect(clock.now == start + 10)
        clock.advance(by: .seconds(-20))
        #expect(clock.now == start - 10)
    }

    @Test("a wait for a span goes on however the clock is set, and one for an instant waits for the instant")
    func spans() async throws {
        let clock = ManualClock()
        let (span, instant) = (Flag(), Flag())
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await clock.sleep(for: .seconds(10))
                span.raise()
            }
            group.addTask {
                try await clock.sleep(until: CertificateRecipe.now + 10)
                instant.raise()
            }
            try await Task.sleep(for: .milliseconds(100))
            clock.set(by: .seconds(-3600))
            for _ in 0..<50 where !span.isUp {
                clock.advance(by: .seconds(10))
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(span.isUp)
            #expect(!instant.isUp)
            clock.set(by: .seconds(7200))
            try await group.waitForAll()
        }
        #expect(instant.isUp)
    }

    @Test("ends a sleep when its task is cancelled")
    func cancellation() async {
        let clock = ManualClock()
        let outcome = await withTaskGroup(of: Result<Void, any Error>.self) { group in
            group.addTask { await Result(catchingAsync: { try await clock.sleep(for: .seconds(1)) }) }
            group.cancelAll()
            return await group.next()
        }
        #expect(throws: CancellationError.self) { try outcome?.get() }
    }

    @Test("starts where certificates of tests are valid")
    func start() {
        #expect(ManualClock().now == CertificateRecipe.now)
    }
}

private final class Flag: Sendable {
    private let value = Mutex(false)

    var isUp: Bool { value.withLock { $0 } }

    func raise() { value.withLock { $0 = true } }
}

@Suite("Durations")
struct DurationTests {
    @Test(
        "become seconds for arithmetic with dates",
        arguments: [
            (.zero, 0, 0), (.milliseconds(1500), 1.5, 1), (.seconds(-1), -1, -1), (.milliseconds(-1500), -1.5, -1),
            (.seconds(86_400), 86_400, 86_400),
        ] as [(Duration, TimeInterval, Int64)])
    func seconds(_ duration: Duration, _ interval: TimeInterval, _ whole: Int64) {
        #expect(duration.timeInterval == interval)
        #expect(duration.wholeSeconds == whole)
    }
}

extension Result where Failure == any Error {
    /// Keeps what an asynchronous body returns or throws.
    init(catchingAsync body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
