internal import LinuxKernel
package import SPIFFE

/// Spells facts about a process as `unix:` selectors.
package enum UnixSelectors {
    private static let kind = "unix"

    /// Ids and groups, by number and, where the system knows one, by name.
    static func of(_ credentials: ProcessCredentials) -> Set<Selector> {
        var selectors: Set<Selector> = []
        func add(_ key: String, _ value: String?) {
            // A name with a control character in it is left out: it could pass for another selector in a log.
            guard let value, let selector = try? Selector(kind: kind, value: "\(key):\(value)") else { return }
            selectors.insert(selector)
        }
        add("uid", "\(credentials.uid)")
        add("user", AccountNames.user(credentials.uid))
        add("gid", "\(credentials.gid)")
        add("group", AccountNames.group(credentials.gid))
        for group in credentials.supplementaryGroups {
            add("supplementary_gid", "\(group)")
            add("supplementary_group", AccountNames.group(group))
        }
        return selectors
    }

    /// The path of the executable.
    static func path(_ path: String) -> Set<Selector> {
        guard let selector = try? Selector(kind: kind, value: "path:\(path)") else { return [] }
        return [selector]
    }

    /// The SHA-256 of the executable, in lower-case hex.
    static func digest(_ digest: String) -> Set<Selector> {
        guard let selector = try? Selector(kind: kind, value: "sha256:\(digest)") else { return [] }
        return [selector]
    }

    /// Whether a selector names a digest, the one fact that is costly to find.
    package static func isDigest(_ selector: Selector) -> Bool {
        selector.kind == kind && selector.value.hasPrefix("sha256:")
    }
}
