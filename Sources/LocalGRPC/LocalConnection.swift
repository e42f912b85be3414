internal import GRPCConnections
internal import GRPCCore
internal import GRPCWire
internal import NIOCore

/// One connection: bytes become calls, and what calls write becomes bytes.
///
/// All of it on the connection's event loop.
final class LocalConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Bytes of one answer that may wait for a slow reader before its writer has to wait, too.
    static let highWater = 256 << 10

    private let peer: any ServerContext.TransportSpecific
    private let served: ServedMethods
    private let keepalive: TimeAmount
    private var http2: HTTP2Connection
    private var calls: [UInt32: LocalCall] = [:]
    private var context: ChannelHandlerContext?
    private var isFlushDue = false
    private var isGoing = false
    private var isBroken = false
    private var lastRead = NIODeadline.now()
    private var question: Scheduled<Void>?

    init(peer: any ServerContext.TransportSpecific, served: ServedMethods, limits: PeerLimits) {
        (self.peer, self.served) = (peer, served)
        keepalive = TimeAmount(limits.keepalive)
        var bounds = HTTP2Limits()
        bounds.streams = limits.concurrentCalls
        bounds.message = limits.requestBytes
        bounds.unfinishedRequests = 4 * limits.requestBytes
        // What a handler writes is held back long before; this is for one message of any size.
        bounds.unsent = 256 << 20
        http2 = HTTP2Connection(table: served.table, limits: bounds)
    }

    /// How to reach it from other threads.
    func handle(of channel: any Channel) -> ConnectionRegistry.Connection {
        let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
        return ConnectionRegistry.Connection(channel: channel) { end in
            channel.eventLoop.execute {
                switch end {
                case .once: channel.close(promise: nil)
                case .onceIdle: bound.value.goAway()
                }
            }
        }
    }

    // MARK: What the channel does

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        ask(context)
    }

    func channelActive(context: ChannelHandlerContext) {
        flush()
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastRead = .now()
        let buffer = unwrapInboundIn(data)
        var events: [HTTP2Connection.Event] = []
        http2.receive(
            buffer.readableBytesUInt8Span, isAttributed: true, now: SuspendingClock().now, events: &events)
        for event in events { take(event, context) }
        flush()
        wakeWriters()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        wakeWriters()
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { end() }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func end() {
        question?.cancel()
        context = nil
        for call in calls.values { call.cancel() }
        calls = [:]
    }

    /// Asks a quiet peer for a sign of life; whoever gives none is cut by somebody else.
    private func ask(_ context: ChannelHandlerContext) {
        let loop = context.eventLoop.assumeIsolated()
        question = loop.scheduleTask(in: max(.milliseconds(10), lastRead + keepalive - .now())) { [self] in
            guard let context = self.context else { return }
            if lastRead + keepalive <= .now() {
                lastRead = .now()
                http2.ping(0)
                flush()
            }
            ask(context)
        }
    }

    // MARK: Calls

    private func take(_ event: HTTP2Connection.Event, _ context: ChannelHandlerContext) {
        switch event {
        case .call(let stream, let incoming): start(stream, incoming, context)
        case .message(let stream, let message): calls[stream]?.request.add(message)
        case .ended(let stream): calls[stream]?.request.end()
        case .cancelled(let stream): calls.removeValue(forKey: stream)?.cancel()
        case .refused, .acknowledged: break
        }
    }

    private func start(_ stream: UInt32, _ incoming: HTTP2Connection.IncomingCall, _ context: ChannelHandlerContext) {
        let descriptor = served.descriptors[incoming.method]
        var metadata = Metadata()
        if let timeout = incoming.timeout { metadata.addString(TimeoutText.text(of: timeout), forKey: "grpc-timeout") }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        let request: RequestParts
        if served.table.methods[incoming.method].sendsMany {
            request = RequestParts(metadata) { count in
                connection.eventLoop.execute { connection.value.took(count, on: stream) }
            }
        } else {
            request = RequestParts(metadata, only: incoming.message)
        }
        let call = LocalCall(stream: stream, request: request)
        calls[stream] = call
        let isStreaming = served.table.methods[incoming.method].isStreaming
        call.run(
            descriptor: descriptor, isStreaming: isStreaming, peer: peer, connection: connection,
            handler: served.handler)
    }

    private func took(_ count: Int, on stream: UInt32) {
        http2.take(count, on: stream)
        flush()
    }

    /// The handler of a call is done.
    func finished(_ call: LocalCall) {
        guard calls[call.stream] === call else { return }
        calls[call.stream] = nil
        // A handler that said nothing at the end still owes an end.
        http2.finish(CallStatus(.internal, "the call ended without a status"), on: call.stream)
        flushSoon()
    }

    // MARK: Answers

    /// Takes a part of an answer.
    ///
    /// - Returns: Whether the writer should wait before it writes more.
    /// - Throws: `RPCError` Cancelled when nobody reads it any more.
    func write(_ part: RPCResponsePart<[UInt8]>, of call: LocalCall) throws(RPCError) -> Bool {
        guard calls[call.stream] === call, context != nil else {
            throw RPCError(code: .cancelled, message: "the caller is gone")
        }
        switch part {
        case .metadata(let metadata): http2.begin(Self.fields(metadata), on: call.stream)
        case .message(let message): http2.send(message, on: call.stream)
        case .status(let status, let metadata):
            http2.finish(CallStatus(status), Self.fields(metadata), on: call.stream)
            calls[call.stream] = nil
        }
        flushSoon()
        return isHeldUp(call.stream)
    }

    /// Waits until a reader has caught up, or is gone.
    func wait(_ call: LocalCall, _ continuation: CheckedContinuation<Void, Never>) {
        guard calls[call.stream] === call, isHeldUp(call.stream) else { return continuation.resume() }
        call.writer = continuation
    }

    private func isHeldUp(_ stream: UInt32) -> Bool {
        http2.waiting(on: stream) > Self.highWater || context?.channel.isWritable == false
    }

    private func wakeWriters() {
        for call in calls.values where call.writer != nil && !isHeldUp(call.stream) { call.wake() }
    }

    /// Sends once whatever handlers have to say that run in this turn of the loop has been said.
    private func flushSoon() {
        guard !isFlushDue, let context else { return }
        isFlushDue = true
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute {
            bound.value.isFlushDue = false
            bound.value.flush()
        }
    }

    private func flush() {
        guard let context, context.channel.isActive, !isBroken else { return }
        let output = http2.takeOutput()
        let isOver = http2.fault != nil || isGoing && http2.openStreams == 0
        if isOver { isBroken = true }
        guard !output.isEmpty else {
            if isOver { context.close(promise: nil) }
            return
        }
        let written = context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: output)))
        if isOver {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            written.whenComplete { _ in bound.value.close(promise: nil) }
        }
    }

    private func goAway() {
        isGoing = true
        http2.goAway()
        flush()
    }

    private static func fields(_ metadata: Metadata) -> [ResponseField] {
        metadata.map { key, value in
            switch value {
            case .string(let text): ResponseField(name: key.lowercased(), value: Array(text.utf8))
            case .binary(let bytes): ResponseField(name: key.lowercased(), value: bytes)
            }
        }
    }
}

extension CallStatus {
    init(_ status: Status) {
        self.init(Code(rawValue: UInt8(clamping: status.code.rawValue)) ?? .unknown, status.message)
    }
}
