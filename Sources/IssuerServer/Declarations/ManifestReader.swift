internal import Bootstrap
internal import Foundation
internal import IssuerDomain
internal import SPIFFE

/// Reads documents that declare entries.
///
/// A document is a mapping with one key, `entries`, a list of entries. Every key must be known; what is left out has its
/// default. What `mintmark entry list --output yaml` prints can be read back.
struct ManifestReader {
    /// The most documents, and the most bytes of all together.
    static let maximumDocuments = 1024
    static let maximumBytes = 3 << 20

    let trustDomain: TrustDomain
    /// The parent of entries that name none; nil where they must.
    let defaultParent: SPIFFEID?
    let force: Bool

    private(set) var entries: [DeclaredEntry] = []
    private(set) var problems: [EntryPlan.Problem] = []

    init(trustDomain: TrustDomain, defaultParent: SPIFFEID?, force: Bool = false) {
        (self.trustDomain, self.defaultParent, self.force) = (trustDomain, defaultParent, force)
    }

    /// Reads one document; what is wrong with it is added to the problems.
    mutating func read(_ text: String, named name: String) {
        do throws(DocumentError) {
            guard let root = try DocumentNode.parse(text) else { return }
            guard case .members(let members) = root.value else {
                throw DocumentError(line: root.line, message: "not a mapping; write 'entries:' and a list below it")
            }
            for member in members {
                guard member.name == "entries" else {
                    throw DocumentError(
                        line: member.line, message: "unknown key '\(member.name)'; a document has 'entries' alone")
                }
                for node in try Self.list(member.node, "entries") { read(entry: node, named: name) }
            }
        } catch { note(error, name) }
    }

    private mutating func read(entry node: DocumentNode, named name: String) {
        do throws(DocumentError) {
            guard entries.count < Declaration.maximumEntries else {
                throw DocumentError(line: node.line, message: "more than \(Declaration.maximumEntries) entries")
            }
            var manifest = EntryManifest(node, force: force)
            try manifest.read()
            entries.append(
                try manifest.entry(source: "\(name):\(node.line)", defaultParent: defaultParent))
        } catch { note(error, name) }
    }

    private mutating func note(_ error: DocumentError, _ name: String) {
        problems.append(EntryPlan.Problem(source: "\(name):\(error.line)", message: error.message))
    }

    /// The elements of a list.
    static func list(_ node: DocumentNode, _ key: String) throws(DocumentError) -> [DocumentNode] {
        switch node.value {
        case .null: return []
        case .list(let elements): return elements
        case .scalar, .members: throw DocumentError(line: node.line, message: "'\(key)' is not a list")
        }
    }
}
