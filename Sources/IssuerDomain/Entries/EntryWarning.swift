package import SPIFFE

/// What a person should know about an entry that is stored nevertheless.
package enum EntryWarning: Hashable, Sendable {
    /// A program is named, and less is asked for than tells it from one that wears its name.
    case fakeable(AssuranceLevel)
    /// Made code is admitted, and the program need not have been measured when it was executed.
    case unmeasuredJIT(AssuranceLevel)
    case bareInterpreter(Selector)
    /// Of a kind that no known attestor has.
    case unknownKind(Selector)
    /// An agent or tool that nothing but its account tells from others.
    case accountAlone(EntryClass)
    /// It is turned off.
    case disabled
    /// It asks for a lifetime that its SVIDs do not get.
    case lifetimeCut(LifetimeCut)

    /// Everything there is to say about an entry.
    package static func all(about contents: EntryContents) -> [EntryWarning] {
        var warnings: [EntryWarning] = []
        let terms = contents.terms
        if terms.minimum < .boundImage, AssuranceDefaults.namesProgram(contents.decidingSelectors) {
            warnings.append(.fakeable(terms.minimum))
        }
        if terms.allowsJIT, terms.minimum < .measuredExec { warnings.append(.unmeasuredJIT(terms.minimum)) }
        if let path = BareInterpreter.path(in: contents.selectors) { warnings.append(.bareInterpreter(path)) }
        for selector in contents.details.rules.anyOf.flatMap(\.self)
        where BareInterpreter.path(in: contents.selectors + [selector]) == selector {
            warnings.append(.bareInterpreter(selector))
        }
        if let entryClass = contents.details.entryClass, entryClass != .service, contents.goesByAccountAlone {
            warnings.append(.accountAlone(entryClass))
        }
        if contents.details.isDisabled { warnings.append(.disabled) }
        for selector in contents.selectors + contents.details.rules.anyOf.flatMap(\.self) {
            do throws(SelectorVocabularyError) { try SelectorVocabulary.check(selector) } catch {
                if case .unknownKind = error { warnings.append(.unknownKind(selector)) }
            }
        }
        return warnings
    }
}

extension EntryWarning: CustomStringConvertible {
    package var description: String {
        switch self {
        case .fakeable(let level):
            """
            min_assurance \(level.number) \(Self.attacks); ask for 2 unless an agent of another make has to serve it
            """
        case .unmeasuredJIT(let level):
            """
            allow_jit with min_assurance \(level.number) cannot tell compiled code from code that was put there, nor \
            the program from one whose executable link was swapped; ask for 3
            """
        case .bareInterpreter(let selector):
            """
            '\(selector)' is an interpreter: whatever script it runs has this identity; register the script with \
            exec:script:sha256
            """
        case .accountAlone(let entryClass):
            """
            users and groups alone say who runs this \(entryClass.rawValue): whatever else that user runs has its \
            identity; add exec:sha256, unix:path or a digest set
            """
        case .disabled: "the entry is disabled; nobody gets its identity"
        case .lifetimeCut(let cut): "\(cut)"
        case .unknownKind(let selector): "no attestor known to this server produces '\(selector)'"
        }
    }

    /// What an entry at the level of the executable link, or below, is open to.
    package static let attacks = """
        trusts what a process can fake: it may execute the program after it has connected, inherit or be handed \
        another's connection, swap its executable link, or change its own code in memory
        """
}
