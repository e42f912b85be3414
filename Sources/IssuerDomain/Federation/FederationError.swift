package import SPIFFE

/// Why something about another trust domain was refused.
package enum FederationError: Error, Hashable {
    /// The issuer's own bundle is changed by its authorities, not like that of a stranger.
    case ownTrustDomain
    case bundleExists(TrustDomain)
    case bundleMissing(TrustDomain)
    case bundleInUse(TrustDomain, entries: Int)
    case relationshipExists(TrustDomain)
    case relationshipMissing(TrustDomain)
    case bundleOfAnother(TrustDomain)
    case tooMany(limit: Int)
    case tooManyAuthorities(limit: Int)
    case badEndpointURL(String)
}

extension FederationError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .ownTrustDomain: "that is this server's own trust domain"
        case .bundleExists(let domain): "a bundle of trust domain '\(domain)' already exists"
        case .bundleMissing(let domain): "there is no bundle of trust domain '\(domain)'"
        case .bundleInUse(let domain, let entries):
            "\(entries) \(entries == 1 ? "entry federates" : "entries federate") with trust domain '\(domain)'"
        case .relationshipExists(let domain): "a relationship with trust domain '\(domain)' already exists"
        case .relationshipMissing(let domain): "there is no relationship with trust domain '\(domain)'"
        case .bundleOfAnother(let domain): "the bundle is of trust domain '\(domain)'"
        case .tooMany(let limit): "at most \(limit) trust domains are allowed"
        case .tooManyAuthorities(let limit): "a bundle may hold at most \(limit) authorities of one kind"
        case .badEndpointURL(let reason): "bundle endpoint URL: \(reason)"
        }
    }
}
