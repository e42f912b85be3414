package import Foundation
internal import Synchronization

/// Keeps refusals from filling the record: the first of each source are written down one by one, the rest as a count.
///
/// Whoever is refused again and again costs one record a minute for each method, and nothing vanishes without one.
package final class DenialSummary: Sendable {
    /// How long refusals are counted before they are written down together.
    package static let interval: TimeInterval = 60
    /// Refusals of one source that are written down one by one.
    package static let burst = 20.0
    /// Sources and methods that are counted apart; those beyond share one count.
    package static let maximumCounts = 500
    /// What those that share a count are called.
    package static let others = "others"

    private struct Key: Hashable {
        let source: String
        let method: String
    }

    private struct Count {
        var number: Int64
        var first: Date
        var last: IssuanceRecord
    }

    private let pace = CallBudgets(
        CallLimits(
            rates: [.attestation: .init(perSecond: 0.1, burst: burst), .reporting: .init(perSecond: 1, burst: 200)]
                .compactMapValues { $0 }, trackedCallers: 1000))
    private let counts = Mutex<[Key: Count]>([:])

    package init() {}

    /// Judges a record; one that is not to be written down now is counted.
    ///
    /// Whatever was signed is always written down, also when it was not handed out.
    ///
    /// - Parameters:
    ///   - record: The record.
    ///   - source: What one caller is told from another by.
    ///   - isStranger: Whether anybody can have as many sources as they like; all such share one more limit.
    /// - Returns: Whether to write it down.
    package func admits(_ record: IssuanceRecord, from source: String, isStranger: Bool) -> Bool {
        let fact = record.fact
        guard fact.outcome == .denied, fact.serial == nil, fact.tokenID == nil else { return true }
        do throws(CallBudgets.Exhausted) {
            try pace.charge(1, to: .attestation, of: source, now: record.call.time)
            if isStranger { try pace.charge(1, to: .reporting, of: "strangers", now: record.call.time) }
            return true
        } catch {
            count(1, record, since: record.call.time, as: Key(source: source, method: record.call.method))
            return false
        }
    }

    /// Takes what is to be written down by now.
    ///
    /// - Parameters:
    ///   - now: The time.
    ///   - isEnding: Whether to take everything, because nobody will ask again.
    /// - Returns: One record for each count, oldest first.
    package func take(now: Date, isEnding: Bool = false) -> [IssuanceRecord] {
        counts.withLock { counts in
            // A clock that was set back must not hold anything up for ever.
            let due = counts.filter { isEnding || abs(now.timeIntervalSince($1.first)) >= Self.interval }
            for key in due.keys { counts[key] = nil }
            return due.sorted { ($0.value.first, $0.key.source) < ($1.value.first, $1.key.source) }.map { key, count in
                let last = count.last
                let isShared = key.source == Self.others
                let call = IssuanceRecord.Call(
                    time: last.call.time, requestID: last.call.requestID, callerClass: last.call.callerClass,
                    principal: isShared ? Self.others : last.call.principal,
                    address: isShared ? "" : last.call.address, method: last.call.method)
                var fact = IssuanceFact.denied(last.fact.reason ?? "")
                fact.repetition = .init(count: count.number, first: count.first)
                return IssuanceRecord(call: call, fact: fact)
            }
        }
    }

    /// Takes back what could not be written down.
    package func giveBack(_ records: [IssuanceRecord]) {
        for record in records {
            guard let repetition = record.fact.repetition else { continue }
            count(
                repetition.count, record, since: repetition.first,
                as: Key(source: record.call.principal, method: record.call.method))
        }
    }

    private func count(_ number: Int64, _ record: IssuanceRecord, since first: Date, as key: Key) {
        counts.withLock { counts in
            let isKnown = counts[key] != nil || counts.count < Self.maximumCounts
            let key = isKnown ? key : Key(source: Self.others, method: record.call.method)
            guard var count = counts[key] else {
                counts[key] = Count(number: number, first: first, last: record)
                return
            }
            count.number += number
            (count.first, count.last) = (min(count.first, first), record)
            counts[key] = count
        }
    }
}
