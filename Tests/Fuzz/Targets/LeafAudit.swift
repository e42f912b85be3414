internal import SPIFFE
internal import X509

/// What a certificate says, read from its DER without the X.509 library.
struct LeafAudit {
    private let uris: [[UInt8]]
    private let keyUsage: UInt8
    private let isAuthority: Bool
    private let notBefore: String
    private let notAfter: String
    private let extensionNames: [[UInt8]]

    /// The rules for whatever was accepted as the leaf of a valid chain (X509-01, X509-05..07, RFC 5280 §4.1.2.5).
    static func claimIsSound(_ leaf: Certificate, naming id: SPIFFEID) {
        let audit = audit(leaf)
        claim(audit.uris == [Array(id.description.utf8)], "the leaf's one URI is its SPIFFE ID")
        claim(audit.keyUsage & 0x80 != 0, "the leaf may make digital signatures")
        claim(audit.keyUsage & 0x06 == 0, "the leaf may sign neither certificates nor revocation lists")
        claim(!audit.isAuthority, "the leaf is no authority")
    }

    /// The rules for whatever was accepted as the issuer of another certificate.
    static func claimMayIssue(_ issuer: Certificate) {
        let audit = audit(issuer)
        claim(audit.isAuthority && audit.keyUsage & 0x04 != 0, "an issuer may sign certificates")
    }

    private static func audit(_ certificate: Certificate) -> LeafAudit {
        guard let bytes = try? certificate.derBytes(), let audit = LeafAudit(bytes) else {
            broken("an accepted certificate has the structure of one")
        }
        claim(Set(audit.extensionNames).count == audit.extensionNames.count, "no extension is there twice")
        claim(audit.notBefore <= now && now <= audit.notAfter, "it is valid at the instant")
        return audit
    }

    private static let now = "20270115080000Z"

    private init?(_ der: [UInt8]) {
        guard let certificate = DERForest(der[...])?.trees.first, let tbs = certificate.children?.first,
            let fields = tbs.children, fields.count >= 8,
            let validity = fields[4].children, validity.count == 2,
            let wrapper = fields.last(where: { $0.tag == 0xA3 }), let list = wrapper.children?.first,
            let extensions = list.children
        else { return nil }
        (notBefore, notAfter) = (Self.time(validity[0]), Self.time(validity[1]))
        var values: [[UInt8]: DERForest.Tree] = [:]
        extensionNames = extensions.map { $0.children?.first?.content.bytes ?? [] }
        for item in extensions {
            guard let parts = item.children, let value = parts.last, value.tag == 0x04 else { return nil }
            values[parts[0].content.bytes] = value
        }
        uris = (values[[0x55, 0x1D, 0x11]]?.children?.first?.children ?? [])
            .filter { $0.tag == 0x86 }.map(\.content.bytes)
        let constraints = values[[0x55, 0x1D, 0x13]]?.children?.first?.children ?? []
        isAuthority = constraints.first.map { $0.tag == 0x01 && $0.content.bytes != [0] } ?? false
        // The wrapped BIT STRING: tag, length, count of unused bits, bits.
        keyUsage = values[[0x55, 0x1D, 0x0F]]?.content.bytes.dropFirst(3).first ?? 0
    }

    /// A time with its century, so that times compare as texts.
    private static func time(_ tree: DERForest.Tree) -> String {
        let text = String(decoding: tree.content.bytes, as: UTF8.self)
        return tree.tag == 0x17 ? (text < "5" ? "20" : "19") + text : text
    }
}
