extension HTTP2Connection {
    /// Takes one frame.
    mutating func take(
        _ head: HTTP2FrameHead, _ bytes: borrowing Span<UInt8>, _ payload: Range<Int>, isAttributed: Bool,
        now: SuspendingClock.Instant, events: inout [Event]
    ) throws(HTTP2Fault) {
        let type = HTTP2FrameType(rawValue: head.type)
        if stage == .settings {
            guard type == .settings, !head.has(.acknowledgement) else {
                throw HTTP2Fault(.protocolError, "the first frame is not SETTINGS")
            }
            stage = .open
        }
        if headerBlock != nil, type != .continuation {
            throw HTTP2Fault(.protocolError, "a header block is interrupted")
        }
        switch type {
        case .data: try takeData(head, bytes, payload, now, &events)
        case .headers: try takeHeaders(head, bytes, payload, now, &events)
        case .continuation: try takeContinuation(head, bytes, payload, now, &events)
        case .priority:
            guard head.stream != 0 else { throw HTTP2Fault(.protocolError, "PRIORITY without a stream") }
            guard payload.count == 5 else { throw HTTP2Fault(.frameSizeError, "PRIORITY has another length") }
            try spendIdle(now)
        case .resetStream: try takeReset(head, payload, now, &events)
        case .settings: try takeSettings(head, bytes, payload, now)
        case .pushPromise: throw HTTP2Fault(.protocolError, "a client cannot push")
        case .ping: try takePing(head, bytes, payload, isAttributed, now, &events)
        case .goAway:
            guard head.stream == 0 else { throw HTTP2Fault(.protocolError, "GOAWAY on a stream") }
            guard payload.count >= 8 else { throw HTTP2Fault(.frameSizeError, "GOAWAY is too short") }
            try spendIdle(now)
        case .windowUpdate: try takeWindowUpdate(head, bytes, payload, now, &events)
        case nil: try spendIdle(now)
        }
    }

    func spendIdleFault() -> HTTP2Fault { HTTP2Fault(.enhanceYourCalm, "too many frames that do nothing") }

    mutating func spendIdle(_ now: SuspendingClock.Instant) throws(HTTP2Fault) {
        guard idleFrames.spend(now: now) else { throw spendIdleFault() }
    }

    /// Where a stream is in the list; nil when it is closed or was never open.
    func position(of stream: UInt32) -> Int? {
        var index = streams.count - 1
        while index >= 0 {
            if streams[index].id == stream { return index }
            index -= 1
        }
        return nil
    }

    /// Forgets a stream.
    mutating func close(at position: Int) {
        unfinishedBytes -= streams[position].body.count
        queuedBytes -= streams[position].queued
        streams.remove(at: position)
    }

    /// Resets a stream, and says so if its call was given out.
    mutating func reset(_ stream: UInt32, _ code: HTTP2ErrorCode, _ events: inout [Event]) {
        appendReset(stream: stream, code)
        guard let position = position(of: stream) else { return }
        if streams[position].isGivenOut { events.append(.cancelled(stream: stream)) }
        close(at: position)
    }

    /// The part of a payload that is not padding (RFC 9113 §6.1).
    private func withoutPadding(
        _ head: HTTP2FrameHead, _ bytes: borrowing Span<UInt8>, _ payload: Range<Int>
    ) throws(HTTP2Fault) -> Range<Int> {
        guard head.has(.padded) else { return payload }
        guard let first = payload.first else { throw HTTP2Fault(.frameSizeError, "a padded frame is empty") }
        let padding = Int(bytes[first])
        guard padding < payload.count else { throw HTTP2Fault(.protocolError, "padding is longer than its frame") }
        return (first + 1)..<(payload.upperBound - padding)
    }

    // MARK: DATA

