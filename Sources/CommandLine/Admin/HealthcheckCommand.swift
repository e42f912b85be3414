internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import HealthProtos
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark healthcheck`.
struct HealthcheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "healthcheck", abstract: "Asks a server, an agent, or both whether they serve.",
        discussion: """
            Asks whatever it is told about: the admin socket, the workload socket, or the state folder with both.

            EXAMPLES
              mintmark healthcheck --state ~/.mintmark
              mintmark healthcheck --admin-socket /run/mintmark/admin.sock
              mintmark healthcheck --socket unix:///run/mintmark/workload.sock
            """)

    @OptionGroup var output: OutputOptions

    @Option(help: ArgumentHelp("The server's admin socket.", valueName: "path"))
    var adminSocket: String?

    @Option(help: ArgumentHelp("The workload endpoint.", valueName: "uri"))
    var socket: String?

    @Option(help: ArgumentHelp("The state folder of 'mintmark up'.", valueName: "dir"))
    var state: String?

    func run() async throws {
        let targets = try targets()
        var results: [(name: String, path: String, status: String)] = []
        for (name, path) in targets { results.append((name, path, await Self.status(at: path))) }
        let verdict = results.allSatisfy { $0.status == "serving" } ? "serving" : "not_serving"
        output.show(
            Rendering(
                .members([
                    "status": .string(verdict),
                    "components": .array(
                        results.map {
                            .members([
                                "name": .string($0.name), "socket": .string($0.path), "status": .string($0.status),
                            ])
                        }),
                ]),
                table: TableText.rows(
                    ["COMPONENT", "STATUS", "SOCKET"], results.map { [$0.name, $0.status, $0.path] }, empty: "")))
        if let bad = results.first(where: { $0.status == "unreachable" }) {
            throw Failure(
                .unreachable, "\(bad.name) at \(bad.path) cannot be reached", hint: "start it, or correct the path")
        }
        if let bad = results.first(where: { $0.status != "serving" }) {
            throw Failure(.refused, "\(bad.name) is not serving yet", hint: "see its log")
        }
    }

    private func targets() throws -> [(String, String)] {
        let environment = ProcessInfo.processInfo.environment
        var targets: [(String, String)] = []
        let folder = state ?? (adminSocket == nil && socket == nil ? environment["MINTMARK_STATE"] : nil)
        if let folder, !folder.isEmpty {
            targets = [("server", "\(folder)/admin.sock"), ("agent", "\(folder)/workload.sock")]
        }
        let admin = adminSocket ?? (targets.isEmpty && socket == nil ? environment["MINTMARK_ADMIN_SOCKET"] : nil)
        if let admin, !admin.isEmpty { targets.append(("server", admin)) }
        let endpoint =
            socket ?? (targets.isEmpty && adminSocket == nil ? environment[WorkloadEndpoint.environmentVariable] : nil)
        if let endpoint, !endpoint.isEmpty {
            guard case .unix(let path)? = try? WorkloadEndpoint(endpoint) else {
                throw ValidationError("'\(endpoint)' is not a Unix workload endpoint")
            }
            targets.append(("agent", path))
        }
        if targets.isEmpty { targets = [("server", AdminOptions.systemSocket)] }
        return targets
    }

    private static func status(at path: String) async -> String {
        var options = CallOptions.defaults
        options.timeout = .seconds(3)
        options.waitForReady = false
        do {
            let transport = try HTTP2ClientTransport.Posix(
                target: .unixDomainSocket(path: path), transportSecurity: .plaintext)
            return try await withGRPCClient(transport: transport) { [options] client in
                let response = try await Grpc_Health_V1_Health.Client(wrapping: client).check(.init(), options: options)
                return response.status == .serving ? "serving" : "not_serving"
            }
        } catch {
            return "unreachable"
        }
    }
}
