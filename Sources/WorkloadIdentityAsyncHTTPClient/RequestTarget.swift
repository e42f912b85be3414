#if AsyncHTTPClient
    internal import Foundation

    /// Where a request should go, read the way that AsyncHTTPClient will read it.
    struct RequestTarget {
        private var components: URLComponents
        private let scheme: String

        init(_ url: String) throws(RequestRefusal) {
            guard let components = URLComponents(string: url), let scheme = components.scheme?.lowercased(),
                let host = components.host, !host.isEmpty
            else { throw RequestRefusal(.invalidURL, "the URL has no scheme or no host") }
            (self.components, self.scheme) = (components, scheme)
        }

        /// The same place for a connection that gets its TLS from ``HandshakeGate``, and the `Host` to ask it for.
        ///
        /// AsyncHTTPClient is told to speak plain HTTP, and finds TLS already underneath.
        func withTLSUnderneath() throws(RequestRefusal) -> (url: String, host: String?) {
            var inner = components
            let host: String?
            switch scheme {
            case "https":
                inner.scheme = "http"
                inner.port = components.port ?? 443
                host = components.encodedHost.map { name in
                    components.port.map { $0 == 443 ? name : "\(name):\($0)" } ?? name
                }
            case "https+unix":
                inner.scheme = "http+unix"
                host = nil
            default: throw RequestRefusal(.notConfidential, "the URL is not https, so the server would not be known")
            }
            guard let url = inner.string else { throw RequestRefusal(.invalidURL, "the URL cannot be written") }
            return (url, host)
        }

        /// Whether what is sent there may hold a token: encrypted, or never leaving this machine.
        ///
        /// A name such as `localhost` does not count: another resolver's word decides where it leads.
        var isConfidential: Bool {
            switch scheme {
            case "https", "https+unix", "http+unix": true
            case "http": Self.isLoopback(components.host ?? "")
            default: false
            }
        }

        var isPlainTCP: Bool { scheme == "http" }

        private static func isLoopback(_ host: String) -> Bool {
            if host == "[::1]" || host == "::1" { return true }
            let parts = host.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[0] == "127" else { return false }
            return parts.allSatisfy { part in
                part.utf8.count <= 3 && part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                    && UInt8(part).map { "\($0)" == part } ?? false
            }
        }
    }
#endif
