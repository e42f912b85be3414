/// What attestation reads from `/proc/PID/auxv`, which the kernel wrote at exec and the process can rewrite.
package struct AuxiliaryVector: Hashable, Sendable {
    /// AT_ENTRY: where the program begins, before or after its dynamic loader.
    package let entry: UInt64?

    /// Reads pairs of native words up to AT_NULL (getauxval(3)).
    ///
    /// - Parameter bytes: The file, whole; nil comes of one that ends within a pair, has no end or doubles that key.
    package init?(parsing bytes: ArraySlice<UInt8>) {
        guard bytes.count <= 4096 else { return nil }
        var entry: UInt64?
        var position = bytes.startIndex
        while true {
            guard let key = Self.word(bytes, &position), let value = Self.word(bytes, &position) else { return nil }
            if key == 0 { break }
            guard key == 9 else { continue }
            guard entry == nil else { return nil }
            entry = value
        }
        self.entry = entry
    }

    /// Both architectures that this system runs on are little-endian and have words of 64 bits.
    private static func word(_ bytes: ArraySlice<UInt8>, _ position: inout Int) -> UInt64? {
        guard bytes.endIndex - position >= 8 else { return nil }
        var value: UInt64 = 0
        for index in 0..<8 { value |= UInt64(bytes[position + index]) << (UInt64(index) * 8) }
        position += 8
        return value
    }
}
