internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import HealthProtos

/// Where the server's admin socket is.
struct AdminOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server's admin socket.", valueName: "path"))
    var adminSocket: String?

    @Option(help: ArgumentHelp("The state folder of 'mintmark up'.", valueName: "dir"))
    var state: String?

    static let systemSocket = "/run/mintmark/admin.sock"

    /// The socket: flags first, then the environment, then the system's.
    var socketPath: String {
        let environment = ProcessInfo.processInfo.environment
        if let adminSocket { return adminSocket }
        if let state { return "\(state)/admin.sock" }
        if let path = environment["MINTMARK_ADMIN_SOCKET"], !path.isEmpty { return path }
        if let state = environment["MINTMARK_STATE"], !state.isEmpty { return "\(state)/admin.sock" }
        return Self.systemSocket
    }

    /// Makes calls to the server.
    ///
    /// - Throws: ``Failure``, with the next step.
    func withServer<Value: Sendable>(
        _ body: @escaping @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Value
    ) async throws -> Value {
        let path = socketPath
        try reachable(path)
        do {
            let transport = try HTTP2ClientTransport.Posix(
                target: .unixDomainSocket(path: path), transportSecurity: .plaintext)
            return try await withGRPCClient(transport: transport) { client in
                try await Self.confirm(client)
                return try await body(client)
            }
        } catch let error as RPCError {
            throw AdminFailure.describe(error, path: path)
        }
    }

    /// Asks whether anybody answers at all, so that a wedged server does not hold the command for ever.
    private static func confirm(_ client: GRPCClient<HTTP2ClientTransport.Posix>) async throws {
        var options = CallOptions.defaults
        options.timeout = .seconds(10)
        _ = try await Grpc_Health_V1_Health.Client(wrapping: client).check(.init(), options: options)
    }

    /// Says at once what is wrong with the socket, instead of waiting for a connection that cannot come.
    private func reachable(_ path: String) throws(Failure) {
        guard access(path, F_OK) == 0 else {
            if errno == EACCES {
                throw Failure(
                    .notPermitted, "admin socket \(path) is not open to this user",
                    hint: "run the command as the user that runs the server")
            }
            throw Failure(
                .unreachable, "no server listens at \(path)",
                hint: "start one with 'mintmark up --state DIR', or say where it is with --state or --admin-socket")
        }
        guard access(path, W_OK) == 0 else {
            throw Failure(
                .notPermitted, "admin socket \(path) is not open to this user",
                hint: "run the command as the user that runs the server")
        }
    }
}

/// Turns what a server says into an end that a person understands.
enum AdminFailure {
    static func describe(_ error: RPCError, path: String) -> Failure {
        switch error.code {
        case .unavailable, .deadlineExceeded, .cancelled:
            Failure(
                .unreachable, "server at \(path) cannot be reached: \(error.message)",
                hint: "see whether it runs with 'mintmark healthcheck'")
        case .permissionDenied, .unauthenticated:
            Failure(.notPermitted, error.message, hint: "run the command as the user that runs the server")
        case .invalidArgument: Failure(.refused, error.message, hint: "correct the value and try again")
        case .notFound:
            Failure(
                .refused, error.message, hint: "list what exists with 'mintmark entry list' or 'mintmark agent list'")
        case .alreadyExists: Failure(.refused, error.message, hint: "list what exists with 'mintmark entry list'")
        case .unimplemented:
            Failure(
                .refused, "this server does not know the command", hint: "upgrade the server, or use an older client")
        default: Failure(.refused, "server failed: \(error.message)", hint: "see the server's log")
        }
    }
}
