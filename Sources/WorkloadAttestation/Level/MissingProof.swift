package import SPIFFE

/// Something that would have to be shown for a level to be reached.
package struct MissingProof: Hashable, Sendable {
    /// The lowest level that needs it.
    package let level: AssuranceLevel
    package let proof: Proof
    /// Why it is missing; for admins.
    package let reason: String

    package init(level: AssuranceLevel, proof: Proof, reason: String) {
        (self.level, self.proof, self.reason) = (level, proof, reason)
    }

    /// What has to be shown, by names that tools may branch on.
    package enum Proof: String, Hashable, Sendable, CaseIterable {
        /// The PID namespace is the initial user namespace's.
        case ownNumber = "own-number"
        case executableDigest = "executable-digest"
        /// The agent may look at all processes.
        case privilegedAgent = "privileged-agent"
        case pinnedConnection = "pinned-connection"
        case liveConnection = "live-connection"
        case sameImage = "same-image"
        /// The executable link names what the journal saw executed.
        case executedFile = "executed-file"
        case namespaces
        case fileSystem = "file-system"
        case notTraced = "not-traced"
        case untainted
        case entryPoint = "entry-point"
        /// Admitted where an entry admits JIT compilers.
        case noAnonymousCode = "no-anonymous-code"
        case unchangedCode = "unchanged-code"
        case measuredExec = "measured-exec"
        case measuredScripts = "measured-scripts"
        case knownLibraries = "known-libraries"
        /// Met by an entry that names the libraries which others than root could have made.
        case vouchedLibraries = "vouched-libraries"

        /// Whether an entry can do without it.
        var isAboutJIT: Bool { self == .noAnonymousCode }
    }
}

extension MissingProof: CustomStringConvertible {
    /// `AL2 needs not-traced: process 17 traces it`.
    package var description: String { "\(level) needs \(proof.rawValue): \(reason)" }
}
