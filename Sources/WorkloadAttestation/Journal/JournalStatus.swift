/// What the exec journal is doing, for people and for metrics.
package struct JournalStatus: Hashable, Sendable {
    /// Why there is no journal; nil when it runs.
    package var unavailable: String?
    /// Processes recorded now.
    package var processes = 0
    package var counts = ExecLedger.Counts()
    /// How often an image was judged, by how it ended: `measured`, `pending`, or the reason why not.
    package var judged: [String: UInt64] = [:]
    /// Programs that wait to be hashed, and that are being hashed.
    package var hashing = 0
    /// Processors whose mappings are watched.
    package var processors = 0
    /// File systems whose execs are reported.
    package var fileSystems: [String] = []
    /// What could not be marked, and why.
    package var unmarked: [String: String] = [:]
    /// The guard of scripts: nil when nothing is guarded, else how it is.
    package var guardState: String?
    /// Execs that were held, and those that the guardian let go because this process did not answer.
    package var held: UInt64 = 0
    package var letGo: UInt64 = 0
    /// Scripts whose closing is reported now.
    package var guardedScripts = 0
    /// Scripts that are watched for writers now.
    package var leases = 0

    package init(unavailable: String? = nil) { self.unavailable = unavailable }
}
