package import Foundation
internal import Platform

/// When authorities are prepared, activated and dropped; a function of the records and the time alone.
package struct AuthoritySchedule: Hashable, Sendable {
    /// How long an authority stays published after its end, for verifiers with slow clocks.
    package static let pruneMargin = Duration.seconds(24 * 3600)

    /// The next one is prepared when no more is left of the active one than this, or half of its life.
    package static let longestPreparation = Duration.seconds(30 * 24 * 3600)

    /// The next one takes over when no more is left of the active one than this, or a sixth of its life.
    package static let longestHandover = Duration.seconds(7 * 24 * 3600)

    /// The clock may step back this far below an authority's start before the authority is given up.
    private static let clockTolerance: TimeInterval = 1

    package init() {}

    /// Whether an authority that starts then was made by a clock that was ahead of this one.
    static func isEarly(_ start: Date, now: Date) -> Bool { now + clockTolerance < start }

    /// Whether what is signed with an authority now is good.
    static func canSign(_ record: AuthorityRecord, now: Date) -> Bool {
        record.notAfter > now && !isEarly(record.notBefore, now: now)
    }

    /// One thing to do now.
    package enum Step: Hashable, Sendable {
        case create(AuthorityRecord.State)
        case activate(id: String)
        case retire(id: String)
        case delete(id: String)
    }

    /// The longest SVID that an authority never cuts short, as long as it is replaced in time.
    ///
    /// - Parameter lifetime: The authority's.
    /// - Returns: A sixth of it, a week at most.
    package static func longestWholeSVID(under lifetime: Duration) -> Duration { min(lifetime / 6, longestHandover) }

    /// How often those who hold the bundle should look again, so that they know every authority before it signs.
    ///
    /// - Parameter lifetime: An authority's.
    /// - Returns: A quarter of the time for which a successor is published before it takes over; five minutes at most.
    package static func refreshInterval(under lifetime: Duration) -> Duration {
        max(.seconds(1), min(.seconds(300), (lifetime / 2 - lifetime / 6) / 4))
    }

    /// Whether the next one should have been prepared, with a tenth of the preparation to spare.
    static func isSuccessorOverdue(after record: AuthorityRecord, now: Date) -> Bool {
        let span = record.notAfter.timeIntervalSince(record.notBefore)
        return record.notAfter.timeIntervalSince(now) < 0.9 * min(span / 2, longestPreparation.timeInterval)
    }

    /// Whether an authority has ended so long ago that nobody needs it any more.
    ///
    /// That is no longer than it lived, so that short-lived ones do not pile up in the bundle; twice as long for another
    /// server's, which, while it runs, drops its own together with their keys.
    package func isOver(_ record: AuthorityRecord, isAnothers: Bool = false, now: Date) -> Bool {
        let margin = min(Self.pruneMargin.timeInterval, record.notAfter.timeIntervalSince(record.notBefore))
        return record.notAfter + max(0, margin) * (isAnothers ? 2 : 1) <= now
    }

    /// Decides what to do with the authorities of one kind and one server.
    ///
    /// The next one is prepared when half of the active one's life is left at most, and takes over when a sixth is left
    /// at most, so an SVID of up to a sixth of the lifetime never outlives its signer. One that has not begun, because the
    /// clock was ahead when it was made, is retired and replaced.
    ///
    /// - Parameters:
    ///   - records: All of one kind and server.
    ///   - spoiled: IDs of those that must not sign, whatever their state, because what vouches for them is tainted.
    ///   - now: The time.
    /// - Returns: The steps, in order. Empty when all is well.
    package func decide(_ records: [AuthorityRecord], spoiled: Set<String> = [], now: Date) -> [Step] {
        var steps: [Step] = []
        for record in records where isOver(record, now: now) { steps.append(.delete(id: record.id)) }
        let signing = records.filter { $0.state == .active || $0.state == .prepared }
        for record in signing where !isOver(record, now: now) {
            let isUseless = record.state == .prepared && spoiled.contains(record.id)
            if !Self.canSign(record, now: now) || isUseless { steps.append(.retire(id: record.id)) }
        }
        let alive = signing.filter { Self.canSign($0, now: now) }
        let prepared = alive.filter { $0.state == .prepared && !spoiled.contains($0.id) }
            .min { $0.notAfter < $1.notAfter }
        guard let active = alive.first(where: { $0.state == .active }) else {
            if let prepared { return steps + [.activate(id: prepared.id)] }
            return steps + [.create(.active)]
        }
        // Its own life, not the one configured since: a longer setting must not hurry its successor.
        let span = active.notAfter.timeIntervalSince(active.notBefore)
        let rest = active.notAfter.timeIntervalSince(now)
        let isSpoiled = spoiled.contains(active.id)
        if let prepared {
            if isSpoiled || rest <= min(span / 6, Self.longestHandover.timeInterval) {
                steps += [.retire(id: active.id), .activate(id: prepared.id)]
            }
        } else if isSpoiled {
            steps += [.retire(id: active.id), .create(.active)]
        } else if rest <= min(span / 2, Self.longestPreparation.timeInterval) {
            steps.append(.create(.prepared))
        }
        return steps
    }
}