    private mutating func takeData(
        _ head: HTTP2FrameHead, _ bytes: borrowing Span<UInt8>, _ payload: Range<Int>, _ now: SuspendingClock.Instant,
        _ events: inout [Event]
    ) throws(HTTP2Fault) {
        guard head.stream != 0 else { throw HTTP2Fault(.protocolError, "DATA without a stream") }
        guard head.stream <= lastStream else { throw HTTP2Fault(.protocolError, "DATA on a stream that is idle") }
        let content = try withoutPadding(head, bytes, payload)
        // Padding and streams that are gone count, too (RFC 9113 §6.9).
        guard payload.count <= receiveWindow else { throw HTTP2Fault(.flowControlError, "DATA beyond the window") }
        receiveWindow -= payload.count
        consumed += payload.count
        if consumed >= Self.defaultWindow / 2 {
            appendWindowUpdate(stream: 0, consumed)
            receiveWindow += consumed
            consumed = 0
        }
        // Crumbs cost more to take than to send.
        if content.count < 64, !head.has(.endStream) { try spendIdle(now) }
        guard let position = position(of: head.stream) else { return try spendIdle(now) }
        guard !streams[position].isRemoteClosed else { return reset(head.stream, .streamClosed, &events) }
        guard payload.count <= streams[position].receiveWindow else {
            return reset(head.stream, .flowControlError, &events)
        }
        streams[position].receiveWindow -= payload.count
        streams[position].consumed += payload.count
        streams[position].body.append(copying: bytes, content)
        unfinishedBytes += content.count
        if streams[position].takesMany { return takeMessages(at: position, isLast: head.has(.endStream), &events) }
        if let refusal = judgeBody(streams[position].body) { return refuse(at: position, refusal, &events) }
        guard unfinishedBytes <= limits.unfinishedRequests else {
            return refuse(at: position, CallStatus(.resourceExhausted, "too much is unfinished"), &events)
        }
        if head.has(.endStream) { return giveOut(at: position, &events) }
        giveBackWindow(at: position)
    }

    /// Gives out what is whole of a call that takes many messages.
    private mutating func takeMessages(at position: Int, isLast: Bool, _ events: inout [Event]) {
        let (id, body) = (streams[position].id, streams[position].body)
        streams[position].isRemoteClosed = isLast
        var next = 0
        while body.count - next >= 5 {
            guard body[next] == 0 else {
                return cutOff(
                    at: position, CallStatus(.internal, "the message is compressed, but no encoding was named"), &events
                )
            }
            let length = Int(body.span.number(at: next + 1))
            guard length <= limits.message else { return cutOff(at: position, tooLarge, &events) }
            guard body.count - next - 5 >= length else { break }
            events.append(.message(stream: id, Array(body[(next + 5)..<(next + 5 + length)])))
            streams[position].untaken += length + 5
            next += length + 5
        }
        if next > 0 {
            streams[position].body.removeFirst(next)
            unfinishedBytes -= next
            idleFrames.earn(1)
        }
        guard unfinishedBytes <= limits.unfinishedRequests else {
            return cutOff(at: position, CallStatus(.resourceExhausted, "too much is unfinished"), &events)
        }
        guard isLast else { return giveBackWindow(at: position) }
        guard next == body.count else {
            return cutOff(at: position, CallStatus(.internal, "the request ends within a message"), &events)
        }
        events.append(.ended(stream: id))
    }

    private var tooLarge: CallStatus {
        CallStatus(.resourceExhausted, "the message is larger than \(limits.message) bytes")
    }

    /// Lets the peer send more on a stream, unless what it has sent so far is not used up.
    mutating func giveBackWindow(at position: Int) {
        guard streams[position].consumed >= Self.defaultWindow / 2, streams[position].untaken < Self.defaultWindow / 2
        else { return }
        appendWindowUpdate(stream: streams[position].id, streams[position].consumed)
        streams[position].receiveWindow += streams[position].consumed
        streams[position].consumed = 0
    }

    /// Ends a call that was given out for what its request has become.
    private mutating func cutOff(at position: Int, _ status: CallStatus, _ events: inout [Event]) {
        events.append(.cancelled(stream: streams[position].id))
        let trailers = ResponseHead.trailers(status)
        endEarly(at: position, streams[position].hasSentHeaders ? trailers : ResponseHead.headers + trailers)
    }

