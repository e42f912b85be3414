package import SPIFFE

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
