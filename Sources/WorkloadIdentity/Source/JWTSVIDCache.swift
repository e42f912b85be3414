internal import Foundation
internal import Logging
internal import SPIFFE

/// Tokens by what was asked for, renewed ahead of their end for as long as someone uses them.
///
/// One request for each question is under way at a time. A token is replaced at half its life; until a newer one comes
/// the old one is given out, but not after its end.
actor JWTSVIDCache {
    /// What a caller asks: the order and number of mentions of an audience make no difference.
    struct Question: Hashable, Sendable {
        let audience: [String]
        let id: SPIFFEID?

        init(audience: [String], id: SPIFFEID?) {
            // Compared as the endpoint will: a set of bytes, not of spellings.
            var seen: Set<ExactText> = []
            self.audience = audience.filter { seen.insert(ExactText($0)).inserted }
                .sorted { ExactText($0) < ExactText($1) }
            self.id = id
        }

        static func == (one: Question, other: Question) -> Bool {
            one.id == other.id && one.audience.map(ExactText.init) == other.audience.map(ExactText.init)
        }

        func hash(into hasher: inout Hasher) {
            hasher.combine(audience.map(ExactText.init))
            hasher.combine(id)
        }
    }

    typealias Answer = Result<[FetchedJWTSVID], WorkloadAPIError>
    typealias Fetch = @Sendable (Question) async throws(WorkloadAPIError) -> [FetchedJWTSVID]

    private struct Entry {
        var tokens: [FetchedJWTSVID]
        /// When to ask for newer ones; drawn once, on arrival.
        var due: Date
        /// The first end among the tokens.
        var end: Date
        var lastUse: UInt64
        var isUsed = true
    }

    /// The most questions remembered; the one unused for longest makes room.
    static let capacity = 1024

    private let fetch: Fetch
    private let now: @Sendable () -> Date
    private let backoff: Backoff
    private let logger: Logger
    private var entropy: any RandomNumberGenerator & Sendable
    private var entries: [Question: Entry] = [:]
    private var underWay: [Question: LatestValue<Answer>] = [:]
    private var uses: UInt64 = 0
    /// Grows whenever everything is dropped, so that an answer from before is not kept.
    private var generation: UInt64 = 0
    private let changes = LatestValue<UInt64>()

    init(
        backoff: Backoff, logger: Logger, using entropy: some RandomNumberGenerator & Sendable,
        now: @escaping @Sendable () -> Date, fetch: @escaping Fetch
    ) {
        (self.backoff, self.logger, self.entropy, self.now, self.fetch) = (backoff, logger, entropy, now, fetch)
    }

    /// How many questions are remembered.
    var count: Int { entries.count }

    /// Tokens that are valid now, from memory if there are any.
    func tokens(for question: Question) async throws(WorkloadAPIError) -> [FetchedJWTSVID] {
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
    func removeAll() {
        entries = [:]
        generation += 1
    }

    /// Renews what is used, until cancelled.
    func run() async {
        let clock = ContinuousClock()
        var pause = backoff
        while !Task.isCancelled {
            let seen = changes.snapshot.version
            let next = entries.filter(\.value.isUsed).min { $0.value.due < $1.value.due }
            guard let (question, entry) = next.map({ ($0.key, $0.value) }) else {
                _ = await changes.change(after: seen)
                continue
            }
            let wait = entry.due.timeIntervalSince(now())
            if wait > 0 {
                // A minute at most: a calendar clock may be set, and a sleeping machine's does not tick.
                await sleep(.seconds(min(wait, 60)), orUntilChangeAfter: seen)
                continue
            }
            entries[question]?.isUsed = false
            do throws(WorkloadAPIError) {
                _ = try await ask(question)
                pause.reset()
            } catch {
                if Task.isCancelled { return }
                logger.warning("token not renewed", metadata: ["code": "\(error.code)", "error": "\(error)"])
                if entries[question] != nil { entries[question]?.isUsed = true }
                do { try await clock.sleep(for: pause.next(using: &entropy)) } catch { return }
            }
        }
    }

    private func sleep(_ duration: Duration, orUntilChangeAfter version: UInt64) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await Task.sleep(for: duration) }
            group.addTask { [changes] in _ = await changes.change(after: version) }
            await group.next()
            group.cancelAll()
        }
    }

    private func ask(_ question: Question) async throws(WorkloadAPIError) -> [FetchedJWTSVID] {
        if let pending = underWay[question] {
            let answer = await pending.change(after: 0).value
            guard let answer else { throw WorkloadAPIError(.unavailable, "cancelled before the endpoint answered") }
            return try answer.get()
        }
        let pending = LatestValue<Answer>()
        underWay[question] = pending
        let asked = generation
        var answer: Answer
        do throws(WorkloadAPIError) {
            answer = .success(try await fetch(question))
        } catch {
            answer = .failure(error)
        }
        underWay[question] = nil
        switch answer {
        case .success(let tokens) where asked == generation: keep(tokens, for: question)
        // WLAPI-40: what is refused now is not served from memory either.
        case .failure(let error) where error.code == .noIdentity: entries[question] = nil
        default: break
        }
        pending.set(answer)
        return try answer.get()
    }

    private func keep(_ tokens: [FetchedJWTSVID], for question: Question) {
        let arrival = now()
        guard let end = tokens.map(\.expiry).min(), end > arrival else { return }
        if entries.count >= Self.capacity, entries[question] == nil,
            let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse })
        {
            entries[oldest.key] = nil
        }
        let share = Double.random(in: 0.45..<0.55, using: &entropy)
        // Before the first renewal someone has just asked; after one, nobody has yet.
        let isUsed = entries[question]?.isUsed ?? true
        entries[question] = Entry(
            tokens: tokens, due: arrival + end.timeIntervalSince(arrival) * share, end: end, lastUse: uses,
            isUsed: isUsed)
        changes.set(uses)
    }
}
