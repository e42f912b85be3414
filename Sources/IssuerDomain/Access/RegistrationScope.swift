package import SPIFFE

/// Which entries a registrar may touch.
///
/// An entry that lies outside may be neither made, nor changed into or out of, nor deleted.
package struct RegistrationScope: Hashable, Sendable {
    /// The SPIFFE ID is one of these, or below one.
    package let prefixes: [SPIFFEID]
    /// The parent ID is one of these, or below one; nil for the agents and what is below `prefixes`.
    package let parents: [SPIFFEID]?
    /// Every selector is of one of these kinds; nil for any.
    package let selectorKinds: Set<String>?
    /// DNS names are one of these, or below one.
    package let dnsNames: [String]
    /// How many entries there may be in it, whoever made them; nil for as many as the server holds.
    package let maximumEntries: Int?

    package init(
        prefixes: [SPIFFEID], parents: [SPIFFEID]? = nil, selectorKinds: Set<String>? = nil, dnsNames: [String] = [],
        maximumEntries: Int? = nil
    ) {
        self.maximumEntries = maximumEntries
        (self.prefixes, self.parents) = (prefixes, parents)
        (self.selectorKinds, self.dnsNames) = (selectorKinds, dnsNames)
    }

    /// Judges an entry.
    ///
    /// - Parameter contents: What it says, before or after a change.
    /// - Returns: The first thing that is outside; nil when nothing is.
    package func violation(of contents: EntryContents) -> String? {
        guard Self.isBelow(contents.spiffeID, prefixes) else { return "'\(contents.spiffeID)' is outside its prefixes" }
        guard admitsParent(contents.parentID) else { return "parent '\(contents.parentID)' is outside its parents" }
        guard !contents.isAdmin, !contents.isDownstream else { return "admin and downstream are not a registrar's" }
        // What selects by its absence, or by one of several, selects too.
        if let selectorKinds,
            let selector = contents.decidingSelectors.first(where: { !selectorKinds.contains($0.kind) })
        {
            return "selector kind '\(selector.kind)' is not among its kinds"
        }
        if let name = contents.dnsNames.first(where: { !admits(dnsName: $0) }) {
            return "DNS name '\(name)' is outside its names"
        }
        return nil
    }

    private func admitsParent(_ parent: SPIFFEID) -> Bool {
        if let parents { return Self.isBelow(parent, parents) }
        return parent.path.hasPrefix("/spire/agent/") || Self.isBelow(parent, prefixes)
    }

    private func admits(dnsName name: String) -> Bool {
        let name = name.lowercased()
        return dnsNames.contains { name == $0.lowercased() || name.hasSuffix("." + $0.lowercased()) }
    }

    private static func isBelow(_ id: SPIFFEID, _ prefixes: [SPIFFEID]) -> Bool {
        prefixes.contains {
            id.trustDomain == $0.trustDomain && (id.path == $0.path || id.path.hasPrefix($0.path + "/"))
        }
    }
}

extension RegistrationScope {
    /// The scopes that bind the call under way; nil for a call, or a loop, that is not bound by any.
    ///
    /// Set in the one place that lets calls in, and asked in the one place where entries become durable, so that no way
    /// from one to the other can forget it.
    @TaskLocal package static var binding: [RegistrationScope]?
}
