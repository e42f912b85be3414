/// Bytes that must never be shown: private keys and tokens.
///
/// Every textual rendering, including reflection, says `<redacted>`.
package struct SecretBytes: Sendable, Hashable {
    /// The bytes themselves.
    ///
    /// Name the use at each call.
    package let exposed: [UInt8]

    /// Wraps bytes.
    ///
    /// - Parameter bytes: The secret.
    package init(_ bytes: some Sequence<UInt8>) { exposed = Array(bytes) }
}

extension SecretBytes: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
