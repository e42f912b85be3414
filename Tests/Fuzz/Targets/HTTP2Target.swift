internal import GRPCWire

/// What a client sends on one connection: a byte that says how it comes in pieces, and the bytes.
enum HTTP2Target {
    static func judge(_ input: [UInt8], flaw: Flaw?) {
        guard let seed = input.first else { return }
        let bytes = Array(input.dropFirst())
        var whole = Reading()
        whole.take(bytes)
        var pieces = Reading()
        pieces.take([])
        var chance = Chance(seed: UInt32(seed))
        var rest = (flaw?.frames(bytes) ?? bytes)[...]
        while !rest.isEmpty {
            let size = 1 + chance.draw(seed < 128 ? 60 : 3)
            pieces.take(Array(rest.prefix(size)))
            rest = rest.dropFirst(size)
        }
        claim(whole.story == pieces.story, "it makes no difference in which pieces bytes come")
        claim(whole.http2.fault == pieces.http2.fault, "a fault is found in whichever pieces it comes")
        claim(whole.http2.keptBytes == pieces.http2.keptBytes, "as much is kept in whichever pieces it comes")
        claim(whole.output == pieces.output, "the answers are the same in whichever pieces bytes come")
        claim(whole.output.count <= 64 * bytes.count + 64, "what is said is bounded by what is asked")
        whole.audit(bytes)
        whole.answer()
        whole.audit(bytes)
    }

    /// One server's side, and what came of it.
    private struct Reading {
        static let table = MethodTable(
            [
                .init("/t.T/Unary"), .init("/t.T/Watch", isStreaming: true),
                .init("/t.T/Chat", isStreaming: true, sendsMany: true),
            ], metadata: ["workload.spiffe.io"])
        static let now = SuspendingClock().now

        var http2 = HTTP2Connection(table: table)
        var output: [UInt8] = []
        var story: [String] = []
        /// What was given out of each open call, with its prefixes.
        var calls: [(stream: UInt32, body: [UInt8], sendsMany: Bool, hasEnded: Bool)] = []
        var isOver = false

        mutating func take(_ bytes: [UInt8]) {
            var events: [HTTP2Connection.Event] = []
            isOver = http2.fault != nil
            http2.receive(bytes.span, isAttributed: true, now: Self.now, events: &events)
            output += http2.takeOutput()
            claim(!isOver || events.isEmpty, "nothing follows a fault")
            for event in events {
                story.append("\(event)")
                switch event {
                case .call(let stream, let call):
                    claim(!calls.contains { $0.stream == stream }, "calls are new")
                    let sendsMany = Self.table.methods[call.method].sendsMany
                    claim(!sendsMany || call.message.isEmpty, "messages come after the head")
                    calls.append((stream, sendsMany ? [] : Self.framed(call.message), sendsMany, !sendsMany))
                case .message(let stream, let message):
                    let index = calls.firstIndex { $0.stream == stream && $0.sendsMany && !$0.hasEnded }
                    claim(index != nil, "a message is of a call that takes more")
                    if let index { calls[index].body += Self.framed(message) }
                    // As a handler would that is done with every other one.
                    if message.count.isMultiple(of: 2) { http2.take(message.count + 5, on: stream) }
                case .ended(let stream):
                    let index = calls.firstIndex { $0.stream == stream && $0.sendsMany && !$0.hasEnded }
                    claim(index != nil, "what ends has not ended before")
                    if let index { calls[index].hasEnded = true }
                case .cancelled(let stream):
                    claim(calls.contains { $0.stream == stream }, "only a call is cancelled")
                    calls.removeAll { $0.stream == stream }
                case .refused, .acknowledged: break
                }
            }
            claim(http2.keptBytes <= (256 << 10) + (64 << 10), "what is kept is bounded")
            claim(calls.count <= 100, "calls are bounded")
        }

        private static func framed(_ message: [UInt8]) -> [UInt8] {
            [0] + [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: message.count >> $0) } + message
        }

        mutating func answer() {
            for call in calls {
                let isOpen = http2.send(call.body, on: call.stream)
                let isFinished = http2.finish(CallStatus(.ok), on: call.stream)
                claim(isOpen == (http2.fault == nil) && isFinished == isOpen, "an open call takes an answer")
            }
            output += http2.takeOutput()
        }

        /// Compares with what a plain walk over the frames finds.
        func audit(_ bytes: [UInt8]) {
            let asked = Walk(bytes, after: 24)
            let said = Walk(output, after: 0)
            claim(said.rest == 0, "whole frames are said")
            for call in calls {
                let body = asked.data[call.stream] ?? []
                claim(
                    call.sendsMany && !call.hasEnded ? body.starts(with: call.body) : body == call.body,
                    "messages are what was sent")
            }
            let sent = said.data.values.reduce(0) { $0 + $1.count }
            claim(sent <= 65535 + asked.window, "the peer's window is kept to")
            claim(said.longest <= 16384, "frames are no longer than any peer takes")
            claim(said.streams.isSubset(of: asked.streams), "only streams that were opened are answered")
        }
    }

    /// Frames, by their heads alone.
    private struct Walk {
        var data: [UInt32: [UInt8]] = [:]
        var streams: Set<UInt32> = []
        private var ended: Set<UInt32> = []
        var window = 0
        var longest = 0
        var rest = 0

        init(_ bytes: [UInt8], after start: Int) {
            var left = bytes.dropFirst(start)
            while left.count >= 9 {
                let head = Array(left.prefix(9))
                let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
                guard left.count >= 9 + length else { break }
                let payload = Array(left.dropFirst(9).prefix(length))
                let stream = head[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
                left = left.dropFirst(9 + length)
                longest = max(longest, length)
                switch head[3] {
                case 0 where !ended.contains(stream):
                    if head[4] & 1 != 0 { ended.insert(stream) }
                    let padding = head[4] & 8 != 0 ? Int(payload.first ?? 0) + 1 : 0
                    if padding <= payload.count {
                        data[stream, default: []] += payload.dropFirst(padding > 0 ? 1 : 0).dropLast(
                            max(0, padding - 1))
                    }
                case 1:
                    if head[4] & 1 != 0, streams.contains(stream) { ended.insert(stream) }
                    streams.insert(stream)
                case 8 where stream == 0 && length == 4:
                    window += payload.reduce(0) { $0 << 8 | Int($1) } & 0x7FFF_FFFF
                default: break
                }
            }
            rest = left.count
        }
    }
}
