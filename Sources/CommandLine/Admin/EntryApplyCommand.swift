internal import ArgumentParser
internal import Bootstrap
internal import GRPCCore
internal import IssuerAPIProtos
internal import SwiftProtobuf

/// `mintmark entry apply`.
struct EntryApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Makes entries what files say, all or none of it.",
        discussion: """
            A file is YAML or JSON: a mapping with one key, 'entries', a list of entries. Each entry has a spiffe_id and
            selectors, and may have:
              id                         known by this, so that all else can change
              parent_id                  needed when not exactly one agent is attested
              any_of, none_of            a list of lists of selectors; a list of selectors
              digest_sets, id_template   names of digest sets; such as {unix:user}
              min_assurance, allow_jit   follow from the selectors when left out
              x509_svid_ttl, jwt_svid_ttl, not_before, expires_at, disabled
              key_type, per_instance_keys, audiences, hint, dns_names, federates_with
              admin, downstream, store_svid, disable_x509_svid_prefetch, jwt_svid_include_jti
              class, description, owner, purpose, labels
            An unknown key is an error. What is left out has its default. 'mintmark entry list --output yaml' writes this
            form. Entries get the label managed-by; those with another one are left alone.

            EXAMPLES
              mintmark entry apply -f entries/ --dry-run
              mintmark entry apply -f agents.yaml --managed-by team-a --prune --yes
              mintmark entry list --output yaml | mintmark entry apply -f - --adopt --yes
            """)

    @OptionGroup var admin: AdminOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var sources: DocumentOptions

    @Option(help: ArgumentHelp("Who keeps these entries; only entries with this label change.", valueName: "name"))
    var managedBy = "apply"

    @Flag(help: "Delete entries with this label that the files do not say.")
    var prune = false

    @Flag(help: "Take over entries that are there without this label.")
    var adopt = false

    @Flag(help: "Say what would happen, and change nothing.")
    var dryRun = false

    @Flag(name: .shortAndLong, help: "Do not ask; needed where there is no terminal.")
    var yes = false

    @Flag(help: "Store what is refused for its own good, as 'entry create --force' does.")
    var force = false

    @Flag(help: "Return when the agents concerned have it.")
    var wait = false

    func run() async throws {
        let documents = try sources.read()
        let asks = !dryRun && !yes
        guard !asks || Terminal.canAsk else {
            throw Failure(
                .usage, "nobody can be asked here whether to go ahead", hint: "look with --dry-run, then add --yes")
        }
        var request = Mintmark_V1_ApplyRequest()
        request.documents = documents
        request.managedBy = managedBy
        request.prune = prune
        request.adopt = adopt
        request.force = force
        request.dryRun = dryRun || asks
        var answer = try await send(request)
        if asks, answer.problems.isEmpty, !answer.steps.isEmpty {
            Terminal.say(ApplyRendering.plan(answer))
            guard Terminal.confirm("apply these changes?") else {
                throw Failure(.refused, "nothing was changed", hint: "run the command again to go ahead")
            }
            request.dryRun = false
            request.expectedPlan = answer.plan
            answer = try await send(request)
        }
        try ApplyFailure.check(answer, isForced: force)
        output.show(ApplyRendering.rendering(answer, isDryRun: dryRun))
        for finding in answer.findings { Terminal.complain("warning: \(ApplyRendering.line(finding))") }
        guard wait, answer.applied else { return }
        try EntryPropagation.check(
            try await admin.withServer { try await EntryPropagation.standing($0) }, done: "entries were applied")
    }

    private func send(_ request: Mintmark_V1_ApplyRequest) async throws -> Mintmark_V1_ApplyResponse {
        try await admin.withServer { try await Mintmark_V1_Declarations.Client(wrapping: $0).apply(request) }
    }
}

/// Turns what a server says of a declaration into an end that a person understands.
enum ApplyFailure {
    /// - Throws: ``Failure`` when something was wrong.
    static func check(_ answer: Mintmark_V1_ApplyResponse, isForced: Bool) throws(Failure) {
        guard let first = answer.problems.first else { return }
        for problem in answer.problems.dropFirst() { Terminal.complain("also: \(ApplyRendering.line(problem))") }
        let canForce = answer.problems.allSatisfy(\.canForce) && !isForced
        throw Failure(
            .refused, "nothing was changed: \(ApplyRendering.line(first))",
            hint: canForce
                ? "correct the files, or store them as they are with --force" : "correct the files and try again")
    }
}
