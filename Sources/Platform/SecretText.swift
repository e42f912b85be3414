/// Text that must never be shown, such as a join token.
///
/// Every textual rendering says `<redacted>`.
package struct SecretText: Sendable, Hashable {
    /// The text itself.
    ///
    /// Name the use at each call.
    package let exposed: String

    /// Wraps text.
    ///
    /// - Parameter text: The secret.
    package init(_ text: String) { exposed = text }
}

extension SecretText: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
