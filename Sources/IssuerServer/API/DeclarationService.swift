internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf

/// `mintmark.v1.Declarations`.
struct DeclarationService: Mintmark_V1_Declarations.SimpleServiceProtocol {
    let access: AccessControl
    let entries: EntryRegistrar
    let agents: AgentRegistrar
    let clock: any WallClock
    let logger: Logger

    func apply(
        request: Mintmark_V1_ApplyRequest, context: ServerContext
    ) async throws -> Mintmark_V1_ApplyResponse {
        try access.requireLocal(context)
        let keeper = request.managedBy
        guard (1...Declaration.maximumKeeperBytes).contains(keeper.utf8.count) else {
            throw RPCError(code: .invalidArgument, message: "managed_by must say who keeps these entries")
        }
        let reader = try read(request.documents, force: request.force)
        let declarer = Declarer(entries: entries, clock: clock, logger: logger)
        return try await declarer.apply(
            reader, keeper: keeper, prunes: request.prune, adopts: request.adopt, isDryRun: request.dryRun,
            expecting: request.expectedPlan.isEmpty ? nil : request.expectedPlan)
    }

    func lint(request: Mintmark_V1_LintRequest, context: ServerContext) async throws -> Mintmark_V1_LintResponse {
        try access.requireLocal(context)
        guard !request.documents.isEmpty else {
            let findings = entries.findings(agents: agents.all, now: clock.now)
            return .with { $0.findings = findings.map { Mintmark_V1_Finding($0) } }
        }
        let reader = try read(request.documents, force: true)
        let declarer = Declarer(entries: entries, clock: clock, logger: logger)
        // Whoever keeps them: this only looks.
        let seen = try await declarer.apply(
            reader, keeper: "lint", prunes: false, adopts: true, isDryRun: true, expecting: nil,
            agents: agents.all)
        return .with {
            $0.problems = seen.problems
            $0.findings = seen.findings
        }
    }

    private func read(_ documents: [Mintmark_V1_Document], force: Bool) throws(RPCError) -> ManifestReader {
        guard documents.count <= ManifestReader.maximumDocuments,
            documents.reduce(0, { $0 + $1.text.utf8.count }) <= ManifestReader.maximumBytes
        else {
            throw RPCError(
                code: .invalidArgument,
                message: """
                    at most \(ManifestReader.maximumDocuments) documents of \(ManifestReader.maximumBytes >> 20) MiB \
                    together; apply them in parts, each with a managed_by of its own
                    """)
        }
        var reader = ManifestReader(
            trustDomain: entries.trustDomain, defaultParent: agents.onlyAgent, force: force)
        for document in documents { reader.read(document.text, named: String(document.name.prefix(255))) }
        return reader
    }
}

extension AgentRegistrar {
    /// The agent under which entries stand that name no parent; nil unless there is exactly one.
    var onlyAgent: SPIFFEID? {
        let known = all.filter { !$0.isBanned }
        return known.count == 1 ? known.first?.id : nil
    }
}
