package import Foundation
package import Logging
package import SPIFFE

/// Tokens by what was asked for, renewed ahead of their end for as long as someone uses them.
///
/// One request for each question is under way at a time. A token is replaced at half its life; until a newer one comes
/// the old one is given out, but not after its end.
package actor JWTSVIDCache {
    /// What a caller asks: the order and number of mentions of an audience make no difference.
    package struct Question: Hashable, Sendable {
        package let audience: [String]
        package let id: SPIFFEID?

        /// Puts a question in order.
        package init(audience: [String], id: SPIFFEID?) {
            // Compared as the endpoint will: a set of bytes, not of spellings.
            var seen: Set<ExactText> = []
            self.audience = audience.filter { seen.insert(ExactText($0)).inserted }
                .sorted { ExactText($0) < ExactText($1) }
            self.id = id
        }

        package static func == (one: Question, other: Question) -> Bool {
            one.id == other.id && one.audience.map(ExactText.init) == other.audience.map(ExactText.init)
        }

        package func hash(into hasher: inout Hasher) {
            hasher.combine(audience.map(ExactText.init))
            hasher.combine(id)
        }
    }

    /// Asks the endpoint.
    package typealias Fetch = @Sendable (Question) async throws(WorkloadAPIError) -> [FetchedJWTSVID]

    /// Waits for an instant; may end sooner.
    package typealias Sleep = @Sendable (Date) async throws -> Void

    private enum Outcome: Sendable {
        case answered(Result<[FetchedJWTSVID], WorkloadAPIError>)
        /// Who asked was cancelled; someone else has to ask.
        case abandoned
    }

    private struct Entry {
        var tokens: [FetchedJWTSVID]
        /// When to ask for newer ones; drawn once, on arrival.
        var due: Date
        /// The first end among the tokens.
        var end: Date
        var lastUse: UInt64
        /// Whether anyone asked since the tokens came.
        var isUsed = true
        var isRenewing = false
        /// How long to wait after a renewal that failed.
        var backoff: Backoff
    }

    /// The most questions remembered; the one unused for longest makes room.
    package static let capacity = 1024

    /// The most renewals under way at once; an agent may count a workload's connections.
    package static let maximumRenewals = 4

    private let fetch: Fetch
    private let now: @Sendable () -> Date
    private let backoff: Backoff
    private let logger: Logger
    private var entropy: any RandomNumberGenerator & Sendable
    private var entries: [Question: Entry] = [:]
    private var underWay: [Question: LatestValue<Outcome>] = [:]
    private var renewals = 0
    private var uses: UInt64 = 0
    /// Grows whenever everything is dropped, so that an answer from before is not kept.
    private var generation: UInt64 = 0
    private let changes = LatestValue<UInt64>()

    /// Creates an empty cache.
    package init(
        backoff: Backoff, logger: Logger, using entropy: some RandomNumberGenerator & Sendable,
        now: @escaping @Sendable () -> Date, fetch: @escaping Fetch
    ) {
        (self.backoff, self.logger, self.entropy, self.now, self.fetch) = (backoff, logger, entropy, now, fetch)
    }

    /// How many questions are remembered.
    package var count: Int { entries.count }

    /// Tokens that are valid now, from memory if there are any.
    package func tokens(for question: Question) async throws(WorkloadAPIError) -> [FetchedJWTSVID] {
        uses += 1
        if let entry = entries[question] {
            if now() < entry.end {
                entries[question]?.lastUse = uses
                if !entry.isUsed {
                    entries[question]?.isUsed = true
                    changes.set(uses)
                }
                return entry.tokens
            }
            entries[question] = nil
        }
        return try await ask(question)
    }

    /// Forgets everything: the endpoint took it back.
    ///
    /// What is asked from now on waits for no answer to a question from before.
    package func removeAll() {
        entries = [:]
        underWay = [:]
        generation += 1
    }

    /// Renews what is used, until cancelled.
    ///
    /// - Parameter sleep: Waits for an instant.
    package func run(sleepingUntil sleep: @escaping Sleep) async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                let seen = changes.snapshot.version
                for question in beginRenewals(at: now()) {
                    group.addTask { await self.renew(question) }
                }
                await wait(for: nextRenewal, orChangeAfter: seen, sleep)
            }
        }
    }

    /// When the next token falls due that may be renewed; nil when something else has to happen first.
    private var nextRenewal: Date? {
        guard renewals < Self.maximumRenewals else { return nil }
        return entries.values.lazy.filter { $0.isUsed && !$0.isRenewing }.map(\.due).min()
    }

    /// Picks what is due, most urgent first, and drops what has ended: who needs it again will ask.
    private func beginRenewals(at instant: Date) -> [Question] {
        entries = entries.filter { $0.value.isRenewing || instant < $0.value.end }
        let due = entries.filter { $0.value.isUsed && !$0.value.isRenewing && $0.value.due <= instant }
            .sorted { $0.value.due < $1.value.due }
            .prefix(Self.maximumRenewals - renewals).map(\.key)
        renewals += due.count
        for question in due {
            entries[question]?.isRenewing = true
            entries[question]?.isUsed = false
        }
        return due
    }

    private func renew(_ question: Question) async {
        do throws(WorkloadAPIError) {
            _ = try await ask(question)
        } catch {
            if !Task.isCancelled {
                logger.warning("token not renewed", metadata: ["code": "\(error.code)", "error": "\(error)"])
            }
            if var entry = entries[question] {
                entry.due = now() + entry.backoff.next(using: &entropy).seconds
                entry.isUsed = true
                entries[question] = entry
            }
        }
        entries[question]?.isRenewing = false
        renewals -= 1
        changes.set(uses)
    }

    private func wait(for deadline: Date?, orChangeAfter version: UInt64, _ sleep: @escaping Sleep) async {
        guard let deadline else {
            _ = await changes.change(after: version)
            return
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await sleep(deadline) }
            group.addTask { [changes] in _ = await changes.change(after: version) }
            await group.next()
            group.cancelAll()
        }
    }

    private func ask(_ question: Question) async throws(WorkloadAPIError) -> [FetchedJWTSVID] {
        while let pending = underWay[question] {
            switch await pending.change(after: 0).value {
            case .answered(let answer)?: return try answer.get()
            case .abandoned?: continue
            case nil: throw WorkloadAPIError(.unavailable, "cancelled before the endpoint answered")
            }
        }
        let pending = LatestValue<Outcome>()
        underWay[question] = pending
        let asked = generation
        let answer: Result<[FetchedJWTSVID], WorkloadAPIError>
        do throws(WorkloadAPIError) {
            answer = .success(try living(try await fetch(question)))
        } catch {
            answer = .failure(error)
        }
        // After everything was dropped, someone else may be asking the same.
        if asked == generation {
            underWay[question] = nil
            switch answer {
            case .success(let tokens): keep(tokens, for: question)
            // WLAPI-40: what is refused now is not served from memory either.
            case .failure(let error) where error.code == .noIdentity: entries[question] = nil
            case .failure: break
            }
        }
        if case .failure = answer, Task.isCancelled {
            pending.set(.abandoned)
        } else {
            pending.set(.answered(answer))
        }
        return try answer.get()
    }

    /// The tokens that are good for something.
    private func living(_ tokens: [FetchedJWTSVID]) throws(WorkloadAPIError) -> [FetchedJWTSVID] {
        let instant = now()
        let living = tokens.filter { instant < $0.expiry }
        guard !living.isEmpty else { throw WorkloadAPIError(.expired, "the endpoint sent a token that has expired") }
        return living
    }

    private func keep(_ tokens: [FetchedJWTSVID], for question: Question) {
        let arrival = now()
        guard let end = tokens.map(\.expiry).min() else { return }
        let known = entries[question]
        if known == nil, entries.count >= Self.capacity,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            entries[oldest.key] = nil
        }
        let share = Double.random(in: 0.45..<0.55, using: &entropy)
        entries[question] = Entry(
            tokens: tokens, due: arrival + end.timeIntervalSince(arrival) * share, end: end,
            lastUse: known?.lastUse ?? uses,
            // Before the first renewal someone has just asked; after one, nobody has yet.
            isUsed: known?.isUsed ?? true, isRenewing: known?.isRenewing ?? false, backoff: backoff)
        changes.set(uses)
    }
}

extension Duration {
    fileprivate var seconds: TimeInterval { self / .seconds(1) }
}
