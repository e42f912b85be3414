/// What strangers can be told apart by.
package enum PeerNetwork {
    /// Names the first 64 bits of an IPv6 address, or the IPv4 address that it carries.
    ///
    /// Whoever has one IPv6 address usually has the 64 bits below it as well.
    ///
    /// - Parameter address: An IPv6 address as text, without a zone.
    /// - Returns: The same for all addresses of one network.
    package static func name(ofIPv6 address: String) -> String {
        // An IPv4 address in the clothes of IPv6 (RFC 4291 §2.5.5.2).
        if address.contains("."), let last = address.split(separator: ":").last { return String(last) }
        var head: [Substring] = []
        if let gap = address.firstRange(of: "::") {
            head = address[..<gap.lowerBound].split(separator: ":")
            let tail = address[gap.upperBound...].split(separator: ":")
            head += Array(repeating: "0", count: max(0, 8 - head.count - tail.count)) + tail
        } else {
            head = address.split(separator: ":")
        }
        return head.prefix(4).joined(separator: ":") + "::/64"
    }
}
