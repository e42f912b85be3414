package import Bootstrap
package import NodeAttestation
package import Platform
package import SPIFFE
package import WorkloadAttestation

/// Everything a node agent needs to know before it starts; already judged.
package struct AgentConfiguration: Sendable {
    package var trustDomain: TrustDomain
    package var workloadSocket: UnixSocketPath
    /// Where root asks about processes.
    package var adminSocket: UnixSocketPath
    /// The largest executable hashed, in bytes.
    package var executableSizeLimit: Int64
    /// What the exec journal looks at; nil for no journal.
    package var journal: ExecJournalConfiguration?
    /// Where metrics are handed out; nil for nowhere.
    package var metrics: (host: String, port: Int)?

    package init(
        trustDomain: TrustDomain, workloadSocket: UnixSocketPath, adminSocket: UnixSocketPath,
        executableSizeLimit: Int64 = HashingBudget.defaultSizeLimit,
        journal: ExecJournalConfiguration? = ExecJournalConfiguration()
    ) {
        self.trustDomain = trustDomain
        self.workloadSocket = workloadSocket
        self.adminSocket = adminSocket
        self.executableSizeLimit = executableSizeLimit
        self.journal = journal
    }
}

/// How a node agent reaches an issuer that is another process.
package struct RemoteIssuer: Sendable {
    package var address: ServerAddress
    /// Whom to trust on first contact; nil when a bundle was kept from an earlier run.
    package var bootstrapBundle: TrustBundle?
    /// Goes before ``prover``.
    package var joinToken: SecretText?
    /// What this node shows to be let in, again and again; nil when it has but a join token.
    package var prover: (any NodeProver)?
    package var folder: StateFolder
    /// What to do about a server that has become a stranger; nil to wait.
    package var rebootstrap: RebootstrapPlan?

    package init(
        address: ServerAddress, bootstrapBundle: TrustBundle?, joinToken: SecretText?,
        prover: (any NodeProver)? = nil, folder: StateFolder, rebootstrap: RebootstrapPlan? = nil
    ) {
        self.prover = prover
        self.address = address
        self.bootstrapBundle = bootstrapBundle
        self.joinToken = joinToken
        self.folder = folder
        self.rebootstrap = rebootstrap
    }
}
