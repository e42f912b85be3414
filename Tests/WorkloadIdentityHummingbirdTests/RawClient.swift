import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import SPIFFE
import TestSupport
import WorkloadIdentity
import X509

/// A client that shows whatever a test wants to show, and checks nothing.
enum RawClient {
    /// What came back.
    struct Answer: Sendable {
        var text = ""
        /// The server's leaf, DER; nil when TLS did not get that far.
        var serverLeaf: [UInt8]?
    }

    /// Sends one request and reads until the server closes.
    ///
    /// The chain is leaf first, and empty to show nothing; an empty request stays silent.
    static func ask(
        port: Int, presenting chain: [Certificate] = [], key: Data = Data(), tls: Bool = true,
        request: String = "GET /whoami HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    ) async throws -> Answer {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.certificateVerification = .none
        if !chain.isEmpty {
            let material = try TLSMaterial(chain: try chain.map { try $0.derBytes() }, key: key)
            configuration.certificateChain = material.chain.map { .certificate($0) }
            configuration.privateKey = .privateKey(material.key)
        }
        let context = try NIOSSLContext(configuration: configuration)
        let answer = MultiThreadedEventLoopGroup.singleton.any().makePromise(of: Answer.self)
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if tls {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: nil))
                    }
                    try channel.pipeline.syncOperations.addHandler(Reader(answer: answer))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        if !request.isEmpty {
            channel.writeAndFlush(ByteBuffer(string: request), promise: nil)
        }
        return try await answer.futureResult.get()
    }

    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let answer: EventLoopPromise<Answer>
        private var read = Answer()

        init(answer: EventLoopPromise<Answer>) { self.answer = answer }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            read.text += String(buffer: unwrapInboundIn(data))
            read.serverLeaf = try? context.pipeline.syncOperations.nioSSL_peerCertificate()?.toDERBytes()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        func channelInactive(context: ChannelHandlerContext) { answer.succeed(read) }
    }
}
