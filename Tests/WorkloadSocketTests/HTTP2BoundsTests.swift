import GRPCWire
import Testing
import WorkloadSocket

@Suite("HTTP/2 flow control and floods")
struct HTTP2BoundsTests {
    @Test("sends what the stream's window allows, and the rest as it opens", arguments: [1, 2, 7, 100])
    func streamWindow(_ window: UInt32) throws {
        var machine = Machine(opened: false)
        machine.feed(Wire.preface + Wire.frame(4, 0, 0, Wire.setting(4, window)) + Wire.call(1))
        _ = machine.frames()
        let message = (0..<50).map { UInt8($0) }
        machine.http2.send(message, on: 1)
        machine.http2.finish(.ok, on: 1)
        var received: [UInt8] = []
        var rounds = 0
        while rounds < 100 {
            rounds += 1
            let frames = machine.frames()
            let data = frames.filter { $0.type == 0 }
            #expect(data.reduce(0) { $0 + $1.payload.count } <= Int(window))
            received += data.flatMap(\.payload)
            if frames.contains(where: { $0.type == 1 && $0.flags == 5 }) { break }
            machine.feed(Wire.frame(8, 0, 1, Wire.number(window)))
        }
        #expect(received == Wire.message(message) && machine.http2.fault == nil && machine.http2.unsentBytes == 0)
    }

    @Test("sends no more than the connection's window allows on all streams")
    func connectionWindow() throws {
        var machine = Machine(opened: false)
        machine.feed(Wire.preface + Wire.frame(4, 0, 0, Wire.setting(4, 1 << 20)) + Wire.call(1) + Wire.call(3))
        _ = machine.frames()
        let message = [UInt8](repeating: 5, count: 40000)
        for stream in [1, 3] as [UInt32] {
            machine.http2.send(message, on: stream)
            machine.http2.finish(.ok, on: stream)
        }
        var sent = machine.frames().filter { $0.type == 0 }
        #expect(sent.reduce(0) { $0 + $1.payload.count } == 65535)
        #expect(sent.allSatisfy { $0.payload.count <= 16384 })
        machine.feed(Wire.frame(8, 0, 0, Wire.number(20000)))
        sent += machine.frames().filter { $0.type == 0 }
        #expect(sent.filter { $0.stream == 3 }.flatMap(\.payload) == Wire.message(message))
        #expect(sent.filter { $0.stream == 1 }.flatMap(\.payload) == Wire.message(message))
    }

    @Test("a smaller initial window may make a window negative, and a larger one opens it")
    func changedWindow() throws {
        var machine = Machine()
        machine.feed(Wire.call(1))
        machine.feed(Wire.frame(8, 0, 0, Wire.number(1 << 20)))
        _ = machine.frames()
        machine.http2.send([UInt8](repeating: 1, count: 65530), on: 1)
        machine.feed(Wire.frame(4, 0, 0, Wire.setting(4, 10)))
        _ = machine.frames()
        machine.http2.send([2], on: 1)
        #expect(machine.frames().isEmpty)
        machine.feed(Wire.frame(4, 0, 0, Wire.setting(4, 65541)))
        #expect(machine.frames().last?.payload == Wire.message([2]))
    }

    @Test("windows that overflow end the connection, or the stream")
    func overflow() throws {
        var machine = Machine()
        machine.feed(Wire.call(1, "/t.T/Watch") + Wire.frame(8, 0, 1, Wire.number(0x7FFF_FFFF)))
        #expect(machine.frames() == [Wire.Frame(type: 3, flags: 0, stream: 1, payload: [0, 0, 0, 3])])
        #expect(machine.cancelled == [1])
        machine.feed(Wire.call(3, "/t.T/Watch") + Wire.frame(8, 0, 3, Wire.number(0x7FFF_0000 - 65535)))
        machine.feed(Wire.frame(4, 0, 0, Wire.setting(4, 0x7FFF_FFFF)))
        #expect(machine.http2.fault?.code == .flowControlError)
    }

    @Test("takes messages of the largest size, giving windows back, and none that is larger")
    func largeMessages() throws {
        var machine = Machine()
        for stream in stride(from: UInt32(1), to: 41, by: 2) {
            machine.feed(Wire.headers(stream, "/t.T/Unary"))
            let body = Wire.message([UInt8](repeating: 3, count: 64 << 10))
            var window = 65535
            for start in stride(from: 0, to: body.count, by: 16384) {
                let part = Array(body[start..<min(start + 16384, body.count)])
                window -= part.count
                #expect(window >= 0)
                machine.feed(Wire.frame(0, start + 16384 >= body.count ? 1 : 0, stream, part))
                for frame in machine.frames() where frame.type == 8 && frame.stream == stream {
                    window += frame.payload.reduce(0) { $0 << 8 | Int($1) }
                }
            }
        }
        #expect(machine.calls.count == 20 && machine.http2.fault == nil && machine.http2.keptBytes == 0)
    }

    @Test("a peer that sends beyond the connection's window is cut off")
    func beyondWindow() throws {
        var machine = Machine()
        // No stream is open any more, so nothing but the connection's window counts.
        machine.feed(Wire.call(1) + Wire.frame(3, 0, 1, [0, 0, 0, 8]))
        var given = 65535
        for _ in 0..<8 {
            machine.feed(Wire.frame(0, 0, 1, [UInt8](repeating: 0, count: 16384)))
            given -= 16384
            for frame in machine.frames() where frame.type == 8 && frame.stream == 0 {
                given += frame.payload.reduce(0) { $0 << 8 | Int($1) }
            }
            #expect(given >= 16384, "what is passed over is given back")
        }
        #expect(machine.http2.fault == nil)
    }

