/// One setting of a configuration file: its name, what it is for, and what holds when it is left out.
package struct ConfigurationKey: Hashable, Sendable {
    /// In the file; `block.key` for a key of a block.
    package let name: String
    /// As text; nil when the key is required or has no default.
    package let defaultText: String?
    package let isRequired: Bool
    package let help: String

    package init(_ name: String, default defaultText: String? = nil, isRequired: Bool = false, help: String) {
        self.name = name
        self.defaultText = defaultText
        self.isRequired = isRequired
        self.help = help
    }

    /// The environment variable that overrides it, after the prefix: `BLOCK_KEY`.
    package var environmentName: String { name.replacing(".", with: "_").uppercased() }
}
