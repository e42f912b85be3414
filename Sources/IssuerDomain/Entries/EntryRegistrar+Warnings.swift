package import Foundation

extension EntryRegistrar {
    /// Everything there is to say about an entry, on this server and now.
    package func warnings(about contents: EntryContents, now: Date) -> [EntryWarning] {
        let end = read { $0.end(of: contents.parentID) }
        return EntryWarning.all(about: contents)
            + (lifetimes(now)?.cuts(of: contents, above: end) ?? []).map { .lifetimeCut($0) }
    }

    /// Looks at all entries that are stored.
    ///
    /// - Parameters:
    ///   - agents: Those that were let in.
    ///   - now: The time.
    /// - Returns: What was found, by the first entry concerned.
    package func findings(agents: [AttestedAgent], now: Date) -> [EntryFinding] {
        EntryLint.findings(in: read { $0 }, agents: agents, lifetimes: lifetimes(now))
    }
}
