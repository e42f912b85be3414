import GRPCWire
import Testing
import WorkloadSocket

/// A connection and what came out of it.
struct Machine {
    static let table = MethodTable(
        [.init("/t.T/Unary"), .init("/t.T/Watch", isStreaming: true)], metadata: ["workload.spiffe.io"])

    var http2: HTTP2Connection
    var events: [HTTP2Connection.Event] = []
    var now = SuspendingClock().now

    init(_ limits: HTTP2Limits = HTTP2Limits(), opened: Bool = true) {
        http2 = HTTP2Connection(table: Self.table, limits: limits)
        guard opened else { return }
        feed(Wire.opening)
        _ = frames()
    }

    mutating func feed(_ bytes: [UInt8], isAttributed: Bool = true) {
        http2.receive(bytes.span, isAttributed: isAttributed, now: now, events: &events)
    }

    mutating func frames() -> [Wire.Frame] {
        let (frames, rest) = Wire.frames(http2.takeOutput())
        #expect(rest.isEmpty)
        return frames
    }

    var calls: [(stream: UInt32, call: HTTP2Connection.IncomingCall)] {
        events.compactMap { if case .call(let stream, let call) = $0 { (stream, call) } else { nil } }
    }

    var cancelled: [UInt32] { events.compactMap { if case .cancelled(let stream) = $0 { stream } else { nil } } }
    var refused: [CallStatus.Code] { events.compactMap { if case .refused(_, let code) = $0 { code } else { nil } } }
}

@Suite("HTTP/2 connection")
struct HTTP2ConnectionTests {
    @Test("says its settings first, and acknowledges the peer's")
    func opening() throws {
        var machine = Machine(opened: false)
        let settings = machine.frames()
        #expect(settings.map(\.type) == [4] && settings[0].payload.count == 12)
        machine.feed(Wire.opening)
        #expect(machine.frames() == [Wire.Frame(type: 4, flags: 1, stream: 0, payload: [])])
        #expect(machine.http2.isOpen)
    }

    @Test("gives out a call whatever pieces it comes in", arguments: 1...40)
    func pieces(_ size: Int) throws {
        var machine = Machine(opened: false)
        let bytes = Wire.opening + Wire.call(1, more: [("workload.spiffe.io", "true"), ("grpc-timeout", "5S")])
        var next = 0
        while next < bytes.count {
            machine.feed(Array(bytes[next..<min(next + size, bytes.count)]))
            next += size
        }
        let call = try #require(machine.calls.first?.call)
        #expect(machine.calls.count == 1 && call.method == 0 && call.message == [1, 2, 3])
        #expect(call.timeout == .seconds(5) && call.metadata.map(\.value) == [Array("true".utf8)])
        #expect(machine.http2.fault == nil && machine.http2.keptBytes == 0)
    }

    @Test("gives out a call whose frames are split at any byte")
    func splits() throws {
        let bytes = Wire.opening + Wire.call(1)
        for cut in 1..<bytes.count {
            var machine = Machine(opened: false)
            machine.feed(Array(bytes[..<cut]))
            machine.feed(Array(bytes[cut...]))
            #expect(machine.calls.count == 1 && machine.http2.fault == nil)
        }
    }

    @Test("takes padding, priority, continuations, trailers, unknown frames and unknown settings")
    func tolerance() throws {
        var machine = Machine()
        let block = Wire.block(Wire.fields("/t.T/Unary"))
        machine.feed(Wire.frame(1, 0x28, 1, [3] + [0, 0, 0, 0, 16] + block.prefix(10) + [0, 0, 0]))
        machine.feed(Wire.frame(9, 0, 1, Array(block.dropFirst(10).prefix(7))))
        machine.feed(Wire.frame(9, 4, 1, Array(block.dropFirst(17))))
        machine.feed(Wire.frame(0, 8, 1, [2] + Wire.message([7]).prefix(3) + [0, 0]))
        machine.feed(Wire.frame(0xFA, 0xFF, 77, [1, 2, 3]))
        machine.feed(Wire.frame(4, 0, 0, Wire.setting(0x99, 5) + [0xFE, 0x03, 0, 0, 0, 1]))
        machine.feed(Wire.frame(2, 0, 9, [0, 0, 0, 0, 1]))
        machine.feed(Wire.frame(0, 0, 1, Array(Wire.message([7]).dropFirst(3))))
        machine.feed(Wire.frame(1, 5, 1, Wire.block([("x-trailer", "1")])))
        #expect(machine.calls.map(\.call.message) == [[7]])
        #expect(machine.http2.fault == nil)
    }

    @Test("answers with headers, message and status")
    func answer() throws {
        var machine = Machine()
        machine.feed(Wire.call(1))
        machine.http2.send([9, 9], on: 1)
        machine.http2.finish(.ok, on: 1)
        let frames = machine.frames()
        #expect(frames.map(\.type) == [1, 0, 1] && frames.map(\.flags) == [4, 0, 5])
        #expect(try Wire.decoded(frames[0].payload) == [":status": "200", "content-type": "application/grpc"])
        #expect(frames[1].payload == Wire.message([9, 9]))
        #expect(try Wire.decoded(frames[2].payload) == ["grpc-status": "0"])
        let isStillOpen = machine.http2.send([1], on: 1)
        #expect(!isStillOpen)
    }

