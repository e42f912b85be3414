/// DER elements one after the other, read without judging them, so that they can be changed and written again.
struct DERForest {
    /// One element.
    struct Tree {
        var tag: UInt8
        var content: Content

        var bytes: [UInt8] { DERForest.element(tag, content.bytes) }

        /// The elements within; nil when there is something else.
        var children: [Tree]? {
            guard case .elements(_, let forest) = content else { return content.bytes.isEmpty ? [] : nil }
            return forest.trees
        }
    }

    enum Content {
        case bytes([UInt8])
        /// Elements, after what precedes them: the count of unused bits, where a bit string holds DER.
        indirect case elements(prefix: [UInt8], DERForest)

        var bytes: [UInt8] {
            switch self {
            case .bytes(let bytes): bytes
            case .elements(let prefix, let forest): prefix + forest.bytes
            }
        }
    }

    var trees: [Tree]

    /// Reads elements up to the end, or nothing.
    init?(_ bytes: ArraySlice<UInt8>, depth: Int = 0) {
        trees = []
        var rest = bytes
        while !rest.isEmpty {
            guard depth < 24, let (header, content) = Self.lengths(in: rest) else { return nil }
            let body = rest.dropFirst(header).prefix(content)
            trees.append(
                Tree(tag: rest[rest.startIndex], content: Self.content(body, tag: rest[rest.startIndex], depth)))
            rest = rest.dropFirst(header + content)
        }
    }

    /// The elements, with lengths that fit what they hold now.
    var bytes: [UInt8] { trees.flatMap(\.bytes) }

    /// Writes one element.
    static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        var length: [UInt8] = []
        var rest = content.count
        repeat {
            length.insert(UInt8(rest & 0xFF), at: 0)
            rest >>= 8
        } while rest > 0
        return [tag] + (content.count < 0x80 ? length : [0x80 | UInt8(length.count)] + length) + content
    }

    /// The length of the first element, header included; nil when it is not whole.
    static func lengthOfFirst(in bytes: ArraySlice<UInt8>) -> Int? {
        lengths(in: bytes).map { $0.header + $0.content }
    }

    private static func lengths(in bytes: ArraySlice<UInt8>) -> (header: Int, content: Int)? {
        guard let first = bytes.dropFirst().first else { return nil }
        let octets = first < 0x80 ? 0 : Int(first & 0x7F)
        guard octets <= 3, bytes.count >= 2 + octets else { return nil }
        let content = first < 0x80 ? Int(first) : bytes.dropFirst(2).prefix(octets).reduce(0) { $0 << 8 | Int($1) }
        return bytes.count >= 2 + octets + content ? (2 + octets, content) : nil
    }

    private static func content(_ body: ArraySlice<UInt8>, tag: UInt8, _ depth: Int) -> Content {
        // Octet strings hold extensions and private keys, bit strings RSA keys: DER within DER.
        let prefix = tag == 0x03 ? 1 : 0
        let mayHoldDER = tag & 0x20 != 0 || ((tag == 0x03 || tag == 0x04) && body.dropFirst(prefix).first == 0x30)
        guard mayHoldDER, let forest = DERForest(body.dropFirst(prefix), depth: depth + 1) else {
            return .bytes(Array(body))
        }
        return .elements(prefix: Array(body.prefix(prefix)), forest)
    }
}
