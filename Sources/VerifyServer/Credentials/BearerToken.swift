package import HTTPTypes
package import WorkloadIdentity

/// The token in a request's `Authorization` header (RFC 6750 §2.1).
package enum BearerToken {
    /// Finds the token; nothing about it has been checked.
    ///
    /// Credentials of another scheme are not shown to us: they count as none.
    ///
    /// - Parameter fields: The request's headers.
    /// - Returns: The token; nil when none is shown.
    /// - Throws: ``PeerRefusal`` with code `invalidIdentity` when there is more than one header, since proxy and service
    ///   might each believe another one, or when the scheme stands alone.
    package static func read(from fields: HTTPFields) throws(PeerRefusal) -> String? {
        let values = fields[values: .authorization]
        guard values.count <= 1 else {
            throw PeerRefusal(.invalidIdentity, "the request has more than one Authorization header")
        }
        guard let value = values.first else { return nil }
        let scheme = value.utf8.prefix { $0 != UInt8(ascii: " ") }
        guard scheme.count == name.count, zip(scheme, name).allSatisfy({ $0 | 0x20 == $1 }) else { return nil }
        let token = value.utf8.dropFirst(scheme.count).drop { $0 == UInt8(ascii: " ") }
        guard !token.isEmpty else { throw PeerRefusal(.invalidIdentity, "the Authorization header holds no token") }
        return String(Substring(token))
    }

    private static let name = Array("bearer".utf8)
}
