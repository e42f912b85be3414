import Foundation
import IssuerDomain
import KeyStore
import Logging
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing
import X509

@Suite("Keeping authorities")
struct AuthorityKeeperTests {
    @Test("The first start makes one X.509 and one JWT authority, both active and published (ID-15)")
    func firstStart() async throws {
        let test = try await TestIssuer()
        let records = test.keeper.snapshot.records
        #expect(records.count == 2)
        #expect(Set(records.map(\.kind)) == [.x509, .jwt])
        #expect(records.allSatisfy { $0.state == .active })
        let bundle = test.keeper.snapshot.bundle
        #expect(bundle.x509.authorities.count == 1)
        #expect(Array(bundle.jwt.authorities.keys) == [test.keeper.snapshot.jwt.keyID])
        #expect(bundle.trustDomain == (try Given.trustDomain()))
        #expect(bundle.sequence == 2)
        #expect(test.feed.revision == 2)
        #expect(try await test.keys.names().sorted() == records.compactMap(\.keyName).sorted())
    }

    @Test("Authorities start a little in the past and live as long as they should")
    func lifetimes() async throws {
        let test = try await TestIssuer(lifetime: .seconds(7200))
        for record in test.keeper.snapshot.records {
            #expect(record.notBefore == Given.start - AuthorityKeeper.backdate)
            #expect(record.notAfter == Given.start + 7200)
        }
        let certificate = test.keeper.snapshot.x509.certificate
        #expect(certificate.notValidBefore == Given.start - AuthorityKeeper.backdate)
        #expect(certificate.notValidAfter == Given.start + 7200)
    }

    @Test("A restart keeps the authorities, the keys and the bundle")
    func restart() async throws {
        let first = try await TestIssuer()
        let again = try await TestIssuer(store: first.store, keys: first.keys, now: Given.start + 60, seed: 2)
        #expect(Set(again.keeper.snapshot.records) == Set(first.keeper.snapshot.records))
        #expect(again.keeper.snapshot.bundle == first.keeper.snapshot.bundle)
        #expect(again.keeper.snapshot.x509.key.publicKeyDER == first.keeper.snapshot.x509.key.publicKeyDER)
        #expect(first.store.writes == 1, "nothing was due, so nothing was written")
        #expect(again.feed.revision == first.feed.revision)
    }

    @Test("Keys that no record names are named at the start, and never destroyed")
    func orphanKeys() async throws {
        let first = try await TestIssuer()
        _ = try await first.keys.generate("x509-orphan", type: .ecP256)
        let again = try await TestIssuer(store: first.store, keys: first.keys, seed: 2)
        #expect(try await again.keys.names().contains("x509-orphan"))
        #expect(again.keeper.snapshot.records.count == 2)
        let warnings = again.logs.records.filter { $0.level == .warning }
        #expect(warnings.compactMap { $0.metadata["key.name"]?.description } == ["x509-orphan"])
        #expect(first.logs.messages(from: .warning).isEmpty)
    }

    @Test("A crash between making keys and recording them leads to no second authority (first start)")
    func crashAtFirstStart() async throws {
        let (store, keys) = (MemoryStore(), MemoryKeyStore())
        store.failWrites(with: .failed(detail: "crash"))
        let error = await #expect(throws: AuthorityError.self) { try await TestIssuer(store: store, keys: keys) }
        #expect(error == .store(.failed(detail: "crash")))
        #expect(try await keys.names().isEmpty, "keys of what was never recorded are destroyed")
        store.failWrites(with: nil)
        let again = try await TestIssuer(store: store, keys: keys, seed: 2)
        #expect(try await store.loadAuthorities().authorities.count == 2)
        let named = again.keeper.snapshot.records.compactMap(\.keyName)
        #expect(Set(named).isSubset(of: try await keys.names()))
        #expect(again.logs.messages(from: .warning).isEmpty)
    }

