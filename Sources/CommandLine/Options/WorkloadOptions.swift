internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import SPIFFE
internal import WorkloadIdentity

/// Where the workload socket is.
struct WorkloadOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The workload endpoint, such as unix:///run/mintmark/workload.sock.", valueName: "uri"))
    var socket: String?

    @Option(help: ArgumentHelp("The state folder of 'mintmark up'.", valueName: "dir"))
    var state: String?

    /// A client for the endpoint: flags first, then the environment.
    ///
    /// - Throws: ``Failure`` when no endpoint is named, or the name is malformed.
    func client() throws -> WorkloadAPIClient {
        let environment = ProcessInfo.processInfo.environment
        if let socket {
            do { return WorkloadAPIClient(endpoint: try WorkloadEndpoint(socket)) } catch {
                throw ValidationError("'\(socket)': \(error.message)")
            }
        }
        if let state { return WorkloadAPIClient(endpoint: .unix(path: Self.absolute("\(state)/workload.sock"))) }
        if environment[WorkloadEndpoint.environmentVariable]?.isEmpty ?? true,
            let state = environment["MINTMARK_STATE"], !state.isEmpty
        {
            return WorkloadAPIClient(endpoint: .unix(path: Self.absolute("\(state)/workload.sock")))
        }
        do { return try WorkloadAPIClient(environment: environment) } catch {
            throw Failure(
                .usage, error.message,
                hint: "export SPIFFE_ENDPOINT_SOCKET as 'mintmark up' prints it, or use --socket or --state")
        }
    }

    static func absolute(_ path: String) -> String { URL(fileURLWithPath: path).standardizedFileURL.path }
}

/// Turns what a workload endpoint says into an end that a person understands.
enum WorkloadFailure {
    static func describe(_ error: WorkloadAPIError, endpoint: WorkloadEndpoint) -> Failure {
        switch error.code {
        case .noIdentity:
            Failure(
                .notPermitted, error.message,
                hint: "no entry matches this process; an admin can add one with 'mintmark entry create'")
        case .unavailable:
            Failure(
                .unreachable, "no answer from the agent at \(endpoint): \(error.message)",
                hint: "see whether it runs with 'mintmark healthcheck'")
        case .invalidRequest: Failure(.refused, error.message, hint: "correct the request and try again")
        default: Failure(.refused, error.message, hint: "see the agent's log")
        }
    }
}
