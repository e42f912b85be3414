import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCConnections
import LocalGRPC
import NIOCore
import Synchronization
import TestSupport
import Testing

@Suite("gRPC on a Unix socket, with the client of the library", .timeLimit(.minutes(2)))
struct LocalTransportTests {
    /// Waits until something holds.
    private func eventually(_ what: Comment, _ holds: () -> Bool) async throws {
        for _ in 0..<1000 where !holds() { try await Task.sleep(for: .milliseconds(10)) }
        #expect(holds(), what)
    }

    @Test("one message each way, of any size within the limit", arguments: [0, 1, 100, 16384, 70_000, 3_900_000])
    func unary(size: Int) async throws {
        try await Workbench.serve { _, path, _ in
            let message = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
            let answer = try await Workbench.connect(path) { try await $0.ask(Workbench.echo, message) }
            #expect(answer == message)
        }
    }

    @Test("a message beyond the limit is refused, and the connection goes on")
    func large() async throws {
        try await Workbench.serve(limits: PeerLimits(concurrentCalls: 10, requestBytes: 1000)) { _, path, _ in
            try await Workbench.connect(path) { client in
                for method in [Workbench.echo, Workbench.collect] {
                    let error = await #expect(throws: RPCError.self) {
                        try await client.ask(method, [UInt8](repeating: 1, count: 1001))
                    }
                    #expect(error?.code == .resourceExhausted)
                }
                let answer1 = try await client.ask(Workbench.echo, [UInt8](repeating: 1, count: 1000))
                #expect(answer1.count == 1000)
            }
        }
    }

    @Test("many calls at once on one connection, each with its own answer, all told who is connected")
    func many() async throws {
        try await Workbench.serve { _, path, _ in
            try await Workbench.connect(path) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<300 {
                        group.addTask {
                            let message = Array("call \(number)".utf8)
                            let answer2 = try await client.ask(Workbench.echo, message)
                            #expect(answer2 == message)
                        }
                    }
                    try await group.waitForAll()
                }
                try await client.unary(
                    request: ClientRequest(message: [1]), descriptor: Workbench.echo, serializer: BytesCodec(),
                    deserializer: BytesCodec(), options: .defaults
                ) { response in
                    _ = try response.message
                    #expect(Array(response.metadata[stringValues: "number"]) == ["1"])
                    #expect(Array(response.trailingMetadata[stringValues: "end"]) == ["yes"])
                }
            }
        }
    }

    @Test("errors come with their code, text and fields")
    func errors() async throws {
        try await Workbench.serve { _, path, _ in
            try await Workbench.connect(path) { client in
                let error = await #expect(throws: RPCError.self) { try await client.ask(Workbench.refuse, [1]) }
                #expect(error?.code == .resourceExhausted && error?.message == "später, bitte")
                #expect(error.map { Array($0.metadata[stringValues: "retry-after-ms"]) } == ["250"])
                #expect(error.map { Array($0.metadata[binaryValues: "data-bin"]) } == [[0, 255]])
                let unknown = MethodDescriptor(fullyQualifiedService: "test.Workbench", method: "Missing")
                let missing = await #expect(throws: RPCError.self) { try await client.ask(unknown, [1]) }
                #expect(missing?.code == .unimplemented)
            }
        }
    }

    @Test("many messages up, none, and both ways")
    func streams() async throws {
        try await Workbench.serve { _, path, _ in
            try await Workbench.connect(path) { client in
                let large = [[UInt8]](repeating: [UInt8](repeating: 1, count: 100_000), count: 50)
                let answer3 = try await client.converse(Workbench.collect, large)
                #expect(answer3 == [Array("5000000".utf8)])
                let answer4 = try await client.converse(Workbench.collect, [])
                #expect(answer4 == [Array("0".utf8)])
                let small = (0..<2000).map { Array("message \($0)".utf8) }
                let answer5 = try await client.converse(Workbench.chat, small)
                #expect(answer5 == small.map { $0.reversed() })
                let answer6 = try await client.converse(Workbench.chat, [])
                #expect(answer6 == [])
            }
        }
    }

    @Test("a slow reader holds up its own call, not the memory, and no other call")
    func slowReader() async throws {
        try await Workbench.serve { service, path, _ in
            try await Workbench.connect(path) { client in
                try await client.serverStreaming(
                    request: ClientRequest(message: [4, 64]), descriptor: Workbench.pour, serializer: BytesCodec(),
                    deserializer: BytesCodec(), options: .defaults
                ) { response in
                    var messages = response.messages.makeAsyncIterator()
                    let answer7 = try await messages.next()
                    #expect(answer7?.count == 64 << 10)
                    try await Task.sleep(for: .milliseconds(300))
                    // What is in the sockets, the windows and the queues of both sides, and not all 25 MB.
                    #expect(service.poured.withLock { $0 } < 200)
                    let answer8 = try await client.ask(Workbench.echo, [5])
                    #expect(answer8 == [5])
                    var rest = 1
                    while try await messages.next() != nil { rest += 1 }
                    #expect(rest == 400)
                }
            }
        }
    }

    @Test("a handler learns that its caller has gone, by deadline, by leaving, and by the end of the connection")
    func cancellation() async throws {
        try await Workbench.serve { service, path, _ in
            try await Workbench.connect(path) { client in
                // Connected before the time of the call begins.
                _ = try await client.ask(Workbench.echo, [1])
                let late = await #expect(throws: RPCError.self) {
                    try await client.ask(Workbench.hang, [1], timeout: .milliseconds(500))
                }
                #expect(late?.code == .deadlineExceeded || late?.code == .cancelled || late?.code == .unknown)
                try await eventually("the deadline passes") { service.released.withLock { $0 } == 1 }
                let leaving = Task { try await client.ask(Workbench.hang, [1]) }
                try await eventually("it hangs") { service.hanging.withLock { $0 } == 2 }
                leaving.cancel()
                try await eventually("it is cancelled") { service.released.withLock { $0 } == 2 }
            }
            let dying = Task { try await Workbench.connect(path) { try await $0.ask(Workbench.hang, [1]) } }
            try await eventually("it hangs") { service.hanging.withLock { $0 } == 3 }
            dying.cancel()
            try await eventually("it is gone") { service.released.withLock { $0 } == 3 }
        }
    }

    @Test("calls under way end before the server does, and nobody new is let in")
    func drain() async throws {
        try await Workbench.serve { service, path, server in
            try await Workbench.connect(path) { client in
                let poured = Task {
                    try await client.serverStreaming(
                        request: ClientRequest(message: [4, 16]), descriptor: Workbench.pour,
                        serializer: BytesCodec(), deserializer: BytesCodec(), options: .defaults
                    ) { response in
                        var count = 0
                        for try await _ in response.messages {
                            count += 1
                            if count == 10 { server.beginGracefulShutdown() }
                        }
                        return count
                    }
                }
                let answer9 = try await poured.value
                #expect(answer9 == 400)
            }
            try await eventually("it no longer listens") { (try? Socket(path)) == nil }
        }
    }

    @Test("who says nothing, or is no HTTP/2, is cut, and others are not")
    func strangers() async throws {
        var limits = PeerLimits(concurrentCalls: 10, requestBytes: 1000)
        (limits.openingSilence, limits.silence, limits.keepalive) = (
            .milliseconds(300), .milliseconds(600), .milliseconds(200)
        )
        try await Workbench.serve(limits: limits) { _, path, _ in
            let (silent, wrong) = (try Socket(path), try Socket(path))
            try wrong.write(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
            try await Workbench.connect(path) { client in
                let answer10 = try await client.ask(Workbench.echo, [1])
                #expect(answer10 == [1])
                #expect(wrong.isClosedByPeer(within: 5))
                #expect(silent.isClosedByPeer(within: 5))
                // A peer that is alive answers the pings, and stays.
                try await Task.sleep(for: .seconds(1.5))
                try await client.unary(
                    request: ClientRequest(message: [1]), descriptor: Workbench.echo, serializer: BytesCodec(),
                    deserializer: BytesCodec(), options: .defaults
                ) { #expect(Array($0.metadata[stringValues: "number"]) == ["3"]) }
            }
        }
    }

    @Test("a path that cannot be listened on is told, and nobody waits for ever")
    func cannotListen() async throws {
        struct Told: Error {}
        let transport = LocalTransport<Number>(
            path: "/nonexistent/folder/socket", publish: {}, limits: PeerLimits(concurrentCalls: 1, requestBytes: 1),
            explain: { _ in Told() }
        ) { $0.eventLoop.makeSucceededFuture(Number(value: 0)) }
        await #expect(throws: Told.self) { try await transport.listen { _, _ in } }
        #expect(await !transport.waitUntilListening())
    }
}
