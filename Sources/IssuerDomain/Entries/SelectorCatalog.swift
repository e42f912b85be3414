internal import Platform
package import SPIFFE

/// The selectors that attestors of this system produce, so that a misspelt one is refused instead of never matching.
package enum SelectorCatalog {
    /// Keys of the `unix` kind, in the field's own spelling.
    private static let unixKeys = [
        "uid", "user", "gid", "group", "supplementary_gid", "supplementary_group", "path", "sha256",
    ]

    /// Judges the spelling of a selector.
    ///
    /// Kinds other than `unix` pass: they may belong to another agent's attestors. (`spiffe_id` names a node.)
    ///
    /// - Parameter selector: What the admin wrote.
    /// - Throws: `unknownSelector` with the nearest spelling that would pass, if there is one.
    package static func check(_ selector: Selector) throws(EntryError) {
        guard selector.kind == "unix" else {
            if EditDistance.between(selector.kind.lowercased(), "unix") <= 1 {
                let kind = "unix"
                throw .unknownSelector(selector, nearest: "\(kind):\(selector.value)")
            }
            return
        }
        guard let colon = selector.value.firstIndex(of: ":") else {
            throw .unknownSelector(selector, nearest: suggestion(for: selector.value, value: "…"))
        }
        let (key, value) = (String(selector.value[..<colon]), String(selector.value[colon...].dropFirst()))
        guard unixKeys.contains(key), !value.isEmpty else {
            throw .unknownSelector(selector, nearest: suggestion(for: key, value: value))
        }
        switch key {
        case "uid", "gid", "supplementary_gid":
            guard let number = UInt32(value), String(number) == value else {
                throw .unknownSelector(selector, nearest: "unix:\(key):1000")
            }
        case "sha256":
            guard value.utf8.count == 64, value.utf8.allSatisfy(isLowercaseHex) else {
                let folded = value.lowercased()
                let isFixable = folded.utf8.count == 64 && folded.utf8.allSatisfy(isLowercaseHex)
                throw .unknownSelector(selector, nearest: "unix:sha256:\(isFixable ? folded : "<64 hex digits>")")
            }
        case "path":
            guard value.hasPrefix("/") else { throw .unknownSelector(selector, nearest: "unix:path:/\(value)") }
        default: break
        }
    }

    private static func suggestion(for key: String, value: String) -> String? {
        nearest(to: key, among: unixKeys).map { "unix:\($0):\(value)" }
    }

    /// The candidate at the smallest edit distance, if it is at most two edits away and not equal.
    private static func nearest(to word: String, among candidates: [String]) -> String? {
        let word = word.lowercased()
        let ranked = candidates.map { ($0, EditDistance.between($0, word)) }.min { $0.1 < $1.1 }
        guard let (candidate, distance) = ranked, distance <= 2 else { return nil }
        return candidate
    }

    private static func isLowercaseHex(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
