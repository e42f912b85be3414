internal import IssuerDomain

/// One record in a file: its length and a checksum, each as four and eight bytes, little-endian, and its bytes.
enum Frame {
    private static let head = 12

    static func append(_ record: IssuanceRecord, to buffer: inout [UInt8]) {
        let start = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: head))
        record.append(to: &buffer)
        let length = UInt32(clamping: buffer.count - start - head)
        let sum = checksum(of: buffer[(start + head)...])
        for index in 0..<4 { buffer[start + index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
        for index in 0..<8 { buffer[start + 4 + index] = UInt8(truncatingIfNeeded: sum >> (8 * index)) }
    }

    /// Reads records up to the first that is not whole.
    static func records(in bytes: [UInt8]) -> (records: [IssuanceRecord], isWhole: Bool) {
        var records: [IssuanceRecord] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard rest.count >= head else { return (records, false) }
            let length = Int(number(rest.prefix(4)))
            let sum = number(rest.dropFirst(4).prefix(8))
            rest = rest.dropFirst(head)
            guard rest.count >= length, checksum(of: rest.prefix(length)) == sum,
                let record = IssuanceRecord(bytes: rest.prefix(length))
            else { return (records, false) }
            records.append(record)
            rest = rest.dropFirst(length)
        }
        return (records, true)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// FNV-1a of 64 bits: finds what a power cut tore, and is no protection from whoever may write the file.
    private static func checksum(of bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
    }
}
