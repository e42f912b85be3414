/// Numbers in bytes that the kernel wrote, in the order of the processors we run on (little-endian).
///
/// Every access is checked: what lies beyond the end is nil.
struct KernelBytes {
    private let bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    var count: Int { bytes.count }

    /// An unsigned number at an offset, if it lies within.
    func number<Value: FixedWidthInteger & UnsignedInteger>(at offset: Int, as _: Value.Type = Value.self) -> Value? {
        let size = Value.bitWidth / 8
        guard offset >= 0, count >= size, offset <= count - size else { return nil }
        var value: Value = 0
        var position = bytes.startIndex + offset + size
        for _ in 0..<size {
            position -= 1
            value = value << 8 | Value(truncatingIfNeeded: bytes[position])
        }
        return value
    }

    /// A process id: a positive number of 31 bits.
    func processID(at offset: Int) -> Int32? {
        guard let raw: UInt32 = number(at: offset), let id = Int32(exactly: raw), id > 0 else { return nil }
        return id
    }

    /// A part, if it lies within.
    func part(at offset: Int, count length: Int) -> ArraySlice<UInt8>? {
        guard offset >= 0, length >= 0, length <= count, offset <= count - length else { return nil }
        return bytes[(bytes.startIndex + offset)..<(bytes.startIndex + offset + length)]
    }
}
