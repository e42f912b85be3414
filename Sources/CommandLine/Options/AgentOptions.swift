internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import SPIFFE
internal import WorkloadAPIProtos

/// Where the node agent of this machine answers questions about processes.
///
/// Root asks its admin socket about any process; everybody else asks the workload socket about processes of their own.
struct AgentOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The agent's admin socket, or its workload socket.", valueName: "path"))
    var agentSocket: String?

    @Option(help: ArgumentHelp("The state folder of 'mintmark up'.", valueName: "dir"))
    var state: String?

    private static let systemFolder = "/run/mintmark"

    /// Makes calls to the agent.
    ///
    /// - Throws: ``Failure``, with the next step.
    func withAgent<Value: Sendable>(
        _ body:
            @escaping @Sendable (
                Mintmark_V1_Attestation.Client<HTTP2ClientTransport.Posix>, Metadata, CallOptions
            ) async throws -> Value
    ) async throws -> Value {
        let path = try socketPath()
        var options = CallOptions.defaults
        // A large executable may have to be hashed first.
        options.timeout = .seconds(60)
        options.waitForReady = false
        do {
            let transport = try HTTP2ClientTransport.Posix(
                target: .unixDomainSocket(path: path), transportSecurity: .plaintext)
            return try await withGRPCClient(transport: transport) { [options] client in
                // The same guard against confused proxies as the Workload API has (WLEP-09).
                try await body(.init(wrapping: client), ["workload.spiffe.io": "true"], options)
            }
        } catch let error as RPCError {
            throw Self.describe(error, path: path)
        }
    }

    /// The socket: the flag, the state folder, the environment, then the system's; of two, the admin socket if it is open
    /// to this user.
    private func socketPath() throws(Failure) -> String {
        let environment = ProcessInfo.processInfo.environment
        let candidates: [String]
        if let agentSocket {
            candidates = [agentSocket]
        } else if let state = state ?? environment["MINTMARK_STATE"], !state.isEmpty {
            candidates = Self.sockets(in: state)
        } else if let text = environment[WorkloadEndpoint.environmentVariable],
            case .unix(let path)? = try? WorkloadEndpoint(text)
        {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            candidates = ["\(folder)/\(Self.adminSocket)", path]
        } else {
            candidates = Self.sockets(in: Self.systemFolder)
        }
        if let open = candidates.first(where: { access($0, W_OK) == 0 }) { return open }
        if let closed = candidates.first(where: { access($0, F_OK) == 0 }) {
            throw Failure(
                .notPermitted, "\(closed) is not open to this user", hint: "run the command as root")
        }
        throw Failure(
            .unreachable, "no agent listens at \(candidates[0])",
            hint: "start one, or say where it is with --state or --agent-socket")
    }

    private static let adminSocket = "agent-admin.sock"

    private static func sockets(in folder: String) -> [String] {
        ["\(folder)/\(adminSocket)", "\(folder)/workload.sock"]
    }

    private static func describe(_ error: RPCError, path: String) -> Failure {
        switch error.code {
        case .unavailable, .deadlineExceeded, .cancelled:
            Failure(
                .unreachable, "agent at \(path) cannot answer: \(error.message)",
                hint: "see whether it runs with 'mintmark healthcheck'")
        case .permissionDenied, .unauthenticated:
            Failure(
                .notPermitted, error.message,
                hint: "ask about a process of your own, or run the command as root")
        case .invalidArgument: Failure(.refused, error.message, hint: "correct the value and try again")
        case .notFound: Failure(.refused, error.message, hint: "see what runs with 'ps'")
        case .unimplemented:
            Failure(
                .refused, "the agent at \(path) does not know the command",
                hint: "upgrade the agent, or name another with --agent-socket")
        default: Failure(.refused, "agent failed: \(error.message)", hint: "see the agent's log")
        }
    }
}

/// The number of a process, from the command line.
package struct ProcessNumber: ExpressibleByArgument {
    package let pid: Int32

    package init?(argument: String) {
        guard let pid = Int32(argument), pid > 0 else { return nil }
        self.pid = pid
    }
}
