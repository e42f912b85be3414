internal import HTTPTypes
internal import HummingbirdCore
package import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization

/// Hands out metrics over HTTP, to whoever can reach the address: texts that hold no secrets and no names of callers.
package struct MetricsListener: Service, CustomStringConvertible {
    /// Scrapers are few.
    private static let maximumConnections = 16
    private static let silence = TimeAmount.seconds(90)
    private static let path = "/metrics"

    private let host: String
    private let port: Int
    private let logger: Logger
    private let text: @Sendable () -> String

    /// Creates a listener that listens once it runs.
    ///
    /// - Parameters:
    ///   - host: An IP address.
    ///   - port: 0 takes any; the log says which.
    ///   - logger: For where it listens.
    ///   - text: Makes the answer; called for each request.
    package init(host: String, port: Int, logger: Logger, text: @escaping @Sendable () -> String) {
        (self.host, self.port, self.logger, self.text) = (host, port, logger, text)
    }

    package var description: String { "MetricsListener" }

    package func run() async throws {
        // The HTTP library speaks of every hurried client.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let channel = HTTP1Channel(
            responder: { [text] request, writer, _ in try await Self.answer(request.head, text, writer) },
            configuration: .init(
                idleTimeout: Self.silence,
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 8 << 10, maxHeaderListSize: 16 << 10, maxHeaderFieldCount: 50)))
        let server = channel.server(
            configuration: ServerConfiguration(
                address: .hostname(host, port: port),
                availableConnectionsDelegate: .maximum(Self.maximumConnections, logger: quiet)),
            onServerRunning: { [logger] channel in
                let port = channel.localAddress?.port ?? 0
                logger.info(
                    "metrics are served", metadata: ["address": "\(channel.localAddress?.ipAddress ?? ""):\(port)"])
            },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        do { try await server.run() } catch let error as IOError {
            throw Failure(
                .cannotCreate, "cannot serve metrics on \(host):\(port): \(error)",
                hint: "stop whatever uses the address, or choose another one under 'metrics'")
        }
    }

    private static func answer(
        _ request: HTTPRequest, _ text: @Sendable () -> String, _ writer: consuming ResponseWriter
    ) async throws {
        let path = request.path.map { $0.prefix { $0 != "?" } }
        let (status, body): (HTTPResponse.Status, String) =
            switch (request.method, path) {
            case (.get, Self.path[...]?), (.head, Self.path[...]?): (.ok, text())
            case (_, Self.path[...]?): (.methodNotAllowed, "only GET is answered\n")
            default: (.notFound, "metrics are at \(Self.path)\n")
            }
        let type = status == .ok ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain; charset=utf-8"
        let head = HTTPResponse(
            status: status,
            headerFields: [.contentType: type, .contentLength: "\(body.utf8.count)", .cacheControl: "no-store"])
        if request.method == .head {
            try await writer.writeResponse(head)
        } else {
            try await writer.write(response: head, body: ResponseBody(byteBuffer: ByteBuffer(string: body)))
        }
    }
}