    @Test("says an error in one block, in characters that a header may hold")
    func error() throws {
        var machine = Machine()
        machine.feed(Wire.call(1))
        machine.http2.finish(CallStatus(.permissionDenied, "50% né\n", details: [1, 2, 3, 4]), on: 1)
        let frames = machine.frames()
        #expect(frames.map(\.type) == [1] && frames[0].flags == 5)
        let fields = try Wire.decoded(frames[0].payload)
        #expect(fields["grpc-status"] == "7" && fields["grpc-message"] == "50%25 n%C3%A9%0A")
        #expect(fields["grpc-status-details-bin"] == "AQIDBA" && fields[":status"] == "200")
    }

    @Test(
        "answers what is no call of ours",
        arguments: [
            ([(":path", "/t.T/Other")], "200", "12"), ([(":path", "/t.T/Unary/")], "200", "12"),
            ([(":method", "GET")], "405", "2"), ([("content-type", "application/json")], "415", "2"),
            ([("content-type", "application/grpcx")], "415", "2"), ([("grpc-encoding", "gzip")], "200", "12"),
            ([("grpc-timeout", "99999999999S")], "200", "13"), ([("grpc-timeout", "S")], "200", "13"),
            ([("x", String(repeating: "y", count: 15900))], "200", "8"),
        ] as [([(String, String)], String, String)])
    func refusals(_ changes: [(String, String)], _ http: String, _ status: String) throws {
        var machine = Machine()
        var fields = Wire.fields("/t.T/Unary", [("pad", String(repeating: "z", count: 1000))])
        for change in changes {
            if let index = fields.firstIndex(where: { $0.0 == change.0 }) {
                fields[index] = change
            } else {
                fields.append(change)
            }
        }
        let block = Wire.block(fields)
        machine.feed(
            Wire.frame(1, 0, 1, Array(block.prefix(16000))) + Wire.frame(9, 4, 1, Array(block.dropFirst(16000))))
        let frames = machine.frames()
        let answer = try Wire.decoded(try #require(frames.first).payload)
        #expect(answer[":status"] == http && answer["grpc-status"] == status)
        #expect(frames.map(\.type) == [1, 3] && frames[1].payload == [0, 0, 0, 0])
        // What still comes of it is passed over, and the connection goes on.
        machine.feed(Wire.frame(0, 1, 1, Wire.message([1])) + Wire.call(3))
        #expect(machine.calls.map(\.stream) == [3] && machine.http2.fault == nil)
    }

    @Test(
        "resets a request that is malformed",
        arguments: [
            [("te", "gzip")], [("connection", "close")], [("transfer-encoding", "chunked")], [("Upper", "x")],
            [(":path", "/again")], [(":status", "200")], [("x", "a\nb")], [("", "x")], [("x:y", "z")],
        ] as [[(String, String)]])
    func malformed(_ more: [(String, String)]) throws {
        var machine = Machine()
        machine.feed(Wire.call(1, more: more) + Wire.call(3))
        #expect(machine.frames().first == Wire.Frame(type: 3, flags: 0, stream: 1, payload: [0, 0, 0, 1]))
        #expect(machine.calls.map(\.stream) == [3])
    }

    @Test(
        "refuses a body that is not one message",
        arguments: [
            ([1, 0, 0, 0, 1, 9], "13"), ([0, 0, 0, 0, 1], "13"), ([], "13"), ([0, 0, 0], "13"),
            ([0, 0, 0, 0, 1, 9, 9], "13"), ([0, 0, 1, 0, 1], "8"), ([0, 0xFF, 0xFF, 0xFF, 0xFF], "8"),
        ] as [([UInt8], String)])
    func bodies(_ body: [UInt8], _ status: String) throws {
        var machine = Machine()
        machine.feed(Wire.headers(1, "/t.T/Unary") + Wire.frame(0, 1, 1, body))
        let answer = try Wire.decoded(try #require(machine.frames().first).payload)
        #expect(answer["grpc-status"] == status && machine.calls.isEmpty && machine.http2.fault == nil)
    }

    @Test(
        "ends the connection with the code for what was broken",
        arguments: [
            (Wire.frame(0, 0, 0, [1]), 1), (Wire.frame(0, 0, 1, [1]), 1), (Wire.frame(1, 4, 0, []), 1),
            (Wire.frame(1, 4, 2, []), 1), (Wire.frame(1, 4, 1, [0xFF]), 9), (Wire.frame(1, 0x0C, 1, [9]), 1),
            (Wire.frame(1, 0x24, 1, [9]), 6), (Wire.frame(2, 0, 0, [0, 0, 0, 0, 0]), 1), (Wire.frame(2, 0, 1, [0]), 6),
            (Wire.frame(3, 0, 1, [0, 0, 0, 0]), 1), (Wire.frame(3, 0, 0, [0, 0, 0, 0]), 1),
            (Wire.call(1) + Wire.frame(3, 0, 1, [0]), 6), (Wire.frame(4, 0, 1, []), 1), (Wire.frame(4, 0, 0, [0]), 6),
            (Wire.frame(4, 1, 0, Wire.setting(4, 1)), 6), (Wire.frame(4, 0, 0, Wire.setting(2, 2)), 1),
            (Wire.frame(4, 0, 0, Wire.setting(4, 0x8000_0000)), 3), (Wire.frame(4, 0, 0, Wire.setting(5, 16383)), 1),
            (Wire.frame(5, 4, 1, [0, 0, 0, 2]), 1), (Wire.frame(6, 0, 0, [1]), 6),
            (Wire.frame(6, 0, 1, [0, 0, 0, 0, 0, 0, 0, 0]), 1), (Wire.frame(7, 0, 1, [0, 0, 0, 0, 0, 0, 0, 0]), 1),
            (Wire.frame(7, 0, 0, [0]), 6), (Wire.frame(8, 0, 0, [0, 0, 0, 0]), 1), (Wire.frame(8, 0, 0, [0]), 6),
            (Wire.frame(8, 0, 1, [0, 0, 0, 1]), 1), (Wire.frame(8, 0, 0, [0x7F, 0xFF, 0xFF, 0xFF]), 3),
            (Wire.frame(9, 4, 1, []), 1),
            (Wire.frame(1, 0, 1, [0x82]) + Wire.frame(6, 0, 0, Array(repeating: 0, count: 8)), 1),
            (Wire.frame(1, 0, 1, [0x82]) + Wire.frame(9, 4, 3, []), 1), ([0, 0x40, 1, 0, 0, 0, 0, 0, 1], 6),
        ] as [([UInt8], UInt32)])
    func faults(_ bytes: [UInt8], _ code: UInt32) throws {
        var machine = Machine()
        machine.feed(bytes)
        #expect(machine.http2.fault?.code.rawValue == code)
        let last = try #require(machine.frames().last)
        #expect(last.type == 7 && Array(last.payload[4...]) == Wire.number(code))
        machine.feed(Wire.call(5))
        #expect(machine.frames().isEmpty)
    }

    @Test(
        "refuses what does not begin like HTTP/2", arguments: ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nXX", "\0"])
    func notHTTP2(_ text: String) {
        var machine = Machine(opened: false)
        machine.feed(Array(text.utf8))
        #expect(machine.http2.fault?.rule == "not HTTP/2")
        var other = Machine(opened: false)
        other.feed(Wire.preface + Wire.frame(6, 0, 0, Array(repeating: 0, count: 8)))
        #expect(other.http2.fault?.rule == "the first frame is not SETTINGS")
    }

    @Test("tells an acknowledged PING, and whether its sender is known")
    func ping() throws {
        var machine = Machine()
        machine.http2.ping(0x0102_0304_0506_0708)
        #expect(machine.frames() == [Wire.Frame(type: 6, flags: 0, stream: 0, payload: [1, 2, 3, 4, 5, 6, 7, 8])])
        let answer = Wire.frame(6, 1, 0, [1, 2, 3, 4, 5, 6, 7, 8])
        var told: [Bool] = []
        for (start, end) in [(true, true), (false, true), (true, false), (false, false)] {
            machine.events = []
            machine.feed(Array(answer.prefix(5)), isAttributed: start)
            machine.feed(Array(answer.dropFirst(5)), isAttributed: end)
            if case .acknowledged(0x0102_0304_0506_0708, let isAttributed) = machine.events.first {
                told.append(isAttributed)
            }
        }
        #expect(told == [true, false, false, false])
        machine.feed(Wire.frame(6, 0, 0, [8, 7, 6, 5, 4, 3, 2, 1]))
        #expect(machine.frames() == [Wire.Frame(type: 6, flags: 1, stream: 0, payload: [8, 7, 6, 5, 4, 3, 2, 1])])
    }

    @Test("refuses streams beyond the limit, and takes others when there is room again")
    func manyStreams() throws {
        var limits = HTTP2Limits()
        limits.streams = 3
        var machine = Machine(limits)
        for stream in [1, 3, 5, 7] as [UInt32] { machine.feed(Wire.call(stream, "/t.T/Watch")) }
        #expect(machine.calls.count == 3)
        #expect(machine.frames() == [Wire.Frame(type: 3, flags: 0, stream: 7, payload: [0, 0, 0, 7])])
        machine.feed(Wire.frame(3, 0, 3, [0, 0, 0, 8]) + Wire.call(9))
        #expect(machine.cancelled == [3] && machine.calls.map(\.stream) == [1, 3, 5, 9])
    }

    @Test("passes over new streams after it said goodbye, and ends the old ones well")
    func goingAway() throws {
        var machine = Machine()
        machine.feed(Wire.call(1, "/t.T/Watch"))
        machine.http2.goAway()
        machine.feed(Wire.call(3))
        machine.http2.finish(CallStatus(.unavailable, "later"), on: 1)
        #expect(machine.calls.map(\.stream) == [1])
        let frames = machine.frames()
        #expect(frames.map(\.type) == [7, 1] && Array(frames[0].payload) == Wire.number(1) + Wire.number(0))
    }
}
