internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark bundle list`.
struct BundleListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists the bundles of other trust domains.",
        discussion: """
            EXAMPLES
              mintmark bundle list
              mintmark bundle list --output json
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let bundles = try await admin.withServer { client in
            let service = Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client)
            var (found, token): ([Spire_Api_Types_Bundle], String) = ([], "")
            repeat {
                let page = try await service.listFederatedBundles(.with { [token] in $0.pageToken = token })
                found += page.bundles
                token = page.nextPageToken
            } while !token.isEmpty
            return found
        }
        output.show(try FederatedBundleRendering.list(bundles))
    }
}

/// `mintmark bundle set`.
struct BundleSetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Stores the bundle of another trust domain, in the place of the one that is there.",
        discussion: """
            From then on entries can federate with that domain: --federates-with DOMAIN. The next change of its keys has to be
            stored as well; 'mintmark federation create' has the server follow them.

            A file that begins with '{' is read as a SPIFFE bundle, any other as PEM. '-' reads standard input.

            EXAMPLES
              mintmark bundle set other.example --file other.json
              mintmark bundle show --format spiffe --state /srv/other | mintmark bundle set other.example --file -
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The other trust domain.", transform: Judged.trustDomain) var trustDomain: TrustDomain
    @Option(help: ArgumentHelp("The bundle.", valueName: "path")) var file: String

    func run() async throws {
        let bundle = try BundleFile.read(file, of: trustDomain)
        let response = try await admin.withServer { client in
            try await Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client)
                .batchSetFederatedBundle(.with { $0.bundle = [bundle] })
        }
        guard let result = response.results.first else { throw FederationFailure.noResult }
        try FederationFailure.check(result.status)
        let stored = result.bundle
        output.show(
            Rendering(
                try FederatedBundleRendering.value(stored), table: "stored the bundle of \(stored.trustDomain)"))
    }
}

/// `mintmark bundle delete`.
struct BundleDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Deletes the bundle of another trust domain: nobody of it is believed any more.",
        discussion: """
            While entries federate with the domain, nothing is deleted, unless --entries says what becomes of them. A
            relationship goes on and fetches the bundle again: end it first with 'mintmark federation delete'.

            EXAMPLES
              mintmark bundle delete other.example
              mintmark bundle delete other.example --entries dissociate
            """)

    /// What becomes of entries that federate with the domain.
    enum Entries: String, CaseIterable, ExpressibleByArgument {
        case restrict
        case delete
        case dissociate

        var wire: Spire_Api_Server_Bundle_V1_BatchDeleteFederatedBundleRequest.Mode {
            switch self {
            case .restrict: .restrict
            case .delete: .delete
            case .dissociate: .dissociate
            }
        }
    }

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The other trust domain.", transform: Judged.trustDomain) var trustDomain: TrustDomain
    @Option(
        help: "What becomes of entries that federate with it: restrict (then nothing happens), delete or dissociate.")
    var entries: Entries = .restrict

    func run() async throws {
        let response = try await admin.withServer { [trustDomain, entries] client in
            try await Spire_Api_Server_Bundle_V1_Bundle.Client(wrapping: client).batchDeleteFederatedBundle(
                .with {
                    $0.trustDomains = [trustDomain.name]
                    $0.mode = entries.wire
                })
        }
        guard let result = response.results.first else { throw FederationFailure.noResult }
        try FederationFailure.check(result.status)
        output.show(
            Rendering(
                .members(["deleted": .string(trustDomain.name)]), table: "deleted the bundle of \(trustDomain)"))
    }
}
