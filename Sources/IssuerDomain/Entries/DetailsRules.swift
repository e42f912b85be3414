internal import Foundation
internal import SPIFFE

/// What the details of an entry must obey.
enum DetailsRules {
    static let maximumTextBytes = 255
    static let maximumDescriptionBytes = 2048
    static let maximumLabels = 32
    static let maximumLabelKeyBytes = 63
    static let maximumGroups = 16
    static let maximumDigestSets = 8

    /// Judges details; the first rule broken is thrown.
    static func check(
        _ contents: EntryContents, replacing old: EntryContents?, insistence: Insistence
    ) throws(EntryError) {
        let details = contents.details
        try checkTexts(details)
        try checkRules(contents, replacing: old, insistence: insistence)
        if let notBefore = details.notBefore, let expiresAt = contents.expiresAt, notBefore >= expiresAt {
            throw .neverInForce
        }
        guard details.audiences.count <= AudienceRule.maximumCount else {
            throw .tooMany(field: "audiences", limit: AudienceRule.maximumCount)
        }
        for audience in details.audiences {
            guard (1...AudienceRule.maximumBytes).contains(audience.utf8.count), !hasControl(audience) else {
                throw .badText(field: "audience")
            }
        }
        if details.template != nil {
            // The issuer names nobody by a prefix, so nothing else may hang on it.
            guard !contents.isAdmin, !contents.isDownstream else { throw .templateWithPrivileges }
        }
        let wasWeak = old.map { $0.details.entryClass == .agent && $0.goesByAccountAlone } ?? false
        if details.entryClass == .agent, contents.goesByAccountAlone, insistence != .forced, !wasWeak {
            throw .agentByAccountAlone
        }
    }

    private static func checkTexts(_ details: EntryDetails) throws(EntryError) {
        for (field, text, limit) in [
            ("description", details.description, maximumDescriptionBytes), ("owner", details.owner, maximumTextBytes),
            ("purpose", details.purpose, maximumTextBytes),
        ] {
            guard text.utf8.count <= limit, !hasControl(text) else { throw .badText(field: field) }
        }
        guard details.labels.count <= maximumLabels else { throw .tooMany(field: "labels", limit: maximumLabels) }
        for (key, value) in details.labels {
            guard (1...maximumLabelKeyBytes).contains(key.utf8.count), key.utf8.allSatisfy(isLabelByte) else {
                throw .badText(field: "label name")
            }
            guard value.utf8.count <= maximumTextBytes, !hasControl(value) else { throw .badText(field: "label") }
        }
    }

    private static func checkRules(
        _ contents: EntryContents, replacing old: EntryContents?, insistence: Insistence
    ) throws(EntryError) {
        let (rules, oldRules) = (contents.details.rules, old?.details.rules ?? SelectorRules())
        guard rules.anyOf.count <= maximumGroups else { throw .tooMany(field: "any-of groups", limit: maximumGroups) }
        guard rules.digestSets.count <= maximumDigestSets else {
            throw .tooMany(field: "digest sets", limit: maximumDigestSets)
        }
        for name in rules.digestSets { try DigestSet.check(name: name) }
        guard !rules.anyOf.contains(where: \.isEmpty) else { throw .emptyGroup }
        let count = rules.anyOf.reduce(rules.noneOf.count) { $0 + $1.count }
        guard count <= EntryRules.maximumSelectors else {
            throw .tooMany(field: "selectors of rules", limit: EntryRules.maximumSelectors)
        }
        let judged = Set(oldRules.anyOf.flatMap(\.self))
        for selector in rules.anyOf.flatMap(\.self) where !judged.contains(selector) {
            try SelectorCatalog.check(selector, insistence: insistence)
            let interpreter = BareInterpreter.path(in: contents.selectors + [selector])
            if insistence == .plain, interpreter == selector { throw .bareInterpreter(selector) }
        }
        for selector in rules.noneOf {
            try SelectorCatalog.check(selector, insistence: .plain)
            guard let family = SelectorVocabulary.family(of: selector), FamilyAbsence(of: family) != .never else {
                throw .absenceNeverShown(selector)
            }
            guard !contents.selectors.contains(selector) else { throw .contradiction(selector) }
        }
    }

    private static func hasControl(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }

    private static func isLabelByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."),
            UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "/"):
            true
        default: false
        }
    }
}
