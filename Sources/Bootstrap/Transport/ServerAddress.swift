internal import GRPCNIOTransportHTTP2Posix
internal import SPIFFE

/// Where an issuer listens: a host name or IP literal, and a port.
package struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    package let host: String
    package let port: Int

    /// Parses `host:port`, or `[address]:port` for IPv6.
    ///
    /// - Throws: ``Failure`` with status `configuration`.
    package init(_ text: String) throws(Failure) {
        guard let colon = text.lastIndex(of: ":") else { throw Self.refusal(of: text) }
        let digits = text[colon...].dropFirst()
        guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let port = UInt16(digits), port > 0
        else { throw Self.refusal(of: text) }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
            guard IPAddressLiteral.isIPv6(host) else { throw Self.refusal(of: text) }
        } else {
            let forbidden: Set<Character> = ["/", "[", "]", ":", " "]
            guard !host.isEmpty, !host.contains(where: forbidden.contains) else { throw Self.refusal(of: text) }
        }
        (self.host, self.port) = (host, Int(port))
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// An IP literal is no name to resolve, nor one to indicate in TLS.
    var target: any ResolvableTarget {
        if IPAddressLiteral.isIPv4(host) { return .ipv4(address: host, port: port) }
        if IPAddressLiteral.isIPv6(host) { return .ipv6(address: host, port: port) }
        return .dns(host: host, port: port)
    }

    private static func refusal(of text: String) -> Failure {
        Failure(
            .configuration, "'\(text)' is not a server address", hint: "write it as host:port, such as 127.0.0.1:8081")
    }
}
