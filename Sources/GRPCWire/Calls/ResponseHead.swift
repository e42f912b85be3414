/// Header blocks of answers.
///
/// No field is ever put into the peer's table, so the blocks are constants but for a status.
enum ResponseHead {
    /// What the first block of a connection begins with: our table has no room from now on (RFC 7541 §6.3).
    ///
    /// A peer that has made its table smaller may insist on being told so.
    static let emptyTable: UInt8 = 0x20

    /// `:status 200`, `content-type application/grpc`.
    static let headers: [UInt8] = [0x88] + contentType

    /// The fields that end a call.
    static func trailers(_ status: CallStatus) -> [UInt8] {
        guard status != .ok else { return okTrailers }
        var block = field("grpc-status", "\(status.code.rawValue)")
        if !status.message.isEmpty {
            block += field("grpc-message", percentEncoded(status.message))
        }
        // Clients give up on more than 8 KiB of fields; a part of the details would be worth nothing.
        if !status.details.isEmpty, status.details.count <= 2048 {
            block += field("grpc-status-details-bin", base64(status.details))
        }
        return block
    }

    /// Fields of a handler's own; those that cannot be sent, or are too long together, are left out.
    static func block(_ fields: [ResponseField]) -> [UInt8] {
        var block: [UInt8] = []
        for one in fields {
            let value = one.isBinary ? base64(one.value) : String(validating: one.value, as: UTF8.self)
            guard let value, one.isSendable, block.count + value.utf8.count <= 6144 else { continue }
            block += field(one.name, value)
        }
        return block
    }

    private static let okTrailers = field("grpc-status", "0")

    /// An answer in terms of HTTP, to what is not a gRPC request.
    static func httpStatus(_ status: Int) -> [UInt8] {
        // Literal value for the name at index 8.
        [0x08] + string("\(status)") + contentType + trailers(CallStatus(.unknown, "not a gRPC request"))
    }

    private static let contentType: [UInt8] = [0x0F, 0x10] + string("application/grpc")

    /// A literal that must not be put into the table (RFC 7541 §6.2.2).
    private static func field(_ name: String, _ value: String) -> [UInt8] { [0x00] + string(name) + string(value) }

    private static func string(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
        var length: [UInt8] = [127]
        var rest = bytes.count - 127
        while rest >= 128 {
            length.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return length + [UInt8(rest)] + bytes
    }

    /// As the gRPC protocol has it: printable ASCII but the percent sign stands for itself.
    private static func percentEncoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8.prefix(1024) {
            if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xF)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Without padding, as the gRPC protocol prefers it.
    private static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        var (bits, count) = (0, 0)
        for byte in bytes {
            bits = (bits << 8 | Int(byte)) & 0xFFFF
            count += 8
            while count >= 6 {
                count -= 6
                text.append(alphabet[bits >> count & 0x3F])
            }
        }
        if count > 0 { text.append(alphabet[bits << (6 - count) & 0x3F]) }
        return String(decoding: text, as: UTF8.self)
    }
}
