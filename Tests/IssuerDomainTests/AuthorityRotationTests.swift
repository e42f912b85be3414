import Crypto
import Foundation
import IssuerDomain
import Logging
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing
import X509

@Suite("Authorities over many generations")
struct AuthorityRotationTests {
    /// Short enough for many generations, long enough for whole seconds.
    private static let lifetime: TimeInterval = 120

    @Test("Over two hundred generations, restarted at every step, every SVID stays valid for as long as it says")
    func generations() async throws {
        var test = try await TestIssuer(
            lifetime: .seconds(Self.lifetime), svids: .init(x509TTL: .seconds(20), jwtTTL: .seconds(20)))
        var watch = Watch()
        var now = Given.start
        var entropy = SeededEntropy(3)
        while watch.signers.count < 201 {
            now += .random(in: 1...8, using: &entropy)
            try await test.keeper.tend(now: now, using: SeededEntropy(entropy.next()))
            try watch.issue(by: test, now: now)
            try watch.verify(by: test, now: now)
            let before = test.keeper.snapshot
            test = try await TestIssuer(
                store: test.store, keys: test.keys, now: now, lifetime: .seconds(Self.lifetime),
                svids: .init(x509TTL: .seconds(20), jwtTTL: .seconds(20)), seed: entropy.next())
            #expect(test.keeper.snapshot.bundle == before.bundle)
            #expect(test.keeper.snapshot.records.count <= 10)
        }
        // Each signs for half of its life: two generations in one lifetime.
        let lifetimes = now.timeIntervalSince(Given.start) / Self.lifetime
        #expect(abs(lifetimes - 100) < 20, "\(lifetimes) lifetimes for two hundred generations")
        #expect(try await test.keys.names().count <= 10, "keys of dropped authorities are destroyed")
        #expect(watch.verified > 2000)
        #expect(watch.cut == 0, "a sixth of the authority's life is never cut short")
    }

