package import SPIFFE

/// Why an entry was refused.
package enum EntryError: Error, Hashable {
    case foreignTrustDomain(field: String, expected: TrustDomain)
    case spiffeIDWithoutPath
    case reservedSPIFFEID
    case noSelectors
    case tooMany(field: String, limit: Int)
    case selector(SelectorVocabularyError)
    /// Whatever script it runs would have the identity.
    case bareInterpreter(Selector)
    case assuranceBelowSelector(asked: AssuranceLevel, selector: Selector, needed: AssuranceLevel)
    case mixedStoreSelectors
    case hintTooLong
    case invalidDNSName(String)
    case invalidEntryID
    case lifetimeOutOfRange(field: String)
    case alreadyExpired
    case federatesWithItself
    case bundleMissing(TrustDomain)
    case exists(Entry)
    case idTaken
    case notFound(id: String)
    case badText(field: String)
    /// Ends before it begins.
    case neverInForce
    case emptyGroup
    /// A rule that it may not be found, although nothing can ever show that.
    case absenceNeverShown(Selector)
    /// Both asked for and forbidden.
    case contradiction(Selector)
    case template(IDTemplateError)
    case templateWithPrivileges
    /// Whatever else this user runs would have the identity of an agent.
    case agentByAccountAlone
    case emptyDigestSet
    case digestSetExists(name: String)
    case digestSetMissing(name: String)
    case digestSetInUse(name: String, entries: Int)
    /// Not for whoever asks.
    case objection(StoreError)
    /// There are as many entries as this server keeps.
    case tooManyEntries(limit: Int)
}

extension EntryError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .foreignTrustDomain(let field, let expected): "\(field) is not in trust domain '\(expected)'"
        case .spiffeIDWithoutPath: "SPIFFE ID of an entry needs a path"
        case .reservedSPIFFEID: "SPIFFE IDs under /spire/ are reserved for servers and agents"
        case .noSelectors: "entry has no selector; it would match every process"
        case .tooMany(let field, let limit): "\(field): at most \(limit) are allowed"
        case .selector(let error): error.description
        case .bareInterpreter(let selector):
            "'\(selector)' is an interpreter: whatever script it runs would have this identity"
        case .assuranceBelowSelector(let asked, let selector, let needed):
            """
            min_assurance \(asked.number) is below what '\(selector)' needs: that fact is only known from \
            level \(needed.number) on
            """
        case .mixedStoreSelectors: "selectors of an entry with store_svid must all be of one kind"
        case .hintTooLong: "hint is longer than 1024 bytes"
        case .invalidDNSName(let name): "'\(name.prefix(255))' is not a DNS name"
        case .invalidEntryID: "entry ID must be 1 to 255 letters, digits, dots, dashes or underscores"
        case .lifetimeOutOfRange(let field): "\(field) must be between 1 second and 10 years"
        case .alreadyExpired: "entry would be expired on arrival"
        case .federatesWithItself: "an entry cannot federate with its own trust domain"
        case .bundleMissing(let domain):
            "there is no bundle of trust domain '\(domain)', so no entry can federate with it"
        case .exists: "similar entry already exists"
        case .idTaken: "entry ID is taken"
        case .notFound(let id): "no entry has ID '\(id.prefix(255))'"
        case .badText(let field): "\(field) is too long, empty, or holds characters that it may not hold"
        case .neverInForce: "entry would end before it begins"
        case .emptyGroup: "a group of any_of has no selector; it could never match"
        case .absenceNeverShown(let selector):
            "none_of '\(selector)': nothing can show that this is not true of a process, so the entry would never match"
        case .contradiction(let selector): "'\(selector)' is both asked for and forbidden; the entry would never match"
        case .template(let error): error.description
        case .templateWithPrivileges: "an entry with an ID template cannot be admin or downstream"
        case .agentByAccountAlone:
            """
            class agent with users and groups alone: whatever else this user runs would have this identity; name the \
            program as well
            """
        case .emptyDigestSet: "a digest set needs at least one digest"
        case .digestSetExists(let name): "digest set '\(name)' exists already"
        case .digestSetMissing(let name): "there is no digest set '\(name.prefix(255))'"
        case .digestSetInUse(let name, let entries): "digest set '\(name)' is used by \(entries) entries"
        case .objection(let error): error.description
        case .tooManyEntries(let limit):
            "this server keeps at most \(limit) entries; delete some, or raise limits.entries in its configuration"
        }
    }
}

extension EntryError {
    /// Whether the same request, insisted on, would have been heard.
    package var canBeForced: Bool {
        switch self {
        case .bareInterpreter, .selector(.unknownKind), .agentByAccountAlone: true
        case .foreignTrustDomain, .spiffeIDWithoutPath, .reservedSPIFFEID, .noSelectors, .tooMany,
            .selector(.unknown), .selector(.announced), .assuranceBelowSelector, .mixedStoreSelectors, .hintTooLong,
            .invalidDNSName, .invalidEntryID, .lifetimeOutOfRange, .alreadyExpired, .federatesWithItself,
            .bundleMissing, .exists,
            .idTaken, .notFound, .badText, .neverInForce, .emptyGroup, .absenceNeverShown, .contradiction, .template,
            .templateWithPrivileges, .emptyDigestSet, .digestSetExists, .digestSetMissing, .digestSetInUse,
            .objection, .tooManyEntries:
            false
        }
    }
}
