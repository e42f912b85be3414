/// The name of a workload, such as `spiffe://example.org/agents/reviewer`.
///
/// Always valid (SPIFFE-ID §2).
///
/// Parsing is strict: an upper-case scheme or trust domain is refused rather than folded, and so is anything over 2048
/// bytes. Paths compare by case (ID-26).
public struct SPIFFEID: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// The longest SPIFFE ID, in bytes (SPIFFE-ID §2.3).
    public static let maximumLength = 2048

    /// The trust domain that vouches for this ID.
    public let trustDomain: TrustDomain

    /// Empty for the trust domain itself, otherwise with a leading slash.
    public let path: String

    /// Parses `spiffe://trust-domain/path`.
    ///
    /// - Parameter text: The whole ID.
    /// - Throws: ``SPIFFEError`` with code `invalidID` or `invalidTrustDomain`, naming the first rule broken.
    public init(_ text: String) throws(SPIFFEError) {
        guard text.utf8.count <= Self.maximumLength else {
            throw SPIFFEError(.invalidID, "SPIFFE ID is longer than \(Self.maximumLength) bytes")
        }
        let scheme = "spiffe://"
        guard text.utf8.starts(with: scheme.utf8) else {
            throw SPIFFEError(.invalidID, "SPIFFE ID does not start with spiffe://")
        }
        let start = text.utf8.index(text.utf8.startIndex, offsetBy: scheme.utf8.count)
        let slash = text.utf8[start...].firstIndex(of: UInt8(ascii: "/")) ?? text.utf8.endIndex
        let trustDomain = try TrustDomain(String(text[start..<slash]))
        try self.init(trustDomain: trustDomain, path: String(text[slash...]))
    }

    /// Joins a trust domain and a path.
    ///
    /// - Parameters:
    ///   - trustDomain: The trust domain that vouches for the ID.
    ///   - path: Empty, or a path with a leading slash.
    /// - Throws: ``SPIFFEError`` with code `invalidID`, naming the first rule broken.
    public init(trustDomain: TrustDomain, path: String) throws(SPIFFEError) {
        try Self.check(path: path)
        guard "spiffe://".utf8.count + trustDomain.name.utf8.count + path.utf8.count <= Self.maximumLength else {
            throw SPIFFEError(.invalidID, "SPIFFE ID is longer than \(Self.maximumLength) bytes")
        }
        self.trustDomain = trustDomain
        self.path = path
    }

    /// The ID of the trust domain itself, which has no path.
    ///
    /// - Parameter trustDomain: The trust domain.
    public init(trustDomain: TrustDomain) {
        self.trustDomain = trustDomain
        self.path = ""
    }

    /// Whether this names a workload rather than the trust domain itself (X509-03, X509-28).
    public var hasPath: Bool { !path.isEmpty }

    /// The ID as it is written everywhere.
    public var description: String { "spiffe://\(trustDomain.name)\(path)" }

    /// Orders by trust domain, then by path.
    public static func < (one: SPIFFEID, other: SPIFFEID) -> Bool {
        (one.trustDomain, one.path) < (other.trustDomain, other.path)
    }

    /// SPIFFE-ID §2.2: segments are not empty, not `.` or `..`, and hold `A-Z a-z 0-9 . - _` only.
    private static func check(path: String) throws(SPIFFEError) {
        let bytes = path.utf8.span
        guard !bytes.isEmpty else { return }
        let slash = UInt8(ascii: "/")
        guard bytes[0] == slash else {
            throw SPIFFEError(.invalidID, "SPIFFE ID path does not start with a slash")
        }
        var start = 1
        for position in 1...bytes.count {
            guard position == bytes.count || bytes[position] == slash else {
                guard allowsInPath(bytes[position]) else {
                    throw SPIFFEError(
                        .invalidID,
                        "SPIFFE ID path characters are limited to letters, digits, dot, dash and underscore")
                }
                continue
            }
            guard position > start else {
                throw SPIFFEError(.invalidID, "SPIFFE ID path has an empty segment or a trailing slash")
            }
            guard position - start > 2 || !(start..<position).allSatisfy({ bytes[$0] == UInt8(ascii: ".") }) else {
                throw SPIFFEError(.invalidID, "SPIFFE ID path has a dot segment")
            }
            start = position + 1
        }
    }

    private static func allowsInPath(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default:
            false
        }
    }
}
