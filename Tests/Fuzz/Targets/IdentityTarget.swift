internal import SPIFFE

/// SPIFFE IDs, trust domains and selectors: one text, or two to compare, with a byte between them that no UTF-8 holds.
enum IdentityTarget {
    private static let separator: UInt8 = 0xFF
    private static let lowercase = Set("abcdefghijklmnopqrstuvwxyz0123456789.-_".utf8)
    private static let letters = lowercase.union("ABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)

    static func judge(_ input: [UInt8], flaw: Flaw?) {
        let texts = input.split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        let ids = texts.compactMap { id($0, flaw: flaw) }
        let trustDomains = texts.compactMap { trustDomain($0) }
        let selectors = texts.compactMap { selector($0) }
        if ids.count == 2 { compare(ids[0], ids[1]) }
        if trustDomains.count == 2 { compare(trustDomains[0], trustDomains[1]) }
        if selectors.count == 2 { compare(selectors[0], selectors[1]) }
    }

    private static func id(_ text: String, flaw: Flaw?) -> SPIFFEID? {
        let read = flaw.map { String(decoding: $0.text(Array(text.utf8)), as: UTF8.self) } ?? text
        let id = try? SPIFFEID(read)
        claim((id != nil) == isSPIFFEID(Array(text.utf8)), "a text is accepted if and only if it is a SPIFFE ID")
        guard let id else { return nil }
        claim(same(id.description, text), "an ID is written as it was read")
        claim((try? SPIFFEID(trustDomain: id.trustDomain, path: id.path)) == id, "an ID is its trust domain and path")
        claim((try? TrustDomain(id.trustDomain.name)) == id.trustDomain, "a trust domain is its name")
        claim((try? SPIFFEID(id.trustDomain.id.description)) == id.trustDomain.id, "a trust domain has an ID")
        claim(id.hasPath == (id != id.trustDomain.id), "only the ID of a trust domain has no path")
        return id
    }

    private static func trustDomain(_ text: String) -> TrustDomain? {
        let trustDomain = try? TrustDomain(text)
        claim((trustDomain != nil) == isTrustDomain(text.utf8[...]), "a text is accepted if it is a trust domain")
        if let trustDomain { claim(same(trustDomain.description, text), "a trust domain is written as it was read") }
        return trustDomain
    }

    private static func selector(_ text: String) -> Selector? {
        guard let selector = try? Selector(parsing: text) else { return nil }
        claim(same(selector.description, text), "a selector is written as it was read")
        claim(text.utf8.count <= Selector.maximumLength, "a selector is not too long")
        claim(text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }, "a selector holds no control characters")
        claim(
            (try? Selector(kind: selector.kind, value: selector.value)) == selector, "a selector is its kind and value")
        return selector
    }

    private static func compare<Name: Hashable & Comparable & CustomStringConvertible>(_ one: Name, _ other: Name) {
        claim((one == other) == same(one.description, other.description), "names are equal byte for byte")
        claim(one != other || one.hashValue == other.hashValue, "equal names have the same hash")
        claim(
            [one < other, other < one, one == other].count { $0 } == 1, "of two names one is first, or they are equal")
    }

    /// SPIFFE-ID §2, written a second time.
    private static func isSPIFFEID(_ bytes: [UInt8]) -> Bool {
        guard bytes.count <= 2048, bytes.starts(with: "spiffe://".utf8) else { return false }
        let parts = bytes.dropFirst(9).split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return isTrustDomain(parts[0])
            && parts.dropFirst().allSatisfy { segment in
                letters.isSuperset(of: segment) && !["", ".", ".."].contains(String(decoding: segment, as: UTF8.self))
            }
    }

    private static func isTrustDomain(_ bytes: some Collection<UInt8>) -> Bool {
        (1...255).contains(bytes.count) && lowercase.isSuperset(of: bytes)
    }

    private static func same(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }
}
