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
}
