package import Foundation
internal import Platform

/// When authorities are prepared, activated and dropped; a function of the records and the time alone.
package struct AuthoritySchedule: Hashable, Sendable {
    /// How long a new authority lives.
    package let lifetime: Duration

    /// How long an authority stays published after its end, for verifiers with slow clocks.
    package static let pruneMargin = Duration.seconds(24 * 3600)

    package init(lifetime: Duration) { self.lifetime = lifetime }

    /// One thing to do now.
    package enum Step: Hashable, Sendable {
        case create(AuthorityRecord.State)
        case activate(id: String)
        case retire(id: String)
        case delete(id: String)
    }

    /// No longer than the authority lived, so that short-lived ones do not pile up in the bundle.
    private func margin(after record: AuthorityRecord) -> TimeInterval {
        min(Self.pruneMargin.timeInterval, record.notAfter.timeIntervalSince(record.notBefore))
    }

    /// Decides what to do with the authorities of one kind.
    ///
    /// The next one is prepared when half of the active one's life is left at most, and takes over when a sixth is left
    /// at most, so an SVID of up to a sixth of the lifetime never outlives its signer.
    ///
    /// - Parameters:
    ///   - records: All of one kind.
    ///   - now: The time.
    /// - Returns: The steps, in order. Empty when all is well.
    package func decide(_ records: [AuthorityRecord], now: Date) -> [Step] {
        var steps: [Step] = []
        let alive = records.filter { $0.notAfter > now }
        let active = alive.first { $0.state == .active }
        let prepared = alive.filter { $0.state == .prepared }.min { $0.notAfter < $1.notAfter }
        for record in records where record.notAfter + margin(after: record) <= now {
            steps.append(.delete(id: record.id))
        }
        for record in records where record.state != .retired && record.notAfter <= now {
            if !steps.contains(.delete(id: record.id)) { steps.append(.retire(id: record.id)) }
        }
        guard let active else {
            if let prepared {
                return steps + [.activate(id: prepared.id)]
            }
            return steps + [.create(.active)]
        }
        // Its own life, not the one configured since: a longer setting must not hurry its successor.
        let span = active.notAfter.timeIntervalSince(active.notBefore)
        let rest = active.notAfter.timeIntervalSince(now)
        if let prepared {
            if rest <= span / 6 { steps += [.retire(id: active.id), .activate(id: prepared.id)] }
        } else if rest <= span / 2 {
            steps.append(.create(.prepared))
        }
        return steps
    }
}
