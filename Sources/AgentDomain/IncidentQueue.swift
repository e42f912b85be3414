internal import Synchronization

/// Incidents that the issuer has not recorded yet: bounded, numbered, and honest about what it had to drop.
package final class IncidentQueue: Sendable {
    /// What is sent at once.
    package struct Batch: Hashable, Sendable {
        /// Each with its number, in order.
        package let incidents: [Numbered]
        /// How many were dropped so far because too many waited.
        package let dropped: UInt64
    }

    /// An incident and its number within this run of the agent, from 1.
    package struct Numbered: Hashable, Sendable {
        package let number: UInt64
        package let incident: Incident
    }

    private struct Line {
        var waiting: [Numbered] = []
        var lastNumber: UInt64 = 0
        var dropped: UInt64 = 0
    }

    private let capacity: Int
    private let line = Mutex(Line())
    private let wakeUp: AsyncStream<Void>.Continuation

    /// Ticks when there is something to send; for one reader.
    package let arrivals: AsyncStream<Void>

    /// Creates an empty queue.
    ///
    /// - Parameter capacity: The most incidents that wait; the oldest is dropped for the newest.
    package init(capacity: Int = 1000) {
        self.capacity = max(1, capacity)
        (arrivals, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Adds an incident; never waits.
    package func report(_ incident: Incident) {
        line.withLock { line in
            line.lastNumber += 1
            line.waiting.append(Numbered(number: line.lastNumber, incident: incident))
            guard line.waiting.count > capacity else { return }
            line.waiting.removeFirst(line.waiting.count - capacity)
            line.dropped += 1
        }
        wakeUp.yield()
    }

    /// The oldest that wait; they stay until they are recorded.
    ///
    /// - Parameter limit: The most of them.
    /// - Returns: nil when nothing waits.
    package func next(limit: Int) -> Batch? {
        line.withLock { line in
            line.waiting.isEmpty
                ? nil : Batch(incidents: Array(line.waiting.prefix(max(1, limit))), dropped: line.dropped)
        }
    }

    /// Forgets what the issuer has recorded.
    ///
    /// - Parameter number: It has everything up to this one.
    package func recorded(upTo number: UInt64) {
        line.withLock { line in line.waiting.removeAll { $0.number <= number } }
    }
}
