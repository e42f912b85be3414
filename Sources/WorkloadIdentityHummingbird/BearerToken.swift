#if Hummingbird
    internal import HTTPTypes
    internal import WorkloadIdentity

    /// Finds the token in a request (RFC 6750 §2.1, JWT-23); the header is the one place where it may be.
    enum BearerToken {
        /// - Parameter headers: A request's.
        /// - Returns: The token, not judged; nil when there is none, also when there are credentials of another scheme.
        /// - Throws: ``PeerRefusal`` with code `invalidIdentity` when it is unclear which credentials count.
        static func find(in headers: HTTPFields) throws(PeerRefusal) -> String? {
            let values = headers[values: .authorization]
            guard let value = values.first else { return nil }
            guard values.count == 1 else {
                throw PeerRefusal(.invalidIdentity, "the request has \(values.count) Authorization headers")
            }
            let scheme = value.utf8.prefix { $0 != UInt8(ascii: " ") }
            guard scheme.lazy.map(lowercased).elementsEqual("bearer".utf8) else { return nil }
            let token = value.utf8.dropFirst(scheme.count).drop { $0 == UInt8(ascii: " ") }
            guard !token.isEmpty, token.allSatisfy(isPermitted) else {
                throw PeerRefusal(.invalidIdentity, "the Authorization header has no well-formed token")
            }
            return String(Substring(token))
        }

        private static func lowercased(_ byte: UInt8) -> UInt8 {
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
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
#endif
