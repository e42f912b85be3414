package import AgentDomain
internal import LinuxKernel
package import SPIFFE

/// First level: ids and groups from `/proc/PID/status`, path and digest of the file the process executes.
///
/// Selectors are spelt as the field spells them: `unix:uid`, `user`, `gid`, `group`, `supplementary_gid`,
/// `supplementary_group`, `path`, `sha256`. What this level cannot refuse is listed in the module's documentation.
package struct UnixAttestor: WorkloadAttestor {
    /// The largest executable hashed, in bytes; the digest of a larger one is unknown.
    package static let defaultSizeLimit: Int64 = 1 << 29

    private let budget: HashingBudget

    /// Creates the attestor.
    ///
    /// - Parameter sizeLimit: The largest executable hashed, in bytes.
    package init(sizeLimit: Int64 = defaultSizeLimit) {
        budget = HashingBudget(places: 2, sizeLimit: sizeLimit)
    }

    package func attest(
        _ peer: PeerProcess, needsDigest: @Sendable (Set<Selector>) -> Bool
    ) async throws(AttestationError) -> Set<Selector> {
        guard peer.handle.isAlive else { throw .gone }
        let directory: ProcessDirectory
        let credentials: ProcessCredentials
        do {
            directory = try ProcessDirectory(of: peer.handle)
            credentials = try directory.credentials()
        } catch { throw peer.handle.isAlive ? .unreadable(detail: "\(error)") : .gone }
        // The ids now must be those at connect: a process that has changed them since is another principal.
        guard credentials.uid == peer.credentials.uid, credentials.gid == peer.credentials.gid else {
            throw .unreadable(detail: "its ids have changed since it connected")
        }
        var selectors = UnixSelectors.of(credentials)
        if let path = try? directory.executablePath() { selectors.formUnion(UnixSelectors.path(path)) }
        if needsDigest(selectors), let digest = try await digest(of: directory, for: credentials.uid) {
            selectors.formUnion(UnixSelectors.digest(digest))
        }
        guard peer.handle.isAlive else { throw .gone }
        return selectors
    }

    package func isPresent(_ peer: PeerProcess) -> Bool { peer.handle.isAlive }

    private func digest(
        of directory: ProcessDirectory, for uid: UInt32
    ) async throws(AttestationError) -> String? {
        // Opened through /proc/PID/exe: the inode that runs, whatever stands at its path now.
        guard let file = try? directory.openExecutable() else { return nil }
        do { return try await budget.digest(of: file, for: uid) } catch {
            throw .unreadable(detail: "too many executables of this user are being examined")
        }
    }
}
