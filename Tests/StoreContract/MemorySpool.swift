package import IssuerDomain
internal import Synchronization

/// The spool in memory; what is appended can be made to fail.
package final class MemorySpool: IssuanceSpool {
    private struct State {
        var number: UInt64 = 1
        var current: [IssuanceRecord] = []
        var ended: [(number: UInt64, records: [IssuanceRecord])] = []
        var failure: StoreError?
        var flushes = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// Makes every append from now on fail, or work again.
    package func fail(with failure: StoreError?) { state.withLock { $0.failure = failure } }

    /// Segments that wait.
    package var waiting: Int { state.withLock { $0.ended.count } }

    /// How often what waits was made durable.
    package var flushes: Int { state.withLock { $0.flushes } }

    package func append(_ records: [IssuanceRecord]) throws(StoreError) {
        let failure = state.withLock { state in
            if state.failure == nil { state.current += records }
            return state.failure
        }
        if let failure { throw failure }
    }

    package func seal() -> [UInt64] {
        state.withLock { state in
            if !state.current.isEmpty {
                state.ended.append((state.number, state.current))
                (state.current, state.number) = ([], state.number + 1)
            }
            return state.ended.map(\.number)
        }
    }

    package func records(in segment: UInt64) -> [IssuanceRecord] {
        state.withLock { $0.ended.first { $0.number == segment }?.records ?? [] }
    }

    package func remove(_ segment: UInt64) { state.withLock { $0.ended.removeAll { $0.number == segment } } }

    package func flush() { state.withLock { $0.flushes += 1 } }
}
