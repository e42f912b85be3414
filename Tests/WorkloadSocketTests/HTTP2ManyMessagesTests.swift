import GRPCWire
import Testing

@Suite("HTTP/2 connection, calls that take many messages")
struct HTTP2ManyMessagesTests {
    private static let table = MethodTable([
        .init("/t.T/Chat", isStreaming: true, sendsMany: true), .init("/t.T/Unary"),
    ])

    private struct Talk {
        var http2: HTTP2Connection
        var events: [HTTP2Connection.Event] = []
        let now = SuspendingClock().now

        init(_ limits: HTTP2Limits = HTTP2Limits(), endsStream: Bool = false) {
            http2 = HTTP2Connection(table: HTTP2ManyMessagesTests.table, limits: limits)
            feed(Wire.opening)
            feed(Wire.frame(1, endsStream ? 5 : 4, 1, Wire.block(Wire.fields("/t.T/Chat"))))
            _ = frames()
        }

        mutating func feed(_ bytes: [UInt8]) {
            http2.receive(bytes.span, isAttributed: true, now: now, events: &events)
        }

        mutating func data(_ bytes: [UInt8], endsStream: Bool = false) {
            feed(Wire.frame(0, endsStream ? 1 : 0, 1, bytes))
        }

        mutating func frames() -> [Wire.Frame] { Wire.frames(http2.takeOutput()).frames }

        var messages: [[UInt8]] {
            events.compactMap { if case .message(1, let message) = $0 { message } else { nil } }
        }

        /// What has happened, by kind.
        var story: String {
            events.map {
                switch $0 {
                case .call: "c"
                case .message: "m"
                case .ended: "e"
                case .cancelled: "x"
                case .refused: "r"
                case .acknowledged: "a"
                }
            }.joined()
        }
    }

    @Test("a call is given out at its head, and its messages as they become whole", arguments: 1...12)
    func pieces(size: Int) {
        var talk = Talk()
        #expect(talk.story == "c")
        let bytes = Wire.message([1, 2, 3]) + Wire.message([]) + Wire.message([4])
        for start in stride(from: 0, to: bytes.count, by: size) {
            talk.data(Array(bytes[start..<min(start + size, bytes.count)]))
        }
        #expect(talk.messages == [[1, 2, 3], [], [4]])
        talk.data([], endsStream: true)
        #expect(talk.story == "cmmme")
        #expect(talk.http2.keptBytes == 0 && talk.http2.fault == nil)
    }

    @Test("a call without a message ends at its head, or by trailers")
    func empty() {
        #expect(Talk(endsStream: true).story == "ce")
        var talk = Talk()
        talk.feed(Wire.frame(1, 5, 1, Wire.block([("x", "y")])))
        #expect(talk.story == "ce")
    }

    @Test("a request that ends within a message, is compressed or too large is cut off, and the connection goes on")
    func bad() {
        var limits = HTTP2Limits()
        limits.message = 10
        let endings: [([UInt8], Bool)] = [
            (Array(Wire.message([1, 2]).dropLast()), true), ([1, 0, 0, 0, 1, 9], false),
            ([0, 0, 0, 0, 11], false),
        ]
        for (bytes, isLast) in endings {
            var talk = Talk(limits)
            talk.data(Wire.message([7]))
            talk.data(bytes, endsStream: isLast)
            #expect(talk.story == "cmx")
            #expect(talk.http2.fault == nil && talk.http2.keptBytes == 0)
            let frames = talk.frames()
            #expect(frames.first?.type == 1 && frames.first?.flags == 5)
            #expect(frames.dropFirst().map(\.type) == (isLast ? [] : [3]), "no more of the request is wanted")
            talk.feed(Wire.call(3))
            #expect(talk.story == "cmxc")
        }
    }

    @Test("what is not used up keeps the window small; using it up opens it again")
    func window() {
        var talk = Talk()
        let message = [UInt8](repeating: 1, count: 16000)
        for _ in 0..<4 { talk.data(Wire.message(message)) }
        #expect(talk.messages.count == 4)
        // The connection's window is given back, this call's is not.
        #expect(!talk.frames().contains { $0.type == 8 && $0.stream == 1 })
        talk.http2.take(16005, on: 1)
        #expect(!talk.frames().contains { $0.type == 8 && $0.stream == 1 })
        talk.http2.take(16005, on: 1)
        #expect(talk.frames().contains { $0.type == 8 && $0.stream == 1 })
        // More than the window is the peer's fault, as everywhere.
        var greedy = Talk()
        for _ in 0..<5 { greedy.data(Wire.message(message)) }
        #expect(greedy.story == "cmmmmx")
    }

    @Test("an answer before the end of the request tells the peer to stop")
    func early() {
        var talk = Talk()
        talk.http2.begin([ResponseField(name: "number", value: Array("7".utf8))], on: 1)
        talk.http2.send([1], on: 1)
        talk.http2.finish(.ok, [ResponseField(name: "x-bin", value: [0])], on: 1)
        #expect(talk.frames().map(\.type) == [1, 0, 1, 3])
        #expect(talk.http2.openStreams == 0)
        talk.data(Wire.message([1]))
        #expect(talk.story == "c" && talk.http2.fault == nil)
    }

    @Test("fields that HTTP/2 does not take, or that are gRPC's own, are left out")
    func fields() {
        var talk = Talk()
        let bad: [ResponseField] = [
            .init(name: "", value: [65]), .init(name: "Upper", value: [65]), .init(name: ":path", value: [65]),
            .init(name: "a b", value: [65]), .init(name: "line", value: [10]), .init(name: "grpc-status", value: [48]),
            .init(name: "large", value: [UInt8](repeating: 65, count: 7000)),
        ]
        talk.http2.finish(.ok, bad, on: 1)
        var plain = Talk()
        plain.http2.finish(.ok, on: 1)
        #expect(talk.frames() == plain.frames())
    }
}
