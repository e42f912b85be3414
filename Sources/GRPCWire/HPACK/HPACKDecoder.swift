/// Decodes header blocks, and keeps what one connection's blocks have in common (RFC 7541).
///
/// Everything is bounded: the table by ``tableLimit``, a string by the block it is in, and the block by the caller.
package struct HPACKDecoder: Sendable {
    /// What SETTINGS_HEADER_TABLE_SIZE is unless we said otherwise, and we do not.
    package static let tableLimit = 4096
    /// What every entry costs beyond its bytes (RFC 7541 §4.1).
    private static let overhead = 32

    private struct Entry {
        /// Name and value in one.
        let bytes: [UInt8]
        let nameLength: Int

        var cost: Int { bytes.count + overhead }
    }

    /// Newest last.
    private var entries: [Entry] = []
    /// What the entries cost together.
    package private(set) var tableSize = 0
    /// What the peer has restricted itself to.
    private var tableMaximum = tableLimit

    package init() {}

    /// Decodes one whole block.
    ///
    /// - Parameters:
    ///   - block: From HEADERS and its CONTINUATIONs, without padding.
    ///   - emit: Gets name and value of each field, in order.
    /// - Throws: ``HTTP2Fault`` when the block is not well formed; the connection cannot go on then.
    package mutating func decode(
        _ block: borrowing Span<UInt8>,
        _ emit: (borrowing Span<UInt8>, borrowing Span<UInt8>) throws(HTTP2Fault) -> Void
    ) throws(HTTP2Fault) {
        var next = 0
        var mayResize = true
        // What Huffman strings are decoded to.
        var (name, value): ([UInt8], [UInt8]) = ([], [])
        while next < block.count {
            let first = block[next]
            if first & 0x80 != 0 {
                let index = try Self.integer(block, &next, prefix: 7)
                try indexed(index, emit)
            } else if first & 0xE0 == 0x20 {
                guard mayResize else { throw Self.fault("a table size update is not at the start of a block") }
                let size = try Self.integer(block, &next, prefix: 5)
                guard size <= Self.tableLimit else { throw Self.fault("a table size update exceeds the limit") }
                tableMaximum = size
                evict(toFit: 0)
                continue
            } else {
                let isKept = first & 0x40 != 0
                let index = try Self.integer(block, &next, prefix: isKept ? 6 : 4)
                name.removeAll(keepingCapacity: true)
                value.removeAll(keepingCapacity: true)
                if index == 0 { try Self.string(block, &next, &name) } else { try nameOf(index, &name) }
                try Self.string(block, &next, &value)
                try emit(name.span, value.span)
                if isKept { insert(name, value) }
            }
            mayResize = false
        }
    }

    private func indexed(
        _ index: Int, _ emit: (borrowing Span<UInt8>, borrowing Span<UInt8>) throws(HTTP2Fault) -> Void
    ) throws(HTTP2Fault) {
        if index >= 1, index <= HPACKStaticTable.entries.count {
            let entry = HPACKStaticTable.entries[index - 1]
            try emit(entry.name.span, entry.value.span)
        } else {
            let entry = try dynamic(index)
            let bytes = entry.bytes.span
            try emit(bytes.extracting(..<entry.nameLength), bytes.extracting(entry.nameLength...))
        }
    }

    private func nameOf(_ index: Int, _ name: inout [UInt8]) throws(HTTP2Fault) {
        if index <= HPACKStaticTable.entries.count {
            name = HPACKStaticTable.entries[index - 1].name
        } else {
            let entry = try dynamic(index)
            name.append(contentsOf: entry.bytes[..<entry.nameLength])
        }
    }

    private func dynamic(_ index: Int) throws(HTTP2Fault) -> Entry {
        let age = index - HPACKStaticTable.entries.count - 1
        guard age >= 0, age < entries.count else { throw Self.fault("an index names no field") }
        return entries[entries.count - 1 - age]
    }

    private mutating func insert(_ name: [UInt8], _ value: [UInt8]) {
        let entry = Entry(bytes: name + value, nameLength: name.count)
        evict(toFit: entry.cost)
        // One that is larger than the table empties it, and is no error (RFC 7541 §4.4).
        guard entry.cost <= tableMaximum else { return }
        entries.append(entry)
        tableSize += entry.cost
    }

    /// Drops the oldest entries until another one has room.
    private mutating func evict(toFit cost: Int) {
        var dropped = 0
        while dropped < entries.count, tableSize + cost > tableMaximum {
            tableSize -= entries[dropped].cost
            dropped += 1
        }
        entries.removeFirst(dropped)
    }

    /// Reads a number (RFC 7541 §5.1).
    ///
    /// None that means anything here has more than 21 bits beyond its prefix.
    private static func integer(
        _ block: borrowing Span<UInt8>, _ next: inout Int, prefix: Int
    ) throws(HTTP2Fault) -> Int {
        guard next < block.count else { throw fault("a block ends within a field") }
        let mask = (1 << prefix) - 1
        var number = Int(block[next]) & mask
        next += 1
        guard number == mask else { return number }
        var shift = 0
        while true {
            guard next < block.count else { throw fault("a block ends within a number") }
            guard shift <= 14 else { throw fault("a number is too long") }
            let byte = block[next]
            next += 1
            number += Int(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return number }
            shift += 7
        }
    }

    /// Reads a string (RFC 7541 §5.2).
    private static func string(
        _ block: borrowing Span<UInt8>, _ next: inout Int, _ output: inout [UInt8]
    ) throws(HTTP2Fault) {
        guard next < block.count else { throw fault("a block ends within a field") }
        let isHuffman = block[next] & 0x80 != 0
        let length = try integer(block, &next, prefix: 7)
        guard length <= block.count - next else { throw fault("a block ends within a string") }
        let range = next..<(next + length)
        next += length
        if isHuffman {
            guard HPACKHuffman.decode(block, range, into: &output) else { throw fault("a Huffman string is malformed") }
        } else {
            output.append(copying: block, range)
        }
    }

    private static func fault(_ rule: String) -> HTTP2Fault { HTTP2Fault(.compressionError, rule) }
}

extension [UInt8] {
    /// Appends a part of a span.
    mutating func append(copying span: borrowing Span<UInt8>, _ range: Range<Int>) {
        if isEmpty { reserveCapacity(range.count) }
        for index in range { append(span[index]) }
    }
}

extension Span where Element == UInt8 {
    /// Whether the bytes are the same.
    func equals(_ bytes: [UInt8]) -> Bool {
        guard count == bytes.count else { return false }
        for index in 0..<count where self[index] != bytes[index] { return false }
        return true
    }
}
