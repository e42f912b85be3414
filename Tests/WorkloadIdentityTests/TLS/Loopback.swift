import NIOCore
import NIOPosix
import NIOSSL
import SPIFFE
import WorkloadIdentity
import X509

/// What both sides of one connection made of each other.
struct Handshake: Sendable {
    /// Who the server said it talked to, told to the client over the connection; nil when the client was cut off.
    let greeting: String?
    /// Whom the client verified.
    let server: VerifiedX509SVID?
}

/// A TLS server on the loopback interface that tells every client who it is, and hangs up.
struct Loopback: Sendable {
    let port: Int

    /// Runs a body against a server.
    static func run(
        _ server: WorkloadTLS, clientCertificate: WorkloadTLS.ClientCertificate = .required,
        _ body: (Loopback) async throws -> Void
    ) async throws {
        let channel = try await ServerBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = try server.secureServer(
                        channel.pipeline.syncOperations, clientCertificate: clientCertificate)
                    try channel.pipeline.syncOperations.addHandler(Greeter(peer: peer))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        do {
            try await body(Loopback(port: channel.localAddress?.port ?? 0))
        } catch {
            try await channel.close().get()
            throw error
        }
        try await channel.close().get()
    }

    /// Connects as a workload.
    func connect(_ tls: WorkloadTLS) async throws -> Handshake {
        try await connect { try tls.secureClient($0) }
    }

    /// Connects with a TLS configuration of the test's own that trusts anyone.
    func connect(_ configuration: TLSConfiguration) async throws -> Handshake {
        try await connect { pipeline in
            var configuration = configuration
            configuration.certificateVerification = .none
            try pipeline.addHandler(
                NIOSSLClientHandler(context: NIOSSLContext(configuration: configuration), serverHostname: nil))
            return nil
        }
    }

    private func connect(
        _ secure: @escaping @Sendable (ChannelPipeline.SynchronousOperations) throws -> TLSPeer?
    ) async throws -> Handshake {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let greeting = loop.makePromise(of: String?.self)
        let peer = LatestValue<TLSPeer>()
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let known = try secure(channel.pipeline.syncOperations) { peer.set(known) }
                    try channel.pipeline.syncOperations.addHandler(Listener(greeting: greeting))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let heard = try await greeting.futureResult.get()
        try? await channel.close().get()
        return Handshake(greeting: heard, server: peer.snapshot.value?.svid)
    }
}

/// Tells a client that says anything by what ID it is known, and hangs up.
private final class Greeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let peer: TLSPeer

    init(peer: TLSPeer) { self.peer = peer }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let name = peer.svid.map { "\($0.id)" } ?? "nobody"
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: name + "\n")), promise: nil)
        context.close(mode: .all, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// Asks, and collects what the server says until it hangs up.
private final class Listener: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let greeting: EventLoopPromise<String?>
    private var heard = ""

    init(greeting: EventLoopPromise<String?>) { self.greeting = greeting }

    func channelActive(context: ChannelHandlerContext) {
        // Goes out once the handshake is over.
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "?")), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { heard += String(buffer: unwrapInboundIn(data)) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelInactive(context: ChannelHandlerContext) {
        greeting.succeed(heard.isEmpty ? nil : heard.trimmingNewline)
        context.fireChannelInactive()
    }
}

extension String {
    fileprivate var trimmingNewline: String { last == "\n" ? String(dropLast()) : self }
}
