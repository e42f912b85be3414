internal import Bootstrap
internal import Glibc
internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization

/// The HTTP server as a long-running part: serves until told to stop, then lets requests finish.
struct VerificationListener: Service, CustomStringConvertible {
    /// More than proxies keep open; whoever comes then waits in the backlog.
    static let maximumConnections = 4096

    /// Room for a token or a chain beside what a browser sends.
    static let maximumHeaderBytes = 96 << 10

    /// How long a connection may be quiet, or take to say what it wants; longer than proxies keep an idle one.
    static let silence = TimeAmount.seconds(90)

    let endpoint: ListeningEndpoint
    let responder: VerificationResponder
    let logger: Logger
    /// Called once, with the address as it is after binding.
    let onListening: @Sendable (String) -> Void

    var description: String { "VerificationListener(\(endpoint))" }

    func run() async throws {
        // The HTTP library speaks of the name under which a socket is made, and of every hurried client.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        let failure = Mutex<Failure?>(nil)
        let channel = HTTP1Channel(
            responder: { [responder] request, writer, _ in
                try await responder.respond(to: request.head, on: writer)
            },
            configuration: .init(
                idleTimeout: Self.silence,
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: Self.maximumHeaderBytes, maxHeaderListSize: Self.maximumHeaderBytes,
                    maxHeaderFieldCount: 200)))
        let server = channel.server(
            configuration: ServerConfiguration(
                address: address, backlog: 1024,
                availableConnectionsDelegate: .maximum(Self.maximumConnections, logger: quiet)),
            onServerRunning: { channel in
                do throws(Failure) {
                    onListening(try publish(channel))
                } catch {
                    failure.withLock { $0 = error }
                    channel.close(promise: nil)
                }
            },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
        do {
            try await server.run()
        } catch let error as IOError {
            let hint =
                error.errnoCode == ENOENT
                ? "create the folder, or choose another path" : "stop whatever uses it, or choose another address"
            throw Failure(
                .cannotCreate,
                "cannot listen on \(endpoint): \(String(cString: strerror(error.errnoCode)).lowercased())", hint: hint)
        }
        if let failure = failure.withLock({ $0 }) { throw failure }
    }

    private var address: BindAddress {
        switch endpoint {
        case .unix(let path, mode: _, group: _): .unixDomainSocket(path: path.staging)
        case .tcp(let host, let port): .hostname(host, port: port)
        }
    }

    /// Moves a Unix socket into place.
    ///
    /// - Returns: Where to connect.
    private func publish(_ channel: any Channel) throws(Failure) -> String {
        switch endpoint {
        case .unix(let path, let mode, group: _):
            try path.publish(mode: mode)
            return path.path
        case .tcp(let host, let port):
            let port = channel.localAddress?.port ?? port
            return host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}
