package import Foundation
package import SPIFFE

/// What an entry says that the public API has no words for: what people should know, and what narrows it further.
package struct EntryDetails: Hashable, Sendable {
    // What people should know.
    package var description = ""
    package var owner = ""
    package var purpose = ""
    package var labels: [String: String] = [:]
    package var entryClass: EntryClass?

    // When it holds.
    package var notBefore: Date?
    package var isDisabled = false

    // What its SVIDs are like.
    /// Exact values; a JWT-SVID can be for these alone, or for any when empty.
    package var audiences: [String] = []
    /// nil leaves it to the node agent.
    package var keyType: WorkloadKeyType?
    /// Whether each process has a key and an SVID of its own.
    package var hasInstanceKeys = false
    /// Goes on below the entry's SPIFFE ID, which is then a prefix and never issued itself.
    package var template: IDTemplate?

    // Which processes it is for, beyond its selectors.
    package var rules = SelectorRules()

    package init() {}

    /// The version of ``vocabulary`` that an agent must understand to serve the entry; 0 when any agent can.
    ///
    /// What the issuer enforces alone, by handing the entry to nobody, is not counted.
    package var neededVocabulary: UInt32 {
        let narrows =
            !rules.isEmpty || template != nil || hasInstanceKeys || keyType != nil || !audiences.isEmpty
        return narrows ? Self.vocabulary : 0
    }

    /// What agents of this version understand.
    package static let vocabulary: UInt32 = 1
}

/// What sort of thing runs.
package enum EntryClass: String, Hashable, Sendable, CaseIterable {
    /// Decides for itself what to do next: who it is must not be taken for who started it.
    case agent
    /// Does what agents ask.
    case tool
    case service
}

extension EntryContents {
    /// Every selector that decides, and one for each family that does: levels and evidence follow from them.
    package var decidingSelectors: [Selector] {
        Array(Set(selectors + details.rules.named + (details.template?.named ?? []))).sorted()
    }

    /// Whether the entry holds now: not turned off, begun and not over.
    package func isInForce(at now: Date) -> Bool {
        if details.isDisabled { return false }
        if let notBefore = details.notBefore, now < notBefore { return false }
        if let expiresAt, expiresAt <= now { return false }
        return true
    }

    /// Whether nothing but the account tells its processes from others.
    package var goesByAccountAlone: Bool { !AssuranceDefaults.namesProgram(decidingAffirmatively) }

    /// What must be found, as opposed to what must not.
    private var decidingAffirmatively: [Selector] {
        let rules = details.rules
        // A group narrows to a program only when each of its choices does.
        let groups = rules.anyOf.filter { group in group.allSatisfy { AssuranceDefaults.namesProgram([$0]) } }
        return selectors + groups.flatMap(\.self) + SelectorRules(digestSets: rules.digestSets).named
    }
}
