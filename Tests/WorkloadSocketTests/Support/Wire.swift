import GRPCWire
import WorkloadSocket

/// HTTP/2 as a test client writes and reads it, written a second time.
enum Wire {
    struct Frame: Equatable {
        var type: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: [UInt8]
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    static let opening = preface + frame(4, 0, 0, [])

    static func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), type, flags]
            + number(stream) + payload
    }

    static func number(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 0xFF), UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
    }

    static func setting(_ id: UInt8, _ value: UInt32) -> [UInt8] { [0, id] + number(value) }

    /// Fields as literals that go into no table.
    static func block(_ fields: [(String, String)]) -> [UInt8] {
        fields.flatMap { name, value in [0] + string(name) + string(value) }
    }

    static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var (rest, length) = (bytes.count - 127, [UInt8(127)])
        while rest >= 128 {
            length.append(UInt8(rest % 128) | 0x80)
            rest /= 128
        }
        return length + [UInt8(rest)] + bytes
    }

    static func fields(_ path: String, _ more: [(String, String)] = []) -> [(String, String)] {
        [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
            ("content-type", "application/grpc"), ("te", "trailers"),
        ] + more
    }

    static func headers(_ stream: UInt32, _ path: String, more: [(String, String)] = []) -> [UInt8] {
        frame(1, 4, stream, block(fields(path, more)))
    }

    static func message(_ bytes: [UInt8]) -> [UInt8] { [0] + number(UInt32(bytes.count)) + bytes }

    static func call(
        _ stream: UInt32, _ path: String = "/t.T/Unary", more: [(String, String)] = [], bytes: [UInt8] = [1, 2, 3]
    ) -> [UInt8] {
        headers(stream, path, more: more) + frame(0, 1, stream, message(bytes))
    }

    /// The frames at the start of some bytes, and what is left over.
    static func frames(_ bytes: [UInt8]) -> (frames: [Frame], rest: [UInt8]) {
        var frames: [Frame] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            guard rest.count >= 9 + length else { break }
            let stream = head[5...].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            frames.append(
                Frame(type: head[3], flags: head[4], stream: stream, payload: Array(rest.dropFirst(9).prefix(length))))
            rest = rest.dropFirst(9 + length)
        }
        return (frames, Array(rest))
    }

    /// The fields of a block of ours, which uses few forms.
    static func decoded(_ block: [UInt8]) throws -> [String: String] {
        var decoder = HPACKDecoder()
        var fields: [String: String] = [:]
        try decoder.decode(block.span) { name, value in
            fields[name.text] = value.text
        }
        return fields
    }
}

extension Span where Element == UInt8 {
    var bytes: [UInt8] { indices.map { self[$0] } }
    var text: String { String(decoding: bytes, as: UTF8.self) }
}
