package import Foundation
package import SPIFFE

/// What every entry must obey, whichever door it came through.
package enum EntryRules {
    package static let maximumSelectors = 64
    package static let maximumDNSNames = 64
    package static let maximumFederatedDomains = 64
    /// WLAPI-10.
    package static let maximumHintBytes = 1024
    /// The start of the year 10000, which certificates cannot name (RFC 5280 §4.1.2.5).
    private static let endOfTime = Date(timeIntervalSince1970: 253_402_300_800)
    private static let lifetimes = Duration.seconds(1)...Duration.seconds(10 * 365 * 24 * 3600)

    /// Judges contents; the first rule broken is thrown.
    ///
    /// - Parameters:
    ///   - contents: What the admin asks for.
    ///   - trustDomain: The issuer's own.
    ///   - now: When the entry would come into force.
    ///   - old: What they replace: selectors that were there are not judged again, they were admitted once.
    ///   - insistence: Whether what is refused for the admin's own good is to be stored nevertheless.
    /// - Throws: ``EntryError`` that names the rule.
    package static func check(
        _ contents: EntryContents, in trustDomain: TrustDomain, now: Date, replacing old: EntryContents? = nil,
        insistence: Insistence = .unsaid
    ) throws(EntryError) {
        guard contents.spiffeID.trustDomain == trustDomain else {
            throw .foreignTrustDomain(field: "SPIFFE ID", expected: trustDomain)
        }
        guard contents.spiffeID.hasPath else { throw .spiffeIDWithoutPath }
        guard contents.parentID.trustDomain == trustDomain else {
            throw .foreignTrustDomain(field: "parent ID", expected: trustDomain)
        }
        // Such an identity would pass for a server or an agent.
        guard !isReserved(contents.spiffeID) else { throw .reservedSPIFFEID }
        guard !contents.selectors.isEmpty else { throw .noSelectors }
        guard contents.selectors.count <= maximumSelectors else {
            throw .tooMany(field: "selectors", limit: maximumSelectors)
        }
        let judged = Set(old?.selectors ?? [])
        for selector in contents.selectors where !judged.contains(selector) {
            try SelectorCatalog.check(selector, insistence: insistence)
        }
        let floor = AssuranceDefaults.floor(of: contents.decidingSelectors)
        if let selector = floor.selector, contents.terms.minimum < floor.level {
            throw .assuranceBelowSelector(asked: contents.terms.minimum, selector: selector, needed: floor.level)
        }
        if insistence == .plain, let path = BareInterpreter.path(in: contents.selectors),
            path != BareInterpreter.path(in: old?.selectors ?? [])
        {
            throw .bareInterpreter(path)
        }
        if contents.storesSVID, Set(contents.selectors.map(\.kind)).count > 1 { throw .mixedStoreSelectors }
        guard contents.dnsNames.count <= maximumDNSNames else {
            throw .tooMany(field: "DNS names", limit: maximumDNSNames)
        }
        for name in contents.dnsNames where !isDNSName(name) { throw .invalidDNSName(name) }
        guard contents.federatesWith.count <= maximumFederatedDomains else {
            throw .tooMany(field: "federated trust domains", limit: maximumFederatedDomains)
        }
        guard !contents.federatesWith.contains(trustDomain) else { throw .federatesWithItself }
        guard contents.hint.utf8.count <= maximumHintBytes else { throw .hintTooLong }
        if let ttl = contents.x509TTL, !lifetimes.contains(ttl) { throw .lifetimeOutOfRange(field: "X.509-SVID TTL") }
        if let ttl = contents.jwtTTL, !lifetimes.contains(ttl) { throw .lifetimeOutOfRange(field: "JWT-SVID TTL") }
        if let expiresAt = contents.expiresAt {
            guard expiresAt > now else { throw .alreadyExpired }
            guard expiresAt < endOfTime else { throw .lifetimeOutOfRange(field: "expiry") }
        }
        if let notBefore = contents.details.notBefore, notBefore >= endOfTime {
            throw .lifetimeOutOfRange(field: "not_before")
        }
        try DetailsRules.check(contents, replacing: old, insistence: insistence)
    }

    /// Judges an ID for which an admin asks for an SVID without an entry.
    ///
    /// - Throws: ``EntryError`` unless it could be the ID of an entry.
    package static func check(minted id: SPIFFEID, in trustDomain: TrustDomain) throws(EntryError) {
        guard id.trustDomain == trustDomain else {
            throw .foreignTrustDomain(field: "SPIFFE ID", expected: trustDomain)
        }
        guard id.hasPath else { throw .spiffeIDWithoutPath }
        guard !isReserved(id) else { throw .reservedSPIFFEID }
    }

    private static func isReserved(_ id: SPIFFEID) -> Bool { id.path == "/spire" || id.path.hasPrefix("/spire/") }

    /// Judges an entry ID that an admin chose.
    ///
    /// - Parameter id: The ID; it may stand in URLs and file names.
    /// - Throws: `invalidEntryID` unless it is 1 to 255 letters, digits, dots, dashes and underscores.
    package static func check(id: String) throws(EntryError) {
        guard (1...255).contains(id.utf8.count), id.utf8.allSatisfy(isIDByte), !id.hasPrefix(".") else {
            throw .invalidEntryID
        }
    }

    private static func isIDByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// RFC 1123 labels; the first may be `*`.
    package static func isDNSName(_ name: String) -> Bool {
        guard (1...253).contains(name.utf8.count) else { return false }
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        for (index, label) in labels.enumerated() {
            if index == 0, labels.count > 1, label.elementsEqual("*".utf8) { continue }
            guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-"),
                label.allSatisfy({ $0 != UInt8(ascii: "_") && $0 != UInt8(ascii: ".") && isIDByte($0) })
            else { return false }
        }
        return true
    }
}
