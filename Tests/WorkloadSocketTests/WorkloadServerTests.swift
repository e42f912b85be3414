import Foundation
import Glibc
import GRPCWire
import LinuxKernel
import Platform
import Synchronization
import Testing
import WorkloadSocket

@Suite("Workload socket", .serialized, .timeLimit(.minutes(1)))
struct WorkloadServerTests {
    @Test("answers a call after the challenge was met, and tells who called")
    func call() async throws {
        let handler = RecordingHandler(onAnswer: { $0.finish(with: $0.message + $0.metadata(0).flatMap { $0 }) })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1, more: [("workload.spiffe.io", "true")]))
            let ping = try #require(client.nextPing())
            try await fixture.eventually("evidence is gathered meanwhile") {
                handler.notes.withLock { $0.gathered == 1 }
            }
            #expect(handler.notes.withLock { $0.answered } == 0)
            try client.write(Wire.frame(6, 1, 0, ping))
            #expect(try client.nextAnswer()?.type == 1)
            #expect(try client.nextAnswer()?.payload == Wire.message([1, 2, 3] + Array("true".utf8)))
            #expect(try client.status(of: 1) == "0")
            let peer = try #require(handler.notes.withLock { $0.calls.first }).connection.peer
            #expect(peer.credentials.pid == getpid() && peer.credentials.uid == getuid() && peer.handle.pid == getpid())
        }
        #expect(handler.notes.withLock { $0.accepted == 1 && $0.closed == 1 })
    }

    @Test("an answer to an earlier or another PING meets no challenge")
    func staleChallenge() async throws {
        let handler = RecordingHandler()
        try await SocketFixture.with(handler, adjust: { $0.challengeLimit = .milliseconds(300) }) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1))
            let first = try #require(client.nextPing())
            try client.write(Wire.call(3))
            let second = try #require(client.nextPing())
            #expect(first != second)
            try client.write(Wire.frame(6, 1, 0, first))
            #expect(try client.status(of: 1, answeringPings: false) == "0")
            try client.write(Wire.frame(6, 1, 0, first) + Wire.frame(6, 1, 0, [1, 2, 3, 4, 5, 6, 7, 8]))
            #expect(try client.status(of: 3, answeringPings: false) == "14")
            #expect(handler.notes.withLock { $0.answered } == 1)
        }
    }

    @Test("one challenge serves the calls that came before it")
    func sharedChallenge() async throws {
        let handler = RecordingHandler()
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1) + Wire.call(3) + Wire.call(5))
            let ping = try #require(client.nextPing())
            try client.write(Wire.frame(6, 1, 0, ping))
            for stream in [1, 3, 5] as [UInt32] {
                #expect(try client.status(of: stream, answeringPings: false) == "0")
            }
        }
    }

    @Test("a push follows a challenge of its own, and pushes that wait are one")
    func push() async throws {
        let handler = RecordingHandler(onAnswer: { $0.send([7]) })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1, "/t.T/Watch"))
            #expect(try client.nextAnswer()?.type == 1)
            #expect(try client.nextAnswer()?.payload == Wire.message([7]))
            for connection in fixture.server.connections { connection.poke() }
            let ping = try #require(client.nextPing())
            for connection in fixture.server.connections { for _ in 0..<50 { connection.poke() } }
            #expect(handler.notes.withLock { $0.answered } == 1)
            try client.write(Wire.frame(6, 1, 0, ping))
            #expect(try client.nextAnswer()?.payload == Wire.message([7]))
            #expect(try client.nextAnswer()?.payload == Wire.message([7]))
            try await Task.sleep(for: .milliseconds(50))
            #expect(handler.notes.withLock { $0.answered } == 3)
        }
    }

    @Test("a call may be finished from elsewhere, later, and asks for another round before")
    func resumed() async throws {
        let handler = RecordingHandler(onAnswer: { call in
            if call.context == nil {
                call.context = Marker()
                Thread {
                    Thread.sleep(forTimeInterval: 0.05); call.resume()
                }.start()
            } else {
                Thread {
                    Thread.sleep(forTimeInterval: 0.05); call.finish(with: [9])
                }.start()
            }
        })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1))
            #expect(try client.status(of: 1) == "0")
            #expect(handler.notes.withLock { $0.gathered == 2 && $0.answered == 2 })
        }
    }

    private final class Marker: Sendable {}

    @Test("cuts a connection that another process writes to")
    func anotherSender() async throws {
        let handler = RecordingHandler(onAnswer: { $0.send([1]) })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1, "/t.T/Watch"))
            #expect(try client.nextAnswer()?.type == 1)
            let cancelled = Mutex(false)
            try #require(handler.notes.withLock { $0.calls.first }).whenCutOff { cancelled.withLock { $0 = true } }
            // A child that has inherited the connection: a PING that would be harmless from the connector.
            let child = Process()
            child.executableURL = URL(filePath: "/bin/sh")
            child.arguments = ["-c", #"printf '\0\0\10\6\0\0\0\0\0\1\2\3\4\5\6\7\10'"#]
            child.standardOutput = FileHandle(fileDescriptor: client.descriptor, closeOnDealloc: false)
            try child.run()
            child.waitUntilExit()
            while try client.nextAnswer() != nil {}
            try await fixture.eventually("it is cut") {
                fixture.server.snapshot.ended["sender_is_another_process"] == 1
            }
            #expect(cancelled.withLock { $0 })
            #expect(handler.notes.withLock { $0.closed } == 1)
        }
    }

    @Test("cuts a connection whose first bytes are another process's")
    func anotherSenderAtOnce() async throws {
        let handler = RecordingHandler()
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            let child = Process()
            child.executableURL = URL(filePath: "/bin/sh")
            child.arguments = ["-c", "printf 'PRI * HTTP/2.0'"]
            child.standardOutput = FileHandle(fileDescriptor: client.descriptor, closeOnDealloc: false)
            try child.run()
            child.waitUntilExit()
            while client.next() != nil {}
            try await fixture.eventually("it is cut") {
                fixture.server.snapshot.ended["sender_is_another_process"] == 1
            }
        }
    }

    @Test("cuts a connection that passes descriptors, and keeps none", arguments: [1, 8, 200])
    func descriptors(_ count: Int) async throws {
        let handler = RecordingHandler()
        try await SocketFixture.with(handler) { fixture in
            var ends: [Int32] = [0, 0]
            #expect(pipe(&ends) == 0)
            let client = try fixture.connect()
            try client.write(Wire.opening)
            try sendDescriptors([Int32](repeating: ends[1], count: count), over: client.descriptor)
            close(ends[1])
            while client.next() != nil {}
            // The writing end is open nowhere any more: reading tells the end of the stream.
            var byte: UInt8 = 0
            #expect(read(ends[0], &byte, 1) == 0)
            close(ends[0])
            try await fixture.eventually("it is cut") {
                let ended = fixture.server.snapshot.ended
                return ended["descriptors_passed"] == 1
            }
        }
    }

    private func sendDescriptors(_ descriptors: [Int32], over socket: Int32) throws {
        // struct cmsghdr: its length, SOL_SOCKET, SCM_RIGHTS; then the descriptors.
        var control: [UInt8] = []
        withUnsafeBytes(of: UInt64(16 + 4 * descriptors.count)) { control += $0 }
        withUnsafeBytes(of: (Int32(SOL_SOCKET), Int32(1))) { control += $0 }
        descriptors.withUnsafeBytes { control += $0 }
        while control.count % 8 != 0 { control.append(0) }
        var data: [UInt8] = [0]
        let sent = data.withUnsafeMutableBytes { bytes in
            var vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            return control.withUnsafeMutableBytes { part in
                withUnsafeMutablePointer(to: &vector) { vector in
                    var message = msghdr()
                    message.msg_iov = vector
                    message.msg_iovlen = 1
                    message.msg_control = part.baseAddress
                    message.msg_controllen = part.count
                    return sendmsg(socket, &message, 0)
                }
            }
        }
        guard sent == 1 else { throw LinuxError("sendmsg") }
    }

    @Test("cuts what does not open, falls silent, or drips, each after its time")
    func times() async throws {
        let handler = RecordingHandler(onAnswer: { $0.send([1]) })
        let adjust: (inout SocketSettings) -> Void = {
            $0.openingLimit = .milliseconds(200)
            $0.keepalive = .milliseconds(300)
            $0.silenceLimit = .milliseconds(600)
            $0.transferLimit = .milliseconds(400)
        }
        try await SocketFixture.with(handler, adjust: adjust) { fixture in
            let (silent, dripping, quiet) = (try fixture.connect(), try fixture.connect(), try fixture.connect())
            let lively = try fixture.connect()
            try silent.write(Array(Wire.preface.prefix(10)))
            try dripping.write(Wire.opening + Wire.headers(1, "/t.T/Unary") + Wire.frame(0, 0, 1, [0, 0, 0, 0, 60]))
            try quiet.write(Wire.opening)
            try lively.write(Wire.opening + Wire.call(1, "/t.T/Watch"))
            for _ in 0..<20 {
                try? dripping.write(Wire.frame(0, 0, 1, [0]))
                try lively.write(Wire.frame(6, 0, 0, Array(repeating: 9, count: 8)))
                try await Task.sleep(for: .milliseconds(50))
            }
            try await fixture.eventually("each is cut for its own reason") {
                let ended = fixture.server.snapshot.ended
                return ended["too_slow_to_open"] == 1 && ended["request_too_slow"] == 1 && ended["silent"] == 1
            }
            #expect(fixture.server.snapshot.open == 1)
            try lively.write(Wire.frame(6, 0, 0, Array(repeating: 9, count: 8)))
        }
    }

    @Test("a call ends at its grpc-timeout")
    func deadline() async throws {
        let handler = RecordingHandler(onAnswer: { _ in })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1, more: [("grpc-timeout", "100m")]))
            #expect(try client.status(of: 1) == "4")
        }
    }

    @Test("a reader that is too slow is cut, and the server holds no more than the limit")
    func slowReader() async throws {
        let handler = RecordingHandler(onAnswer: { call in
            for _ in 0..<100 { call.send([UInt8](repeating: 1, count: 60_000)) }
        })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(
                Wire.preface + Wire.frame(4, 0, 0, Wire.setting(4, 0x7FFF_FFFF))
                    + Wire.frame(8, 0, 0, Wire.number(0x7000_0000)) + Wire.call(1, "/t.T/Watch"))
            let ping = try #require(client.nextPing())
            try client.write(Wire.frame(6, 1, 0, ping))
            try await fixture.eventually("it is cut") { fixture.server.snapshot.open == 0 }
        }
    }

    @Test("serves hundreds of connections at once")
    func many() async throws {
        let handler = RecordingHandler(onAnswer: { $0.send($0.message) })
        try await SocketFixture.with(handler) { fixture in
            let clients = try (0..<500).map { index in
                let client = try fixture.connect()
                try client.write(
                    Wire.opening + Wire.call(1, "/t.T/Watch", bytes: [UInt8(index % 256), UInt8(index / 256)]))
                return client
            }
            for (index, client) in clients.enumerated() {
                #expect(try client.nextAnswer()?.type == 1)
                #expect(
                    try client.nextAnswer()?.payload == Wire.message([UInt8(index % 256), UInt8(index / 256)]))
            }
            for connection in fixture.server.connections { connection.poke() }
            for client in clients { #expect(try client.nextAnswer()?.type == 0) }
            // Clients that are not used any more would be let go, and with them their connections.
            withExtendedLifetime(clients) { #expect(fixture.server.snapshot.open == 500) }
        }
        #expect(handler.notes.withLock { $0.closed } == 500)
    }

    @Test("a user has no more connections than the limit")
    func connectionLimit() async throws {
        let handler = RecordingHandler()
        try await SocketFixture.with(handler, adjust: { $0.connectionsPerUser = 3 }) { fixture in
            let clients = try (0..<5).map { _ in try fixture.connect() }
            try await fixture.eventually("two are turned away") { fixture.server.snapshot.refused[.userLimit] == 2 }
            #expect(fixture.server.snapshot.open == 3)
            withExtendedLifetime(clients) {}
        }
    }

    @Test("a user whose calls are stuck holds half of the workers, and is served on when one comes free")
    func stuckUser() async throws {
        let gate = Gate()
        let handler = RecordingHandler(onGather: { call in if call.message == [1] { gate.wait() } })
        try await SocketFixture.with(handler, adjust: { $0.workers = 4 }) { fixture in
            let stuck = try (0..<3).map { _ in try fixture.connect() }
            for client in stuck { try client.write(Wire.opening + Wire.call(1, bytes: [1])) }
            try await fixture.eventually("two are at work") { handler.notes.withLock { $0.gathered } == 2 }
            let late = try fixture.connect()
            try late.write(Wire.opening + Wire.call(1, bytes: [2]))
            try await Task.sleep(for: .milliseconds(100))
            #expect(handler.notes.withLock { $0.gathered } == 2)
            #expect(fixture.server.snapshot.open == 4, "others can still connect")
            gate.open()
            for client in stuck + [late] { #expect(try client.status(of: 1) == "0") }
        }
    }

    @Test(
        "a user is served while all that another one may have is stuck",
        .enabled(if: geteuid() == 0, "only root can connect as somebody else"))
    func otherUser() async throws {
        let gate = Gate()
        let handler = RecordingHandler(onGather: { call in if call.message == [1] { gate.wait() } })
        try await SocketFixture.with(handler, adjust: { $0.workers = 2 }) { fixture in
            let stuck = try (0..<3).map { _ in try fixture.connect() }
            for client in stuck { try client.write(Wire.opening + Wire.call(1, bytes: [1])) }
            try await fixture.eventually("one is at work") { handler.notes.withLock { $0.gathered } == 1 }
            let other = try fixture.connect(as: 65534)
            try other.write(Wire.opening + Wire.call(1, bytes: [2]))
            #expect(try other.status(of: 1) == "0")
            let calls = handler.notes.withLock { $0.calls }
            #expect(calls.map(\.connection.peer.credentials.uid) == [0, 65534])
            gate.open()
            for client in stuck { #expect(try client.status(of: 1) == "0") }
        }
    }

    @Test("starts more workers when all are stuck")
    func moreWorkers() async throws {
        let gate = Gate()
        let handler = RecordingHandler(onGather: { call in if call.message == [1] { gate.wait() } })
        try await SocketFixture.with(handler, adjust: { $0.workers = 1 }) { fixture in
            let stuck = try fixture.connect()
            try stuck.write(Wire.opening + Wire.call(1, bytes: [1]))
            try await fixture.eventually("another one comes") { fixture.server.snapshot.workers == 2 }
            gate.open()
            #expect(try stuck.status(of: 1) == "0")
        }
    }

    @Test("tells clients that it stops, ends their calls as unavailable, and returns")
    func shutdown() async throws {
        let handler = RecordingHandler(onAnswer: { $0.send([1]) })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1, "/t.T/Watch"))
            #expect(try client.nextAnswer()?.type == 1)
            #expect(try client.nextAnswer()?.type == 0)
            fixture.server.shutDown(within: .seconds(2))
            #expect(try client.nextAnswer()?.type == 7)
            #expect(try client.status(of: 1) == "14")
            #expect(client.next() == nil)
            #expect(throws: LinuxError.self, "nobody waits for what does not come") { try fixture.connect() }
        }
        #expect(handler.notes.withLock { $0.closed } == 1)
    }

    @Test("a push does not answer a unary call again that is still under way")
    func pushAndUnary() async throws {
        let handler = RecordingHandler(onAnswer: { if $0.method == 1 { $0.send([7]) } })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1) + Wire.call(3, "/t.T/Watch"))
            #expect(try client.nextAnswer()?.stream == 3)
            #expect(try client.nextAnswer()?.stream == 3)
            for connection in fixture.server.connections { connection.poke() }
            #expect(try client.nextAnswer()?.payload == Wire.message([7]))
            #expect(handler.notes.withLock { $0.answered } == 3)
            try #require(handler.notes.withLock { $0.calls.first { $0.method == 0 } }).finish(with: [1])
            #expect(try client.status(of: 1) == "0")
        }
    }

    @Test("closes a connection from elsewhere, after what was said")
    func closedByHandler() async throws {
        let handler = RecordingHandler(onAnswer: { $0.send([1]) })
        try await SocketFixture.with(handler) { fixture in
            let client = try fixture.connect()
            try client.write(Wire.opening + Wire.call(1, "/t.T/Watch"))
            #expect(try client.nextAnswer()?.type == 1)
            let call = try #require(handler.notes.withLock { $0.calls.first })
            call.finish(CallStatus(.permissionDenied, "it executed another program"))
            call.connection.close(reason: "exec")
            #expect(try client.status(of: 1) == "7")
            #expect(client.next() == nil)
            #expect(call.isOver)
        }
    }
}

/// Holds threads until it is opened.
final class Gate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func wait() {
        semaphore.wait()
        semaphore.signal()
    }

    func open() { semaphore.signal() }
}
