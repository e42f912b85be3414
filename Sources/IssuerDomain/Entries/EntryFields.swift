internal import Foundation
internal import Platform
internal import SPIFFE

/// The fields of an entry as text, under the names that files give them.
enum EntryFields {
    /// Every field, in the order of the documentation; empty where it has its default.
    static func texts(of contents: EntryContents) -> [(name: String, text: String)] {
        let details = contents.details
        return [
            ("spiffe_id", "\(contents.spiffeID)"), ("parent_id", "\(contents.parentID)"),
            ("selectors", list(contents.selectors)),
            ("any_of", list(details.rules.anyOf.map { "[\(list($0))]" }, isQuoted: true)),
            ("none_of", list(details.rules.noneOf)), ("digest_sets", list(details.rules.digestSets)),
            ("id_template", details.template?.description ?? ""),
            ("min_assurance", "\(contents.terms.minimum.number)"), ("allow_jit", flag(contents.terms.allowsJIT)),
            ("x509_svid_ttl", duration(contents.x509TTL)), ("jwt_svid_ttl", duration(contents.jwtTTL)),
            ("key_type", details.keyType?.rawValue ?? ""), ("per_instance_keys", flag(details.hasInstanceKeys)),
            ("audiences", list(details.audiences)), ("not_before", instant(details.notBefore)),
            ("expires_at", instant(contents.expiresAt)), ("disabled", flag(details.isDisabled)),
            ("hint", contents.hint), ("dns_names", list(contents.dnsNames)),
            ("federates_with", list(contents.federatesWith)), ("admin", flag(contents.isAdmin)),
            ("downstream", flag(contents.isDownstream)), ("store_svid", flag(contents.storesSVID)),
            ("disable_x509_svid_prefetch", flag(!contents.prefetchesX509)),
            ("jwt_svid_include_jti", flag(contents.includesJTI)), ("class", details.entryClass?.rawValue ?? ""),
            ("description", details.description), ("owner", details.owner), ("purpose", details.purpose),
            (
                "labels",
                list(details.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" })
            ),
        ]
    }

    /// What differs, and in what.
    static func changes(from old: EntryContents, to new: EntryContents) -> [FieldChange] {
        zip(texts(of: old), texts(of: new)).compactMap { before, after in
            before.text.utf8.elementsEqual(after.text.utf8)
                ? nil : FieldChange(field: before.name, before: before.text, after: after.text)
        }
    }

    /// Two lists that differ never have one text.
    private static func list(_ elements: [some CustomStringConvertible], isQuoted: Bool = false) -> String {
        elements.map { isQuoted ? $0.description : quoted($0.description) }.joined(separator: ", ")
    }

    /// Quotes what could be taken for more than one element, or for none.
    private static func quoted(_ text: String) -> String {
        let isPlain = !text.isEmpty && !text.utf8.contains { Array(",\"[]".utf8).contains($0) }
        guard !isPlain else { return text }
        let escaped = text.utf8.reduce(into: [UInt8]()) { bytes, byte in
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        return "\"\(String(decoding: escaped, as: UTF8.self))\""
    }

    private static func flag(_ isSet: Bool) -> String { isSet ? "true" : "" }

    private static func duration(_ duration: Duration?) -> String { duration.map { "\($0.wholeSeconds)s" } ?? "" }

    private static func instant(_ date: Date?) -> String { date?.formatted(.iso8601) ?? "" }
}