    /// What is wrong with a message as far as it has come.
    private func judgeBody(_ body: [UInt8]) -> CallStatus? {
        guard body.count >= 5 else { return nil }
        guard body[0] == 0 else { return CallStatus(.internal, "the message is compressed, but no encoding was named") }
        let length = Int(body.span.number(at: 1))
        guard length <= limits.message else { return tooLarge }
        guard body.count <= 5 + length else { return CallStatus(.internal, "there is more than one message") }
        return nil
    }

    /// Makes a call of a request that is complete.
    private mutating func giveOut(at position: Int, _ events: inout [Event]) {
        streams[position].isRemoteClosed = true
        let body = streams[position].body
        guard let head = streams[position].head, let method = head.method, body.count >= 5,
            body.count == 5 + Int(body.span.number(at: 1))
        else { return refuse(at: position, CallStatus(.internal, "the request ends within its message"), &events) }
        unfinishedBytes -= body.count
        streams[position].body = []
        streams[position].head = nil
        idleFrames.earn(4)
        let call = IncomingCall(
            method: method, message: Array(body[5...]), timeout: head.timeout, metadata: head.metadata)
        events.append(.call(stream: streams[position].id, call))
    }

    /// Answers a request with an error before it is given out.
    private mutating func refuse(at position: Int, _ status: CallStatus, _ events: inout [Event]) {
        events.append(.refused(method: streams[position].head?.method, status.code))
        endEarly(at: position, ResponseHead.headers + ResponseHead.trailers(status))
    }

    /// Sends a block that is the whole answer, and lets the peer know that we want no more of the request.
    private mutating func endEarly(at position: Int, _ block: [UInt8]) {
        let (stream, isComplete) = (streams[position].id, streams[position].isRemoteClosed)
        appendHeaders(stream: stream, block, endsStream: true)
        close(at: position)
        guard !isComplete else { return }
        appendReset(stream: stream, .noError)
    }

    // MARK: HEADERS

    private mutating func takeHeaders(
        _ head: HTTP2FrameHead, _ bytes: borrowing Span<UInt8>, _ payload: Range<Int>, _ now: SuspendingClock.Instant,
        _ events: inout [Event]
    ) throws(HTTP2Fault) {
        guard head.stream % 2 == 1 else {
            throw HTTP2Fault(.protocolError, "HEADERS on a stream that is not a client's")
        }
        var content = try withoutPadding(head, bytes, payload)
        if head.has(.priority) {
            guard content.count >= 5 else { throw HTTP2Fault(.frameSizeError, "HEADERS is shorter than its priority") }
            content = (content.lowerBound + 5)..<content.upperBound
        }
        if head.has(.endHeaders) {
            let block = bytes.extracting(content)
            try takeBlock(stream: head.stream, block, endsStream: head.has(.endStream), now, &events)
        } else {
            try spendIdle(now)
            var start: [UInt8] = []
            start.append(copying: bytes, content)
            headerBlock = HeaderBlock(stream: head.stream, endsStream: head.has(.endStream), began: now, bytes: start)
        }
    }

    private mutating func takeContinuation(
        _ head: HTTP2FrameHead, _ bytes: borrowing Span<UInt8>, _ payload: Range<Int>, _ now: SuspendingClock.Instant,
        _ events: inout [Event]
    ) throws(HTTP2Fault) {
        guard let block = headerBlock, block.stream == head.stream else {
            throw HTTP2Fault(.protocolError, "CONTINUATION of nothing")
        }
        try spendIdle(now)
        guard block.bytes.count + payload.count <= Self.headerBlockLimit else {
            throw HTTP2Fault(.enhanceYourCalm, "a header block is too long")
        }
        headerBlock?.bytes.append(copying: bytes, payload)
        guard head.has(.endHeaders), let whole = headerBlock else { return }
        headerBlock = nil
        try takeBlock(stream: whole.stream, whole.bytes.span, endsStream: whole.endsStream, now, &events)
    }

