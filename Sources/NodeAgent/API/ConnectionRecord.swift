internal import AgentDomain
internal import Synchronization
internal import WorkloadAttestation

/// What is remembered of one connection: the examination of its process, and which identities it was given.
final class ConnectionRecord: Sendable {
    /// Why there is none, if the process could not be looked at.
    let session: Result<EvidenceSession, AttestationError>

    private struct State {
        var entryIDs: Set<String> = []
        /// Ends with the connection.
        var watch: ProcessWatch?
        var isReported = false
    }

    private let state = Mutex(State())

    init(_ session: Result<EvidenceSession, AttestationError>) { self.session = session }

    /// Keeps a watch for as long as the connection lives.
    func keep(_ watch: ProcessWatch) { state.withLock { $0.watch = watch } }

    /// Notes that identities were handed out.
    func served(_ entries: [AuthorizedEntry]) {
        state.withLock { for entry in entries { $0.entryIDs.insert(entry.id) } }
    }

    /// The entries served so far, for the one report that is made of a connection.
    ///
    /// - Returns: nil when nothing was served, or a report has been made.
    func takeForReport() -> [String]? {
        state.withLock { state in
            guard !state.isReported, !state.entryIDs.isEmpty else { return nil }
            state.isReported = true
            return state.entryIDs.sorted()
        }
    }

    /// Lets go of everything.
    func close() { state.withLock { $0.watch = nil } }
}
