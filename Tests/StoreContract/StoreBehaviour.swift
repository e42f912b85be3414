package import IssuerDomain
internal import Testing

/// Everything the issuer keeps, in one place.
package typealias IssuerStore = AgentStore & ApprovalStore & AuthorityStore & EntryStore & FederationStore
    & IssuanceRecords

/// Opens one place of storage.
///
/// Each call sees what was made durable through the earlier ones.
package typealias StoreFactory = @Sendable () async throws -> any IssuerStore

/// Something that every implementation of the storage ports must show, whatever it keeps its data in.
package struct StoreBehaviour: Sendable, CustomTestStringConvertible {
    /// A sentence.
    package let name: String
    private let body: @Sendable (StoreFactory) async throws -> Void

    init(_ name: String, _ body: @escaping @Sendable (StoreFactory) async throws -> Void) {
        (self.name, self.body) = (name, body)
    }

    package var testDescription: String { name }

    /// Records an issue for everything that is not as it must be.
    ///
    /// - Parameter open: Opens a place of storage that is empty at first and belongs to this call alone.
    /// - Throws: What the store throws where it should not.
    package func check(_ open: StoreFactory) async throws { try await body(open) }

    /// Every behaviour of every port.
    package static var all: [StoreBehaviour] {
        EntryStoreContract.behaviours + AgentStoreContract.behaviours + AuthorityStoreContract.behaviours
            + FederationStoreContract.behaviours + LedgerContract.behaviours
    }
}
