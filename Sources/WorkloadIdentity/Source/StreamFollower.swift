package import Logging
internal import Synchronization

/// Keeps one stream of the endpoint open, for as long as it runs, and files what arrives.
///
/// The state is replaced by every good message, taken back when the endpoint refuses (WLAPI-40), and kept over
/// everything else: an unreadable message, an agent that restarts, a network that is gone.
package struct StreamFollower<Value: Sendable>: Sendable {
    package typealias Update = Result<Value, WorkloadAPIError>

    /// Opens the stream, hands over what arrives, and throws the reason when it ends.
    package typealias Open =
        @Sendable (@escaping @Sendable (Update) async throws -> Void) async throws(WorkloadAPIError) -> Void

    /// What is followed, for the log.
    private let name: String
    private let latest: LatestValue<Update>
    private let backoff: Backoff
    private let logger: Logger
    private let open: Open

    /// Creates a follower; nothing is opened until it runs.
    package init(
        name: String, latest: LatestValue<Update>, backoff: Backoff, logger: Logger, open: @escaping Open
    ) {
        (self.name, self.latest, self.backoff, self.logger, self.open) = (name, latest, backoff, logger, open)
    }

    /// Follows until cancelled, or until the endpoint says that trying again will not help.
    package func run<C: Clock>(
        using entropy: some RandomNumberGenerator & Sendable, clock: C = ContinuousClock()
    ) async where C.Duration == Duration {
        var entropy = entropy
        var backoff = backoff
        let delivery = Delivery()
        while !Task.isCancelled {
            let opened = clock.now
            delivery.begin()
            let error = await ending(delivery)
            if Task.isCancelled { return }
            let hasEverDelivered = delivery.hasEverDelivered
            // A message is not enough: an endpoint that greets everyone and hangs up is not well.
            let isHealthy = delivery.hasDelivered && opened.duration(to: clock.now) >= backoff.steady
            if isHealthy { backoff.reset() }
            let pause: Duration
            switch error.code {
            case .noIdentity:
                withdraw(because: error)
                pause = backoff.next(using: &entropy)
            case .invalidRequest where !hasEverDelivered, .unsupported where !hasEverDelivered:
                // WLEP-22, WLEP-25: asking again will not help. Nothing was ever had, so nothing else will help either; whoever
                // waits for the first answer is told.
                latest.set(.failure(error))
                return
            case .invalidRequest, .unsupported:
                // It worked before: the agent is being replaced, or is broken. Look again, but rarely.
                logger.error("endpoint refuses what it once gave", metadata: facts(error))
                pause = backoff.slowest(using: &entropy)
            default:
                // Whoever waits for the first answer is told why there is none.
                if !hasEverDelivered { latest.set(.failure(error)) }
                logger.info("stream ended", metadata: facts(error))
                // WLAPI-33: reopen at once; but not in a circle when the endpoint hangs up on everyone.
                pause = isHealthy ? .zero : backoff.next(using: &entropy)
            }
            do { try await clock.sleep(for: pause) } catch { return }
        }
    }

    private func ending(_ delivery: Delivery) async -> WorkloadAPIError {
        do throws(WorkloadAPIError) {
            try await open { update in
                switch update {
                case .success:
                    delivery.deliver()
                    latest.set(update)
                case .failure(let error):
                    discard(because: error, delivery)
                }
            }
            return WorkloadAPIError(.unavailable, "the endpoint ended the stream")
        } catch {
            return error
        }
    }

    /// WLAPI-36: reported, and nothing is changed by it.
    private func discard(because error: WorkloadAPIError, _ delivery: Delivery) {
        // Whoever waits for the first answer is told why there is none.
        if !delivery.hasEverDelivered { latest.set(.failure(error)) }
        let count = delivery.discard()
        // The 1st, 2nd, 4th, 8th …: whoever sends nothing else must not fill the disk with it.
        if count & (count - 1) == 0 {
            logger.warning(
                "unreadable message discarded", metadata: facts(error).merging(["discarded": "\(count)"]) { $1 })
        }
    }

    private func withdraw(because error: WorkloadAPIError) {
        // Once is enough: a refusal repeated every few seconds is no news.
        if case .failure(let known)? = latest.snapshot.value, known == error { return }
        latest.set(.failure(error))
        logger.warning("endpoint gives nothing", metadata: facts(error))
    }

    private func facts(_ error: WorkloadAPIError) -> Logger.Metadata {
        ["stream": "\(name)", "code": "\(error.code)", "error": "\(error)"]
    }
}

/// What the streams of one follower brought so far.
private final class Delivery: Sendable {
    private struct State {
        var hasDelivered = false
        var hasEverDelivered = false
        var discarded = 0
    }

    private let state = Mutex(State())

    /// Whether the present stream brought a good message.
    var hasDelivered: Bool { state.withLock { $0.hasDelivered } }

    /// Whether any stream did.
    var hasEverDelivered: Bool { state.withLock { $0.hasEverDelivered } }

    func begin() { state.withLock { ($0.hasDelivered, $0.discarded) = (false, 0) } }

    func deliver() { state.withLock { ($0.hasDelivered, $0.hasEverDelivered) = (true, true) } }

    /// Counts a bad message; they are counted for each stream.
    func discard() -> Int {
        state.withLock {
            $0.discarded += 1
            return $0.discarded
        }
    }
}
