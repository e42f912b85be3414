extension HTTP2Connection {
    /// Sends a message, as far as the peer's windows let it; the rest waits.
    ///
    /// - Parameters:
    ///   - message: Without its prefix.
    ///   - stream: Of a call that was given out.
    /// - Returns: Whether the stream still takes messages.
    @discardableResult
    package mutating func send(_ message: [UInt8], on stream: UInt32) -> Bool {
        guard let position = openPosition(stream) else { return false }
        begin([], at: position)
        streams[position].queue.append(0)
        streams[position].queue.appendNumber(UInt32(clamping: message.count))
        streams[position].queue += message
        queuedBytes += message.count + 5
        pump(at: position)
        checkUnsent()
        return true
    }

    /// Sends the head of the answer, unless something was sent before.
    ///
    /// - Parameters:
    ///   - fields: Added to it.
    ///   - stream: Of a call that was given out.
    package mutating func begin(_ fields: [ResponseField], on stream: UInt32) {
        guard let position = openPosition(stream) else { return }
        begin(fields, at: position)
    }

    private mutating func begin(_ fields: [ResponseField], at position: Int) {
        guard !streams[position].hasSentHeaders else { return }
        streams[position].hasSentHeaders = true
        appendHeaders(
            stream: streams[position].id, ResponseHead.headers + ResponseHead.block(fields), endsStream: false)
    }

    /// Says that so many bytes of messages, with their prefixes, are used up on a stream that takes many.
    package mutating func take(_ count: Int, on stream: UInt32) {
        guard fault == nil, let position = position(of: stream), !streams[position].isRemoteClosed else { return }
        streams[position].untaken = max(0, streams[position].untaken - count)
        giveBackWindow(at: position)
    }

    /// Bytes that wait for the peer's windows on a stream.
    package func waiting(on stream: UInt32) -> Int { position(of: stream).map { streams[$0].queued } ?? 0 }

    /// How many calls are open.
    package var openStreams: Int { streams.count }

    /// Ends a call, after what was sent on it.
    ///
    /// - Parameters:
    ///   - status: How it ended.
    ///   - fields: Added to the trailers.
    ///   - stream: Of a call that was given out.
    /// - Returns: Whether the stream was still open.
    @discardableResult
    package mutating func finish(_ status: CallStatus, _ fields: [ResponseField] = [], on stream: UInt32) -> Bool {
        guard let position = openPosition(stream) else { return false }
        var block = ResponseHead.trailers(status) + ResponseHead.block(fields)
        if !streams[position].hasSentHeaders { block = ResponseHead.headers + block }
        streams[position].trailers = block
        pump(at: position)
        checkUnsent()
        return true
    }

    /// Asks the peer for a sign of life that names a number.
    package mutating func ping(_ number: UInt64) {
        guard fault == nil else { return }
        appendPing(number, flags: [])
    }

    /// Tells the peer that no new streams are taken; those that are open go on.
    package mutating func goAway() {
        guard fault == nil, !isGoingAway else { return }
        isGoingAway = true
        appendGoAway(.noError)
    }

    private func openPosition(_ stream: UInt32) -> Int? {
        guard fault == nil, let position = position(of: stream), streams[position].isGivenOut,
            streams[position].trailers == nil
        else { return nil }
        return position
    }

    private mutating func checkUnsent() {
        if unsentBytes > limits.unsent { fail(HTTP2Fault(.enhanceYourCalm, "the peer does not read")) }
    }

    /// Sends what has become possible on every stream.
    mutating func pumpAll() {
        guard queuedBytes > 0 else { return }
        // Backwards, because a stream that ends goes from the list.
        var index = streams.count - 1
        while index >= 0 {
            pump(at: index)
            index -= 1
        }
    }

    /// Sends what the windows allow on one stream, and its end.
    mutating func pump(at position: Int) {
        let id = streams[position].id
        while streams[position].queued > 0 {
            let room = min(streams[position].sendWindow, sendWindow)
            guard room > 0 else { return }
            let count = min(room, streams[position].queued, Self.frameLimit)
            let start = streams[position].queueStart
            output.appendFrame(.data, stream: id, length: count)
            output += streams[position].queue[start..<(start + count)]
            streams[position].queueStart += count
            streams[position].sendWindow -= count
            streams[position].hasAnswered = true
            sendWindow -= count
            queuedBytes -= count
            // The peer will give the window back, and some send a PING along.
            idleFrames.earn(4)
        }
        streams[position].queue = []
        streams[position].queueStart = 0
        guard let trailers = streams[position].trailers else { return }
        appendHeaders(stream: id, trailers, endsStream: true)
        // Of a request that was answered before its end, no more is wanted.
        if !streams[position].isRemoteClosed { appendReset(stream: id, .noError) }
        close(at: position)
    }

    // MARK: Frames

    mutating func appendHeaders(stream: UInt32, _ block: [UInt8], endsStream: Bool) {
        let isFirst = !hasSentHeaders
        hasSentHeaders = true
        let flags: [HTTP2Flag] = endsStream ? [.endHeaders, .endStream] : [.endHeaders]
        output.appendFrame(.headers, flags: flags, stream: stream, length: block.count + (isFirst ? 1 : 0))
        if isFirst { output.append(ResponseHead.emptyTable) }
        output += block
    }

    mutating func appendWindowUpdate(stream: UInt32, _ increment: Int) {
        output.appendFrame(.windowUpdate, stream: stream, length: 4)
        output.appendNumber(UInt32(clamping: increment))
    }

    mutating func appendReset(stream: UInt32, _ code: HTTP2ErrorCode) {
        output.appendFrame(.resetStream, stream: stream, length: 4)
        output.appendNumber(code.rawValue)
    }

    mutating func appendPing(_ number: UInt64, flags: [HTTP2Flag]) {
        output.appendFrame(.ping, flags: flags, stream: 0, length: 8)
        output.appendNumber(UInt32(truncatingIfNeeded: number >> 32))
        output.appendNumber(UInt32(truncatingIfNeeded: number))
    }

    mutating func appendGoAway(_ code: HTTP2ErrorCode) {
        output.appendFrame(.goAway, stream: 0, length: 8)
        output.appendNumber(lastStream)
        output.appendNumber(code.rawValue)
    }
}
