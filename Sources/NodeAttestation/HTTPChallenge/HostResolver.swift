internal import Glibc
internal import NIOPosix

/// Says where a host name leads.
package protocol HostResolver: Sendable {
    /// The addresses of a host, in the order to try them; none for a name that leads nowhere.
    func addresses(of name: String) async -> [HostAddress]
}

/// Asks as this machine is set up to: its hosts file, its name servers.
package struct SystemHostResolver: HostResolver {
    private static let maximum = 16

    package init() {}

    package func addresses(of name: String) async -> [HostAddress] {
        // Blocks for as long as name servers take, so on threads of which there are few.
        let found = try? await NIOThreadPool.singleton.runIfActive { Self.lookUp(name) }
        return found ?? []
    }

    private static func lookUp(_ name: String) -> [HostAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(name, nil, &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        var found: [HostAddress] = []
        var next = first
        while let entry = next?.pointee, found.count < maximum {
            next = entry.ai_next
            guard let raw = entry.ai_addr else { continue }
            switch entry.ai_family {
            case AF_INET where Int(entry.ai_addrlen) >= MemoryLayout<sockaddr_in>.size:
                let address = UnsafeRawPointer(raw).loadUnaligned(as: sockaddr_in.self).sin_addr
                found.append(HostAddress(bytes: withUnsafeBytes(of: address) { Array($0) }))
            case AF_INET6 where Int(entry.ai_addrlen) >= MemoryLayout<sockaddr_in6>.size:
                let address = UnsafeRawPointer(raw).loadUnaligned(as: sockaddr_in6.self).sin6_addr
                found.append(HostAddress(bytes: withUnsafeBytes(of: address) { Array($0) }))
            default: continue
            }
        }
        return found
    }
}
