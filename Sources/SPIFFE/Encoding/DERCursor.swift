/// Walks over DER elements without making anything of them.
struct DERCursor {
    /// One element: a tag of a single octet, and where it and its content lie.
    struct Element {
        let tag: UInt8
        let whole: Range<Int>
        let content: Range<Int>
    }

    private let bytes: ArraySlice<UInt8>
    private var position: Int
    private let end: Int

    /// Starts before the first of some elements.
    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        (position, end) = (bytes.startIndex, bytes.endIndex)
    }

    /// Whether every byte has been walked over.
    var isAtEnd: Bool { position == end }

    /// Takes the next element; nil when what follows is not a whole one, or longer than 16 MiB (X.690 §8.1.3).
    mutating func next() -> Element? {
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
}
