internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import HealthProtos
internal import Platform

/// Where the server is: its admin socket on this machine, or a context that names one elsewhere.
struct AdminOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The server's admin socket.", valueName: "path"))
    var adminSocket: String?

    @Option(help: ArgumentHelp("The state folder of 'mintmark up'.", valueName: "dir"))
    var state: String?

    @Option(help: ArgumentHelp("A server named with 'mintmark context add'.", valueName: "name"))
    var context: String?

    static let systemSocket = "/run/mintmark/admin.sock"

    /// The socket: flags first, then the environment, then the system's.
    var socketPath: String { givenSocket ?? Self.systemSocket }

    private var givenSocket: String? {
        let environment = ProcessInfo.processInfo.environment
        if let adminSocket { return adminSocket }
        if let state { return "\(state)/admin.sock" }
        if let path = environment["MINTMARK_ADMIN_SOCKET"], !path.isEmpty { return path }
        if let state = environment["MINTMARK_STATE"], !state.isEmpty { return "\(state)/admin.sock" }
        return nil
    }

    func validate() throws {
        guard context == nil || adminSocket == nil && state == nil else {
            throw ValidationError("'--context' excludes '--admin-socket' and '--state'")
        }
    }

    /// Makes calls to the server.
    ///
    /// - Throws: ``Failure``, with the next step.
    func withServer<Value: Sendable>(
        _ body: @escaping @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Value
    ) async throws -> Value {
        if let (name, server) = try remote() { return try await withServer(server, named: name, body) }
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

    private func withServer<Value: Sendable>(
        _ server: RemoteServer, named name: String,
        _ body: @escaping @Sendable (GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Value
    ) async throws -> Value {
        let (transport, interceptors) = try await server.connection(
            clock: SystemWallClock(), files: LocalFileSystem())
        do {
            return try await withGRPCClient(transport: transport, interceptors: interceptors) { client in
                try await Self.confirm(client)
                return try await body(client)
            }
        } catch let error as RPCError {
            throw AdminFailure.describe(error, path: "\(server.address)", context: name)
        }
    }

    /// The context that was named; else, where no socket was named either, the one in use.
    private func remote() throws(Failure) -> (String, RemoteServer)? {
        let environment = ProcessInfo.processInfo.environment
        let named =
            context
            ?? (adminSocket == nil && state == nil ? environment["MINTMARK_CONTEXT"] : nil)
            .flatMap { $0.isEmpty ? nil : $0 }
        guard named != nil || givenSocket == nil else { return nil }
        let file = try ContextFile(environment: environment, files: LocalFileSystem())
        guard let name = named ?? file.current else { return nil }
        return (name, try file.server(name))
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
    static func describe(_ error: RPCError, path: String, context: String? = nil) -> Failure {
        switch error.code {
        case .unavailable, .deadlineExceeded, .cancelled:
            Failure(
                .unreachable, "server at \(path) cannot be reached: \(error.message)",
                hint: context.map { "see whether it runs, and what context '\($0)' says of it" }
                    ?? "see whether it runs with 'mintmark healthcheck'")
        case .permissionDenied, .unauthenticated:
            Failure(
                .notPermitted, error.message,
                hint: context.map { "ask an admin of the server for a role, or correct context '\($0)'" }
                    ?? "run the command as the user that runs the server, or ask an admin for a role")
        case .failedPrecondition: Failure(.refused, error.message, hint: "make the call again once that is so")
        case .resourceExhausted: Failure(.refused, error.message, hint: "wait, and try again")
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
