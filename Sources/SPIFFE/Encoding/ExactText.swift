/// Text that equals only itself, byte for byte.
///
/// `String` calls two spellings of an accented letter equal; a kernel, a validator and a database do not, and whoever
/// decides on names must not either.
package struct ExactText: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let description: String

    /// Wraps text.
    package init(_ text: String) { description = text }

    package static func == (one: ExactText, other: ExactText) -> Bool {
        one.description.utf8.elementsEqual(other.description.utf8)
    }

    package static func < (one: ExactText, other: ExactText) -> Bool {
        one.description.utf8.lexicographicallyPrecedes(other.description.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        var text = description
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
