import Foundation
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import SPIFFE
import Synchronization
import TestSupport
import WorkloadIdentity
import X509

/// A server that presents whatever a test wants to present, checks nothing, and remembers what it was asked.
struct RawServer: Sendable {
    /// How a server behaves on each connection.
    enum Behaviour: Sendable {
        /// Speaks TLS with a chain, leaf first.
        case tls([Certificate], key: Data)
        /// Speaks HTTP without TLS.
        case plain
        /// Accepts, and says nothing.
        case silent
        /// Accepts, and closes.
        case closing
    }

    /// What came in over all connections.
    final class Record: Sendable {
        private let state = Mutex((connections: 0, closed: 0, firstBytes: [UInt8](), requests: [HTTPRequestHead]()))

        var connections: Int { state.withLock { $0.connections } }
        /// The first byte of every connection; 22 begins a TLS handshake.
        var firstBytes: [UInt8] { state.withLock { $0.firstBytes } }
        var requests: [HTTPRequestHead] { state.withLock { $0.requests } }

        fileprivate func connected() { state.withLock { $0.connections += 1 } }
        fileprivate func began(with byte: UInt8) { state.withLock { $0.firstBytes.append(byte) } }
        fileprivate func asked(_ head: HTTPRequestHead) { state.withLock { $0.requests.append(head) } }
    }

    let port: Int
    let record: Record

    /// Runs a server on loopback for as long as the body.
    ///
    /// How it behaves is asked for each connection. With a location it redirects every request, otherwise it answers 200.
    static func with(
        _ behaviour: @escaping @Sendable () -> Behaviour, redirectingTo location: String? = nil,
        unixSocket: String? = nil,
        _ body: (RawServer) async throws -> Void
    ) async throws {
        let record = Record()
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try serve(channel, behaviour(), record: record, location: location)
                }
            }
        let channel =
            if let unixSocket {
                try await bootstrap.bind(unixDomainSocketPath: unixSocket).get()
            } else {
                try await bootstrap.bind(host: "127.0.0.1", port: 0).get()
            }
        do {
            try await body(RawServer(port: channel.localAddress?.port ?? 0, record: record))
        } catch {
            try await channel.close()
            throw error
        }
        try await channel.close()
    }

    private static func serve(
        _ channel: any Channel, _ behaviour: Behaviour, record: Record, location: String?
    ) throws {
        record.connected()
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(FirstByte(record: record))
        switch behaviour {
        case .tls(let chain, let key):
            let material = try TLSMaterial(chain: try chain.map { try $0.derBytes() }, key: key)
            let configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: material.chain.map { .certificate($0) }, privateKey: .privateKey(material.key))
            try pipeline.addHandler(NIOSSLServerHandler(context: try NIOSSLContext(configuration: configuration)))
        case .plain: break
        case .silent: return
        case .closing:
            channel.close(promise: nil)
            return
        }
        try pipeline.configureHTTPServerPipeline()
        try pipeline.addHandler(Responder(record: record, location: location))
    }

    private final class FirstByte: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let record: Record
        private var isFirst = true

        init(record: Record) { self.record = record }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if isFirst, let byte = unwrapInboundIn(data).readableBytesView.first {
                record.began(with: byte)
                isFirst = false
            }
            context.fireChannelRead(data)
        }
    }

    private final class Responder: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let record: Record
        private let location: String?

        init(record: Record, location: String?) { (self.record, self.location) = (record, location) }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): record.asked(head)
            case .body: break
            case .end:
                var headers = HTTPHeaders([("Content-Length", "2")])
                if let location { headers.add(name: "Location", value: location) }
                let head = HTTPResponseHead(
                    version: .http1_1, status: location == nil ? .ok : .temporaryRedirect, headers: headers)
                context.write(wrapOutboundOut(.head(head)), promise: nil)
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: "ok")))), promise: nil)
                context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
