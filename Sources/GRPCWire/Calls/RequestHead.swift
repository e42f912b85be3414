/// What is kept of a request's header fields: no more than decides over the call.
struct RequestHead: Sendable {
    /// Index in the method table; nil while unknown.
    private(set) var method: Int?
    private(set) var timeout: Duration?
    /// Index in the table's metadata, and the value.
    private(set) var metadata: [(index: Int, value: [UInt8])] = []
    private(set) var problem: Problem?

    /// The first thing that is wrong.
    enum Problem {
        /// Not HTTP/2 as RFC 9113 §8 has it; the stream is reset.
        case malformed
        /// More than the limit.
        case tooLong
        /// These are answered in terms of HTTP.
        case notPost, notGRPC
        case compressed, badTimeout
    }

    private var room: Int
    /// Calls keep it for as long as they are open.
    private var roomForMetadata = 256
    private var seen: Set = []
    private var isRegular = false

    private struct Set: OptionSet {
        let rawValue: UInt8
        static let method = Set(rawValue: 1)
        static let path = Set(rawValue: 2)
        static let scheme = Set(rawValue: 4)
        static let authority = Set(rawValue: 8)
        static let contentType = Set(rawValue: 16)
    }

    init(limit: Int) { room = limit }

    /// Takes the next field.
    mutating func take(_ name: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>, _ table: MethodTable) {
        room -= name.count + value.count + 32
        // The rest is not even looked at, so that references to long fields cost nothing.
        guard room >= 0 else { return note(.tooLong) }
        guard !name.isEmpty, Self.isValue(value) else { return note(.malformed) }
        if name[0] == UInt8(ascii: ":") { return pseudo(name, value, table) }
        isRegular = true
        guard Self.isName(name) else { return note(.malformed) }
        switch name.count {
        case 2 where name.equals(Names.te):
            if !value.equals(Names.trailers) { note(.malformed) }
        case 7 where name.equals(Names.upgrade), 10 where name.equals(Names.connection) || name.equals(Names.keepAlive),
            16 where name.equals(Names.proxyConnection), 17 where name.equals(Names.transferEncoding):
            note(.malformed)
        case 12 where name.equals(Names.contentType):
            seen.insert(.contentType)
            if !Self.isGRPC(value) { note(.notGRPC) }
        case 12 where name.equals(Names.timeout):
            timeout = Self.timeout(value)
            if timeout == nil { note(.badTimeout) }
        case 13 where name.equals(Names.encoding):
            if !value.equals(Names.identity) { note(.compressed) }
        default:
            if let index = table.metadata(named: name) {
                roomForMetadata -= value.count
                guard roomForMetadata >= 0 else { return note(.tooLong) }
                var copy: [UInt8] = []
                copy.append(copying: value, 0..<value.count)
                metadata.append((index, copy))
            }
        }
    }

    /// Called after the last field.
    mutating func complete() {
        if !seen.isSuperset(of: [.method, .path, .scheme]) { note(.malformed) }
        if !seen.contains(.contentType) { note(.notGRPC) }
    }

    private mutating func pseudo(
        _ name: borrowing Span<UInt8>, _ value: borrowing Span<UInt8>, _ table: MethodTable
    ) {
        let which: Set
        if name.equals(Names.path) {
            which = .path
            method = table.method(at: value)
        } else if name.equals(Names.method) {
            which = .method
            if !value.equals(Names.post) { note(.notPost) }
        } else if name.equals(Names.scheme) {
            which = .scheme
        } else if name.equals(Names.authority) {
            // Says nothing on a Unix socket, and clients differ in it.
            which = .authority
        } else {
            return note(.malformed)
        }
        if isRegular || seen.contains(which) { note(.malformed) }
        seen.insert(which)
    }

    /// Malformed outranks what could be answered; otherwise the first problem counts.
    private mutating func note(_ new: Problem) {
        if problem == nil || new == .malformed && problem != .tooLong { problem = new }
    }

    /// RFC 9113 §8.2.1: no upper case, no control characters, no colon but a pseudo field's.
    private static func isName(_ name: borrowing Span<UInt8>) -> Bool {
        for index in 0..<name.count {
            switch name[index] {
            case 0x00...0x20, 0x41...0x5A, 0x7F...0xFF, UInt8(ascii: ":"): return false
            default: continue
            }
        }
        return true
    }

    private static func isValue(_ value: borrowing Span<UInt8>) -> Bool {
        for index in 0..<value.count {
            switch value[index] {
            case 0x00, 0x0A, 0x0D: return false
            default: continue
            }
        }
        return true
    }

    /// `application/grpc`, alone or followed by `+format` or parameters.
    private static func isGRPC(_ value: borrowing Span<UInt8>) -> Bool {
        let prefix = Names.grpc
        guard value.count >= prefix.count, value.extracting(..<prefix.count).equals(prefix) else { return false }
        guard value.count > prefix.count else { return true }
        return value[prefix.count] == UInt8(ascii: "+") || value[prefix.count] == UInt8(ascii: ";")
    }

    /// At most eight digits and a unit.
    private static func timeout(_ value: borrowing Span<UInt8>) -> Duration? {
        guard (2...9).contains(value.count) else { return nil }
        var number: Int64 = 0
        for index in 0..<(value.count - 1) {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(value[index]) else { return nil }
            number = number * 10 + Int64(value[index] - UInt8(ascii: "0"))
        }
        switch value[value.count - 1] {
        case UInt8(ascii: "H"): return .seconds(number * 3600)
        case UInt8(ascii: "M"): return .seconds(number * 60)
        case UInt8(ascii: "S"): return .seconds(number)
        case UInt8(ascii: "m"): return .milliseconds(number)
        case UInt8(ascii: "u"): return .microseconds(number)
        case UInt8(ascii: "n"): return .nanoseconds(number)
        default: return nil
        }
    }

    private enum Names {
        static let method = Array(":method".utf8)
        static let path = Array(":path".utf8)
        static let scheme = Array(":scheme".utf8)
        static let authority = Array(":authority".utf8)
        static let post = Array("POST".utf8)
        static let te = Array("te".utf8)
        static let trailers = Array("trailers".utf8)
        static let contentType = Array("content-type".utf8)
        static let grpc = Array("application/grpc".utf8)
        static let timeout = Array("grpc-timeout".utf8)
        static let encoding = Array("grpc-encoding".utf8)
        static let identity = Array("identity".utf8)
        static let connection = Array("connection".utf8)
        static let keepAlive = Array("keep-alive".utf8)
        static let proxyConnection = Array("proxy-connection".utf8)
        static let transferEncoding = Array("transfer-encoding".utf8)
        static let upgrade = Array("upgrade".utf8)
    }
}
