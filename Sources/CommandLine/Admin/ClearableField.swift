internal import ArgumentParser
internal import IssuerAPIProtos

/// A field of an entry that an update can take back to its default.
enum ClearableField: String, ExpressibleByArgument, CaseIterable {
    case x509TTL = "x509-ttl"
    case jwtTTL = "jwt-ttl"
    case hint
    case dns
    case federatesWith = "federates-with"
    case expiresAt = "expires-at"
    case description
    case owner
    case purpose
    case label
    case entryClass = "class"
    case notBefore = "not-before"
    case audience
    case keyType = "key-type"
    case anyOf = "any-of"
    case noneOf = "none-of"
    case digestSet = "digest-set"
    case idTemplate = "id-template"

    /// Marks the field in the mask that has it; what is marked and not said has its default.
    func mark(in mask: inout Spire_Api_Types_EntryMask, _ details: inout Mintmark_V1_DetailsMask) {
        switch self {
        case .x509TTL: mask.x509SvidTtl = true
        case .jwtTTL: mask.jwtSvidTtl = true
        case .hint: mask.hint = true
        case .dns: mask.dnsNames = true
        case .federatesWith: mask.federatesWith = true
        case .expiresAt: mask.expiresAt = true
        case .description: details.description_p = true
        case .owner: details.owner = true
        case .purpose: details.purpose = true
        case .label: details.labels = true
        case .entryClass: details.class = true
        case .notBefore: details.notBefore = true
        case .audience: details.audiences = true
        case .keyType: details.keyType = true
        case .anyOf: details.anyOf = true
        case .noneOf: details.noneOf = true
        case .digestSet: details.digestSets = true
        case .idTemplate: details.idTemplate = true
        }
    }
}
