internal import Foundation

/// A URL that may be fetched, read once and in one way.
///
/// Whatever another parser might read differently is refused: blanks, control characters, backslashes, anything beyond
/// ASCII, and whatever stands before an `@`.
struct FetchURL {
    private let components: URLComponents
    let isTLS: Bool

    /// - Throws: ``HTTPFetchError/badURL``, which never repeats the URL: it may hold a password.
    init(_ text: String) throws(HTTPFetchError) {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\\") })
        else { throw .badURL("it is too long, or not printable ASCII") }
        guard let components = URLComponents(string: text), let scheme = components.scheme?.lowercased() else {
            throw .badURL("it is not absolute")
        }
        switch scheme {
        case "https": isTLS = true
        case "http": isTLS = false
        default: throw .badURL("its scheme is neither https nor http")
        }
        guard let host = components.host, !host.isEmpty else { throw .badURL("it names no host") }
        // Also an empty user, which leaves nothing but the sign.
        guard components.user == nil, components.password == nil, !Self.authority(of: text).contains("@") else {
            throw .badURL("it holds a user or a password")
        }
        guard components.fragment == nil else { throw .badURL("it has a fragment") }
        if let port = components.port, !(1...65535).contains(port) { throw .badURL("its port is out of range") }
        self.components = components
    }

    /// The URL as it is fetched.
    var text: String { components.string ?? "" }

    /// What to name in the TLS handshake: nothing for an address (RFC 6066 §3).
    var serverName: String? {
        guard let host = components.host, !host.contains(":"), !host.hasPrefix("["),
            host.split(separator: ".").last?.allSatisfy(\.isNumber) == false
        else { return nil }
        return host
    }

    /// The same place for a connection whose TLS is already underneath, and the `Host` to ask it for.
    var withTLSUnderneath: (url: String, host: String) {
        var inner = components
        inner.scheme = "http"
        inner.port = components.port ?? 443
        let name = components.encodedHost ?? ""
        let host = components.port.map { $0 == 443 ? name : "\(name):\($0)" } ?? name
        return (inner.string ?? "", host)
    }

    private static func authority(of text: String) -> Substring {
        guard let start = text.range(of: "//")?.upperBound else { return "" }
        return text[start...].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    }
}
