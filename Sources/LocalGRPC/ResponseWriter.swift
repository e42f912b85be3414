internal import GRPCCore
internal import NIOCore

/// Takes the parts of one answer, from whichever thread.
struct ResponseWriter: ClosableRPCWriterProtocol {
    let call: NIOLoopBound<LocalCall>
    let connection: NIOLoopBound<LocalConnection>
    /// Whether there may be more than one message.
    let isStreaming: Bool

    func write(_ part: RPCResponsePart<[UInt8]>) async throws {
        let mustWait: Bool
        if connection.eventLoop.inEventLoop {
            mustWait = try connection.value.write(part, of: call.value)
        } else {
            mustWait = try await send(part)
        }
        guard mustWait else { return }
        let (call, connection) = (call, connection)
        await withCheckedContinuation { continuation in
            connection.eventLoop.execute { connection.value.wait(call.value, continuation) }
        }
    }

    /// Hands a part to the connection's thread; of a single message, and of a head and an end, nobody waits for the news.
    private func send(_ part: RPCResponsePart<[UInt8]>) async throws -> Bool {
        let (call, connection) = (call, connection)
        if case .message = part, isStreaming {
            return try await connection.eventLoop.submit { try connection.value.write(part, of: call.value) }.get()
        }
        connection.eventLoop.execute { _ = try? connection.value.write(part, of: call.value) }
        return false
    }

    func write(contentsOf parts: some Sequence<RPCResponsePart<[UInt8]>>) async throws {
        for part in parts { try await write(part) }
    }

    // The end of a call is its status, and the end of its handler where that did not come.
    func finish() async {}

    func finish(throwing error: any Error) async {}
}