    @Test("Two servers on one store each sign with their own authorities, and publish both")
    func twoServers() async throws {
        let store = MemoryStore()
        let keys = [MemoryKeyStore(), MemoryKeyStore()]
        let servers = [Sample.server, Sample.otherServer]
        func open(_ index: Int, now: Date, seed: UInt64) async throws -> TestIssuer {
            try await TestIssuer(
                store: store, keys: keys[index], now: now, lifetime: .seconds(Self.lifetime),
                svids: .init(x509TTL: .seconds(20), jwtTTL: .seconds(20)), server: servers[index], seed: seed)
        }
        var tests = [try await open(0, now: Given.start, seed: 1), try await open(1, now: Given.start, seed: 2)]
        var watches = [Watch(), Watch()]
        var now = Given.start
        var entropy = SeededEntropy(5)
        while watches.map(\.signers.count).min() ?? 0 < 40 {
            now += .random(in: 1...8, using: &entropy)
            for index in [0, 1].shuffled(using: &entropy) {
                try await tests[index].keeper.tend(now: now, using: SeededEntropy(entropy.next()))
                try watches[index].issue(by: tests[index], now: now)
            }
            // A change of the one reaches the other when it tends next.
            for test in tests { try await test.keeper.tend(now: now, using: SeededEntropy(entropy.next())) }
            #expect(tests[0].keeper.snapshot.bundle == tests[1].keeper.snapshot.bundle)
            for (watch, test) in [(0, 1), (1, 0)] { try watches[watch].verify(by: tests[test], now: now) }
            let index = Int.random(in: 0...1, using: &entropy)
            tests[index] = try await open(index, now: now, seed: entropy.next())
        }
        #expect(watches[0].signers.isDisjoint(with: watches[1].signers))
        let own = Set(tests[0].keeper.snapshot.records.filter { $0.state == .active }.map(\.origin))
        #expect(own.count == 4, "two kinds for each of two servers")
        for (index, test) in tests.enumerated() {
            #expect(
                test.logs.messages(from: .warning).isEmpty, "server \(index): \(test.logs.messages(from: .warning))")
        }
    }

    @Test("A server that is gone leaves the bundle when the last it signed is over, and takes nobody along")
    func goneServer() async throws {
        let store = MemoryStore()
        let gone = try await TestIssuer(store: store, lifetime: .seconds(Self.lifetime), server: Sample.otherServer)
        let test = try await TestIssuer(store: store, lifetime: .seconds(Self.lifetime), seed: 2)
        let (old, end) = (gone.keeper.snapshot.x509.certificate, gone.keeper.snapshot.x509.record.notAfter)
        var now = Given.start
        while now < end + 2 * Self.lifetime + 40 {
            now += 5
            try await test.keeper.tend(now: now, using: SeededEntropy(UInt64(now.timeIntervalSince1970)))
            let isPublished = test.keeper.snapshot.bundle.x509.authorities.contains(old)
            if now <= end { #expect(isPublished) }
            if now >= end + 2 * Self.lifetime + 20 { #expect(!isPublished) }
        }
        #expect(try await gone.keys.names().count == 2, "its keys are its own business")
    }

    @Test("A server taints and revokes its own X.509 authorities alone")
    func foreignTaint() async throws {
        let store = MemoryStore()
        let other = try await TestIssuer(store: store, server: Sample.otherServer)
        let test = try await TestIssuer(store: store, seed: 2)
        let id = other.keeper.snapshot.x509.record.id
        let next = try await other.keeper.prepare(.x509, now: Given.start, using: SeededEntropy(7))
        _ = try await other.keeper.activate(.x509, id: next.id, now: Given.start)
        await #expect(throws: AuthorityError.notAllowed(.unknown(id: id))) {
            try await test.keeper.taint(.x509, id: id)
        }
        _ = try await other.keeper.taint(.x509, id: id)
        await #expect(throws: AuthorityError.notAllowed(.unknown(id: id))) {
            try await test.keeper.revoke(.x509, id: id)
        }
        try await test.keeper.tend(now: Given.start, using: SeededEntropy(8))
        #expect(test.keeper.snapshot.tainted.certificates.count == 1, "the taint is everybody's to heed")
    }

    @Test("Records of before servers had IDs go to the server that has their keys")
    func claims() async throws {
        let before = try await TestIssuer()
        let records = try await before.store.loadAuthorities().authorities
        let store = MemoryStore()
        _ = try await store.apply(
            records.map { record in
                .put(
                    AuthorityRecord(
                        id: record.id, kind: record.kind, state: record.state,
                        origin: .server(nil, keyName: record.keyName ?? ""), notBefore: record.notBefore,
                        notAfter: record.notAfter, publicDER: record.publicDER))
            })
        let stranger = try await TestIssuer(store: store, server: Sample.otherServer, seed: 3)
        #expect(stranger.keeper.snapshot.records.count == 4, "it has no key of them, so it makes its own")
        let heir = try await TestIssuer(store: store, keys: before.keys, seed: 4)
        #expect(heir.keeper.snapshot.x509.record.id == before.keeper.snapshot.x509.record.id)
        #expect(heir.keeper.snapshot.jwt.keyID == before.keeper.snapshot.jwt.keyID)
        #expect(heir.keeper.snapshot.records.count == 4)
        #expect(heir.logs.messages(from: .warning).isEmpty)
    }

    // MARK: Time

    @Test("A forward jump past the end of everything makes new authorities at once", arguments: [1, 30, 3650, 36_500])
    func jumpsAhead(days: Int) async throws {
        let test = try await TestIssuer()
        let later = Given.start + Double(days) * Given.day + 3600
        try await test.keeper.tend(now: later, using: SeededEntropy(5))
        var watch = Watch()
        try watch.issue(by: test, now: later)
        try watch.verify(by: test, now: later)
        #expect(test.keeper.snapshot.x509.record.notBefore == later - AuthorityKeeper.backdate)
        let restarted = try await TestIssuer(store: test.store, keys: test.keys, now: later, seed: 6)
        #expect(restarted.keeper.snapshot.bundle == test.keeper.snapshot.bundle)
    }

    @Test("A machine that slept for half a day goes on with what is still good")
    func sleeps() async throws {
        let test = try await TestIssuer()
        let before = test.keeper.snapshot.x509.record.id
        try await test.keeper.tend(now: Given.start + 13 * 3600, using: SeededEntropy(5))
        let prepared = try #require(test.keeper.snapshot.standing(.x509).prepared)
        // Past the end of the active one, within the life of the prepared one.
        try await test.keeper.tend(now: Given.start + 30 * 3600, using: SeededEntropy(6))
        #expect(test.keeper.snapshot.x509.record.id == prepared.id)
        #expect(test.keeper.snapshot.standing(.x509).old?.id == before)
    }

    @Test(
        "A clock set back below the authorities replaces them at once, also by a restart", arguments: [1.0, 24, 10_000])
    func stepsBack(hours: Double) async throws {
        let test = try await TestIssuer()
        let old = test.keeper.snapshot
        let earlier = Given.start - hours * 3600
        let restarted = try await TestIssuer(store: test.store, keys: test.keys, now: earlier, seed: 6)
        try await test.keeper.tend(now: earlier, using: SeededEntropy(5))
        for issuer in [test, restarted] {
            var watch = Watch()
            try watch.issue(by: issuer, now: earlier)
            try watch.verify(by: issuer, now: earlier)
            #expect(issuer.keeper.snapshot.bundle.x509.authorities.contains(old.x509.certificate))
        }
        // Right again, whatever was made meanwhile.
        for now in [Given.start + 60, Given.start + 3600] {
            try await test.keeper.tend(now: now, using: SeededEntropy(UInt64(now.timeIntervalSince1970)))
            var watch = Watch()
            try watch.issue(by: test, now: now)
            try watch.verify(by: test, now: now)
        }
    }

    @Test("A clock that was ahead at the start and is put right leaves what was good, with its keys, and signs on")
    func aheadThenBack() async throws {
        let first = try await TestIssuer()
        let good = first.keeper.snapshot
        var watch = Watch()
        try watch.issue(by: first, now: Given.start)
        let ahead = Given.start + 400 * Given.day
        let test = try await TestIssuer(store: first.store, keys: first.keys, now: ahead, seed: 2)
        try await test.keeper.tend(now: ahead + 10, mayForget: false, using: SeededEntropy(3))
        #expect(test.keeper.snapshot.x509.record.notBefore > Given.start)
        let now = Given.start + 10
        let early = try await test.keeper.prepare(.x509, now: ahead + 10, using: SeededEntropy(9))
        await #expect(throws: AuthorityError.notAllowed(.early(id: early.id))) {
            try await test.keeper.activate(.x509, id: early.id, now: now)
        }
        for issuer in [
            test, try await TestIssuer(store: first.store, keys: first.keys, now: now, seed: 4),
        ] {
            try await issuer.keeper.tend(now: now, using: SeededEntropy(5))
            try watch.issue(by: issuer, now: now)
            try watch.verify(by: issuer, now: now)
            #expect(issuer.keeper.snapshot.bundle.x509.authorities.contains(good.x509.certificate))
            #expect(issuer.keeper.snapshot.bundle.jwt.authorities[good.jwt.keyID] != nil)
        }
        #expect(try await first.keys.names().contains(try #require(good.x509.record.keyName)))
    }

    @Test("A calendar that was set is not believed until it has gone with the time for a while")
    func clockWatch() {
        let looks: [(time: Double, settled: Bool)] = [(10, false), (599, false), (600, true), (610, true)]
        for step in [Given.day * 400, -Given.day * 400] {
            var watch = ClockWatch(calendar: Given.start, time: .zero, patience: .seconds(600))
            for look in looks {
                let settled = watch.isSettled(calendar: Given.start + look.time, time: .seconds(look.time))
                #expect(settled == look.settled, "nothing is known at the start")
            }
            for look in [(620, false), (1219, false), (1221, true)] as [(time: Double, settled: Bool)] {
                let settled = watch.isSettled(calendar: Given.start + look.time + step, time: .seconds(look.time))
                #expect(settled == look.settled)
            }
        }
    }

    @Test("A virtual machine restored to an older state makes new authorities and names the keys it cannot place")
    func restored() async throws {
        let test = try await TestIssuer()
        let old = MemoryStore()
        _ = try await old.apply(try await test.store.loadAuthorities().authorities.map { .put($0) })
        var now = Given.start
        for hour in 1...72 {
            now = Given.start + Double(hour) * 3600
            try await test.keeper.tend(now: now, using: SeededEntropy(UInt64(hour)))
        }
        let restored = try await TestIssuer(store: old, keys: test.keys, now: now, seed: 99)
        var watch = Watch()
        try watch.issue(by: restored, now: now)
        try watch.verify(by: restored, now: now)
        #expect(!restored.logs.messages(from: .warning).isEmpty)
    }
}

