package import Foundation

/// A process that held an identity and stopped being what it was attested as.
package struct Incident: Hashable, Sendable {
    package let at: Date
    /// What happened, such as `executed` or `traced`.
    package let kind: String
    /// More about it, for admins.
    package let detail: String
    /// The run of the process.
    package let instance: String
    package let pid: Int32
    package let uid: UInt32
    /// The entries whose identities it held.
    package let entryIDs: [String]

    package init(
        at: Date, kind: String, detail: String, instance: String, pid: Int32, uid: UInt32, entryIDs: [String]
    ) {
        self.at = at
        self.kind = kind
        self.detail = detail
        self.instance = instance
        self.pid = pid
        self.uid = uid
        self.entryIDs = entryIDs
    }
}
