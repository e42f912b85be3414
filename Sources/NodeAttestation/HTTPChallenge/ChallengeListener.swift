internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// A small HTTP server that answers one path with one nonce, to whoever asks, until it is closed.
final class ChallengeListener: Sendable {
    /// What callers are told; nothing before the nonce is known.
    final class Page: Sendable {
        let path: String
        private let nonce = Mutex<String?>(nil)

        init(path: String) { self.path = path }

        var text: String? { nonce.withLock { $0 } }

        func show(_ text: String) { nonce.withLock { $0 = text } }
    }

    private static let patience = TimeAmount.seconds(10)
    private static let backlog: Int32 = 16

    private let channel: any Channel
    private let page: Page
    let port: Int

    /// Starts to listen.
    ///
    /// - Throws: ``NodeAttestationError/unavailable(_:)``.
    init(address: String, port: Int, path: String) async throws(NodeAttestationError) {
        let page = Page(path: path)
        do {
            channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.backlog, value: Self.backlog)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(IdleStateHandler(allTimeout: Self.patience))
                        try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                        try channel.pipeline.syncOperations.addHandler(ChallengeHandler(page))
                    }
                }
                .bind(host: address, port: port).get()
        } catch { throw .unavailable("cannot listen on port \(port): \(error)") }
        self.page = page
        self.port = channel.localAddress?.port ?? port
    }

    /// Shows a nonce from now on.
    func show(_ nonce: String) { page.show(nonce) }

    /// Stops to listen.
    func close() async { try? await channel.close() }
}

/// Answers one request and closes.
private final class ChallengeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let page: ChallengeListener.Page
    private var isFound = false

    init(_ page: ChallengeListener.Page) { self.page = page }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): isFound = head.method == .GET && head.uri == page.path
        case .body: return
        case .end: answer(context)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is IdleStateHandler.IdleStateEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func answer(_ context: ChannelHandlerContext) {
        let text = isFound ? page.text : nil
        let body = ByteBuffer(string: text.map { "\($0)\n" } ?? "")
        let headers: HTTPHeaders = [
            "content-type": "text/plain; charset=utf-8", "content-length": "\(body.readableBytes)",
            "connection": "close",
        ]
        let head = HTTPResponseHead(version: .http1_1, status: text == nil ? .notFound : .ok, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            loopBound.value.close(promise: nil)
        }
    }
}
