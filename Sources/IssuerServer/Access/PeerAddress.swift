internal import GRPCConnections
internal import SPIFFE

/// Where a caller comes from, as gRPC writes it.
package struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The address without its port.
    package let description: String

    /// Parses `ipv4:192.0.2.1:1234` and `ipv6:[2001:db8::1]:1234`; anything else stays as it is.
    package init(_ remotePeer: String) {
        if remotePeer.hasPrefix("ipv4:") {
            description = String(remotePeer.dropFirst(5).prefix { $0 != ":" })
        } else if remotePeer.hasPrefix("ipv6:[") {
            description = String(remotePeer.dropFirst(6).prefix { $0 != "]" && $0 != "%" })
        } else {
            description = remotePeer
        }
    }

    /// The address alone; nil when the call did not come over TCP.
    var literal: String? {
        IPAddressLiteral.isIPv4(description) || IPAddressLiteral.isIPv6(description) ? description : nil
    }

    /// What one stranger can be told apart by: an IPv4 address, or the first 64 bits of an IPv6 address.
    ///
    /// Whoever has one IPv6 address usually has the 64 bits below it as well.
    package var prefix: String {
        guard IPAddressLiteral.isIPv6(description) else { return description }
        return PeerNetwork.name(ofIPv6: description)
    }
}
