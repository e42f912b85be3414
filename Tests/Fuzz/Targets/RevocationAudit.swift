internal import X509

/// What a revocation list says, read from its DER without the X.509 library (RFC 5280 §5.1).
struct RevocationAudit {
    let issuer: [UInt8]
    let serialNumbers: Set<Certificate.SerialNumber>
    let hasCriticalExtension: Bool

    init?(_ der: [UInt8]) {
        guard let list = DERForest(der[...])?.trees.first, let fields = list.children?.first?.children,
            fields.count >= 4
        else { return nil }
        // Version, algorithm, issuer and one or two times; then perhaps entries, and perhaps extensions.
        issuer = fields[2].bytes
        let entries: [DERForest.Tree] = fields.dropFirst(4).first(where: { $0.tag == 0x30 })?.children ?? []
        let numbers = entries.compactMap { $0.children?.first?.content.bytes }
        guard numbers.count == entries.count else { return nil }
        serialNumbers = Set(numbers.map { Certificate.SerialNumber(bytes: $0[...]) })
        let ofList: [DERForest.Tree] = fields.first(where: { $0.tag == 0xA0 })?.children?.first?.children ?? []
        let ofEntries: [DERForest.Tree] = entries.flatMap { $0.children?.dropFirst(2).first?.children ?? [] }
        hasCriticalExtension = ofList.contains(where: Self.isCritical) || ofEntries.contains(where: Self.isCritical)
    }

    private static func isCritical(_ one: DERForest.Tree) -> Bool {
        guard let mark = one.children?.dropFirst().first else { return false }
        return mark.tag == 0x01 && mark.content.bytes != [0]
    }
}
