internal import Glibc
internal import SPIFFE

/// Workload endpoint addresses, and the IP literals in them.
enum EndpointTarget {
    static func judge(_ input: [UInt8], flaw: Flaw?) {
        let text = String(decoding: input, as: UTF8.self)
        let read = flaw.map { String(decoding: $0.text(Array(text.utf8)), as: UTF8.self) } ?? text
        claim(IPAddressLiteral.isIPv4(text) == isAddress(text, of: AF_INET), "IPv4 literals are those of the system")
        claim(IPAddressLiteral.isIPv6(text) == isAddress(text, of: AF_INET6), "IPv6 literals are those of the system")
        let endpoint = try? WorkloadEndpoint(read)
        claim((endpoint != nil) == isEndpoint(Array(text.utf8)), "a text is accepted if and only if it is an endpoint")
        guard let endpoint else { return }
        claim((try? WorkloadEndpoint(endpoint.description)) == endpoint, "an endpoint is read as it was written")
        switch endpoint {
        case .unix(let path): claim(text.utf8.reversed().starts(with: path.utf8.reversed()), "a path ends the text")
        case .tcp(let address, let port):
            claim(isAddress(address, of: address.contains(":") ? AF_INET6 : AF_INET), "a host is an IP literal")
            claim(port > 0, "a port is not zero")
        }
    }

    /// SPIFFE Workload Endpoint §4, written a second time.
    private static func isEndpoint(_ bytes: [UInt8]) -> Bool {
        if bytes.starts(with: "unix:".utf8) {
            let rest = bytes.dropFirst(5)
            let path = rest.starts(with: "//".utf8) ? rest.dropFirst(2) : rest
            return path.count > 1 && path.starts(with: "/".utf8) && !path.starts(with: "//".utf8)
                && path.last != UInt8(ascii: "/") && !path.contains { "?#\0".utf8.contains($0) }
        }
        guard bytes.starts(with: "tcp://".utf8), let colon = bytes.lastIndex(of: UInt8(ascii: ":")) else {
            return false
        }
        let (host, port) = (bytes[6..<max(6, colon)], bytes[(colon + 1)...])
        guard !port.isEmpty, port.allSatisfy({ "0123456789".utf8.contains($0) }),
            let number = Double(String(decoding: port, as: UTF8.self)), (1...65535).contains(number)
        else { return false }
        guard host.first == UInt8(ascii: "["), host.last == UInt8(ascii: "]") else {
            return isAddress(String(decoding: host, as: UTF8.self), of: AF_INET)
        }
        return isAddress(String(decoding: host.dropFirst().dropLast(), as: UTF8.self), of: AF_INET6)
    }

    private static func isAddress(_ text: String, of family: Int32) -> Bool {
        var address = in6_addr()
        return !text.utf8.contains(0) && inet_pton(family, text, &address) == 1
    }
}