    /// Takes a whole header block, which must be decoded whatever becomes of its stream: later blocks build on it.
    private mutating func takeBlock(
        stream: UInt32, _ block: borrowing Span<UInt8>, endsStream: Bool, _ now: SuspendingClock.Instant,
        _ events: inout [Event]
    ) throws(HTTP2Fault) {
        var request = RequestHead(limit: limits.headerList)
        let table = table
        try decoder.decode(block) { name, value in request.take(name, value, table) }
        guard stream > lastStream else {
            // Trailers, which say nothing to us.
            guard let position = position(of: stream) else { return try spendIdle(now) }
            guard endsStream, !streams[position].isRemoteClosed else {
                return reset(stream, streams[position].isRemoteClosed ? .streamClosed : .protocolError, &events)
            }
            if streams[position].takesMany { return takeMessages(at: position, isLast: true, &events) }
            return giveOut(at: position, &events)
        }
        lastStream = stream
        guard !isGoingAway else { return try spendIdle(now) }
        guard streams.count < limits.streams else {
            try spendIdle(now)
            return reset(stream, .refusedStream, &events)
        }
        request.complete()
        var opened = HTTP2Stream(id: stream, began: now, sendWindow: initialSendWindow)
        opened.isRemoteClosed = endsStream
        opened.head = request
        streams.append(opened)
        judgeHead(request, at: streams.count - 1, now, &events)
    }

    /// Answers a request that is no call of a known method, as soon as that can be seen.
    private mutating func judgeHead(
        _ request: RequestHead, at position: Int, _ now: SuspendingClock.Instant, _ events: inout [Event]
    ) {
        switch request.problem {
        case .malformed: return reset(streams[position].id, .protocolError, &events)
        case .tooLong:
            return refuse(at: position, CallStatus(.resourceExhausted, "the header list is too long"), &events)
        case .notPost: return endEarly(at: position, ResponseHead.httpStatus(405))
        case .notGRPC: return endEarly(at: position, ResponseHead.httpStatus(415))
        case .compressed:
            return refuse(at: position, CallStatus(.unimplemented, "no compression is supported"), &events)
        case .badTimeout: return refuse(at: position, CallStatus(.internal, "grpc-timeout is malformed"), &events)
        case nil: break
        }
        guard let method = request.method else {
            return refuse(at: position, CallStatus(.unimplemented, "there is no such method"), &events)
        }
        if table.methods[method].sendsMany { return begin(request, of: method, at: position, &events) }
        if streams[position].isRemoteClosed {
            refuse(at: position, CallStatus(.internal, "the request has no message"), &events)
        }
    }

    /// Makes a call of a request whose messages are still to come.
    private mutating func begin(
        _ request: RequestHead, of method: Int, at position: Int, _ events: inout [Event]
    ) {
        streams[position].head = nil
        streams[position].takesMany = true
        idleFrames.earn(4)
        let stream = streams[position].id
        events.append(
            .call(
                stream: stream,
                IncomingCall(method: method, message: [], timeout: request.timeout, metadata: request.metadata)))
        if streams[position].isRemoteClosed { events.append(.ended(stream: stream)) }
    }

    // MARK: Control frames

    private mutating func takeReset(
        _ head: HTTP2FrameHead, _ payload: Range<Int>, _ now: SuspendingClock.Instant, _ events: inout [Event]
    ) throws(HTTP2Fault) {
        guard head.stream != 0, head.stream <= lastStream else {
            throw HTTP2Fault(.protocolError, "RST_STREAM on a stream that is idle")
        }
        guard payload.count == 4 else { throw HTTP2Fault(.frameSizeError, "RST_STREAM has another length") }
        guard let position = position(of: head.stream) else { return try spendIdle(now) }
        if !streams[position].hasAnswered, !resets.spend(now: now) {
            throw HTTP2Fault(.enhanceYourCalm, "too many streams are reset")
        }
        if streams[position].isGivenOut { events.append(.cancelled(stream: head.stream)) }
        close(at: position)
    }

