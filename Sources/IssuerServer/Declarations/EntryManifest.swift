internal import Bootstrap
internal import Foundation
internal import IssuerDomain
internal import SPIFFE

/// One entry of a document, read key by key.
struct EntryManifest {
    /// Every key, as the documentation lists them.
    static let keys = [
        "id", "spiffe_id", "parent_id", "selectors", "any_of", "none_of", "digest_sets", "id_template", "min_assurance",
        "allow_jit", "x509_svid_ttl", "jwt_svid_ttl", "key_type", "per_instance_keys", "audiences", "not_before",
        "expires_at", "disabled", "hint", "dns_names", "federates_with", "admin", "downstream", "store_svid",
        "disable_x509_svid_prefetch", "jwt_svid_include_jti", "class", "description", "owner", "purpose", "labels",
        "revision", "created_at", "managed_by",
    ]

    private let node: DocumentNode
    private let force: Bool

    private var id: String?
    private var spiffeID: SPIFFEID?
    private var parentID: SPIFFEID?
    private var selectors: [Selector] = []
    private var minimum: AssuranceLevel?
    private var allowsJIT: Bool?
    /// What is said about the rest.
    private var settings: [(inout EntryContents) -> Void] = []

    init(_ node: DocumentNode, force: Bool) { (self.node, self.force) = (node, force) }

    /// Reads every key.
    ///
    /// - Throws: ``DocumentError`` at the first that is wrong.
    mutating func read() throws(DocumentError) {
        guard case .members(let members) = node.value else {
            throw DocumentError(line: node.line, message: "an entry is not a mapping")
        }
        for member in members {
            guard Self.keys.contains(member.name) else {
                let nearest = Self.keys.min {
                    EditDistance.between($0, member.name) < EditDistance.between($1, member.name)
                }
                let isNear = nearest.map { EditDistance.between($0, member.name) <= 3 } ?? false
                throw DocumentError(
                    line: member.line,
                    message: "unknown key '\(member.name)'"
                        + (isNear ? nearest.map { "; did you mean '\($0)'?" } ?? "" : ""))
            }
            try readSubject(member)
        }
    }

    /// The entry, once all is read.
    ///
    /// - Throws: ``DocumentError`` when it has no SPIFFE ID, or no parent and there is none to stand in.
    func entry(source: String, defaultParent: SPIFFEID?) throws(DocumentError) -> DeclaredEntry {
        guard let spiffeID else { throw DocumentError(line: node.line, message: "'spiffe_id' is missing") }
        guard let parentID = parentID ?? defaultParent else {
            throw DocumentError(
                line: node.line,
                message: "'parent_id' is missing, and there is no agent that stands in for it")
        }
        var contents = EntryContents(spiffeID: spiffeID, parentID: parentID, selectors: selectors)
        for setting in settings { setting(&contents) }
        return DeclaredEntry(
            source: source, id: id, contents: contents,
            terms: TermsRequest(minimum: minimum, allowsJIT: allowsJIT, insistence: force ? .forced : .plain))
    }

    private mutating func readSubject(_ member: DocumentNode.Member) throws(DocumentError) {
        let field = ManifestField(member)
        switch member.name {
        case "id": id = try field.text()
        case "spiffe_id": spiffeID = try field.spiffeID()
        case "parent_id": parentID = try field.spiffeID()
        case "selectors": selectors = try field.selectors()
        case "min_assurance":
            let number = try field.integer()
            guard let level = number.flatMap({ Int(exactly: $0) }).flatMap({ AssuranceLevel(rawValue: $0) }) else {
                throw field.error("is not 0, 1, 2 or 3")
            }
            minimum = level
        case "allow_jit": allowsJIT = try field.flag()
        // Told, not asked.
        case "revision", "created_at", "managed_by": break
        default: try readSetting(member.name, field)
        }
    }

    private mutating func readSetting(_ name: String, _ field: ManifestField) throws(DocumentError) {
        switch name {
        case "x509_svid_ttl": set(\.x509TTL, try field.duration())
        case "jwt_svid_ttl": set(\.jwtTTL, try field.duration())
        case "expires_at": set(\.expiresAt, try field.instant())
        case "hint": set(\.hint, try field.text() ?? "")
        case "dns_names": set(\.dnsNames, try field.texts())
        case "federates_with": set(\.federatesWith, try field.trustDomains())
        case "admin": set(\.isAdmin, try field.flag())
        case "downstream": set(\.isDownstream, try field.flag())
        case "store_svid": set(\.storesSVID, try field.flag())
        case "disable_x509_svid_prefetch": set(\.prefetchesX509, try !field.flag())
        case "jwt_svid_include_jti": set(\.includesJTI, try field.flag())
        case "any_of": set(\.details.rules.anyOf, try field.groups())
        case "none_of": set(\.details.rules.noneOf, try field.selectors())
        case "digest_sets": set(\.details.rules.digestSets, Array(Set(try field.texts())).sorted())
        case "id_template": set(\.details.template, try field.template())
        case "key_type":
            set(\.details.keyType, try field.choice(WorkloadKeyType.names) { WorkloadKeyType(rawValue: $0) })
        case "class": set(\.details.entryClass, try field.choice("agent, tool, service") { EntryClass(rawValue: $0) })
        default: try readDetail(name, field)
        }
    }

    private mutating func readDetail(_ name: String, _ field: ManifestField) throws(DocumentError) {
        switch name {
        case "per_instance_keys": set(\.details.hasInstanceKeys, try field.flag())
        case "audiences": set(\.details.audiences, try field.texts())
        case "not_before": set(\.details.notBefore, try field.instant())
        case "disabled": set(\.details.isDisabled, try field.flag())
        case "description": set(\.details.description, try field.text() ?? "")
        case "owner": set(\.details.owner, try field.text() ?? "")
        case "purpose": set(\.details.purpose, try field.text() ?? "")
        case "labels": set(\.details.labels, try field.labels())
        default: throw field.error("is not read; this is a bug")
        }
    }

    private mutating func set<Value>(_ path: WritableKeyPath<EntryContents, Value>, _ value: Value) {
        settings.append { $0[keyPath: path] = value }
    }
}
