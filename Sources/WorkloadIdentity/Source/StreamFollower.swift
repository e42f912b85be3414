internal import Logging

/// Keeps one stream of the endpoint open, for as long as it runs, and files what arrives.
///
/// The state is replaced by every good message, taken back when the endpoint refuses (WLAPI-40), and kept over
/// everything else: an unreadable message, an agent that restarts, a network that is gone.
struct StreamFollower<Value: Sendable>: Sendable {
    typealias Update = Result<Value, WorkloadAPIError>

    /// A stream that ended sooner than this is not reopened at once, whatever it brought.
    static var shortLife: Duration { .seconds(1) }

    /// What is followed, for the log.
    let name: String
    let latest: LatestValue<Update>
    let backoff: Backoff
    let logger: Logger
    /// Opens the stream; throws the reason when it ends.
    let open: @Sendable (@escaping @Sendable (Update) async throws -> Void) async throws(WorkloadAPIError) -> Void

    /// Follows until cancelled, or until the endpoint says that trying again will not help.
    func run(using entropy: some RandomNumberGenerator & Sendable) async {
        var entropy = entropy
        var backoff = backoff
        var hasEverDelivered = false
        let clock = ContinuousClock()
        while !Task.isCancelled {
            let opened = clock.now
            let before = latest.snapshot.version
            let error = await ending()
            if Task.isCancelled { return }
            let hasDelivered = latest.snapshot.version > before
            if hasDelivered {
                backoff.reset()
                hasEverDelivered = true
            }
            let pause: Duration
            switch error.code {
            case .noIdentity:
                withdraw(because: error)
                pause = backoff.next(using: &entropy)
            case .invalidRequest where !hasEverDelivered, .unsupported where !hasEverDelivered:
                // WLEP-22, WLEP-25: asking again will not help. Nothing was ever had, so nothing else will help either.
                logger.error("endpoint refuses for good", metadata: facts(error))
                latest.set(.failure(error))
                return
            case .invalidRequest, .unsupported:
                // It worked before: the agent is being replaced, or is broken. Look again, but rarely.
                logger.error("endpoint refuses what it once gave", metadata: facts(error))
                pause = backoff.slowest(using: &entropy)
            default:
                logger.info("stream ended", metadata: facts(error))
                // Whoever waits for the first answer is told why there is none.
                if !hasEverDelivered { latest.set(.failure(error)) }
                // WLAPI-33: reopen at once; but not in a circle when the endpoint hangs up on everyone.
                let isHealthy = hasDelivered && clock.now - opened >= Self.shortLife
                pause = isHealthy ? .zero : backoff.next(using: &entropy)
            }
            do { try await clock.sleep(for: pause) } catch { return }
        }
    }

    private func ending() async -> WorkloadAPIError {
        do throws(WorkloadAPIError) {
            try await open { update in
                switch update {
                case .success: latest.set(update)
                case .failure(let error):
                    logger.warning("unreadable message discarded", metadata: facts(error))
                }
            }
            return WorkloadAPIError(.unavailable, "the endpoint ended the stream")
        } catch {
            return error
        }
    }

    private func withdraw(because error: WorkloadAPIError) {
        // Once is enough: a refusal repeated every few seconds is no news.
        if case .failure(let known)? = latest.snapshot.value, known == error { return }
        logger.warning("endpoint gives nothing", metadata: facts(error))
        latest.set(.failure(error))
    }

    private func facts(_ error: WorkloadAPIError) -> Logger.Metadata {
        ["stream": "\(name)", "code": "\(error.code)", "error": "\(error)"]
    }
}
