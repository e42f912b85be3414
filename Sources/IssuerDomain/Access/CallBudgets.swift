package import Foundation
internal import Platform
internal import Synchronization

/// What each caller has left, so that nobody can use up what is another's.
package final class CallBudgets: Sendable {
    /// What became of calls that draw on one budget.
    package struct Counters: Hashable, Sendable {
        package var admitted: UInt64 = 0
        package var refused: UInt64 = 0
        /// Of the admitted and refused, those of callers that were not told apart.
        package var shared: UInt64 = 0
        package var trackedCallers = 0

        package init() {}
    }

    /// A call came too soon.
    package struct Exhausted: Error, Hashable {
        package let budget: MethodRule.Budget
        /// When the same call would be admitted, if nothing else came.
        package let retryAfter: Duration
    }

    private struct Bucket {
        var level: Double
        var filledAt: Date
    }

    private struct Ledger {
        var buckets: [String: Bucket] = [:]
        var overflow: Bucket?
        var sweptAt: Date?
        var counters: [CallerClass: Counters] = [:]
    }

    package let limits: CallLimits
    private let ledgers: Mutex<[MethodRule.Budget: Ledger]>

    package init(_ limits: CallLimits) {
        self.limits = limits
        ledgers = Mutex([:])
    }

    /// What became of calls so far.
    package var counters: [MethodRule.Budget: Counters] {
        ledgers.withLock { ledgers in
            ledgers.mapValues { ledger in
                var sum = Counters()
                for counters in ledger.counters.values {
                    sum.admitted &+= counters.admitted
                    sum.refused &+= counters.refused
                    sum.shared &+= counters.shared
                }
                sum.trackedCallers = ledger.buckets.count
                return sum
            }
        }
    }

    /// The same by what callers were let in as; those that are told apart are not counted.
    package var countersByClass: [MethodRule.Budget: [CallerClass: Counters]] {
        ledgers.withLock { $0.mapValues(\.counters) }
    }

    /// Takes from a caller's budget.
    ///
    /// A cost above the burst needs a full bucket and is owed afterwards.
    ///
    /// - Parameters:
    ///   - cost: Units; nothing is taken when the call is refused.
    ///   - budget: Which budget.
    ///   - caller: Whose.
    ///   - callerClass: What the caller was let in as; only counted.
    ///   - now: The time; a clock that went back fills nothing.
    /// - Throws: ``Exhausted``.
    package func charge(
        _ cost: Int, to budget: MethodRule.Budget, of caller: String, as callerClass: CallerClass = .any, now: Date
    ) throws(Exhausted) {
        guard let rate = limits.rates[budget], cost > 0 else { return }
        let wait = ledgers.withLock { ledgers in
            // Where it lies: a copy of everybody's buckets for each call would be dear.
            Self.charge(cost, to: &ledgers[budget, default: Ledger()], of: caller, callerClass, limits, rate, now)
        }
        guard let wait else { return }
        throw Exhausted(
            budget: budget, retryAfter: .milliseconds(Int64(min(max(1, (wait * 1000).rounded(.up)), 3.6e6))))
    }

    /// Takes from a bucket.
    ///
    /// - Returns: How long to wait; nil when the call is admitted.
    private static func charge(
        _ cost: Int, to ledger: inout Ledger, of caller: String, _ callerClass: CallerClass, _ limits: CallLimits,
        _ rate: CallLimits.Rate, _ now: Date
    ) -> TimeInterval? {
        let isKnown = ledger.buckets[caller] != nil || makesRoom(in: &ledger, limits, rate, now)
        var bucket = (isKnown ? ledger.buckets[caller] : ledger.overflow) ?? Bucket(level: rate.burst, filledAt: now)
        let elapsed = max(0, now.timeIntervalSince(bucket.filledAt))
        bucket.level = min(rate.burst, bucket.level + elapsed * rate.perSecond)
        bucket.filledAt = now
        let needed = min(Double(cost), rate.burst)
        let isAdmitted = bucket.level >= needed
        if isAdmitted { bucket.level -= Double(cost) }
        if isKnown { ledger.buckets[caller] = bucket } else { ledger.overflow = bucket }
        var counters = ledger.counters[callerClass] ?? .init()
        if !isKnown { counters.shared &+= 1 }
        if isAdmitted { counters.admitted &+= 1 } else { counters.refused &+= 1 }
        ledger.counters[callerClass] = counters
        return isAdmitted ? nil : (needed - bucket.level) / rate.perSecond
    }

    /// Forgets callers that have their whole budget again: only of them nothing is lost.
    ///
    /// Whoever has spent something is never forgotten, or a flood of names would give a spent budget back.
    private static func makesRoom(
        in ledger: inout Ledger, _ limits: CallLimits, _ rate: CallLimits.Rate, _ now: Date
    ) -> Bool {
        if ledger.buckets.count < limits.trackedCallers { return true }
        // A sweep looks at every caller, so there is one a second at most.
        if let sweptAt = ledger.sweptAt, now < sweptAt + 1, now >= sweptAt { return false }
        ledger.sweptAt = now
        ledger.buckets = ledger.buckets.filter { _, bucket in
            bucket.level + max(0, now.timeIntervalSince(bucket.filledAt)) * rate.perSecond < rate.burst
        }
        return ledger.buckets.count < limits.trackedCallers
    }
}

extension CallBudgets.Exhausted: CustomStringConvertible {
    package var description: String {
        "the \(budget.rawValue) budget of this caller is used up; try again in \(retryAfter.milliseconds) ms"
    }
}

extension Duration {
    /// Whole milliseconds, rounded towards zero.
    package var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