    private mutating func takeSettings(
        _ head: HTTP2FrameHead, _ bytes: borrowing Span<UInt8>, _ payload: Range<Int>, _ now: SuspendingClock.Instant
    ) throws(HTTP2Fault) {
        guard head.stream == 0 else { throw HTTP2Fault(.protocolError, "SETTINGS on a stream") }
        try spendIdle(now)
        if head.has(.acknowledgement) {
            guard payload.isEmpty else { throw HTTP2Fault(.frameSizeError, "an acknowledgement holds settings") }
            return
        }
        guard payload.count % 6 == 0 else { throw HTTP2Fault(.frameSizeError, "SETTINGS has another length") }
        var next = payload.lowerBound
        while next < payload.upperBound {
            let value = bytes.number(at: next + 2)
            switch UInt16(bytes[next]) << 8 | UInt16(bytes[next + 1]) {
            case 0x2:
                guard value <= 1 else { throw HTTP2Fault(.protocolError, "ENABLE_PUSH is neither 0 nor 1") }
            case 0x4:
                guard value <= Self.windowLimit else {
                    throw HTTP2Fault(.flowControlError, "INITIAL_WINDOW_SIZE is too large")
                }
                try changeInitialWindow(to: Int(value))
            case 0x5:
                guard (16384...16_777_215).contains(value) else {
                    throw HTTP2Fault(.protocolError, "MAX_FRAME_SIZE is out of range")
                }
            // HEADER_TABLE_SIZE bounds a table that we do not use; MAX_CONCURRENT_STREAMS what we do not open.
            default: break
            }
            next += 6
        }
        output.appendFrame(.settings, flags: [.acknowledgement], stream: 0, length: 0)
        pumpAll()
    }

    private mutating func changeInitialWindow(to value: Int) throws(HTTP2Fault) {
        let change = value - initialSendWindow
        initialSendWindow = value
        for index in streams.indices {
            streams[index].sendWindow += change
            guard streams[index].sendWindow <= Self.windowLimit else {
                throw HTTP2Fault(.flowControlError, "INITIAL_WINDOW_SIZE overflows a window")
            }
        }
    }

    private mutating func takePing(
        _ head: HTTP2FrameHead, _ bytes: borrowing Span<UInt8>, _ payload: Range<Int>, _ isAttributed: Bool,
        _ now: SuspendingClock.Instant, _ events: inout [Event]
    ) throws(HTTP2Fault) {
        guard head.stream == 0 else { throw HTTP2Fault(.protocolError, "PING on a stream") }
        guard payload.count == 8 else { throw HTTP2Fault(.frameSizeError, "PING has another length") }
        try spendIdle(now)
        let number = bytes.longNumber(at: payload.lowerBound)
        if head.has(.acknowledgement) {
            events.append(.acknowledged(number, isAttributed: isAttributed))
        } else {
            appendPing(number, flags: [.acknowledgement])
        }
    }

    private mutating func takeWindowUpdate(
        _ head: HTTP2FrameHead, _ bytes: borrowing Span<UInt8>, _ payload: Range<Int>, _ now: SuspendingClock.Instant,
        _ events: inout [Event]
    ) throws(HTTP2Fault) {
        guard payload.count == 4 else { throw HTTP2Fault(.frameSizeError, "WINDOW_UPDATE has another length") }
        try spendIdle(now)
        let increment = Int(bytes.number(at: payload.lowerBound) & 0x7FFF_FFFF)
        if head.stream == 0 {
            guard increment > 0 else { throw HTTP2Fault(.protocolError, "WINDOW_UPDATE of nothing") }
            sendWindow += increment
            guard sendWindow <= Self.windowLimit else { throw HTTP2Fault(.flowControlError, "the window overflows") }
            return pumpAll()
        }
        guard head.stream <= lastStream else { throw HTTP2Fault(.protocolError, "WINDOW_UPDATE on an idle stream") }
        guard let position = position(of: head.stream) else { return }
        guard increment > 0 else { return reset(head.stream, .protocolError, &events) }
        streams[position].sendWindow += increment
        guard streams[position].sendWindow <= Self.windowLimit else {
            return reset(head.stream, .flowControlError, &events)
        }
        pump(at: position)
    }
}
