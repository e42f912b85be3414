import IssuerDomain
import KeyStore
import Testing

@Suite("Signing keys in memory")
struct MemoryKeyStoreTests {
    @Test("A key is found again by name until it is deleted, and nobody else finds it")
    func life() async throws {
        let store = MemoryKeyStore()
        let made = try await store.generate("x509-1", type: .ecP256)
        #expect(try await store.key("x509-1").publicKeyDER == made.publicKeyDER)
        #expect(try await store.names() == ["x509-1"])
        await #expect(throws: KeyStoreError.missing(name: "x509-1")) { try await MemoryKeyStore().key("x509-1") }
        try await store.delete("x509-1")
        try await store.delete("x509-1")
        await #expect(throws: KeyStoreError.missing(name: "x509-1")) { try await store.key("x509-1") }
        #expect(try await store.names().isEmpty)
    }

    @Test("A name is taken once, and the first key stays")
    func taken() async throws {
        let store = MemoryKeyStore()
        let made = try await store.generate("x509-1", type: .ecP256)
        await #expect(throws: KeyStoreError.failed(detail: "a key named 'x509-1' exists already")) {
            try await store.generate("x509-1", type: .ecP256)
        }
        #expect(try await store.key("x509-1").publicKeyDER == made.publicKeyDER)
    }

    @Test("Names are the same as on disk", arguments: ["../x", "", "A", "a b", String(repeating: "a", count: 129)])
    func names(name: String) async {
        await #expect(throws: KeyStoreError.missing(name: name)) {
            try await MemoryKeyStore().generate(name, type: .ecP256)
        }
    }

    @Test("It says that it does not outlive the process")
    func durability() { #expect(!MemoryKeyStore().outlivesProcess) }
}
