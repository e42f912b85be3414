/// The one bearer token of a request (RFC 6750 §2.1, JWT-23, JWT-24).
package enum BearerToken {
    /// The header, or metadata key, that carries it; in lower case, as HTTP/2 has it.
    package static let header = "authorization"

    private static let scheme = Array("bearer".utf8)

    /// What to send for a token.
    package static func credentials(_ token: String) -> String { "Bearer \(token)" }

    /// Finds the token; nothing about it has been checked.
    ///
    /// Credentials of another scheme are not shown to us: they count as none.
    ///
    /// - Parameter values: Every value of the header, in order.
    /// - Returns: The token; nil when none is shown.
    /// - Throws: ``PeerRefusal`` with code `invalidIdentity` when there is more than one value, since two readers might each
    ///   believe another one, and when what follows the scheme cannot be one compact JWS.
    package static func read(from values: some Sequence<String>) throws(PeerRefusal) -> String? {
        var values = values.makeIterator()
        guard let value = values.next() else { return nil }
        guard values.next() == nil else {
            throw PeerRefusal(.invalidIdentity, "the request has more than one authorization")
        }
        let name = value.utf8.prefix { $0 != UInt8(ascii: " ") }
        guard name.count == scheme.count, zip(name, scheme).allSatisfy({ $0 | 0x20 == $1 }) else { return nil }
        let token = value.utf8.dropFirst(name.count).drop { $0 == UInt8(ascii: " ") }
        guard !token.isEmpty, token.allSatisfy(isPermitted) else {
            throw PeerRefusal(.invalidIdentity, "the authorization has no well-formed token")
        }
        return String(Substring(token))
    }

    /// Whether a byte may be in a compact JWS; so no comma, which would begin a second credential.
    private static func isPermitted(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
