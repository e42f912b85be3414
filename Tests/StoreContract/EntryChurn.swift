internal import Foundation
package import IssuerDomain
internal import Platform
package import SPIFFE
internal import TestSupport

/// Many who change entries at once, some of whom give up, on any store.
package struct EntryChurn: Sendable {
    /// What came of it.
    package struct Tally: Sendable {
        /// Entries and digest sets that were changed.
        package var changed = 0
        /// Calls that the store failed, or whose caller had given up.
        package var failed = 0
    }

    private static let parents = ["/spire/agent/one", "/spire/agent/two", "/w/0", "/w/1"]

    /// The agents and identities under which entries stand.
    package static func parentIDs() throws -> [SPIFFEID] { try parents.map { try Sample.id($0) } }

    /// Every identity that an entry may have.
    package static func identities() throws -> [SPIFFEID] { try (0..<12).map { try Sample.id("/w/\($0)") } }

    private let tasks: Int
    private let operations: Int
    private let seed: UInt64
    private let givesUp: Bool

    /// Says what to do.
    ///
    /// - Parameters:
    ///   - tasks: How many at once.
    ///   - operations: How much each does.
    ///   - seed: What is drawn follows from it.
    ///   - givesUp: Whether some callers are cancelled while they wait.
    package init(tasks: Int, operations: Int, seed: UInt64, givesUp: Bool = false) {
        (self.tasks, self.operations, self.seed, self.givesUp) = (tasks, operations, seed, givesUp)
    }

    /// Runs it to the end.
    ///
    /// - Throws: What is neither a refusal nor a failure of the store.
    package func run(_ registrar: EntryRegistrar) async throws -> Tally {
        try await withThrowingTaskGroup(of: Tally.self) { group in
            for task in 0..<tasks {
                group.addTask {
                    var entropy = SeededEntropy(seed &* 1000 &+ UInt64(task))
                    var tally = Tally()
                    for _ in 0..<operations {
                        let draws = UInt64.random(in: 0..<(.max), using: &entropy)
                        let step = Task { try await Self.step(registrar, task, SeededEntropy(draws)) }
                        if givesUp, Int.random(in: 0..<5, using: &entropy) == 0 {
                            if Bool.random(using: &entropy) { await Task.yield() }
                            step.cancel()
                        }
                        do { tally.changed += try await step.value } catch is StoreError { tally.failed += 1 }
                    }
                    return tally
                }
            }
            return try await group.reduce(into: Tally()) { total, tally in
                total.changed += tally.changed
                total.failed += tally.failed
            }
        }
    }

    /// Does one random thing.
    ///
    /// - Returns: How many entries it changed.
    private static func step(
        _ registrar: EntryRegistrar, _ task: Int, _ entropy: SeededEntropy
    ) async throws -> Int {
        var entropy = entropy
        let id = "e\(Int.random(in: 0..<60, using: &entropy))"
        let contents = try random(using: &entropy)
        switch Int.random(in: 0..<10, using: &entropy) {
        case 0..<4:
            return try await registrar.create(
                [EntryDraft(id: id, contents: contents), EntryDraft(contents: try random(using: &entropy))],
                now: Sample.start, using: entropy
            ).count { (try? $0.get()) != nil }
        case 4..<7:
            return try await registrar.update([EntryPatch(id: id) { $0 = contents }], now: Sample.start)
                .count { (try? $0.get()) != nil }
        case 7:
            let ids = registrar.read { index in index.entries.map(\.id).sorted().prefix(3).map(\.self) }
            return try await registrar.delete(ids + [id]).count { (try? $0.get()) != nil }
        case 8:
            let outcome = try await registrar.apply(
                Declaration(
                    entries: [
                        DeclaredEntry(source: "f:1", id: "d\(task)", contents: contents, terms: .init()),
                        DeclaredEntry(source: "f:2", id: nil, contents: try random(using: &entropy), terms: .init()),
                    ], keeper: "team-\(task)", prunes: true), isDryRun: false, now: Sample.start, using: entropy)
            return outcome.isApplied ? outcome.plan.steps.count : 0
        default:
            let digest = String(repeating: "\(Int.random(in: 0..<10, using: &entropy))", count: 64)
            let outcome = try await registrar.addVersion(
                to: "release", digests: [digest], dropsOthers: false, now: Sample.start)
            return (try? outcome.get()) == nil ? 0 : 1
        }
    }

    private static func random(using entropy: inout SeededEntropy) throws -> EntryContents {
        var contents = try Sample.entry(
            "", path: "/w/\(Int.random(in: 0..<12, using: &entropy))",
            parent: parents[Int.random(in: 0..<parents.count, using: &entropy)],
            selectors: ["unix:uid:\(Int.random(in: 0..<20, using: &entropy))"]
        ).contents
        contents.isAdmin = Int.random(in: 0..<10, using: &entropy) == 0
        contents.isDownstream = Int.random(in: 0..<10, using: &entropy) == 0
        if Int.random(in: 0..<4, using: &entropy) == 0 {
            contents.expiresAt = Sample.start + TimeInterval(Int.random(in: 1...5000, using: &entropy))
        }
        contents.details.isDisabled = Int.random(in: 0..<8, using: &entropy) == 0
        if Int.random(in: 0..<4, using: &entropy) == 0 { contents.details.rules.digestSets = ["release"] }
        return contents
    }
}
