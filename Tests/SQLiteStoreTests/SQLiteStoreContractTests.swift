import SQLiteStore
import StoreContract
import TestSupport
import Testing

@Suite("The SQLite store and the fake keep one contract")
struct SQLiteStoreContractTests {
    @Test("The SQLite store keeps the contract", arguments: StoreBehaviour.all)
    func sqlite(_ behaviour: StoreBehaviour) async throws {
        try await TemporaryFolder.use { folder in
            try await behaviour.check {
                try SQLiteStore(path: "\(folder)/store.db", trustDomain: Sample.trustDomain())
            }
        }
    }

    @Test("The store in memory, which other tests rely on, keeps it too", arguments: StoreBehaviour.all)
    func memory(_ behaviour: StoreBehaviour) async throws {
        let store = MemoryStore()
        try await behaviour.check { store }
    }
}
