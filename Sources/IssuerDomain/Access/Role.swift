/// What an admin's call does, and so what a role must allow.
package enum Permission: String, Hashable, Sendable, CaseIterable {
    /// Looks at what is there.
    case view
    /// Creates, changes and deletes entries.
    case register
    /// Tends agents, join tokens, federation and the log.
    case operate
    /// Moves signing authorities through their lives.
    case authorities
    /// Everything else: ad-hoc issuance, and the bundle by hand.
    case administer
}

/// What an admin is trusted with.
package enum Role: String, Hashable, Sendable, CaseIterable {
    case viewer
    /// Registers entries within a ``RegistrationScope``.
    case registrar
    /// Agents, join tokens, bans, federation, the log.
    case `operator`
    /// Prepare, activate, taint and revoke.
    case authorityOperator = "authority_operator"
    case admin

    package var permissions: Set<Permission> {
        switch self {
        case .viewer: [.view]
        case .registrar: [.view, .register]
        case .operator: [.view, .operate]
        case .authorityOperator: [.view, .authorities]
        case .admin: Set(Permission.allCases)
        }
    }
}