/// What was issued, held against the bundle until its own end.
private struct Watch {
    private(set) var signers: Set<String> = []
    private(set) var verified = 0
    private(set) var cut = 0
    private var svids: [(chain: [Certificate], end: Date)] = []
    private var tokens: [(token: String, end: Date)] = []
    private var entropy = SeededEntropy(11)
    private let request: SigningRequest?

    init() { request = try? Given.request() }

    mutating func issue(by test: TestIssuer, now: Date) throws {
        let svid = try test.issuer.x509SVID(
            id: Given.id("/web"), request: #require(request), asked: nil, defaultTTL: test.issuer.settings.x509TTL,
            now: now, using: &entropy)
        signers.insert(svid.authorityID)
        svids.append(
            (
                try svid.chain.map { try DERConcatenation.certificate(in: $0[...]) }, svid.lifetime.validity.upperBound
            ))
        let token = try test.issuer.jwtSVID(
            id: Given.id("/web"), audience: ["a"], asked: nil, now: now, using: &entropy)
        tokens.append((token.token.exposed, token.lifetime.validity.upperBound))
        for lifetime in [svid.lifetime, token.lifetime] where lifetime.limit == .authorityExpiry { cut += 1 }
    }

    /// Verifies everything that still lives as somebody with this server's bundle would.
    mutating func verify(by test: TestIssuer, now: Date) throws {
        let bundle = test.keeper.snapshot.bundle
        svids.removeAll { $0.end <= now }
        tokens.removeAll { $0.end <= now }
        for svid in svids { _ = try X509SVIDVerification.verify(svid.chain, at: now) { _ in bundle.x509 } }
        for token in tokens {
            _ = try JWTSVID.verify(token.token, audience: "a", at: now, leeway: 0, bundle: { _ in bundle.jwt })
        }
        verified += svids.count + tokens.count
    }
}
