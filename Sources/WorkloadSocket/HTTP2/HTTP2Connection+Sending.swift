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
        if !streams[position].hasSentHeaders {
            streams[position].hasSentHeaders = true
            appendHeaders(stream: stream, ResponseHead.headers, endsStream: false)
        }
        streams[position].queue.append(0)
        streams[position].queue.appendNumber(UInt32(clamping: message.count))
        streams[position].queue += message
        queuedBytes += message.count + 5
        pump(at: position)
        checkUnsent()
        return true
    }

    /// Ends a call, after what was sent on it.
    ///
    /// - Returns: Whether the stream was still open.
    @discardableResult
    package mutating func finish(_ status: CallStatus, on stream: UInt32) -> Bool {
        guard let position = openPosition(stream) else { return false }
        var block = ResponseHead.trailers(status)
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
