internal import GRPCCore
internal import WorkloadIdentity

/// The `authorization` of a call (JWT-24, RFC 6750 §2.1).
enum BearerToken {
    static let key = "authorization"

    static func value(for token: String) -> String { "Bearer \(token)" }

    /// Reads the one bearer token of a call; nil when it has no `authorization` at all.
    ///
    /// Several are refused: which of them speaks for the caller would depend on who reads them.
    static func read(from metadata: Metadata) throws(PeerRefusal) -> String? {
        var values = metadata[key].makeIterator()
        guard let first = values.next() else { return nil }
        guard values.next() == nil, case .string(let text) = first else {
            throw PeerRefusal(.invalidIdentity, "the call has more than one authorization")
        }
        let parts = text.utf8.split(separator: UInt8(ascii: " "), maxSplits: 1)
        guard parts.count == 2, parts[0].count == scheme.count,
            zip(parts[0], scheme).allSatisfy({ $0 | 0x20 == $1 }), !parts[1].contains(UInt8(ascii: " "))
        else { throw PeerRefusal(.invalidIdentity, "the call's authorization is not a bearer token") }
        return String(Substring(parts[1]))
    }

    private static let scheme = Array("bearer".utf8)
}