    @Test("requests that never end are bounded together")
    func unfinished() throws {
        var limits = HTTP2Limits()
        limits.unfinishedRequests = 50_000
        var machine = Machine(limits)
        for stream in stride(from: UInt32(1), to: 21, by: 2) {
            machine.feed(Wire.headers(stream, "/t.T/Unary"))
            machine.feed(
                Wire.frame(0, 0, stream, Array(Wire.message([UInt8](repeating: 3, count: 60_000)).prefix(16000))))
            #expect(machine.http2.unfinishedBytes <= 50_000)
        }
        #expect(machine.refused.contains(.resourceExhausted) && machine.http2.fault == nil)
    }

    @Test("a peer that does not read is given up")
    func slowReader() throws {
        var limits = HTTP2Limits()
        limits.unsent = 100_000
        var machine = Machine(limits)
        machine.feed(Wire.call(1, "/t.T/Watch"))
        for _ in 0..<20 { machine.http2.send([UInt8](repeating: 1, count: 10_000), on: 1) }
        #expect(machine.http2.fault?.rule == "the peer does not read")
    }

    @Test(
        "a flood of frames that do nothing ends the connection",
        arguments: [
            Wire.frame(4, 0, 0, []), Wire.frame(6, 0, 0, Array(repeating: 0, count: 8)), Wire.frame(4, 1, 0, []),
            Wire.frame(6, 1, 0, Array(repeating: 0, count: 8)), Wire.frame(2, 0, 1, [0, 0, 0, 0, 1]),
            Wire.frame(0, 0, 1, []), Wire.frame(0, 8, 1, [0]), Wire.frame(0xEE, 0, 0, []),
            Wire.frame(8, 0, 0, [0, 0, 0, 1]), Wire.frame(8, 0, 1, [0, 0, 0, 1]), Wire.frame(3, 0, 1, [0, 0, 0, 0]),
            Wire.frame(1, 5, 1, []), Wire.frame(7, 0, 0, Array(repeating: 0, count: 8)),
        ])
    func floods(_ frame: [UInt8]) throws {
        var machine = Machine()
        machine.feed(Wire.headers(1, "/t.T/Unary"))
        for _ in 0..<1500 { machine.feed(frame) }
        #expect(machine.http2.fault?.code == .enhanceYourCalm)
        #expect(machine.http2.output.count < 1 << 16)
    }

    @Test("a flood of continuations ends the connection")
    func continuations() throws {
        var machine = Machine()
        machine.feed(Wire.frame(1, 0, 1, [0x82]))
        for _ in 0..<2000 { machine.feed(Wire.frame(9, 0, 1, [])) }
        #expect(machine.http2.fault?.code == .enhanceYourCalm)
        var other = Machine()
        other.feed(Wire.frame(1, 0, 1, [0x82]))
        for _ in 0..<5 { other.feed(Wire.frame(9, 0, 1, [UInt8](repeating: 0x82, count: 16000))) }
        #expect(other.http2.fault?.rule == "a header block is too long")
    }

    @Test("rapid reset is cut off, but not a client that cancels a few hundred calls in a minute")
    func resets() throws {
        var machine = Machine()
        var stream: UInt32 = 1
        for _ in 0..<600 where machine.http2.fault == nil {
            machine.feed(Wire.call(stream) + Wire.frame(3, 0, stream, [0, 0, 0, 8]))
            stream += 2
        }
        #expect(machine.http2.fault?.rule == "too many streams are reset")
        #expect(machine.calls.count < 420)

        var patient = Machine()
        stream = 1
        for _ in 0..<3000 {
            patient.feed(Wire.call(stream) + Wire.frame(3, 0, stream, [0, 0, 0, 8]))
            stream += 2
            patient.now = patient.now.advanced(by: .milliseconds(100))
        }
        #expect(patient.http2.fault == nil)
    }

    @Test("a client that takes the first message of a stream and cancels it may do so for ever")
    func firstMessageOnly() throws {
        var machine = Machine()
        for index in 0..<5000 {
            let stream = UInt32(index) * 2 + 1
            machine.feed(Wire.call(stream, "/t.T/Watch"))
            machine.http2.send([1, 2, 3], on: stream)
            machine.feed(Wire.frame(8, 0, 0, Wire.number(8)) + Wire.frame(6, 0, 0, Array(repeating: 0, count: 8)))
            machine.feed(Wire.frame(3, 0, stream, [0, 0, 0, 8]))
        }
        #expect(machine.http2.fault == nil && machine.calls.count == 5000)
    }

    @Test("keepalive PINGs may come for ever")
    func keepalive() throws {
        var machine = Machine()
        for _ in 0..<5000 {
            machine.feed(Wire.frame(6, 0, 0, Array(repeating: 0, count: 8)))
            machine.now = machine.now.advanced(by: .seconds(10))
        }
        #expect(machine.http2.fault == nil)
    }

    @Test("references to long fields cost nothing beyond the limit of the list")
    func headerBomb() throws {
        var machine = Machine()
        let long = String(repeating: "v", count: 4000)
        let block =
            Wire.block(Wire.fields("/t.T/Unary")) + [0x40] + Wire.string("n") + Wire.string(long)
            + [UInt8](repeating: 0xBE, count: 10_000)
        machine.feed(Wire.frame(1, 4, 1, block))
        #expect(machine.refused == [.resourceExhausted] && machine.http2.fault == nil)
    }
}
