internal import GRPCWire

/// Header blocks of one connection: each is a byte that says its length, and as many bytes.
enum HPACKTarget {
    static func judge(_ input: [UInt8], flaw: Flaw?) {
        var decoder = HPACKDecoder()
        var reference = ReferenceHPACK()
        var rest = input[...]
        while let length = rest.popFirst() {
            let block = Array(rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
            var fields: [ReferenceHPACK.Field]? = []
            do throws(HTTP2Fault) {
                try decoder.decode(block.span) { name, value in
                    let bytes = name.indices.map { name[$0] }
                    fields?.append(
                        ReferenceHPACK.Field(
                            name: flaw?.name(bytes) ?? bytes, value: value.indices.map { value[$0] }))
                }
            } catch {
                claim(error.code == .compressionError, "a block is refused for what it is")
                fields = nil
            }
            claim(fields == reference.decode(block), "a block is read as another reader reads it")
            claim(decoder.tableSize <= HPACKDecoder.tableLimit, "the table is bounded")
            claim(fields == nil || decoder.tableSize == reference.tableSize, "the tables are of one size")
            // The connection is over.
            if fields == nil { return }
        }
    }
}

/// RFC 7541 a second time, as plainly as can be.
struct ReferenceHPACK {
    struct Field: Equatable {
        var name: [UInt8]
        var value: [UInt8]
    }

    private var table: [Field] = []
    private var maximum = 4096

    var tableSize: Int { table.reduce(0) { $0 + $1.name.count + $1.value.count + 32 } }

    mutating func decode(_ block: [UInt8]) -> [Field]? {
        var fields: [Field] = []
        var rest = block[...]
        while let first = rest.first {
            switch first {
            case 0x80...:
                guard let index = number(&rest, 7), let field = field(index) else { return nil }
                fields.append(field)
            case 0x20..<0x40:
                guard let size = number(&rest, 5), size <= 4096, fields.isEmpty else { return nil }
                maximum = size
                shrink(to: size)
            default:
                guard let index = number(&rest, first >= 0x40 ? 6 : 4),
                    let name = index == 0 ? string(&rest) : field(index)?.name, let value = string(&rest)
                else { return nil }
                fields.append(Field(name: name, value: value))
                guard first >= 0x40 else { continue }
                let size = name.count + value.count + 32
                shrink(to: maximum - size)
                if size <= maximum { table.insert(Field(name: name, value: value), at: 0) }
            }
        }
        return fields
    }

    private mutating func shrink(to size: Int) { while !table.isEmpty, tableSize > size { table.removeLast() } }

    private func field(_ index: Int) -> Field? {
        if (1...61).contains(index) {
            let entry = HPACKStaticTable.entries[index - 1]
            return Field(name: entry.name, value: entry.value)
        }
        return index > 61 && index - 62 < table.count ? table[index - 62] : nil
    }

    /// At most three bytes after the prefix, which is a limit of ours.
    private func number(_ rest: inout ArraySlice<UInt8>, _ bits: Int) -> Int? {
        guard let first = rest.popFirst() else { return nil }
        let most = (1 << bits) - 1
        var value = Int(first) & most
        guard value == most else { return value }
        for factor in [1, 128, 128 * 128] {
            guard let byte = rest.popFirst() else { return nil }
            value += Int(byte % 128) * factor
            if byte < 128 { return value }
        }
        return nil
    }

    private func string(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        guard let first = rest.first, let length = number(&rest, 7), length <= rest.count else { return nil }
        let raw = Array(rest.prefix(length))
        rest = rest.dropFirst(length)
        guard first >= 0x80 else { return raw }
        var (code, bits, text): (UInt32, Int, [UInt8]) = (0, 0, [])
        for byte in raw {
            for bit in (0..<8).reversed() {
                code = code << 1 | UInt32(byte >> UInt8(bit) & 1)
                bits += 1
                guard let symbol = Self.symbols[Code(bits: bits, code: code)] else {
                    if bits > 30 { return nil }
                    continue
                }
                guard symbol < 256 else { return nil }
                text.append(UInt8(symbol))
                (code, bits) = (0, 0)
            }
        }
        return bits < 8 && code == (1 << UInt32(bits)) - 1 ? text : nil
    }

    private struct Code: Hashable {
        let bits: Int
        let code: UInt32
    }

    /// Symbols by their codes, counted up as RFC 1951 §3.2.2 counts.
    private static let symbols: [Code: Int] = {
        var symbols: [Code: Int] = [:]
        var code: UInt32 = 0
        for bits in 1...30 {
            code <<= 1
            for (symbol, length) in HPACKHuffman.lengths.enumerated() where Int(length) == bits {
                symbols[Code(bits: bits, code: code)] = symbol
                code += 1
            }
        }
        return symbols
    }()
}
