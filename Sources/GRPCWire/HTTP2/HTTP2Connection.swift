/// The server's side of one gRPC connection over HTTP/2 (RFC 9113) as a value: bytes go in, events and bytes come out.
///
/// It does no I/O and asks for no time or chance. Nothing it is given makes it trap, and what it keeps is bounded by
/// ``HTTP2Limits``. A request becomes an event when it is complete; one that is no call of a known method is answered
/// here and never seen outside.
package struct HTTP2Connection: Sendable {
    /// What the bytes brought.
    package enum Event: Sendable {
        /// A whole request; answer it with ``send(_:on:)`` and ``finish(_:on:)``.
        ///
        /// Of a method that takes many messages it is the head alone, without a message.
        case call(stream: UInt32, IncomingCall)
        /// The next message of a call that takes many; say so with ``take(_:on:)`` once it is used up.
        case message(stream: UInt32, [UInt8])
        /// The last message of a call that takes many has come.
        case ended(stream: UInt32)
        /// A request that was answered right away.
        case refused(method: Int?, CallStatus.Code)
        /// The peer wants no more of a call that was given out before.
        case cancelled(stream: UInt32)
        /// The peer answered a PING.
        ///
        /// `isAttributed` says whether the sender of every byte of the answer is known.
        case acknowledged(UInt64, isAttributed: Bool)
    }

    /// A request with its one message.
    package struct IncomingCall: Sendable {
        /// Index in the method table.
        package let method: Int
        package let message: [UInt8]
        package let timeout: Duration?
        /// Index in the table's metadata, and the value; in order.
        package let metadata: [(index: Int, value: [UInt8])]
    }

    /// RFC 9113 §3.4.
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// The largest frame either side may send; ours because we say nothing else, the peer's because no peer may say less.
    static let frameLimit = 16384
    static let defaultWindow = 65535
    static let windowLimit = 0x7FFF_FFFF
    /// Bytes of one compressed header block.
    static let headerBlockLimit = 32 << 10

    let limits: HTTP2Limits
    let table: MethodTable

    /// Bytes for the peer; take them with ``takeOutput()``.
    package internal(set) var output: [UInt8] = []
    /// Why the connection has to end once the output is written.
    package internal(set) var fault: HTTP2Fault?

    var decoder = HPACKDecoder()
    var streams: [HTTP2Stream] = []
    var lastStream: UInt32 = 0
    /// After this, new streams are passed over.
    var isGoingAway = false
    var hasSentHeaders = false

    /// Bytes that are not a whole frame yet.
    var pending: [UInt8] = []
    /// Whether some of those have no known sender.
    var isPendingUnattributed = false
    var pendingSince: SuspendingClock.Instant?
    var stage = Stage.preface
    var headerBlock: HeaderBlock?

    /// What may still be sent on all streams together, and on a new one.
    var sendWindow = defaultWindow
    var initialSendWindow = defaultWindow
    /// What the peer may still send, and what it has sent that we did not give back yet.
    var receiveWindow = defaultWindow
    var consumed = 0

    /// Request bytes kept on all streams, and answer bytes that wait for a window.
    package internal(set) var unfinishedBytes = 0
    var queuedBytes = 0
    var idleFrames: FloodBudget
    var resets: FloodBudget

    enum Stage { case preface, settings, open }

    /// A header block that goes on in CONTINUATION frames.
    struct HeaderBlock {
        let stream: UInt32
        let endsStream: Bool
        let began: SuspendingClock.Instant
        var bytes: [UInt8]
    }

    /// - Parameters:
    ///   - table: What is served.
    ///   - limits: What one connection may ask of us.
    package init(table: MethodTable, limits: HTTP2Limits = HTTP2Limits()) {
        (self.table, self.limits) = (table, limits)
        idleFrames = FloodBudget(limits.idleFrames)
        resets = FloodBudget(limits.resets)
        output.appendFrame(.settings, stream: 0, length: 12)
        output += [0x00, 0x03]
        output.appendNumber(UInt32(clamping: limits.streams))
        output += [0x00, 0x06]
        output.appendNumber(UInt32(clamping: limits.headerList))
    }

    /// Whether preface and SETTINGS have come.
    package var isOpen: Bool { stage == .open }

    /// When the oldest of what has begun to come in, and is not complete, began.
    package var unfinishedSince: SuspendingClock.Instant? {
        var oldest = pendingSince
        if let began = headerBlock?.began { oldest = min(oldest ?? began, began) }
        for stream in streams where !stream.isRemoteClosed { oldest = min(oldest ?? stream.began, stream.began) }
        return oldest
    }

    /// Bytes that the peer has not taken, in whichever way.
    package var unsentBytes: Int { queuedBytes + output.count }

    /// Bytes kept of what came in.
    package var keptBytes: Int {
        unfinishedBytes + pending.count + (headerBlock?.bytes.count ?? 0)
            + streams.count { !$0.isRemoteClosed } * Self.streamCost
    }

    /// About what a stream whose request is not complete takes beside its body.
    private static let streamCost = 768

    /// The bytes for the peer, which are then no longer kept here.
    package mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    /// Takes what was read.
    ///
    /// - Parameters:
    ///   - bytes: From one sender.
    ///   - isAttributed: Whether that sender is known.
    ///   - now: For the budgets.
    ///   - events: Gets what happened at its end.
    package mutating func receive(
        _ bytes: borrowing Span<UInt8>, isAttributed: Bool, now: SuspendingClock.Instant, events: inout [Event]
    ) {
        guard fault == nil else { return }
        do throws(HTTP2Fault) {
            if pending.isEmpty {
                let taken = try read(bytes, isAttributed: isAttributed, now: now, events: &events)
                pending.append(copying: bytes, taken..<bytes.count)
                isPendingUnattributed = !isAttributed && taken < bytes.count
                pendingSince = taken < bytes.count ? now : nil
            } else {
                pending.append(copying: bytes, 0..<bytes.count)
                let isWhollyAttributed = isAttributed && !isPendingUnattributed
                isPendingUnattributed = !isWhollyAttributed
                // Nothing is read again and again while a frame drips in.
                guard isPendingReady else { return }
                let whole = pending
                let taken = try read(whole.span, isAttributed: isWhollyAttributed, now: now, events: &events)
                pending = taken == whole.count ? [] : Array(whole[taken...])
                // What is left came with these bytes if any frame was complete.
                guard taken > 0 else { return }
                isPendingUnattributed = !isAttributed && !pending.isEmpty
                pendingSince = pending.isEmpty ? nil : now
            }
        } catch {
            fail(error)
        }
    }

    /// Ends the connection for something that the peer did.
    package mutating func fail(_ reason: HTTP2Fault) {
        guard fault == nil else { return }
        fault = reason
        appendGoAway(reason.code)
        pending = []
        headerBlock = nil
    }

    /// Whether reading can come further with what there is.
    private var isPendingReady: Bool {
        if stage == .preface { return true }
        guard pending.count >= HTTP2FrameHead.size else { return false }
        let length = HTTP2FrameHead(pending.span, at: 0).length
        return length > Self.frameLimit || pending.count >= HTTP2FrameHead.size + length
    }

    /// Reads whole frames from the start.
    ///
    /// - Returns: How many bytes they were.
    private mutating func read(
        _ bytes: borrowing Span<UInt8>, isAttributed: Bool, now: SuspendingClock.Instant, events: inout [Event]
    ) throws(HTTP2Fault) -> Int {
        var next = 0
        if stage == .preface {
            let expected = min(bytes.count, Self.preface.count)
            for index in 0..<expected where bytes[index] != Self.preface[index] {
                throw HTTP2Fault(.protocolError, "not HTTP/2")
            }
            guard expected == Self.preface.count else { return 0 }
            next = expected
            stage = .settings
        }
        while bytes.count - next >= HTTP2FrameHead.size {
            let head = HTTP2FrameHead(bytes, at: next)
            guard head.length <= Self.frameLimit else { throw HTTP2Fault(.frameSizeError, "a frame is too long") }
            let end = next + HTTP2FrameHead.size + head.length
            guard end <= bytes.count else { break }
            try take(
                head, bytes, (next + HTTP2FrameHead.size)..<end, isAttributed: isAttributed, now: now, events: &events)
            next = end
        }
        return next
    }
}
