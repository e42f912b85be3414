package import IssuerAPIProtos
package import SPIFFE

/// Shows digest sets.
package enum DigestSetRendering {
    package static func value(_ set: Mintmark_V1_DigestSet) -> JSONValue {
        .members([
            "name": .string(set.name),
            "keep": .integer(set.keeps),
            "grace_seconds": .integer(set.graceSeconds),
            "entries": .integer(set.entries),
            "versions": .array(
                set.versions.map { version in
                    .members([
                        "number": .integer(version.number),
                        "sha256": .array(version.sha256.map { .string($0) }),
                        "created_at": .string(InstantText.text(version.createdAt)),
                        "valid_until": InstantText.optional(version.until),
                    ])
                }),
        ])
    }

    package static func one(_ set: Mintmark_V1_DigestSet) -> Rendering {
        let versions = set.versions.map { version in
            let end = version.until == 0 ? "in force" : "until \(InstantText.text(version.until))"
            return (["\(version.number), \(end)"] + version.sha256.map { "  \($0)" }).joined(separator: "\n")
        }
        return Rendering(
            value(set),
            table: TableText.fields([
                ("Name", set.name), ("Keeps", "\(set.keeps) before the newest, for \(set.graceSeconds) s"),
                ("Entries", "\(set.entries)"), ("Versions", versions.joined(separator: "\n")),
            ]))
    }

    package static func list(_ sets: [Mintmark_V1_DigestSet]) -> Rendering {
        Rendering(
            .members(["digest_sets": .array(sets.map(value))]),
            table: TableText.rows(
                ["NAME", "VERSION", "DIGESTS", "ENTRIES"],
                sets.map { set in
                    [
                        set.name, "\(set.versions.last?.number ?? 0)", "\(set.versions.last?.sha256.count ?? 0)",
                        "\(set.entries)",
                    ]
                }, empty: "no digest sets"))
    }
}
