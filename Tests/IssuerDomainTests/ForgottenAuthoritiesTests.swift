import IssuerDomain
import KeyStore
import SPIFFE
import StoreContract
import Testing

@Suite("Authorities whose keys were in memory")
struct ForgottenAuthoritiesTests {
    @Test("After a restart without its keys a server signs with new ones, and what it signed before is still trusted")
    func restart() async throws {
        let store = MemoryStore()
        let first = try await TestIssuer(store: store)
        let before = first.keeper.snapshot
        let server = try #require(Sample.server)
        try await ForgottenAuthorities.retire(of: server, in: store)
        let second = try await TestIssuer(store: store, seed: 2)
        let after = second.keeper.snapshot
        #expect(after.x509.record.id != before.x509.record.id)
        #expect(after.jwt.keyID != before.jwt.keyID)
        #expect(after.bundle.x509.authorities.contains(before.x509.certificate))
        #expect(after.bundle.jwt.authorities[before.jwt.keyID] != nil)
        #expect(after.records.filter { $0.state == .retired }.map(\.id).sorted() == before.records.map(\.id).sorted())
    }

    @Test("Authorities of other servers stay as they are, and nothing to retire writes nothing")
    func others() async throws {
        let store = MemoryStore()
        let issuer = try await TestIssuer(store: store)
        let writes = store.writes
        let other = try #require(ServerID("00000000-0000-4000-8000-00000000ffff"))
        try await ForgottenAuthorities.retire(of: other, in: store)
        #expect(store.writes == writes)
        #expect(try await store.loadAuthorities().authorities.allSatisfy { $0.state == .active })
        #expect(issuer.keeper.snapshot.records.count == 2)
    }

    @Test("A store whose keys are gone, and that should have kept them, is an error at the start")
    func lostKeys() async throws {
        let store = MemoryStore()
        let first = try await TestIssuer(store: store)
        let name = try #require(first.keeper.snapshot.x509.record.keyName)
        await #expect(throws: AuthorityError.keyStore(.missing(name: name))) {
            try await TestIssuer(store: store, seed: 2)
        }
    }
}
