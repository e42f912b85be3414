/// How it can be known that a selector of some family is not true of a process.
///
/// That a selector was not found says nothing by itself: perhaps nobody could look. A family counts as established only
/// when something that was found shows that all of it was looked at.
package enum FamilyAbsence: Hashable, Sendable {
    /// There is exactly one true value: to have found it is to know that the others are not true.
    case byItsValue
    /// Established together with another family, which is always found when all of this one is known.
    case together(with: String)
    /// Established when names were found for all of what another family counts by number.
    case named(countedBy: String)
    /// Nothing that is found can show it; a rule that needs it would never match.
    case never

    /// How it stands with a family.
    package init(of family: SelectorFamily) {
        switch family.prefix {
        case "unix:supplementary_gid": self = .together(with: "unix:uid")
        case "unix:supplementary_group": self = .named(countedBy: "unix:supplementary_gid")
        // A chain is said only when every script is known, a set only when every mapping is.
        case "exec:script:sha256": self = .together(with: "exec:chain")
        case "code:lib:sha256": self = .together(with: "code:set")
        // The runtime tells name and labels in one answer.
        case "container:label": self = .together(with: "container:name")
        case "docker:label": self = .together(with: "docker:image_id")
        // Ancestors that are gone have no digest, and images that were built locally have none either.
        case "proc:ancestor:exec:sha256", "container:image-digest:sha256": self = .never
        default:
            // With one possible word, to find another is to find nothing.
            if case .choice(let words) = family.rule, words.count < 2 { self = .never } else { self = .byItsValue }
        }
    }

    /// Whether what was found shows that a selector is not true.
    ///
    /// - Parameters:
    ///   - selector: The one in question.
    ///   - found: Everything found on the process.
    /// - Returns: False when it was found, and when it is unknown.
    package static func isShown(of selector: Selector, in found: Set<Selector>) -> Bool {
        guard !found.contains(selector), let family = SelectorVocabulary.family(of: selector) else { return false }
        switch FamilyAbsence(of: family) {
        case .byItsValue: return count(of: family.prefix, in: found) > 0
        case .together(let other): return count(of: other, in: found) > 0
        case .named(let other):
            return count(of: "unix:user", in: found) > 0
                && count(of: family.prefix, in: found) == count(of: other, in: found)
        case .never: return false
        }
    }

    private static func count(of prefix: String, in found: Set<Selector>) -> Int {
        found.count { SelectorVocabulary.family(of: $0)?.prefix == prefix }
    }
}
