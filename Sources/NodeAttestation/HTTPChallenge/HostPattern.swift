internal import Foundation

/// A DNS name in which `*` stands for any letters, digits and dashes of one label, such as `node-*.example.org`.
package struct HostPattern: Hashable, Sendable, CustomStringConvertible {
    package let description: String
    private let labels: [[UInt8]]

    /// Parses a pattern.
    ///
    /// - Returns: nil unless it could match a host name, and its last two labels are spelled out: who may be called is
    ///   not left to whoever registers a domain.
    package init?(_ text: String) {
        let labels = text.lowercased().utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard HostName(text.lowercased().replacingOccurrences(of: "*", with: "x")) != nil else { return nil }
        guard labels.suffix(2).allSatisfy({ !$0.contains(UInt8(ascii: "*")) }) else { return nil }
        description = text
        self.labels = labels.map { Array($0) }
    }

    func matches(_ host: HostName) -> Bool {
        guard host.labels.count == labels.count else { return false }
        return zip(labels, host.labels).allSatisfy { Self.matches($0[...], $1[...]) }
    }

    /// Goes back to the last star only, so that no label takes long.
    private static func matches(_ pattern: ArraySlice<UInt8>, _ label: ArraySlice<UInt8>) -> Bool {
        var (pattern, label) = (pattern, label)
        var retry: (pattern: ArraySlice<UInt8>, label: ArraySlice<UInt8>)?
        while let next = label.first {
            if pattern.first == UInt8(ascii: "*") {
                pattern = pattern.dropFirst()
                retry = (pattern, label)
            } else if pattern.first == next {
                (pattern, label) = (pattern.dropFirst(), label.dropFirst())
            } else if let (star, from) = retry {
                retry = (star, from.dropFirst())
                (pattern, label) = (star, from.dropFirst())
            } else {
                return false
            }
        }
        return pattern.allSatisfy { $0 == UInt8(ascii: "*") }
    }
}

/// The name of another host: a DNS name that no resolver takes for an address or for this very machine.
struct HostName: Hashable, Sendable {
    /// Lower case, without a dot at the end.
    let text: String
    let labels: [[UInt8]]

    init?(_ text: String) {
        let lower = text.lowercased()
        guard (1...253).contains(lower.utf8.count) else { return nil }
        let labels = lower.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy({ Self.isLabel($0) }), let last = labels.last else { return nil }
        // `127.1`, `0x7f000001` and `2130706433` are addresses to a resolver, whatever is before the last label.
        let isNumber =
            last.allSatisfy { Self.isDigit($0) }
            || (last.starts(with: "0x".utf8) && last.dropFirst(2).allSatisfy { Self.isHexDigit($0) })
        guard !isNumber, !last.elementsEqual("localhost".utf8), !last.elementsEqual("localdomain".utf8) else {
            return nil
        }
        self.text = lower
        self.labels = labels.map { Array($0) }
    }

    private static func isLabel(_ label: some Collection<UInt8>) -> Bool {
        let bytes = Array(label)
        guard (1...63).contains(bytes.count), bytes.first != UInt8(ascii: "-"), bytes.last != UInt8(ascii: "-") else {
            return false
        }
        return bytes.allSatisfy {
            isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == UInt8(ascii: "-")
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
