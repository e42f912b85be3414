package import SPIFFE

/// What somebody may do, from all roles together.
package struct AccessRights: Hashable, Sendable {
    package var permissions: Set<Permission> = []
    /// Where the right to register holds; nil when it holds everywhere.
    package var scopes: [RegistrationScope]? = []

    package init() {}

    mutating func add(_ role: Role, scope: RegistrationScope?) {
        permissions.formUnion(role.permissions)
        guard role.permissions.contains(.register) else { return }
        if let scope { scopes?.append(scope) } else { scopes = nil }
    }
}

/// Who holds which role.
package struct AccessPolicy: Hashable, Sendable {
    /// The accounts of this machine that are admins whatever the grants say: root, and the server's own.
    package let owners: Set<UInt32>
    package let grants: [Grant]

    package init(owners: Set<UInt32>, grants: [Grant] = []) { (self.owners, self.grants) = (owners, grants) }

    /// The SPIFFE IDs that hold roles.
    package var namedIDs: Set<SPIFFEID> {
        Set(
            grants.flatMap(\.holders).compactMap { holder in
                if case .spiffeID(let id) = holder { id } else { nil }
            })
    }

    /// Who stands behind a principal, where it matters how many people there are.
    ///
    /// Root can act as the server's own account, so that all owners are one person, whom approvals know as root.
    package func person(behind principal: Principal) -> Principal {
        if case .account(let uid, _, _) = principal, owners.contains(uid) { return .account(uid: 0, gid: 0) }
        return principal
    }

    /// What a principal may do.
    ///
    /// - Parameters:
    ///   - principal: Who calls.
    ///   - claims: What the token says, for the bearer of one: each claim with its value or values.
    ///   - holdsAdminEntry: Whether the principal's SVID is that of an entry with admin set.
    /// - Returns: What all their roles allow together.
    package func rights(
        of principal: Principal, claims: [String: [String]] = [:], holdsAdminEntry: Bool = false
    ) -> AccessRights {
        var rights = AccessRights()
        if holdsAdminEntry { rights.add(.admin, scope: nil) }
        if case .account(let uid, _, _) = principal, owners.contains(uid) { rights.add(.admin, scope: nil) }
        for grant in grants where grant.holders.contains(where: { Self.matches($0, principal, claims) }) {
            rights.add(grant.role, scope: grant.scope)
        }
        return rights
    }

    private static func matches(_ holder: Grant.Holder, _ principal: Principal, _ claims: [String: [String]]) -> Bool {
        switch (holder, principal) {
        case (.uid(let wanted), .account(let uid, _, _)): wanted == uid
        case (.gid(let wanted), .account(_, let gid, let groups)): wanted == gid || groups.contains(wanted)
        case (.spiffeID(let wanted), .spiffeID(let id)): wanted == id
        case (.claim(let wanted, let name, let value), .subject(let issuer, name: _)):
            wanted == issuer && (claims[name] ?? []).contains { $0.utf8.elementsEqual(value.utf8) }
        default: false
        }
    }
}
