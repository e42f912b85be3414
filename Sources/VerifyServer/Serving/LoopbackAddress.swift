internal import SPIFFE

/// A TCP address that only processes of this machine can reach.
package struct LoopbackAddress: Hashable, Sendable {
    /// An address literal: a name could lead anywhere.
    package let host: String
    package let port: Int

    /// Why a text is not one.
    package enum Flaw: Error, Hashable, Sendable {
        case malformed
        case notLoopback(host: String)
    }

    /// Parses `127.0.0.1:port` or `[::1]:port`; port 0 takes any.
    ///
    /// - Parameter text: Address and port.
    /// - Throws: ``Flaw``.
    package init(_ text: String) throws(Flaw) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")) else { throw .malformed }
        let digits = text[colon...].utf8.dropFirst()
        guard digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let port = UInt16(String(Substring(digits)))
        else { throw .malformed }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            self.host = String(host.dropFirst().dropLast())
            guard IPAddressLiteral.isIPv6(self.host) else { throw .malformed }
            guard self.host == "::1" else { throw .notLoopback(host: self.host) }
        } else {
            self.host = String(host)
            guard IPAddressLiteral.isIPv4(self.host) else {
                throw self.host.isEmpty || self.host.contains(":") ? .malformed : .notLoopback(host: self.host)
            }
            guard self.host.hasPrefix("127.") else { throw .notLoopback(host: self.host) }
        }
        self.port = Int(port)
    }
}
