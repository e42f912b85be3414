/// One stream, from its first HEADERS until both sides are done with it.
struct HTTP2Stream: Sendable {
    let id: UInt32
    let began: SuspendingClock.Instant
    /// Until the request is given out.
    var head: RequestHead?
    /// Whether messages are given out one by one.
    var takesMany = false
    /// Bytes of messages that were given out and not used up.
    var untaken = 0
    /// The message with its prefix, as far as it has come.
    var body: [UInt8] = []
    /// Whether the peer has said its last.
    var isRemoteClosed = false

    /// What the peer may still send, and what it has sent that we did not give back yet.
    var receiveWindow = HTTP2Connection.defaultWindow
    var consumed = 0

    var sendWindow: Int
    var hasSentHeaders = false
    /// Whether a message has gone out: its reader has got something for our work.
    var hasAnswered = false
    /// Messages with their prefixes that wait for a window, from `queueStart` on.
    var queue: [UInt8] = []
    var queueStart = 0
    /// The block that ends the stream after the queue.
    var trailers: [UInt8]?

    init(id: UInt32, began: SuspendingClock.Instant, sendWindow: Int) {
        (self.id, self.began, self.sendWindow) = (id, began, sendWindow)
    }

    /// Whether the request has been given out as a call.
    var isGivenOut: Bool { head == nil && (takesMany || isRemoteClosed) }

    var queued: Int { queue.count - queueStart }
}
