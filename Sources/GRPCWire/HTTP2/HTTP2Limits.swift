/// How much one connection may ask of us.
package struct HTTP2Limits: Sendable {
    /// Streams open at once.
    package var streams = 100
    /// Bytes of a request message.
    package var message = 64 << 10
    /// Bytes of a header list as RFC 9113 §6.5.2 counts them.
    package var headerList = 16 << 10
    /// Bytes of requests that are not complete yet, on all streams.
    package var unfinishedRequests = 256 << 10
    /// Bytes that wait to be sent because the peer does not read, or gives no window.
    package var unsent = 1 << 20
    /// Frames that bring nothing forward.
    package var idleFrames = FloodBudget.Rate(burst: 1000, perSecond: 50)
    /// Streams that are cancelled before they were answered.
    package var resets = FloodBudget.Rate(burst: 400, perSecond: 20)

    package init() {}
}

/// How many frames a connection may still send that cost work and bring nothing forward.
///
/// A bucket of tokens: it fills with time, and with work that was done for the peer. Clients of some libraries send a
/// PING or two WINDOW_UPDATEs for every message they get, which must never end a busy connection.
package struct FloodBudget: Sendable {
    package struct Rate: Sendable {
        package var burst: Int
        package var perSecond: Int

        package init(burst: Int, perSecond: Int) { (self.burst, self.perSecond) = (burst, perSecond) }
    }

    private let rate: Rate
    private var tokens: Int
    private var refilled: SuspendingClock.Instant?

    package init(_ rate: Rate) {
        self.rate = rate
        tokens = rate.burst
    }

    /// Takes one token.
    ///
    /// - Returns: Whether there was one.
    package mutating func spend(now: SuspendingClock.Instant) -> Bool {
        if let refilled {
            let (seconds, attoseconds) = refilled.duration(to: now).components
            let milliseconds = max(0, min(seconds, 3600)) * 1000 + max(0, attoseconds / 1_000_000_000_000_000)
            // Whole tokens; what is short of one counts the next time.
            let gained = Int(milliseconds) * rate.perSecond / 1000
            if gained > 0 { (self.refilled, tokens) = (now, min(tokens + gained, rate.burst)) }
        } else {
            refilled = now
        }
        guard tokens > 0 else { return false }
        tokens -= 1
        return true
    }

    /// Gives tokens for work that was done.
    package mutating func earn(_ count: Int) { tokens = min(tokens + count, rate.burst) }
}
