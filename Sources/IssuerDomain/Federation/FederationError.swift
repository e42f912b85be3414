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

/// Why a fetched bundle did not take the place of the one that is held.
package enum BundleFetchError: Error, Hashable {
    case unreachable(String)
    case status(Int)
    case malformed(String)
    /// Nothing says whom to believe when the endpoint shows its SPIFFE ID (FED-22).
    case endpointUnknown(TrustDomain)
    /// FED-35.
    case older(fetched: UInt64, held: UInt64)
    /// The relationship ended or changed while its bundle was fetched.
    case overtaken
    case store(StoreError)
}

extension BundleFetchError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreachable(let detail): "the bundle endpoint \(detail)"
        case .status(let status): "the bundle endpoint answered with status \(status)"
        case .malformed(let detail): "the bundle endpoint sent no sound bundle: \(detail)"
        case .endpointUnknown(let domain):
            "there is no bundle of trust domain '\(domain)' to know the bundle endpoint by; set one first"
        case .older(let fetched, let held):
            "the bundle endpoint sent number \(fetched), which is older than number \(held) that is held"
        case .overtaken: "the relationship was changed meanwhile"
        case .store(let error): "\(error)"
        }
    }
}
