import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Answers the first bytes of every connection with bytes of a test's choice.
struct ScriptedServer: Sendable {
    /// What to say, and what to do then.
    struct Script: Sendable {
        let parts: [String]
        /// Between two parts.
        var pause = TimeAmount.zero
        var hangsUp = true

        /// A whole answer.
        static func answer(
            _ status: String = "200 OK", headers: [String] = [], body: String = ""
        ) -> Script {
            let head = ["HTTP/1.1 \(status)", "Content-Length: \(body.utf8.count)"] + headers
            return Script(parts: [head.joined(separator: "\r\n") + "\r\n\r\n" + body])
        }
    }

    let port: Int
    private let heard: Heard

    /// The requests that came in, as they were written.
    var requests: [String] { heard.requests }

    static func run(
        _ script: Script, tls: NIOSSLContext? = nil, _ body: (ScriptedServer) async throws -> Void
    ) async throws {
        let heard = Heard()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    try pipeline.addHandler(Actor(script: script, heard: heard))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body(ScriptedServer(port: channel.localAddress?.port ?? 0, heard: heard))
        } catch {
            try await channel.close()
            throw error
        }
        try await channel.close()
    }

    private final class Heard: Sendable {
        private let state = Mutex<[String]>([])
        var requests: [String] { state.withLock { $0 } }
        func note(_ text: String) { state.withLock { $0.append(text) } }
    }

    private final class Actor: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let script: Script
        private let heard: Heard
        private var hasSpoken = false

        init(script: Script, heard: Heard) { (self.script, self.heard) = (script, heard) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard !hasSpoken else { return }
            hasSpoken = true
            heard.note(String(buffer: unwrapInboundIn(data)))
            say(0, context)
        }

        private func say(_ index: Int, _ context: ChannelHandlerContext) {
            guard context.channel.isActive else { return }
            guard script.parts.indices.contains(index) else {
                if script.hangsUp { context.close(promise: nil) }
                return
            }
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: script.parts[index])), promise: nil)
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(in: script.pause) {
                let (actor, context) = bound.value
                actor.say(index + 1, context)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
