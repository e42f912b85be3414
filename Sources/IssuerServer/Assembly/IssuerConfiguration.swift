package import Bootstrap
package import IssuerDomain
internal import Logging
package import OutboundHTTP
internal import Platform
package import SPIFFE

/// Everything an issuer needs to know before it starts; already judged.
package struct IssuerConfiguration: Sendable {
    package var trustDomain: TrustDomain
    package var databasePath: String
    /// Where keys are that are kept on disk.
    package var keyFolder: String
    package var keyStore = KeyStoreSettings.disk(secret: nil)
    /// What stands above this issuer; nil when it vouches for itself.
    package var upstream: UpstreamSettings?
    /// Where this server keeps which of the trust domain's servers it is.
    package var serverIDPath: String
    package var adminSocket: UnixSocketPath
    /// Where agents connect; nil when the only agent is in the same process.
    package var listener: ListeningEndpoint?
    package var authorities: AuthorityKeeper.Settings
    package var svids: SVIDIssuer.Settings
    /// The terms of entries for which nobody says any.
    package var assurance: AssuranceDefaults
    package var legacyAgents: LegacyAgentPolicy
    package var access: AccessSettings
    /// Ways to let nodes in, beside join tokens.
    package var nodeAttestors: [NodeAttestorPlan] = []
    /// How attestors call others.
    package var fetcher: any HTTPFetcher = AsyncHTTPFetcher()
    /// How long a node may take to be let in.
    package var attestationPatience = Duration.seconds(45)
    /// Where the store's security revision is noted; beside the store unless said otherwise.
    package var securityMarkPath: String
    /// Where records of issuance wait for the database.
    package var spoolFolder: String
    /// Where keys are noted that may be in no record.
    var keyNotesPath: String { "\(databasePath)-loose-keys" }
    /// Whose files say what entries there are; nil for none.
    package var entriesFolder: String?
    /// Under which agent their entries stand that name no parent; nil for none but the one in this process.
    package var entriesParent: SPIFFEID?
    /// The same, once it is known which agents there can be.
    var standInParent: SPIFFEID? {
        guard listener == nil else { return entriesParent }
        return entriesParent ?? (try? SPIFFEID(trustDomain: trustDomain, path: "/spire/agent/embedded"))
    }
    /// Where metrics are handed out; nil for nowhere.
    package var metrics: (host: String, port: Int)?

    package init(
        trustDomain: TrustDomain, databasePath: String, keyFolder: String, serverIDPath: String,
        adminSocket: UnixSocketPath, listener: ListeningEndpoint? = nil,
        authorities: AuthorityKeeper.Settings = .init(),
        svids: SVIDIssuer.Settings = .init(), assurance: AssuranceDefaults = .init(),
        legacyAgents: LegacyAgentPolicy = .serve, entriesFolder: String? = nil, access: AccessSettings = .init()
    ) {
        self.trustDomain = trustDomain
        self.databasePath = databasePath
        securityMarkPath = "\(databasePath)-mark"
        spoolFolder = "\(databasePath)-records"
        self.keyFolder = keyFolder
        self.serverIDPath = serverIDPath
        self.adminSocket = adminSocket
        self.listener = listener
        self.authorities = authorities
        self.svids = svids
        self.assurance = assurance
        self.legacyAgents = legacyAgents
        self.access = access
        self.entriesFolder = entriesFolder
    }
}

/// How to meet agents that cannot judge by assurance levels, such as those of another make.
package enum LegacyAgentPolicy: String, Hashable, Sendable, CaseIterable {
    /// Hand them the entries that ask for no more than the executable link, and no others.
    case serve
    /// Hand them nothing.
    case refuse
}
