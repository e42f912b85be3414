internal import Glibc

/// An IP address that a host name led to.
package struct HostAddress: Hashable, Sendable {
    /// Where an address leads that a stranger must not make a server go to.
    enum Reach: Hashable, Sendable {
        /// This very machine.
        case loopback
        /// Nowhere, the link, or many: where no host name leads that is meant.
        case special
        case host
    }

    /// Four bytes, or sixteen.
    let bytes: [UInt8]

    /// Reads an address; nil for what is none.
    package init?(_ text: String) {
        var ipv4 = in_addr()
        var ipv6 = in6_addr()
        if inet_pton(AF_INET, text, &ipv4) == 1 {
            bytes = Self.bytes(of: ipv4.s_addr)
        } else if inet_pton(AF_INET6, text, &ipv6) == 1 {
            let words = ipv6.__in6_u.__u6_addr32
            bytes = [words.0, words.1, words.2, words.3].flatMap(Self.bytes)
        } else {
            return nil
        }
    }

    /// The bytes of a number as it came from the network.
    private static func bytes(of number: UInt32) -> [UInt8] {
        let number = UInt32(bigEndian: number)
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
    }

    /// The address as the host part of a URL.
    var inURL: String {
        if bytes.count == 4 { return bytes.map(String.init).joined(separator: ".") }
        let groups = stride(from: 0, to: bytes.count - 1, by: 2).map { index in
            String(UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1]), radix: 16)
        }
        return "[\(groups.joined(separator: ":"))]"
    }

    var reach: Reach { bytes.count == 4 ? Self.reach(ofIPv4: bytes) : reachOfIPv6 }

    private static func reach(ofIPv4 bytes: [UInt8]) -> Reach {
        switch (bytes[0], bytes[1]) {
        case (127, _): .loopback
        // "This network" also means this machine to the kernel.
        case (0, _), (169, 254), (224..., _): .special
        default: .host
        }
    }

    private var reachOfIPv6: Reach {
        // Mapped, compatible (`::` and `::1` among them) and translated: what counts is the address inside.
        let inside = Array(bytes[12...])
        let zeroes = bytes.prefix { $0 == 0 }.count
        if zeroes == 15, bytes[15] == 1 { return .loopback }
        if zeroes == 10, bytes[10] == 0xFF, bytes[11] == 0xFF { return Self.reach(ofIPv4: inside) }
        if zeroes >= 12 { return Self.reach(ofIPv4: inside) == .loopback ? .loopback : .special }
        if bytes.starts(with: [0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0]) { return Self.reach(ofIPv4: inside) }
        if bytes.starts(with: [0x20, 0x02]) { return Self.reach(ofIPv4: Array(bytes[2..<6])) }
        let isLinkLocal = bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
        return isLinkLocal || bytes[0] == 0xFF ? .special : .host
    }
}
