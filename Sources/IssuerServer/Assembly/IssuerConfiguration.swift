package import Bootstrap
package import IssuerDomain
internal import Logging
internal import Platform
package import SPIFFE

/// Everything an issuer needs to know before it starts; already judged.
package struct IssuerConfiguration: Sendable {
    package var trustDomain: TrustDomain
    package var databasePath: String
    package var keyFolder: String
    package var adminSocket: UnixSocketPath
    /// Where agents connect; nil when the only agent is in the same process.
    package var listener: ListeningEndpoint?
    package var authorities: AuthorityKeeper.Settings
    package var svids: SVIDIssuer.Settings
    /// The terms of entries for which nobody says any.
    package var assurance: AssuranceDefaults
    package var legacyAgents: LegacyAgentPolicy
    package var access: AccessSettings

    package init(
        trustDomain: TrustDomain, databasePath: String, keyFolder: String, adminSocket: UnixSocketPath,
        listener: ListeningEndpoint? = nil, authorities: AuthorityKeeper.Settings = .init(),
        svids: SVIDIssuer.Settings = .init(), assurance: AssuranceDefaults = .init(),
        legacyAgents: LegacyAgentPolicy = .serve, access: AccessSettings = .init()
    ) {
        self.trustDomain = trustDomain
        self.databasePath = databasePath
        self.keyFolder = keyFolder
        self.adminSocket = adminSocket
        self.listener = listener
        self.authorities = authorities
        self.svids = svids
        self.assurance = assurance
        self.legacyAgents = legacyAgents
        self.access = access
    }
}

/// How to meet agents that cannot judge by assurance levels, such as those of another make.
package enum LegacyAgentPolicy: String, Hashable, Sendable, CaseIterable {
    /// Hand them the entries that ask for no more than the executable link, and no others.
    case serve
    /// Hand them nothing.
    case refuse
}
