internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import Platform
internal import SPIFFE

/// `mintmark context`.
struct ContextCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "context", abstract: "Names servers elsewhere, for admin commands with --context.",
        subcommands: [Add.self, Use.self, List.self, Remove.self, Show.self])

    private static func file() throws(Failure) -> ContextFile {
        try ContextFile(environment: ProcessInfo.processInfo.environment, files: LocalFileSystem())
    }

    private static func value(_ name: String, _ fields: JSONObject, isCurrent: Bool) -> JSONValue {
        var object = JSONObject([("name", .string(name)), ("current", .bool(isCurrent))])
        for (key, value) in fields { object[key] = value }
        return .object(object)
    }

    /// `mintmark context add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Names a server, or says anew what a name stands for.",
            discussion: """
                The server is known by the bundle of its trust domain. An admin is known by an X.509-SVID, from files or from
                a workload socket, or by a token, from a file or from what a command writes.

                EXAMPLES
                  mintmark context add prod --address mint.example.org:8081 --trust-domain example.org \\
                      --trust-bundle bundle.pem --cert admin.pem --key admin.key --use
                  mintmark context add lab --address 10.0.0.7:8081 --trust-domain lab.example \\
                      --workload-socket unix:///run/mintmark/workload.sock
                  mintmark context add team --address mint.example.org:8081 --trust-domain example.org \\
                      --trust-bundle bundle.pem --token-command 'oidc-token corp'
                """)

        @OptionGroup var output: OutputOptions
        @Argument(help: "What to call it.") var name: String

        @Option(help: ArgumentHelp("Where its agents connect, as host:port.", valueName: "address"))
        var address: String

        @Option(help: "Its trust domain.", transform: Judged.trustDomain)
        var trustDomain: TrustDomain

        @Option(help: ArgumentHelp("A file with its bundle, PEM or SPIFFE.", valueName: "file"))
        var trustBundle: String?

        @Option(help: ArgumentHelp("A file with the admin's X.509-SVID, PEM, leaf first.", valueName: "file"))
        var cert: String?

        @Option(help: ArgumentHelp("A file with its key, PEM.", valueName: "file"))
        var key: String?

        @Option(help: ArgumentHelp("A workload endpoint that hands out the admin's X.509-SVID.", valueName: "uri"))
        var workloadSocket: String?

        @Option(help: ArgumentHelp("A file with a bearer token.", valueName: "file"))
        var tokenFile: String?

        @Option(help: ArgumentHelp("A shell command that writes a bearer token.", valueName: "command"))
        var tokenCommand: String?

        @Flag(help: "Take it where no server is named.")
        var use = false

        func run() async throws {
            var fields = JSONObject([("address", .string(address)), ("trust_domain", .string(trustDomain.name))])
            fields["trust_bundle"] = trustBundle.map { .string(WorkloadOptions.absolute($0)) }
            fields["cert"] = cert.map { .string(WorkloadOptions.absolute($0)) }
            fields["key"] = key.map { .string(WorkloadOptions.absolute($0)) }
            fields["workload_socket"] = workloadSocket.map { .string($0) }
            fields["token_file"] = tokenFile.map { .string(WorkloadOptions.absolute($0)) }
            fields["token_command"] = tokenCommand.map { .string($0) }
            guard !name.isEmpty, name.utf8.count <= 64, TableText.printable(name) == name else {
                throw ValidationError("a context's name has 1 to 64 printable bytes")
            }
            do { _ = try ContextFile.server(fields, named: name) } catch {
                throw Failure(.usage, error.message, hint: "see 'mintmark context add --help'")
            }
            var file = try ContextCommand.file()
            file.put(name, fields)
            if use { file.current = name }
            try file.save(LocalFileSystem())
            output.show(
                Rendering(
                    ContextCommand.value(name, fields, isCurrent: file.current == name), table: "added context \(name)")
            )
        }
    }

    /// `mintmark context use`.
    struct Use: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Says which context holds where no server is named.",
            discussion: "EXAMPLE\n  mintmark context use prod")

        @OptionGroup var output: OutputOptions
        @Argument(help: "The context.") var name: String

        func run() async throws {
            var file = try ContextCommand.file()
            _ = try file.fields(of: name)
            file.current = name
            try file.save(LocalFileSystem())
            output.show(Rendering(.members(["current": .string(name)]), table: "using context \(name)"))
        }
    }

    /// `mintmark context list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the contexts.", discussion: "EXAMPLE\n  mintmark context list --output json")

        @OptionGroup var output: OutputOptions

        func run() async throws {
            let file = try ContextCommand.file()
            output.show(
                Rendering(
                    .members([
                        "contexts": .array(
                            file.contexts.map {
                                ContextCommand.value($0.name, $0.fields, isCurrent: $0.name == file.current)
                            })
                    ]),
                    table: TableText.rows(
                        ["CURRENT", "NAME", "ADDRESS", "TRUST DOMAIN"],
                        file.contexts.map { context in
                            [
                                context.name == file.current ? "*" : "", context.name,
                                context.fields["address"]?.string ?? "", context.fields["trust_domain"]?.string ?? "",
                            ]
                        }, empty: "no contexts")))
        }
    }

    /// `mintmark context remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forgets a context.", discussion: "EXAMPLE\n  mintmark context remove lab")

        @OptionGroup var output: OutputOptions
        @Argument(help: "The context.") var name: String

        func run() async throws {
            var file = try ContextCommand.file()
            try file.remove(name)
            try file.save(LocalFileSystem())
            output.show(Rendering(.members(["removed": .string(name)]), table: "removed context \(name)"))
        }
    }

    /// `mintmark context show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows a context.", discussion: "EXAMPLE\n  mintmark context show prod")

        @OptionGroup var output: OutputOptions
        @Argument(help: "The context; the one in use when left out.") var name: String?

        func run() async throws {
            let file = try ContextCommand.file()
            guard let name = name ?? file.current else {
                throw Failure(.configuration, "no context is in use", hint: "choose one with 'mintmark context use'")
            }
            let fields = try file.fields(of: name)
            output.show(
                Rendering(
                    ContextCommand.value(name, fields, isCurrent: name == file.current),
                    table: TableText.fields([("name", name)] + fields.map { ($0.name, $0.value.string ?? "") })))
        }
    }
}
