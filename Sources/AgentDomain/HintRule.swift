/// Hints are unique within one response (WLAPI-09); when two entries share one, the older keeps it (SP-03).
package enum HintRule {
    /// Drops later entries that repeat a non-empty hint of an earlier one.
    ///
    /// - Parameter entries: Oldest first.
    /// - Returns: The entries kept, in the same order; all that have no hint stay.
    package static func resolve(_ entries: [AuthorizedEntry]) -> [AuthorizedEntry] {
        var seen: Set<String> = []
        return entries.filter { $0.hint.isEmpty || seen.insert($0.hint).inserted }
    }
}
