internal import IssuerAPIProtos
internal import SPIFFE

/// Shows what an entry says beyond the public API; names are those of declarations.
enum EntryDetailsRendering {
    static func members(_ details: Mintmark_V1_Details) -> KeyValuePairs<String, JSONValue> {
        [
            "any_of": .array(details.rules.anyOf.map { .array(texts($0.selectors)) }),
            "none_of": .array(texts(details.rules.noneOf)),
            "digest_sets": .array(details.rules.digestSets.map { .string($0) }),
            "id_template": optional(details.idTemplate),
            "key_type": optional(details.keyType),
            "per_instance_keys": .bool(details.perInstanceKeys),
            "audiences": .array(details.audiences.map { .string($0) }),
            "not_before": InstantText.optional(details.notBefore),
            "disabled": .bool(details.disabled),
            "class": optional(name(details.class)),
            "description": .string(details.description_p),
            "owner": .string(details.owner),
            "purpose": .string(details.purpose),
            "labels": .object(
                JSONObject(details.labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
        ]
    }

    static func fields(_ details: Mintmark_V1_Details) -> [(String, String)] {
        [
            ("Any of", details.rules.anyOf.map { line($0.selectors, " | ") }.joined(separator: "\n")),
            ("None of", line(details.rules.noneOf, "\n")),
            ("Digest sets", details.rules.digestSets.joined(separator: "\n")),
            ("ID template", details.idTemplate), ("Key type", details.keyType),
            ("Own keys", details.perInstanceKeys ? "for each process" : ""),
            ("Audiences", details.audiences.map { TableText.printable($0) }.joined(separator: "\n")),
            ("Begins", details.notBefore == 0 ? "" : InstantText.text(details.notBefore)),
            ("Disabled", details.disabled ? "yes" : ""), ("Class", name(details.class)),
            ("Description", TableText.printable(details.description_p)),
            ("Owner", TableText.printable(details.owner)), ("Purpose", TableText.printable(details.purpose)),
            (
                "Labels",
                details.labels.sorted { $0.key < $1.key }.map { TableText.printable("\($0.key)=\($0.value)") }
                    .joined(separator: "\n")
            ),
        ]
    }

    private static func texts(_ selectors: [Spire_Api_Types_Selector]) -> [JSONValue] {
        selectors.map { .string("\($0.type):\($0.value)") }
    }

    private static func line(_ selectors: [Spire_Api_Types_Selector], _ separator: String) -> String {
        selectors.map { TableText.printable("\($0.type):\($0.value)") }.joined(separator: separator)
    }

    private static func optional(_ text: String) -> JSONValue { text.isEmpty ? .null : .string(text) }

    private static func name(_ entryClass: Mintmark_V1_Class) -> String {
        switch entryClass {
        case .unspecified: ""
        case .agent: "agent"
        case .tool: "tool"
        case .service: "service"
        case .UNRECOGNIZED: "unknown"
        }
    }
}
