package import Foundation
package import SPIFFE

/// Why an SVID was not issued.
package enum IssuanceError: Error, Hashable {
    /// The signing request cannot be read, or its signature is not its own key's.
    case badSigningRequest(detail: String)
    /// The key is of a kind or size that is not signed for.
    case keyNotAllowed
    /// The request names the CA's own key.
    case keyOfAuthority
    case entryMissing
    case notAuthorized
    case badAudience(detail: String)
    /// Not among those that the entry allows.
    case audienceNotAllowed(String, entryID: String)
    /// The entry asks for keys of one kind.
    case otherKeyType(asked: WorkloadKeyType)
    /// Not what the entry's template can become; or there is no template, or no identity was named.
    case outsideTemplate
    /// A template would make a process an admin, or whatever else the identity stands for.
    case identityHoldsPower(SPIFFEID)
    /// Nothing of the lifetime asked for is left.
    case lifetimeExhausted(limit: LifetimeLimit)
    case clockBeforeAuthority(now: Date, start: Date)
    case foreignTrustDomain(SPIFFEID)
    /// The authority may have no other authority below it.
    case pathLengthExhausted
    /// What was about to be signed, or what was signed, breaks a rule; a bug. Nothing left the issuer.
    case lintFailed(detail: String)
    case signingFailed(detail: String)
}

extension IssuanceError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .badSigningRequest(let detail): "signing request is not sound: \(detail)"
        case .keyNotAllowed: "public key is not EC P-256, P-384 or RSA of 2048 to 8192 bits"
        case .keyOfAuthority: "public key is an authority's own"
        case .entryMissing: "no such entry"
        case .notAuthorized: "agent is not authorized for this entry"
        case .badAudience(let detail): "audience: \(detail)"
        case .audienceNotAllowed(let audience, let entryID):
            "audience '\(audience)' is not among those that entry '\(entryID)' allows"
        case .otherKeyType(let asked): "entry asks for keys of type \(asked.rawValue)"
        case .outsideTemplate: "identity is not one that the entry's template can become"
        case .identityHoldsPower(let id):
            "'\(id)' holds a role, or is admin or downstream; no template can become it"
        case .lifetimeExhausted(let limit): "no lifetime is left; limited by \(limit)"
        case .clockBeforeAuthority(let now, let start):
            "the clock (\(now.formatted(.iso8601))) is before the authority's start (\(start.formatted(.iso8601)))"
        case .foreignTrustDomain(let id): "'\(id)' is not in this issuer's trust domain"
        case .pathLengthExhausted: "the authority may have no authority below it (path length)"
        case .lintFailed(let detail): "refused to sign: \(detail)"
        case .signingFailed(let detail): "signing failed: \(detail)"
        }
    }
}
