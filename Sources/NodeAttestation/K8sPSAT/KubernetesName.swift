/// A name of an object, as Kubernetes allows it: what may stand in the path of a URL and leads nowhere else.
struct KubernetesName: Hashable, Sendable, CustomStringConvertible {
    /// DNS-1123 subdomains: `a-z 0-9 - .`, a letter or digit on either side of each dot and at both ends.
    private static let maximumLength = 253

    let description: String

    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard (1...Self.maximumLength).contains(bytes.count) else { return nil }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy(Self.isLabel) else { return nil }
        description = text
    }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        guard let first = label.first, let last = label.last, isLetterOrDigit(first), isLetterOrDigit(last) else {
            return false
        }
        return label.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}
