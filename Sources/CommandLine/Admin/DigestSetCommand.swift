internal import ArgumentParser
internal import Bootstrap
internal import Crypto
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark digest-set`.
struct DigestSetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "digest-set",
        abstract: "Keeps named sets of executables' digests, so that releases need no change of entries.",
        subcommands: [
            DigestSetCreateCommand.self, DigestSetAddCommand.self, DigestSetShowCommand.self,
            DigestSetListCommand.self, DigestSetDeleteCommand.self,
        ])
}

/// Which digests; the same flags create and add.
struct DigestOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The SHA-256 of an executable; repeat for more.", valueName: "hex"))
    var sha256: [String] = []

    @Option(help: ArgumentHelp("An executable on this machine; repeat for more.", valueName: "path"))
    var file: [String] = []

    @Flag(help: "Take an interpreter's digest as well: whatever script it runs is in the set then.")
    var force = false

    private static let sizeLimit = 1 << 30

    func validate() throws {
        guard !sha256.isEmpty || !file.isEmpty else {
            throw ValidationError("name at least one digest, with '--sha256' or '--file'")
        }
        for digest in sha256 where !SelectorFamily.ValueRule.digest.admits(digest) {
            throw ValidationError("'\(digest)' is not a SHA-256 of 64 lower-case hex digits")
        }
    }

    /// All digests.
    ///
    /// - Throws: ``Failure`` when a file cannot be read.
    func digests() throws -> [String] {
        let digests =
            try sha256
            + file.map { path in
                let contents: [UInt8]?
                do { contents = try LocalFileSystem().read(path, limit: Self.sizeLimit) } catch {
                    throw Failure(.refused, "\(error)", hint: "name a file that can be read")
                }
                guard let contents else {
                    throw Failure(.refused, "there is no file \(path)", hint: "name a file that can be read")
                }
                return Hex.encode(Array(SHA256.hash(data: contents)))
            }
        if !force { try EntryTermsOptions.refuseInterpreter(digests.compactMap { SelectorRules.digest($0) }) }
        return digests
    }
}

/// `mintmark digest-set create`.
struct DigestSetCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Creates a digest set with its first version.",
        discussion: """
            EXAMPLES
              mintmark digest-set create reviewer --file /opt/reviewer/bin/reviewer
              mintmark digest-set create tools --sha256 9f86d0… --sha256 2c2624… --keep 3 --grace 30m
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "Its name.") var name: String
    @OptionGroup var digests: DigestOptions

    @Option(help: ArgumentHelp("How many versions before the newest stay valid for a while; 1.", valueName: "n"))
    var keep: UInt32?

    @Option(help: ArgumentHelp("How long they stay valid; a week.", valueName: "duration"))
    var grace: DurationArgument?

    func run() async throws {
        let digests = try digests.digests()
        let set = try await admin.withServer { client in
            try await Mintmark_V1_DigestSets.Client(wrapping: client).create(
                .with {
                    $0.name = name
                    $0.sha256 = digests
                    if let keep { $0.keeps = keep }
                    if let grace { $0.graceSeconds = grace.duration.wholeSeconds }
                })
        }
        output.show(DigestSetRendering.one(set))
    }
}

/// `mintmark digest-set add`.
struct DigestSetAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Adds a version; the ones before stay valid for the grace window.",
        discussion: """
            A version names all digests that count from now on.

            EXAMPLES
              mintmark digest-set add reviewer --file /opt/reviewer-2/bin/reviewer
              mintmark digest-set add reviewer --sha256 9f86d0… --drop-others
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The set's name.") var name: String
    @OptionGroup var digests: DigestOptions

    @Flag(help: "End the versions before at once, whatever the grace window.")
    var dropOthers = false

    func run() async throws {
        let digests = try digests.digests()
        let set = try await admin.withServer { client in
            try await Mintmark_V1_DigestSets.Client(wrapping: client).addVersion(
                .with {
                    $0.name = name
                    $0.sha256 = digests
                    $0.dropOthers = dropOthers
                })
        }
        output.show(DigestSetRendering.one(set))
    }
}

/// `mintmark digest-set show`.
struct DigestSetShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows a digest set with its versions.",
        discussion: "EXAMPLE\n  mintmark digest-set show reviewer --output json")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The set's name.") var name: String

    func run() async throws {
        let set = try await admin.withServer { client in
            try await Mintmark_V1_DigestSets.Client(wrapping: client).get(.with { $0.name = name })
        }
        output.show(DigestSetRendering.one(set))
    }
}

/// `mintmark digest-set list`.
struct DigestSetListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists digest sets.", discussion: "EXAMPLE\n  mintmark digest-set list")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let sets = try await admin.withServer { client in
            let service = Mintmark_V1_DigestSets.Client(wrapping: client)
            var (found, token): ([Mintmark_V1_DigestSet], String) = ([], "")
            repeat {
                let page = try await service.list(.with { [token] in $0.pageToken = token })
                found += page.digestSets
                token = page.nextPageToken
            } while !token.isEmpty
            return found
        }
        output.show(DigestSetRendering.list(sets))
    }
}

/// `mintmark digest-set delete`.
struct DigestSetDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Deletes a digest set that no entry goes by.",
        discussion: "EXAMPLE\n  mintmark digest-set delete reviewer")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The set's name.") var name: String

    func run() async throws {
        _ = try await admin.withServer { client in
            try await Mintmark_V1_DigestSets.Client(wrapping: client).delete(.with { $0.name = name })
        }
        output.show(Rendering(.members(["deleted": .string(name)]), table: "deleted \(name)"))
    }
}