    @Test("A write that fails while tending leaves everything as it was, and the next try makes up for it")
    func crashWhileTending() async throws {
        let test = try await TestIssuer()
        let before = test.keeper.snapshot
        let later = Given.start + 13 * 3600
        test.store.failWrites(with: .full(detail: "disk"))
        await #expect(throws: AuthorityError.store(.full(detail: "disk"))) {
            try await test.keeper.tend(now: later, using: SeededEntropy(7))
        }
        #expect(test.keeper.snapshot.records == before.records)
        #expect(test.keeper.snapshot.bundle == before.bundle)
        #expect(test.feed.revision == 2)
        #expect(try await test.keys.names().count == 2, "no key is left behind by what failed")
        test.store.failWrites(with: nil)
        #expect(try await test.keeper.tend(now: later, using: SeededEntropy(8)))
        let records = test.keeper.snapshot.records
        #expect(records.count { $0.state == .prepared } == 2)
        #expect(Set(records.compactMap(\.keyName)).isSubset(of: try await test.keys.names()))
        #expect(records.count { $0.state == .active } == 2)
    }

    @Test("A key store that fails changes nothing")
    func failingKeys() async throws {
        let test = try await TestIssuer()
        test.keys.fail(with: .failed(detail: "disk"))
        await #expect(throws: AuthorityError.keyStore(.failed(detail: "disk"))) {
            try await test.keeper.tend(now: Given.start + 13 * 3600, using: SeededEntropy(7))
        }
        #expect(test.store.writes == 1)
        #expect(test.keeper.snapshot.records.count == 2)
    }

    @Test("A key that cannot be destroyed is named, and destroyed with the next change or the next start")
    func undestroyed() async throws {
        let test = try await TestIssuer()
        let old = test.keeper.snapshot.jwt.record
        let next = try await test.keeper.prepare(.jwt, now: Given.start, using: SeededEntropy(4))
        _ = try await test.keeper.activate(.jwt, id: next.id, now: Given.start)
        _ = try await test.keeper.taint(.jwt, id: old.id)
        let name = try #require(old.keyName)
        test.keys.failDeletion(with: .failed(detail: "token is away"))
        _ = try await test.keeper.revoke(.jwt, id: old.id)
        #expect(test.keeper.snapshot.bundle.jwt.authorities[old.id] == nil, "it is revoked all the same")
        #expect(test.logs.records.contains { $0.level == .error && $0.metadata["key.name"]?.description == name })
        #expect(try await test.keys.names().contains(name))
        test.keys.failDeletion(with: nil)
        #expect(try await !test.keeper.tend(now: Given.start, using: SeededEntropy(5)))
        #expect(try await !test.keys.names().contains(name))
        // As after a crash between the two.
        _ = try await test.keys.generate(name, type: .ecP256)
        _ = try await TestIssuer(store: test.store, keys: test.keys, seed: 6)
        #expect(try await !test.keys.names().contains(name))
    }

    @Test("A missing or foreign key stops the start instead of making a new authority")
    func missingKey() async throws {
        let test = try await TestIssuer()
        let name = try #require(test.keeper.snapshot.x509.record.keyName)
        try await test.keys.delete(name)
        await #expect(throws: AuthorityError.keyStore(.missing(name: name))) {
            try await TestIssuer(store: test.store, keys: test.keys)
        }
        _ = try await test.keys.generate(name, type: .ecP256)
        await #expect(throws: AuthorityError.damaged(id: test.keeper.snapshot.x509.record.id)) {
            try await TestIssuer(store: test.store, keys: test.keys)
        }
        #expect(try await test.store.loadAuthorities().authorities.count == 2)
    }

    @Test("A record that cannot be read back stops the start", arguments: [AuthorityRecord.Kind.x509, .jwt])
    func damagedRecord(kind: AuthorityRecord.Kind) async throws {
        let (store, keys) = (MemoryStore(), MemoryKeyStore())
        let record = Sample.authority("broken", kind)
        _ = try await store.apply([AuthorityChange.put(record)])
        await #expect(throws: AuthorityError.damaged(id: "broken")) { try await TestIssuer(store: store, keys: keys) }
    }

    @Test(
        "A clock before the authorities replaces them with a warning; a second of slack does not",
        arguments: [(-12, true), (-11, false), (-10, false), (0, false)])
    func clockBefore(offset: TimeInterval, isReplaced: Bool) async throws {
        let test = try await TestIssuer()
        let again = try await TestIssuer(
            store: test.store, keys: test.keys, now: Given.start + offset, seed: 2)
        #expect(again.keeper.snapshot.records.count == (isReplaced ? 4 : 2))
        #expect(again.logs.messages(from: .warning).count == (isReplaced ? 1 : 0))
        #expect(again.keeper.snapshot.bundle.x509.authorities.contains(test.keeper.snapshot.x509.certificate))
        #expect(test.store.writes == (isReplaced ? 2 : 1))
    }

    @Test("Tending does nothing while nothing is due")
    func nothingDue() async throws {
        let test = try await TestIssuer()
        for hour in 0..<12 {
            #expect(try await !test.keeper.tend(now: Given.start + Double(hour) * 3600, using: SeededEntropy(9)))
        }
        #expect(test.store.writes == 1)
        #expect(test.keeper.snapshot.bundle.sequence == 2)
    }

    @Test("A rotation publishes the successor first, then signs with it, then drops the old one (FED-03, FED-04)")
    func rotation() async throws {
        let test = try await TestIssuer()
        let old = test.keeper.snapshot
        #expect(try await test.keeper.tend(now: Given.start + 12.5 * 3600, using: SeededEntropy(7)))
        let prepared = test.keeper.snapshot
        #expect(prepared.bundle.x509.authorities.count == 2)
        #expect(prepared.bundle.jwt.authorities.count == 2)
        #expect(prepared.x509.record.id == old.x509.record.id, "it is known before it signs")
        #expect(prepared.jwt.keyID == old.jwt.keyID)

        #expect(try await test.keeper.tend(now: Given.start + 20.5 * 3600, using: SeededEntropy(8)))
        let rotated = test.keeper.snapshot
        #expect(rotated.x509.record.id != old.x509.record.id)
        #expect(rotated.jwt.keyID != old.jwt.keyID)
        #expect(prepared.bundle.x509.authorities.contains(rotated.x509.certificate))
        #expect(rotated.bundle.x509.authorities.contains(old.x509.certificate), "what it signed is still alive")

        for hour in stride(from: 24, through: 50, by: 1) {
            try await test.keeper.tend(now: Given.start + Double(hour) * 3600, using: SeededEntropy(UInt64(hour)))
        }
        #expect(!test.keeper.snapshot.records.contains { $0.id == old.x509.record.id })
        #expect(!test.keeper.snapshot.bundle.x509.authorities.contains(old.x509.certificate))
        #expect(try await !test.keys.names().contains(try #require(old.x509.record.keyName)), "its key is destroyed")
    }

    @Test("The sequence grows when authorities change and only then, and each is announced (BUNDLE-04)")
    func sequence() async throws {
        let test = try await TestIssuer()
        var (sequence, records) = (test.keeper.snapshot.bundle.sequence ?? 0, Set(test.keeper.snapshot.records))
        var changes = 0
        for hour in 1...120 {
            let changed = try await test.keeper.tend(
                now: Given.start + Double(hour) * 3600, using: SeededEntropy(UInt64(hour)))
            let snapshot = test.keeper.snapshot
            let new = try #require(snapshot.bundle.sequence)
            #expect(changed == (Set(snapshot.records) != records))
            #expect(changed ? new > sequence : new == sequence)
            #expect(test.feed.revision == new)
            (sequence, records) = (new, Set(snapshot.records))
            changes += changed ? 1 : 0
        }
        #expect(changes > 10)
    }

    @Test("A restart at any hour publishes the same bundle under the same sequence (BUNDLE-04)")
    func restartsKeepTheBundle() async throws {
        let test = try await TestIssuer()
        // Steps that divide no lifetime, so that authorities end between changes.
        var (entropy, now) = (SeededEntropy(17), Given.start)
        var differences: [Date] = []
        for step in 1...500 {
            now += .random(in: 30...900, using: &entropy)
            try await test.keeper.tend(now: now, using: SeededEntropy(UInt64(step)))
            let restarted = try await TestIssuer(store: test.store, keys: test.keys, now: now, seed: 99)
            let (before, after) = (test.keeper.snapshot.bundle, restarted.keeper.snapshot.bundle)
            #expect(before.sequence == after.sequence)
            if before != after { differences.append(now) }
        }
        #expect(differences.isEmpty)
    }

    @Test("Many who tend at once do what is due once")
    func concurrentTending() async throws {
        let test = try await TestIssuer()
        let changes = try await withThrowingTaskGroup(of: Bool.self) { group in
            for seed in 0..<20 {
                group.addTask {
                    try await test.keeper.tend(now: Given.start + 13 * 3600, using: SeededEntropy(UInt64(seed)))
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(changes == 1)
        #expect(test.keeper.snapshot.records.count == 4)
    }

    @Test("Every change is logged with the authority it is about, and no log shows a key")
    func logs() async throws {
        let test = try await TestIssuer()
        try await test.keeper.tend(now: Given.start + 13 * 3600, using: SeededEntropy(7))
        let records = test.logs.records.filter { $0.message == "authority changed" }
        #expect(records.count == 2)
        #expect(Set(records.compactMap { $0.metadata["authority.kind"]?.description }) == ["x509", "jwt"])
        #expect(records.allSatisfy { $0.metadata["authority.state"]?.description == "prepared" })
    }

    @Test("Authorities have keys of the types asked for", arguments: [SigningKeyType.ecP256, .ecP384, .rsa2048])
    func keyTypes(type: SigningKeyType) async throws {
        let test = try await TestIssuer(x509KeyType: type, jwtKeyType: type)
        #expect(test.keeper.snapshot.x509.key.type == type)
        #expect(test.keeper.snapshot.jwt.key.type == type)
    }

    @Test("Every error says what is wrong")
    func errorTexts() {
        let texts = [
            AuthorityError.damaged(id: "x"), .keyStore(.missing(name: "k")), .store(.full(detail: "d")),
            .refused(detail: "r"), .notAllowed(.early(id: "x")), .notAllowed(.ended(id: "x")),
        ].map { "\($0)" }
        #expect(Set(texts).count == 6)
    }
}
