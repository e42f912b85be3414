package import SPIFFE

/// Which of the costly facts something hangs on; the others are always gathered.
package struct EvidenceNeeds: OptionSet, Hashable, Sendable {
    package let rawValue: Int

    package init(rawValue: Int) { self.rawValue = rawValue }

    /// The digest of the executable; the first level rests on it.
    package static let program = EvidenceNeeds(rawValue: 1 << 0)
    /// The digests of everything else that is mapped as code.
    package static let libraries = EvidenceNeeds(rawValue: 1 << 1)
    package static let lineage = EvidenceNeeds(rawValue: 1 << 2)
    package static let package = EvidenceNeeds(rawValue: 1 << 3)
    package static let service = EvidenceNeeds(rawValue: 1 << 4)
    package static let container = EvidenceNeeds(rawValue: 1 << 5)
    /// Names of users and groups.
    package static let names = EvidenceNeeds(rawValue: 1 << 6)
    /// Login and control group.
    package static let surroundings = EvidenceNeeds(rawValue: 1 << 7)

    package static let everything = EvidenceNeeds(rawValue: (1 << 8) - 1)

    /// What entries hang on, to be found once for each set of them.
    ///
    /// - Parameters:
    ///   - selectors: Every selector that some entry asks for.
    ///   - minimum: The highest level that some entry asks for.
    package init(selectors: some Sequence<Selector>, minimum: AssuranceLevel) {
        self = Self.reaching(minimum)
        for selector in selectors { formUnion(Self.needs(of: selector)) }
    }

    private static func reaching(_ level: AssuranceLevel) -> EvidenceNeeds {
        switch level {
        case .account: []
        case .executableLink, .boundImage: .program
        case .measuredExec: [.program, .libraries]
        }
    }

    private static func needs(of selector: Selector) -> EvidenceNeeds {
        func begins(_ lead: String) -> Bool { selector.value.utf8.starts(with: lead.utf8) }
        switch selector.kind {
        case "unix":
            if begins("sha256:") { return .program }
            return begins("user:") || begins("group:") || begins("supplementary_group:") ? .names : []
        case "exec": return reaching(.measuredExec)
        case "code": return begins("text:") ? .program : reaching(.measuredExec)
        case "proc":
            let isAncestry = begins("parent:") || begins("ancestor:") || begins("depth:")
            return isAncestry ? reaching(.measuredExec).union(.lineage) : .program
        case "ns": return .program
        case "cgroup": return [.program, .surroundings]
        case "systemd": return [.program, .surroundings, .service]
        case "container", "docker": return [.program, .surroundings, .container]
        case "exe": return begins("pkg:") ? [.program, .package] : .program
        default: return []
        }
    }
}
