internal import ArgumentParser
internal import Bootstrap
internal import Foundation
internal import GRPCCore
internal import GRPCNIOTransportHTTP2Posix
internal import IssuerAPIProtos
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark entry`.
struct EntryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "entry", abstract: "Registers which code may hold which identity.",
        subcommands: [
            EntryCreateCommand.self, EntryListCommand.self, EntryShowCommand.self, EntryUpdateCommand.self,
            EntryDeleteCommand.self, EntryCountCommand.self, EntryApplyCommand.self, EntryLintCommand.self,
            EntrySuggestCommand.self, EntryTestCommand.self,
        ])
}

/// What an entry may say beyond its name and selectors; the same flags create and update.
struct EntrySettings: ParsableArguments {
    @Option(help: ArgumentHelp("Lifetime of its X.509-SVIDs.", valueName: "duration"))
    var x509Ttl: DurationArgument?

    @Option(help: ArgumentHelp("Lifetime of its JWT-SVIDs.", valueName: "duration"))
    var jwtTtl: DurationArgument?

    @Option(help: ArgumentHelp("Tells workloads what the identity is for.", valueName: "text"))
    var hint: String?

    @Option(help: ArgumentHelp("A DNS name for its X.509-SVIDs; repeat for more.", valueName: "name"))
    var dns: [String] = []

    @Option(
        help: ArgumentHelp(
            "A trust domain whose bundle it is to get, which must be there; repeat for more.",
            valueName: "td"),
        transform: Judged.trustDomain)
    var federatesWith: [TrustDomain] = []

    @Option(help: ArgumentHelp("When it ends, RFC 3339; its SVIDs end no later.", valueName: "instant"))
    var expiresAt: InstantArgument?

    /// Writes what was said into an entry, and marks it in a mask.
    func apply(to entry: inout Spire_Api_Types_Entry, mask: inout Spire_Api_Types_EntryMask) {
        if let x509Ttl {
            entry.x509SvidTtl = Int32(clamping: x509Ttl.duration.components.seconds)
            mask.x509SvidTtl = true
        }
        if let jwtTtl {
            entry.jwtSvidTtl = Int32(clamping: jwtTtl.duration.components.seconds)
            mask.jwtSvidTtl = true
        }
        if let hint {
            entry.hint = hint
            mask.hint = true
        }
        if !dns.isEmpty {
            entry.dnsNames = dns
            mask.dnsNames = true
        }
        if !federatesWith.isEmpty {
            entry.federatesWith = federatesWith.map(\.name)
            mask.federatesWith = true
        }
        if let expiresAt {
            entry.expiresAt = expiresAt.date.unixSeconds
            mask.expiresAt = true
        }
    }

    func validate() throws {
        for (name, duration) in [("--x509-ttl", x509Ttl), ("--jwt-ttl", jwtTtl)] {
            guard let duration, duration.duration < .seconds(1) else { continue }
            throw ValidationError("'\(name)' must be at least 1s")
        }
    }
}

/// `mintmark entry create`.
struct EntryCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Registers an identity for the processes that have all of some selectors.",
        discussion: """
            \(SelectorHelp.text)

            EXAMPLES
              mintmark entry create --spiffe-id spiffe://example.org/agents/reviewer \\
                  --selector unix:uid:1000 --selector unix:path:/usr/local/bin/reviewer --wait
              mintmark entry create --spiffe-id spiffe://example.org/tools/search --jwt-ttl 2m \\
                  --parent-id spiffe://example.org/spire/agent/embedded --selector unix:sha256:9f86d0…
              mintmark entry create --spiffe-id spiffe://example.org/agents/planner --allow-jit \\
                  --selector exec:script:sha256:2c2624… --selector unix:uid:1000
              mintmark entry create --spiffe-id spiffe://example.org/agents/coder --class agent --owner team-a \\
                  --selector unix:uid:1000 --digest-set coder --audience https://api.example.org
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions

    @Option(help: ArgumentHelp("The identity.", valueName: "id"), transform: Judged.spiffeID)
    var spiffeID: SPIFFEID

    @Option(
        help: ArgumentHelp("What must be found on a process; repeat for more.", valueName: "k:v"),
        transform: Judged.selector)
    var selector: [Selector]

    @Option(
        help: ArgumentHelp("The agent that may serve it; needed when not exactly one is attested.", valueName: "id"),
        transform: Judged.spiffeID)
    var parentID: SPIFFEID?

    @Option(help: ArgumentHelp("An ID for the entry; drawn when left out.", valueName: "id"))
    var id: String?

    @OptionGroup var settings: EntrySettings
    @OptionGroup var terms: EntryTermsOptions
    @OptionGroup var details: EntryDetailsOptions

    @Flag(
        name: .customLong("admin"),
        help: "Kept for servers that admit remote admins; this one admits its local socket only.")
    var isAdmin = false

    @Flag(name: .customLong("downstream"), help: "Its holder is a server below this one.")
    var isDownstream = false

    @Flag(help: "Return when the agents concerned have it.")
    var wait = false

    /// How long `--wait` waits.
    private static let patience = Duration.seconds(30)

    func run() async throws {
        try terms.refuseInterpreter(selector)
        for choice in details.anyOf.flatMap(\.self) { try terms.refuseInterpreter(selector + [choice]) }
        let (result, standing) = try await admin.withServer { client in
            let result = try await create(client)
            return (result, wait ? try await propagation(of: result.entry.entry, client) : nil)
        }
        output.show(EntryRendering.one(result.entry))
        EntryFailure.warn(result)
        guard let standing else { return }
        guard standing.complete else {
            let behind = standing.agents.filter { $0.following && !$0.applied }.map(\.spiffeID)
            throw Failure(
                .refused, "entry was created, but \(behind.joined(separator: ", ")) did not apply it in time",
                hint: "see the agent's log; it will apply the entry when it can")
        }
        for agent in standing.agents where !agent.following {
            Terminal.complain("note: \(agent.spiffeID) is not connected; it will apply the entry when it is")
        }
    }

    private func create(
        _ client: GRPCClient<HTTP2ClientTransport.Posix>
    ) async throws -> Mintmark_V1_EntriesResponse.Result {
        let parent = try await parent(client)
        var wire = Spire_Api_Types_Entry()
        var mask = Spire_Api_Types_EntryMask()
        wire.id = id ?? ""
        wire.spiffeID = .init(spiffeID)
        wire.parentID = parent
        wire.selectors = selector.map { selector in
            .with {
                $0.type = selector.kind
                $0.value = selector.value
            }
        }
        wire.admin = isAdmin
        wire.downstream = isDownstream
        settings.apply(to: &wire, mask: &mask)
        var details = Mintmark_V1_Details()
        var detailsMask = Mintmark_V1_DetailsMask()
        try self.details.apply(to: &details, mask: &detailsMask)
        let request = Mintmark_V1_CreateEntriesRequest.with { [wire, details] in
            $0.items = [
                .with {
                    $0.entry = wire
                    if let level = terms.level { $0.minAssurance = level }
                    if let allowJit = terms.allowJit { $0.allowJit = allowJit }
                    $0.force = terms.force
                    $0.details = details
                }
            ]
        }
        return try EntryFailure.only(
            try await Mintmark_V1_Registration.Client(wrapping: client).createEntries(request))
    }

    private func parent(_ client: GRPCClient<HTTP2ClientTransport.Posix>) async throws -> Spire_Api_Types_SPIFFEID {
        if let parentID { return .init(parentID) }
        let agents = try await AgentDirectory.all(client).filter { !$0.banned }
        guard let agent = agents.first else {
            throw Failure(
                .refused, "no agent is attested, so --parent-id cannot be left out",
                hint: "start an agent first, or name the one to come with --parent-id")
        }
        guard agents.count == 1 else {
            throw Failure(
                .refused, "\(agents.count) agents are attested, so --parent-id cannot be left out",
                hint: "choose one from 'mintmark agent list'")
        }
        return agent.id
    }

    private func propagation(
        of entry: Spire_Api_Types_Entry, _ client: GRPCClient<HTTP2ClientTransport.Posix>
    ) async throws -> Mintmark_V1_AwaitEntryResponse {
        let request = Mintmark_V1_AwaitEntryRequest.with {
            $0.entryID = entry.id
            $0.timeoutMs = UInt32(Self.patience.components.seconds * 1000)
        }
        return try await Mintmark_V1_Propagation.Client(wrapping: client).awaitEntry(request)
    }
}

/// `mintmark entry list`.
struct EntryListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists entries.",
        discussion: """
            EXAMPLES
              mintmark entry list
              mintmark entry list --spiffe-id spiffe://example.org/agents/reviewer --output json
              mintmark entry list --selector unix:uid:1000
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var filter: EntryFilterOptions

    func run() async throws {
        let filter = filter.wire
        let entries = try await admin.withServer { client in
            let service = Mintmark_V1_Registration.Client(wrapping: client)
            var found: [Mintmark_V1_Entry] = []
            var token = ""
            repeat {
                let request = Spire_Api_Server_Entry_V1_ListEntriesRequest.with { [token] in
                    $0.filter = filter
                    $0.pageToken = token
                }
                let page = try await service.listEntries(request)
                found += page.entries
                token = page.nextPageToken
            } while !token.isEmpty
            return found
        }
        output.show(
            EntryRendering.list(
                entries.sorted { ($0.entry.createdAt, $0.entry.id) < ($1.entry.createdAt, $1.entry.id) }))
    }
}

/// Which entries to show or count.
struct EntryFilterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Only entries with this identity.", valueName: "id"), transform: Judged.spiffeID)
    var spiffeID: SPIFFEID?

    @Option(help: ArgumentHelp("Only entries under this agent or alias.", valueName: "id"), transform: Judged.spiffeID)
    var parentID: SPIFFEID?

    @Option(
        help: ArgumentHelp("Only entries that have this selector; repeat for more.", valueName: "k:v"),
        transform: Judged.selector)
    var selector: [Selector] = []

    var wire: Spire_Api_Server_Entry_V1_ListEntriesRequest.Filter {
        .with {
            if let spiffeID { $0.bySpiffeID = .init(spiffeID) }
            if let parentID { $0.byParentID = .init(parentID) }
            guard !selector.isEmpty else { return }
            $0.bySelectors = .with {
                $0.match = .matchSuperset
                $0.selectors = selector.map { selector in
                    .with {
                        $0.type = selector.kind
                        $0.value = selector.value
                    }
                }
            }
        }
    }
}

/// `mintmark entry count`.
struct EntryCountCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "count", abstract: "Counts entries.",
        discussion: "EXAMPLE\n  mintmark entry count --selector unix:uid:1000")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var filter: EntryFilterOptions

    func run() async throws {
        let filter = filter.wire
        let request = Spire_Api_Server_Entry_V1_CountEntriesRequest.with {
            $0.filter = .with {
                if filter.hasBySpiffeID { $0.bySpiffeID = filter.bySpiffeID }
                if filter.hasByParentID { $0.byParentID = filter.byParentID }
                if filter.hasBySelectors { $0.bySelectors = filter.bySelectors }
            }
        }
        let count = try await admin.withServer {
            try await Spire_Api_Server_Entry_V1_Entry.Client(wrapping: $0).countEntries(request).count
        }
        output.show(Rendering(.members(["count": .integer(count)]), table: "\(count) entries"))
    }
}

/// `mintmark entry show`.
struct EntryShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Shows one entry.",
        discussion: "EXAMPLE\n  mintmark entry show 0b7c51d4-… --output yaml")

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The entry's ID.") var id: String

    func run() async throws {
        let request = Spire_Api_Server_Entry_V1_GetEntryRequest.with { $0.id = id }
        output.show(
            EntryRendering.one(
                try await admin.withServer {
                    try await Mintmark_V1_Registration.Client(wrapping: $0).getEntry(request)
                }))
    }
}

/// `mintmark entry update`.
struct EntryUpdateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "update", abstract: "Changes what is named, and leaves the rest as it is.",
        discussion: """
            EXAMPLES
              mintmark entry update 0b7c51d4-… --hint reviewer
              mintmark entry update 0b7c51d4-… --min-assurance 3
              mintmark entry update --id 0b7c51d4-… --disabled --wait
              mintmark entry update 0b7c51d4-… --clear audience --clear expires-at
              mintmark entry update 0b7c51d4-… --selector unix:uid:1000 --selector unix:sha256:9f86d0…
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The entry's ID.") var entryID: String?

    @Option(name: .customLong("id"), help: ArgumentHelp("The same, said as a flag.", valueName: "id"))
    var givenID: String?

    @Option(help: ArgumentHelp("A new identity.", valueName: "id"), transform: Judged.spiffeID)
    var spiffeID: SPIFFEID?

    @Option(help: ArgumentHelp("A new parent.", valueName: "id"), transform: Judged.spiffeID)
    var parentID: SPIFFEID?

    @Option(
        help: ArgumentHelp("New selectors, instead of all the old ones; repeat for more.", valueName: "k:v"),
        transform: Judged.selector)
    var selector: [Selector] = []

    @OptionGroup var settings: EntrySettings
    @OptionGroup var terms: EntryTermsOptions
    @OptionGroup var details: EntryDetailsOptions

    @Option(
        help: ArgumentHelp(
            "Take a field back to its default: \(ClearableField.allValueStrings.joined(separator: ", ")); repeat for more.",
            valueName: "field"))
    var clear: [ClearableField] = []

    @Flag(help: "Return when the agents that are connected have it.")
    var wait = false

    func validate() throws {
        guard (entryID == nil) != (givenID == nil) else {
            throw ValidationError("say which entry, as an argument or with '--id'")
        }
    }

    func run() async throws {
        let id = entryID ?? givenID ?? ""
        try terms.refuseInterpreter(selector)
        var wire = Spire_Api_Types_Entry()
        var mask = Spire_Api_Types_EntryMask()
        wire.id = id
        settings.apply(to: &wire, mask: &mask)
        if let spiffeID {
            wire.spiffeID = .init(spiffeID)
            mask.spiffeID = true
        }
        if let parentID {
            wire.parentID = .init(parentID)
            mask.parentID = true
        }
        if !selector.isEmpty {
            wire.selectors = selector.map { selector in
                .with {
                    $0.type = selector.kind
                    $0.value = selector.value
                }
            }
            mask.selectors = true
        }
        var details = Mintmark_V1_Details()
        var detailsMask = Mintmark_V1_DetailsMask()
        try self.details.apply(to: &details, mask: &detailsMask)
        for field in clear { field.mark(in: &mask, &detailsMask) }
        guard mask != .init() || detailsMask != .init() || terms.level != nil || terms.allowJit != nil else {
            throw ValidationError("nothing to change; name at least one setting")
        }
        let request = Mintmark_V1_UpdateEntriesRequest.with { [wire, mask, details, detailsMask] in
            $0.items = [
                .with {
                    $0.entry = wire
                    $0.mask = mask
                    if let level = terms.level { $0.minAssurance = level }
                    if let allowJit = terms.allowJit { $0.allowJit = allowJit }
                    $0.force = terms.force
                    $0.details = details
                    $0.detailsMask = detailsMask
                }
            ]
        }
        let (result, standing) = try await admin.withServer { [wait] client in
            let response = try await Mintmark_V1_Registration.Client(wrapping: client).updateEntries(request)
            let result = try EntryFailure.only(response)
            return (result, wait ? try await EntryPropagation.standing(client) : nil)
        }
        output.show(EntryRendering.one(result.entry))
        EntryFailure.warn(result)
        if let standing { try EntryPropagation.check(standing, done: "entry was changed") }
    }
}

/// `mintmark entry delete`.
struct EntryDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Deletes entries; their identities are withdrawn at once.",
        discussion: """
            EXAMPLES
              mintmark entry delete 0b7c51d4-… 77aa01c2-…
              mintmark entry delete 0b7c51d4-… --wait
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "The entries' IDs.") var ids: [String]

    @Flag(help: "Return when the agents that are connected have withdrawn them.")
    var wait = false

    func run() async throws {
        let request = Spire_Api_Server_Entry_V1_BatchDeleteEntryRequest.with { $0.ids = ids }
        let (response, standing) = try await admin.withServer { [wait] client in
            let response = try await Spire_Api_Server_Entry_V1_Entry.Client(wrapping: client).batchDeleteEntry(request)
            return (response, wait ? try await EntryPropagation.standing(client) : nil)
        }
        let deleted = response.results.filter { $0.status.code == 0 }.map(\.id)
        if !deleted.isEmpty {
            output.show(
                Rendering(
                    .members(["deleted": .array(deleted.map { .string($0) })]),
                    table: deleted.map { "deleted \($0)" }.joined(separator: "\n")))
        }
        if let refused = response.results.first(where: { $0.status.code != 0 }) {
            throw EntryFailure.describe(refused.status)
        }
        if let standing { try EntryPropagation.check(standing, done: "entries were deleted") }
    }
}
