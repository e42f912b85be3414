internal import ArgumentParser
internal import Bootstrap
internal import GRPCCore
internal import IssuerAPIProtos
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark federation`.
struct FederationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "federation", abstract: "Follows the bundles of other trust domains.",
        discussion: """
            The server fetches the URL of each relationship by itself, wherever it leads: name no URL that you would not have
            this machine connect to. Redirects are not followed.
            """,
        subcommands: [Create.self, List.self, Show.self, Update.self, Delete.self, Refresh.self])

    /// How the endpoint is known.
    enum Profile: String, CaseIterable, ExpressibleByArgument {
        case web = "https_web"
        case spiffe = "https_spiffe"
    }

    /// `mintmark federation create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begins to follow the bundle of another trust domain.",
            discussion: """
                With --profile https_web the endpoint is known by its host name, through the authorities that the server's
                machine trusts. With https_spiffe it is known by --endpoint-spiffe-id and the bundle of that ID's trust domain:
                name it with --bundle, or store it with 'mintmark bundle set'.

                EXAMPLES
                  mintmark federation create other.example --url https://bundles.other.example/ --profile https_web
                  mintmark federation create other.example --url https://10.0.0.7:8443/ --profile https_spiffe \\
                      --endpoint-spiffe-id spiffe://other.example/spire/server --bundle other.json
                """)

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The other trust domain.", transform: Judged.trustDomain) var trustDomain: TrustDomain
        @Option(help: "Where its bundle is published; https.") var url: String
        @Option(help: "How the endpoint is known: https_web or https_spiffe.") var profile: Profile
        @Option(
            name: .customLong("endpoint-spiffe-id"),
            help: ArgumentHelp("The endpoint's SPIFFE ID, for https_spiffe.", valueName: "id"),
            transform: Judged.spiffeID)
        var endpointSPIFFEID: SPIFFEID?
        @Option(help: ArgumentHelp("A bundle of that trust domain to begin with.", valueName: "path"))
        var bundle: String?

        func validate() throws {
            guard (profile == .spiffe) == (endpointSPIFFEID != nil) else {
                throw ValidationError("--endpoint-spiffe-id goes with --profile https_spiffe, and is needed there")
            }
        }

        func run() async throws {
            var wire = Spire_Api_Types_FederationRelationship()
            wire.trustDomain = trustDomain.name
            wire.bundleEndpointURL = url
            wire.bundleEndpointProfile = FederationWire.profile(profile, endpointSPIFFEID)
            if let bundle { wire.trustDomainBundle = try BundleFile.read(bundle, of: trustDomain) }
            let response = try await admin.withServer { [wire] client in
                try await Spire_Api_Server_Trustdomain_V1_TrustDomain.Client(wrapping: client)
                    .batchCreateFederationRelationship(.with { $0.federationRelationships = [wire] })
            }
            guard let result = response.results.first else { throw FederationFailure.noResult }
            try FederationFailure.check(result.status)
            output.show(FederationRendering.one(result.federationRelationship, nil))
        }
    }

    /// `mintmark federation list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the trust domains that are followed, and how each fares.",
            discussion: "EXAMPLE\n  mintmark federation list --output json")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let (found, statuses) = try await admin.withServer { client in
                let service = Spire_Api_Server_Trustdomain_V1_TrustDomain.Client(wrapping: client)
                var (found, token): ([Spire_Api_Types_FederationRelationship], String) = ([], "")
                repeat {
                    let page = try await service.listFederationRelationships(.with { [token] in $0.pageToken = token })
                    found += page.federationRelationships
                    token = page.nextPageToken
                } while !token.isEmpty
                return (found, try await FederationWire.statuses(client))
            }
            output.show(FederationRendering.list(found, statuses))
        }
    }

    /// `mintmark federation show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows how one trust domain is followed.",
            discussion: "EXAMPLE\n  mintmark federation show other.example")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The other trust domain.", transform: Judged.trustDomain) var trustDomain: TrustDomain

        func run() async throws {
            let (relationship, statuses) = try await admin.withServer { [trustDomain] client in
                try await FederationFailure.describing {
                    let relationship = try await Spire_Api_Server_Trustdomain_V1_TrustDomain.Client(wrapping: client)
                        .getFederationRelationship(.with { $0.trustDomain = trustDomain.name })
                    return (relationship, try await FederationWire.statuses(client))
                }
            }
            output.show(FederationRendering.one(relationship, statuses[trustDomain.name]))
        }
    }

    /// `mintmark federation update`.
    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes how one trust domain is followed; what is not named stays.",
            discussion: """
                EXAMPLES
                  mintmark federation update other.example --url https://new.other.example/bundle
                  mintmark federation update other.example --profile https_web
                """)

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The other trust domain.", transform: Judged.trustDomain) var trustDomain: TrustDomain
        @Option(help: "Where its bundle is published; https.") var url: String?
        @Option(help: "How the endpoint is known: https_web or https_spiffe.") var profile: Profile?
        @Option(
            name: .customLong("endpoint-spiffe-id"),
            help: ArgumentHelp("The endpoint's SPIFFE ID, for https_spiffe.", valueName: "id"),
            transform: Judged.spiffeID)
        var endpointSPIFFEID: SPIFFEID?
        @Option(help: ArgumentHelp("A bundle of that trust domain to go on with.", valueName: "path"))
        var bundle: String?

        func validate() throws {
            guard (profile == .spiffe) == (endpointSPIFFEID != nil) else {
                throw ValidationError("--endpoint-spiffe-id goes with --profile https_spiffe, and is needed there")
            }
            guard url != nil || profile != nil || bundle != nil else { throw ValidationError("nothing to change") }
        }

        func run() async throws {
            var wire = Spire_Api_Types_FederationRelationship()
            var mask = Spire_Api_Types_FederationRelationshipMask()
            wire.trustDomain = trustDomain.name
            if let url { (wire.bundleEndpointURL, mask.bundleEndpointURL) = (url, true) }
            if let profile {
                wire.bundleEndpointProfile = FederationWire.profile(profile, endpointSPIFFEID)
                mask.bundleEndpointProfile = true
            }
            if let bundle {
                wire.trustDomainBundle = try BundleFile.read(bundle, of: trustDomain)
                mask.trustDomainBundle = true
            }
            let response = try await admin.withServer { [wire, mask] client in
                try await Spire_Api_Server_Trustdomain_V1_TrustDomain.Client(wrapping: client)
                    .batchUpdateFederationRelationship(
                        .with {
                            $0.federationRelationships = [wire]
                            $0.inputMask = mask
                        })
            }
            guard let result = response.results.first else { throw FederationFailure.noResult }
            try FederationFailure.check(result.status)
            output.show(FederationRendering.one(result.federationRelationship, nil))
        }
    }

    /// `mintmark federation delete`.
    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends a relationship; the bundle stays until 'mintmark bundle delete'.",
            discussion: "EXAMPLE\n  mintmark federation delete other.example")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The other trust domain.", transform: Judged.trustDomain) var trustDomain: TrustDomain

        func run() async throws {
            let response = try await admin.withServer { [trustDomain] client in
                try await Spire_Api_Server_Trustdomain_V1_TrustDomain.Client(wrapping: client)
                    .batchDeleteFederationRelationship(.with { $0.trustDomains = [trustDomain.name] })
            }
            guard let result = response.results.first else { throw FederationFailure.noResult }
            try FederationFailure.check(result.status)
            output.show(
                Rendering(
                    .members(["deleted": .string(trustDomain.name)]),
                    table: "no longer following \(trustDomain)"))
        }
    }

    /// `mintmark federation refresh`.
    struct Refresh: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fetches one bundle now, and says what came of it.",
            discussion: "EXAMPLE\n  mintmark federation refresh other.example")

        @OptionGroup var admin: AdminOptions
        @OptionGroup var output: OutputOptions
        @Argument(help: "The other trust domain.", transform: Judged.trustDomain) var trustDomain: TrustDomain

        func run() async throws {
            let relationship = try await admin.withServer { [trustDomain] client in
                try await FederationFailure.describing {
                    let service = Spire_Api_Server_Trustdomain_V1_TrustDomain.Client(wrapping: client)
                    _ = try await service.refreshBundle(.with { $0.trustDomain = trustDomain.name })
                    return try await service.getFederationRelationship(.with { $0.trustDomain = trustDomain.name })
                }
            }
            output.show(FederationRendering.one(relationship, nil))
        }
    }
}
