package import AgentDomain
internal import Synchronization
package import WorkloadAttestation

/// What is remembered of one connection: the examination of its process, and which identities it was given.
package final class ConnectionRecord: Sendable {
    /// Why there is none, if the process could not be looked at.
    let session: Result<EvidenceSession, AttestationError>

    private struct State {
        var entryIDs: Set<String> = []
        /// Ends with the connection.
        var watch: ProcessWatch?
        var reported: Set<String> = []
    }

    private let state = Mutex(State())

    package init(_ session: Result<EvidenceSession, AttestationError>) { self.session = session }

    /// Keeps a watch for as long as the connection lives.
    func keep(_ watch: ProcessWatch) { state.withLock { $0.watch = watch } }

    /// Notes that identities were handed out.
    package func served(_ entries: [AuthorizedEntry]) {
        state.withLock { for entry in entries { $0.entryIDs.insert(entry.id) } }
    }

    /// The entries served so far, for a report.
    ///
    /// - Parameters:
    ///   - kind: What happened; each kind is reported once of a connection.
    ///   - isConsequence: Whether it follows from what happened before, and says nothing new when that was reported.
    /// - Returns: nil when nothing was served, or there is nothing to report.
    package func takeForReport(_ kind: String, isConsequence: Bool = false) -> [String]? {
        state.withLock { state in
            guard !state.entryIDs.isEmpty, !isConsequence || state.reported.isEmpty,
                state.reported.insert(kind).inserted
            else { return nil }
            return state.entryIDs.sorted()
        }
    }

    /// Lets go of everything.
    func close() { state.withLock { $0.watch = nil } }
}
