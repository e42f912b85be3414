/// Walks over DER elements without making anything of them.
package struct DERCursor {
    /// One element: a tag of a single octet, and where it and its content lie.
    package struct Element {
        package let tag: UInt8
        package let whole: Range<Int>
        package let content: Range<Int>
    }

    private let bytes: ArraySlice<UInt8>
    private var position: Int
    private let end: Int

    /// Starts before the first of some elements.
    package init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        (position, end) = (bytes.startIndex, bytes.endIndex)
    }

    /// Whether every byte has been walked over.
    package var isAtEnd: Bool { position == end }

    /// Takes the next element; nil when what follows is not a whole one, or longer than 16 MiB (X.690 §8.1.3).
    package mutating func next() -> Element? {
        guard end - position >= 2 else { return nil }
        let first = bytes[position + 1]
        var header = 2
        var length = Int(first)
        if first >= 0x80 {
            let octets = Int(first & 0x7F)
            guard (1...3).contains(octets), end - position >= 2 + octets else { return nil }
            header += octets
            length = 0
            for index in (position + 2)..<(position + header) { length = length << 8 | Int(bytes[index]) }
        }
        guard length <= end - position - header else { return nil }
        let start = position
        position += header + length
        return Element(tag: bytes[start], whole: start..<position, content: (start + header)..<position)
    }

    /// Takes the next element if it has a tag.
    ///
    /// - Returns: nil when what follows is something else.
    package mutating func next(_ tag: UInt8) -> Element? {
        guard let element = next(), element.tag == tag else { return nil }
        return element
    }

    /// The content of the one element that some bytes are.
    ///
    /// - Returns: nil when they are not exactly one element with the tag.
    package static func only(_ tag: UInt8, in bytes: ArraySlice<UInt8>) -> Range<Int>? {
        var cursor = DERCursor(bytes)
        guard let element = cursor.next(tag), cursor.isAtEnd else { return nil }
        return element.content
    }
}
