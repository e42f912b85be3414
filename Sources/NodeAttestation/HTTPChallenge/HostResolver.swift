internal import Foundation
internal import NIOPosix

/// Says where a host name leads.
package protocol HostResolver: Sendable {
    /// The addresses of a host, in the order to try them; none for a name that leads nowhere.
    func addresses(of name: String) async -> [HostAddress]
}

/// Asks as this machine is set up to: its hosts file, its name servers.
package struct SystemHostResolver: HostResolver {
    package init() {}

    package func addresses(of name: String) async -> [HostAddress] {
        // Blocks for as long as name servers take, so on threads of which there are few.
        let found = try? await NIOThreadPool.singleton.runIfActive { Host(name: name).addresses }
        // One that holds on a single link alone, and says which, is none that is asked.
        return (found ?? []).compactMap { HostAddress($0) }
    }
}
