/// Reads the SSH wire format (RFC 4251 §5) from bytes that anybody may have sent.
struct SSHReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: some Sequence<UInt8>) { rest = Array(bytes)[...] }

    /// Whether everything has been read.
    var isAtEnd: Bool { rest.isEmpty }

    /// How much has not been read.
    var remaining: Int { rest.count }

    /// A `uint32`.
    mutating func number() throws(NodeAttestationError) -> UInt32 {
        guard rest.count >= 4 else { throw Self.cutShort }
        defer { rest = rest.dropFirst(4) }
        return rest.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// A `uint64`.
    mutating func longNumber() throws(NodeAttestationError) -> UInt64 {
        UInt64(try number()) << 32 | UInt64(try number())
    }

    /// A `string`.
    mutating func bytes() throws(NodeAttestationError) -> [UInt8] {
        let length = try number()
        guard let count = Int(exactly: length), count <= rest.count else { throw Self.cutShort }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// A `string` that is text.
    mutating func text() throws(NodeAttestationError) -> String {
        guard let text = String(validating: try bytes(), as: UTF8.self) else {
            throw .malformed("SSH text is not UTF-8")
        }
        return text
    }

    /// An `mpint` that is positive and written in the one way allowed; big-endian, without leading zeros.
    mutating func positiveNumber() throws(NodeAttestationError) -> [UInt8] {
        let bytes = try bytes()
        guard let first = bytes.first, first < 0x80 else { throw .malformed("SSH number is not positive") }
        guard first == 0 else { return bytes }
        guard let second = bytes.dropFirst().first, second >= 0x80 else {
            throw .malformed("SSH number has needless zeros")
        }
        return Array(bytes.dropFirst())
    }

    private static let cutShort = NodeAttestationError.malformed("SSH data is cut short")
}

/// Writes the SSH wire format.
struct SSHWriter {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ number: UInt32) {
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: number >> UInt32(24 - 8 * $0)) }
    }

    mutating func add(_ value: some Collection<UInt8>) {
        // What is written here was read within bounds far below.
        add(UInt32(clamping: value.count))
        bytes += Array(value)
    }

    mutating func add(_ text: String) { add(Array(text.utf8)) }

    /// A positive `mpint`.
    mutating func add(positiveNumber digits: some Collection<UInt8>) {
        let digits = Array(digits.drop { $0 == 0 })
        add((digits.first ?? 0) >= 0x80 ? [0] + digits : digits)
    }
}
