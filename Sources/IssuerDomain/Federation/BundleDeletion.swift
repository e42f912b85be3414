internal import SPIFFE

/// What becomes of entries that federate with a domain whose bundle is deleted.
package enum BundleDeletion: Sendable, CaseIterable {
    /// The bundle stays while there are any.
    case restrict
    /// They are deleted too.
    case delete
    /// They stay, without the domain.
    case dissociate

    /// Decides for the entries of an index.
    ///
    /// - Returns: What happens to entries, and how many go on to federate with the domain.
    func settle(_ index: EntryIndex, leaving domain: TrustDomain) -> (changes: [EntryChange], staying: Int) {
        let concerned = index.entries.filter { $0.contents.federatesWith.contains(domain) }.sorted { $0.id < $1.id }
        switch self {
        case .restrict: return ([], concerned.count)
        case .delete: return (concerned.map { .delete(id: $0.id) }, 0)
        case .dissociate:
            let changes = concerned.map { entry -> EntryChange in
                var entry = entry
                entry.contents.federatesWith.removeAll { $0 == domain }
                entry.revision += 1
                return .put(entry)
            }
            return (changes, 0)
        }
    }
}
