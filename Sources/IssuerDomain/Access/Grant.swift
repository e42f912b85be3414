package import SPIFFE

/// Gives a role to those it names.
package struct Grant: Hashable, Sendable {
    /// Whom a role is given to.
    package enum Holder: Hashable, Sendable {
        case uid(UInt32)
        case gid(UInt32)
        case spiffeID(SPIFFEID)
        /// Whoever bears a token of an issuer in which a claim has a value, or lists it.
        case claim(issuer: String, name: String, value: String)
    }

    /// What the configuration calls it.
    package let name: String
    package let role: Role
    package let holders: Set<Holder>
    /// Where entries may be registered; for registrars alone.
    package let scope: RegistrationScope?

    package init(name: String, role: Role, holders: Set<Holder>, scope: RegistrationScope? = nil) {
        (self.name, self.role, self.holders, self.scope) = (name, role, holders, scope)
    }
}

extension Grant.Holder {
    /// Parses `uid:1000`, `gid:100`, a SPIFFE ID, or `oidc:ISSUER:CLAIM=VALUE`.
    ///
    /// - Returns: nil when the text is none of these.
    package init?(_ text: String) {
        if text.hasPrefix("uid:"), let uid = UInt32(text.dropFirst(4)) {
            self = .uid(uid)
        } else if text.hasPrefix("gid:"), let gid = UInt32(text.dropFirst(4)) {
            self = .gid(gid)
        } else if text.hasPrefix("oidc:") {
            let parts = text.dropFirst(5).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else { return nil }
            let claim = parts[1].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard claim.count == 2, !claim[0].isEmpty, !claim[1].isEmpty else { return nil }
            self = .claim(issuer: String(parts[0]), name: String(claim[0]), value: String(claim[1]))
        } else if let id = try? SPIFFEID(text) {
            self = .spiffeID(id)
        } else {
            return nil
        }
    }
}
