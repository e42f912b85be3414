/// Where a workload endpoint listens, as `SPIFFE_ENDPOINT_SOCKET` spells it (SPIFFE Workload Endpoint §4).
public enum WorkloadEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// The environment variable that holds the address (WLEP-18).
    public static let environmentVariable = "SPIFFE_ENDPOINT_SOCKET"

    /// A Unix socket at an absolute path.
    case unix(path: String)

    /// A TCP port at an IP literal; IPv6 without its brackets.
    case tcp(address: String, port: UInt16)

    /// Parses an endpoint address.
    ///
    /// - Parameter text: `unix:///path`, `unix:/path` or `tcp://IP:port`.
    /// - Throws: ``SPIFFEError`` with code `invalidEndpoint` (WLEP-19..21).
    public init(_ text: String) throws(SPIFFEError) {
        // Byte for byte, like the kernel: a slash before a combining mark is a slash.
        let (unix, tcp) = ("unix:".utf8, "tcp://".utf8)
        if text.utf8.starts(with: unix) {
            self = try .unix(path: Self.path(in: text.utf8.dropFirst(unix.count)))
        } else if text.utf8.starts(with: tcp) {
            self = try Self.port(in: text.utf8.dropFirst(tcp.count))
        } else {
            throw SPIFFEError(.invalidEndpoint, "workload endpoint must start with unix: or tcp://")
        }
    }

    /// The address as the environment variable spells it.
    public var description: String {
        switch self {
        case .unix(let path): "unix://\(path)"
        case .tcp(let address, let port) where address.contains(":"): "tcp://[\(address)]:\(port)"
        case .tcp(let address, let port): "tcp://\(address):\(port)"
        }
    }

    private static func path(in rest: Substring.UTF8View) throws(SPIFFEError) -> String {
        // `unix://run/x` would make `run` an authority (E02); only an empty one is allowed.
        let path = rest.starts(with: "//".utf8) ? rest.dropFirst(2) : rest
        guard path.starts(with: "/".utf8), !path.starts(with: "//".utf8) else {
            throw SPIFFEError(.invalidEndpoint, "workload endpoint needs an absolute socket path and no authority")
        }
        guard path.count > 1, path.last != UInt8(ascii: "/") else {
            throw SPIFFEError(.invalidEndpoint, "workload endpoint names no socket")
        }
        guard !path.contains(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") || $0 == 0 }) else {
            throw SPIFFEError(.invalidEndpoint, "workload endpoint has a query, a fragment or a NUL")
        }
        return String(Substring(path))
    }

    private static func port(in rest: Substring.UTF8View) throws(SPIFFEError) -> WorkloadEndpoint {
        guard let colon = rest.lastIndex(of: UInt8(ascii: ":")) else {
            throw SPIFFEError(.invalidEndpoint, "workload endpoint names no port")
        }
        let (host, digits) = (Substring(rest[..<colon]), rest[colon...].dropFirst())
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let port = UInt16(Substring(digits)), port > 0
        else {
            throw SPIFFEError(.invalidEndpoint, "workload endpoint port is not between 1 and 65535")
        }
        if host.hasPrefix("["), host.hasSuffix("]") {
            let address = String(host.dropFirst().dropLast())
            guard IPAddressLiteral.isIPv6(address) else {
                throw SPIFFEError(.invalidEndpoint, "workload endpoint host is not an IP literal")
            }
            return .tcp(address: address, port: port)
        }
        guard IPAddressLiteral.isIPv4(String(host)) else {
            throw SPIFFEError(.invalidEndpoint, "workload endpoint host is not an IP literal")
        }
        return .tcp(address: String(host), port: port)
    }
}
