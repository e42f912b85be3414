/// The head of a frame (RFC 9113 §4.1).
struct HTTP2FrameHead {
    static let size = 9

    let length: Int
    let type: UInt8
    let flags: UInt8
    /// Without the reserved bit.
    let stream: UInt32

    /// Reads the nine bytes at a place.
    init(_ bytes: borrowing Span<UInt8>, at start: Int) {
        length = Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
        type = bytes[start + 3]
        flags = bytes[start + 4]
        stream = bytes.number(at: start + 5) & 0x7FFF_FFFF
    }

    func has(_ flag: HTTP2Flag) -> Bool { flags & flag.rawValue != 0 }
}

enum HTTP2FrameType: UInt8 {
    case data, headers, priority, resetStream, settings, pushPromise, ping, goAway, windowUpdate, continuation
}

enum HTTP2Flag: UInt8 {
    /// Of SETTINGS and PING.
    case acknowledgement = 0x1
    case endHeaders = 0x4
    case padded = 0x8
    case priority = 0x20

    /// Of DATA and HEADERS.
    static let endStream = acknowledgement
}

extension Span where Element == UInt8 {
    /// Four bytes, most significant first.
    func number(at start: Int) -> UInt32 {
        UInt32(self[start]) << 24 | UInt32(self[start + 1]) << 16 | UInt32(self[start + 2]) << 8
            | UInt32(self[start + 3])
    }

    /// Eight bytes, most significant first.
    func longNumber(at start: Int) -> UInt64 {
        UInt64(number(at: start)) << 32 | UInt64(number(at: start + 4))
    }
}

extension [UInt8] {
    mutating func appendFrame(_ type: HTTP2FrameType, flags: [HTTP2Flag] = [], stream: UInt32, length: Int) {
        append(UInt8(truncatingIfNeeded: length >> 16))
        append(UInt8(truncatingIfNeeded: length >> 8))
        append(UInt8(truncatingIfNeeded: length))
        append(type.rawValue)
        append(flags.reduce(0) { $0 | $1.rawValue })
        appendNumber(stream)
    }

    mutating func appendNumber(_ number: UInt32) {
        for shift in [24, 16, 8, 0] as [UInt32] { append(UInt8(truncatingIfNeeded: number >> shift)) }
    }
}
