import Synchronization
import WorkloadIdentity

/// Counts what happens, and lets a test wait until it has happened often enough.
final class Ledger<Key: Hashable & Sendable>: Sendable {
    private let counts = Mutex<[Key: Int]>([:])
    private let latest = LatestValue<Int>()

    /// Counts one more.
    func add(_ key: Key) {
        counts.withLock { $0[key, default: 0] += 1 }
        latest.set(0)
    }

    /// How many there were so far.
    func count(_ key: Key) -> Int { counts.withLock { $0[key] ?? 0 } }

    /// Waits until there were that many.
    func wait(for key: Key, toReach count: Int = 1) async throws {
        var seen: UInt64 = 0
        while self.count(key) < count {
            seen = await latest.change(after: seen).version
            try Task.checkCancellation()
        }
    }
}

/// What a test tells those who wait for it; once told, it stays told.
final class Signal: Sendable {
    private let told = LatestValue<Bool>()

    /// Lets everyone go on.
    func fire() { told.set(true) }

    /// Waits until told.
    func wait() async { _ = await told.change(after: 0) }
}
