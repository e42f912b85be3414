package import SPIFFE

/// Who makes a call, as far as it was proven.
package enum Principal: Hashable, Sendable {
    /// A process on this machine, by what the kernel says of it: its user, its group, and its other groups.
    case account(uid: UInt32, gid: UInt32, groups: Set<UInt32> = [])
    /// The holder of a verified X.509-SVID.
    case spiffeID(SPIFFEID)
    /// The bearer of a verified token, by the name its issuer has in the configuration.
    case subject(issuer: String, name: String)
    /// Nobody known, from an address.
    case stranger(address: String)

    /// Whether two calls were made by one person: an account is the same whatever its group.
    package func isSame(as other: Principal) -> Bool { description == other.description }
}

extension Principal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .account(let uid, _, _): "uid:\(uid)"
        case .spiffeID(let id): "\(id)"
        case .subject(let issuer, let name): "oidc:\(issuer):\(name)"
        case .stranger(let address): "stranger:\(address)"
        }
    }
}
