package import Foundation
package import SPIFFE

/// A node agent that proved itself to this issuer.
package struct AttestedAgent: Hashable, Sendable, Identifiable {
    package let id: SPIFFEID
    package let attestationType: String
    /// Serial number of the agent's SVID, lower-case hex.
    package var serial: String
    /// A renewed SVID that the agent has not used yet; both are good until it does.
    package var pendingSerial: String?
    package var expiresAt: Date
    package var selectors: [Selector]
    package var isBanned: Bool
    package var canReattest: Bool
    package var version: String
    /// The key by which the node may come back after its SVID has ended: SubjectPublicKeyInfo of P-256, DER.
    package var nodeKey: [UInt8]?
    /// The sequence number of the bundle that it said it holds.
    package var bundleSerial: UInt64?
    /// When it was last heard of, to the minute; whole seconds.
    package var lastSeen: Date?

    package init(
        id: SPIFFEID, attestationType: String, serial: String, expiresAt: Date, selectors: [Selector],
        canReattest: Bool
    ) {
        self.id = id
        self.attestationType = attestationType
        self.serial = serial
        self.expiresAt = expiresAt
        self.selectors = selectors
        self.canReattest = canReattest
        isBanned = false
        version = ""
    }

    /// Takes over what an earlier record of the same agent says of it, which a new proof does not.
    mutating func inherit(_ earlier: AttestedAgent) {
        (version, bundleSerial, lastSeen) = (earlier.version, earlier.bundleSerial, earlier.lastSeen)
    }
}
