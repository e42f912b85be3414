/// The name under which one authority issues identities, such as `example.org`.
///
/// Always valid (SPIFFE-ID §2.1).
///
/// The name is opaque: one that looks like a DNS name or an IPv4 address is treated like any other (ID-24).
public struct TrustDomain: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The name alone, lower case, at most 255 bytes.
    public let name: String

    /// Parses a bare trust domain name.
    ///
    /// - Parameter name: The name without a scheme.
    /// - Throws: ``SPIFFEError`` with code `invalidTrustDomain`, naming the first rule broken.
    public init(_ name: String) throws(SPIFFEError) {
        guard !name.isEmpty else { throw SPIFFEError(.invalidTrustDomain, "trust domain is empty") }
        guard name.utf8.count <= 255 else {
            throw SPIFFEError(.invalidTrustDomain, "trust domain is longer than 255 bytes")
        }
        guard name.utf8.allSatisfy(Self.allows) else {
            throw SPIFFEError(
                .invalidTrustDomain, "trust domain characters are limited to a-z, 0-9, dot, dash and underscore")
        }
        self.name = name
    }

    /// The trust domain's own SPIFFE ID, `spiffe://name`.
    public var id: SPIFFEID { SPIFFEID(trustDomain: self) }

    /// The name alone.
    public var description: String { name }

    /// Orders by name, byte for byte.
    public static func < (one: TrustDomain, other: TrustDomain) -> Bool { one.name < other.name }

    private static func allows(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }
}
