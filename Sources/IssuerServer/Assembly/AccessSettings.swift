package import Bootstrap
package import IssuerDomain
internal import LinuxKernel
internal import Logging

/// Who may do what with an issuer, how often, and what is kept of it.
package struct AccessSettings: Sendable {
    package var grants: [Grant]
    package var limits: CallLimits
    /// How many entries there may be.
    package var maximumEntries = 1_000_000
    /// How many connections there may be, in all and from one address.
    package var maximumConnections = 16_384
    package var maximumConnectionsOfOne = 2048
    /// How long taint and revoke wait for a second person; nil when one is enough.
    package var approvalLifetime: Duration?
    /// How long the issuance record goes back.
    package var auditRetention: Duration
    /// Who may connect to the admin socket: permission bits, and the group if not the server's own.
    package var socketMode: UInt32
    package var socketGroup: UInt32?
    package var tokenIssuers: [TokenIssuer]
    /// What the server logs.
    package var logThreshold: LogThreshold

    package init(
        grants: [Grant] = [], limits: CallLimits = .init(), approvalLifetime: Duration? = nil,
        auditRetention: Duration = .seconds(90 * 86_400), socketMode: UInt32 = 0o600, socketGroup: UInt32? = nil,
        tokenIssuers: [TokenIssuer] = [], logThreshold: LogThreshold = LogThreshold(.info)
    ) {
        (self.grants, self.limits, self.approvalLifetime) = (grants, limits, approvalLifetime)
        (self.auditRetention, self.socketMode, self.socketGroup) = (auditRetention, socketMode, socketGroup)
        (self.tokenIssuers, self.logThreshold) = (tokenIssuers, logThreshold)
    }

    /// Who holds which role: besides those who were given one, root and the account of the server are admins.
    var policy: AccessPolicy { AccessPolicy(owners: [0, AccountNames.ownUID], grants: grants) }
}
