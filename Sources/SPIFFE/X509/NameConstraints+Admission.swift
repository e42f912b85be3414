internal import X509

extension NameConstraints {
    /// Whether a certificate with these names may lie below the authority that is so constrained (RFC 5280 §4.2.1.10).
    ///
    /// Understands URIs and DNS names. Constraints of other kinds admit nothing: directory names, because every
    /// certificate has one, and rarer ones for want of a use. Critical or not makes no difference.
    ///
    /// - Parameter names: What the certificate calls its subject.
    /// - Returns: False also when a name or a constraint is malformed.
    func admit(_ names: SubjectAlternativeNames) -> Bool {
        var permitted = DomainConstraints()
        var excluded = DomainConstraints()
        guard permitted.add(permittedSubtrees), excluded.add(excludedSubtrees) else { return false }
        return names.allSatisfy { name in
            switch name {
            case .uniformResourceIdentifier(let uri):
                guard !permitted.uris.isEmpty || !excluded.uris.isEmpty else { return true }
                guard let host = DomainName(hostOf: uri) else { return false }
                return !excluded.uris.contains { host.lies(within: $0.domain) }
                    && (permitted.uris.isEmpty || permitted.uris.contains { $0.holds(uriHost: host) })
            case .dnsName(let text):
                guard !permitted.dnsNames.isEmpty || !excluded.dnsNames.isEmpty else { return true }
                guard let host = DomainName(text.utf8[...]) else { return false }
                return !excluded.dnsNames.contains { host.lies(within: $0.domain) }
                    && (permitted.dnsNames.isEmpty || permitted.dnsNames.contains { $0.holds(dnsName: host) })
            case .ipAddress:
                return !permitted.hasAddresses && !excluded.hasAddresses
            default:
                return true
            }
        }
    }
}

/// Constraints of the kinds that are understood.
private struct DomainConstraints {
    var uris: [DomainConstraint] = []
    var dnsNames: [DomainConstraint] = []

    /// Whether there are constraints on IP addresses; a certificate without addresses may pass them.
    var hasAddresses = false

    /// False when one is malformed or of a kind that is not understood.
    mutating func add(_ subtrees: [GeneralName]) -> Bool {
        for subtree in subtrees {
            switch subtree {
            case .uniformResourceIdentifier(let text):
                guard let constraint = DomainConstraint(text) else { return false }
                uris.append(constraint)
            case .dnsName(let text):
                guard let constraint = DomainConstraint(text) else { return false }
                dnsNames.append(constraint)
            case .ipAddress:
                hasAddresses = true
            default:
                return false
            }
        }
        return true
    }
}

/// A domain as a constraint writes it: `a.example`, `.example` for what lies below, or nothing for everything.
private struct DomainConstraint {
    let domain: DomainName
    let isBelowOnly: Bool

    init?(_ text: String) {
        isBelowOnly = text.utf8.first == UInt8(ascii: ".")
        guard !text.isEmpty else {
            domain = .everything
            return
        }
        guard let domain = DomainName(isBelowOnly ? text.utf8.dropFirst() : text.utf8[...]) else { return nil }
        self.domain = domain
    }

    /// Without a leading dot, the constraint names one host.
    func holds(uriHost host: DomainName) -> Bool {
        if domain.labels.isEmpty { return true }
        return isBelowOnly ? host.lies(within: domain) && host != domain : host == domain
    }

    /// Without a leading dot, the constraint names a domain with everything below.
    func holds(dnsName host: DomainName) -> Bool {
        host.lies(within: domain) && !(isBelowOnly && host == domain)
    }
}

/// Labels of a domain name, in lower case.
private struct DomainName: Equatable {
    static let everything = DomainName(labels: [])

    let labels: [[UInt8]]

    private init(labels: [[UInt8]]) { self.labels = labels }

    /// Refuses what is not plainly a name of hosts: wildcards, addresses, a dot at the end, other characters.
    init?(_ text: Substring.UTF8View) {
        guard (1...253).contains(text.count) else { return nil }
        var labels: [[UInt8]] = []
        for label in text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            let folded = label.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
            guard (1...63).contains(folded.count), folded.allSatisfy(Self.allows), folded.first != Self.dash,
                folded.last != Self.dash
            else { return nil }
            labels.append(folded)
        }
        // A last label of digits makes it an address (RFC 1123 §2.1).
        guard let last = labels.last, !last.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        self.labels = labels
    }

    /// The authority of a URI, which must be a domain name and no more: no user, no port.
    init?(hostOf uri: String) {
        let (colon, slash) = (UInt8(ascii: ":"), UInt8(ascii: "/"))
        guard let scheme = uri.utf8.firstIndex(of: colon) else { return nil }
        let rest = uri.utf8[scheme...].dropFirst()
        guard rest.starts(with: [slash, slash]) else { return nil }
        let ends = [slash, UInt8(ascii: "?"), UInt8(ascii: "#")]
        self.init(rest.dropFirst(2).prefix { !ends.contains($0) })
    }

    func lies(within domain: DomainName) -> Bool {
        labels.suffix(domain.labels.count).elementsEqual(domain.labels)
    }

    private static let dash = UInt8(ascii: "-")

    private static func allows(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), dash, UInt8(ascii: "_"): true
        default: false
        }
    }
}
