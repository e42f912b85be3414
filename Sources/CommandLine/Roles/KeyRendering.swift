package import Bootstrap
internal import SPIFFE

/// Shows configuration keys.
package enum KeyRendering {
    package static func render(_ keys: [ConfigurationKey], prefix: String) -> Rendering {
        let value = JSONValue.array(
            keys.map { key in
                .members([
                    "key": .string(key.name), "default": key.defaultText.map { .string($0) } ?? .null,
                    "required": .bool(key.isRequired), "environment": .string("\(prefix)_\(key.environmentName)"),
                    "help": .string(key.help),
                ])
            })
        let rows = keys.map { [$0.name, $0.isRequired ? "(required)" : $0.defaultText ?? "(none)", $0.help] }
        return Rendering(
            .members(["keys": value]), table: TableText.rows(["KEY", "DEFAULT", "MEANING"], rows, empty: ""))
    }
}
