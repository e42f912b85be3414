internal import Synchronization

/// Writes records for many calls at once: those that come while one batch is being written make up the next.
package final class IssuanceJournal: Sendable {
    private enum Turn: Sendable {
        /// Write the next batch, of which the own records are part.
        case lead
        case done(StoreError?)
    }

    private struct State {
        var isWriting = false
        var pending: [IssuanceRecord] = []
        var waiting: [CheckedContinuation<Turn, Never>] = []
    }

    private let records: any IssuanceRecords
    private let state = Mutex(State())

    package init(_ records: any IssuanceRecords) { self.records = records }

    /// Adds records; they are durable on return.
    ///
    /// - Throws: ``StoreError``; then none of them is kept.
    package func append(_ new: [IssuanceRecord]) async throws(StoreError) {
        guard !new.isEmpty else { return }
        let turn: Turn = await withCheckedContinuation { continuation in
            let leads = state.withLock { state in
                state.pending += new
                guard state.isWriting else {
                    state.isWriting = true
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if leads { continuation.resume(returning: .lead) }
        }
        switch turn {
        case .done(let error):
            if let error { throw error }
        case .lead: try await lead()
        }
    }

    /// Writes what is pending, tells those whose it was, and hands over to the first who came meanwhile.
    private func lead() async throws(StoreError) {
        let (batch, followers) = state.withLock { state in
            defer { (state.pending, state.waiting) = ([], []) }
            return (state.pending, state.waiting)
        }
        var failure: StoreError?
        do throws(StoreError) { try await records.append(batch) } catch { failure = error }
        for follower in followers { follower.resume(returning: .done(failure)) }
        let next: CheckedContinuation<Turn, Never>? = state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isWriting = false
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume(returning: .lead)
        if let failure { throw failure }
    }
}
