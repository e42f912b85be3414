/// A fact about a workload or node, such as `unix:uid:1000`.
///
/// Always well formed.
///
/// Both sides of the system speak of selectors: the issuer stores them in entries, the node agent finds them.
package struct Selector: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The longest selector kept, in bytes, kind and value together.
    package static let maximumLength = 4096

    /// Which attestor says so, such as `unix`.
    package let kind: String

    /// What it says, such as `uid:1000`; may hold colons.
    package let value: String

    /// Parses `kind:value`.
    ///
    /// - Parameter text: The selector as an admin writes it.
    /// - Throws: The first rule broken; the kind is judged before the value.
    package init(parsing text: String) throws(SelectorError) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { throw .missingColon }
        let rest = text.utf8[colon...].dropFirst()
        try self.init(kind: String(text[..<colon]), value: String(decoding: rest, as: UTF8.self))
    }

    /// Joins a kind and a value.
    ///
    /// - Parameters:
    ///   - kind: Which attestor says so; without a colon.
    ///   - value: What it says.
    /// - Throws: The first rule broken; the kind is judged before the value.
    package init(kind: String, value: String) throws(SelectorError) {
        guard !kind.isEmpty else { throw .emptyKind }
        guard !kind.utf8.contains(UInt8(ascii: ":")) else { throw .colonInKind }
        guard !value.isEmpty else { throw .emptyValue(kind: kind) }
        guard kind.utf8.count + 1 + value.utf8.count <= Self.maximumLength else { throw .tooLong }
        guard !kind.utf8.contains(where: Self.isControl), !value.utf8.contains(where: Self.isControl) else {
            throw .controlCharacter
        }
        (self.kind, self.value) = (kind, value)
    }

    /// `kind:value`.
    package var description: String { "\(kind):\(value)" }

    // Byte for byte: to a kernel, two spellings of one accented letter are two files.
    package static func == (one: Selector, other: Selector) -> Bool {
        one.kind.utf8.elementsEqual(other.kind.utf8) && one.value.utf8.elementsEqual(other.value.utf8)
    }

    package static func < (one: Selector, other: Selector) -> Bool {
        (ExactText(one.kind), ExactText(one.value)) < (ExactText(other.kind), ExactText(other.value))
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(ExactText(kind))
        hasher.combine(ExactText(value))
    }

    private static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 || byte == 0x7F }
}

/// Why a selector was refused.
package enum SelectorError: Error, Hashable {
    case missingColon
    case emptyKind
    case colonInKind
    case emptyValue(kind: String)
    case tooLong
    case controlCharacter
}

extension SelectorError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missingColon: "selector has no colon; write it as kind:value, such as unix:uid:1000"
        case .emptyKind: "selector has no kind; write it as kind:value, such as unix:uid:1000"
        case .colonInKind: "selector kind holds a colon"
        case .emptyValue(let kind): "selector of kind '\(kind)' has no value"
        case .tooLong: "selector is longer than \(Selector.maximumLength) bytes"
        case .controlCharacter: "selector holds a control character"
        }
    }
}
