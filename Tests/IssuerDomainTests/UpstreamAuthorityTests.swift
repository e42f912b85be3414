import Crypto
import Foundation
import IssuerDomain
import Logging
import KeyStore
import Platform
import SPIFFE
import StoreContract
import Synchronization
import TestSupport
import Testing
import X509

@Suite("Authorities under an upstream")
struct UpstreamAuthorityTests {
    @Test("SVIDs carry the chain to the upstream's root, and the bundle holds the root alone")
    func chain() async throws {
        let upstream = try FakeUpstream(depth: 2)
        let test = try await TestIssuer(upstream: upstream)
        let snapshot = test.keeper.snapshot
        #expect(snapshot.bundle.x509.authorities == [upstream.root.certificate])
        #expect(snapshot.x509.record.upstreamKeyID == (try keyID(of: upstream.root)))
        #expect(snapshot.x509.chain.count == 2, "this server's certificate and the one between it and the root")
        let svid = try issue(by: test)
        #expect(svid.chain.count == 3)
        let certificates = try svid.chain.map { try DERConcatenation.certificate(in: $0[...]) }
        let verified = try X509SVIDVerification.verify(certificates, at: Given.start) { _ in snapshot.bundle.x509 }
        #expect(verified.chain.last == upstream.root.certificate)
        #expect(snapshot.bundle.jwt.authorities.count == 1)
        let restarted = try await TestIssuer(store: test.store, keys: test.keys, upstream: upstream, seed: 2)
        #expect(restarted.keeper.snapshot.x509.chain == snapshot.x509.chain)
        #expect(upstream.minted == 1)
    }

    @Test("An SVID outlives nothing on the way to the root")
    func ends() async throws {
        let upstream = try FakeUpstream(depth: 2) { $0.validity = Given.start - 60..<Given.start + 1000 }
        let test = try await TestIssuer(upstream: upstream)
        #expect(test.keeper.snapshot.x509.record.notAfter == Given.start + 1000)
        let svid = try issue(by: test, ttl: .seconds(3600))
        #expect(svid.lifetime.validity.upperBound == Given.start + 1000)
        #expect(svid.lifetime.limit == .authorityExpiry)
    }

    @Test("A root that lets no authority stand below the server's lets the server itself stand")
    func pathLength() async throws {
        let test = try await TestIssuer(
            upstream: try FakeUpstream(depth: 1) { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 1) })
        _ = try issue(by: test)
    }

    struct Spoiled: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let root: FakeUpstream.Recipe
        let own: FakeUpstream.Recipe
        let change: @Sendable (UpstreamIntermediate) throws -> UpstreamIntermediate

        /// What is sent is not what was signed.
        init(
            _ name: String, _ change: @escaping @Sendable (UpstreamIntermediate) throws -> UpstreamIntermediate
        ) {
            (testDescription, root, own, self.change) = (name, { _ in }, { _ in }, change)
        }

        /// What is signed is not sound.
        init(
            _ name: String, root: @escaping FakeUpstream.Recipe = { _ in },
            own: @escaping FakeUpstream.Recipe = { _ in }
        ) {
            (testDescription, self.root, self.own, change) = (name, root, own, { $0 })
        }
    }

    static let spoiled = [
        Spoiled("another key") { minted in
            let stranger = try TestCA(commonName: "stranger").certificate.derBytes()
            return UpstreamIntermediate(chain: [stranger] + minted.chain.dropFirst(), roots: minted.roots)
        },
        Spoiled("nothing at all") { UpstreamIntermediate(chain: [], roots: $0.roots) },
        Spoiled("no certificates") { UpstreamIntermediate(chain: [[0x30, 0x00]], roots: $0.roots) },
        Spoiled("no roots") { UpstreamIntermediate(chain: $0.chain, roots: []) },
        Spoiled("the roots of somebody else") { minted in
            let stranger = try TestCA(commonName: "stranger").certificate.derBytes()
            return UpstreamIntermediate(chain: minted.chain, roots: [UpstreamRoot(certificate: stranger)])
        },
        Spoiled("a gap in the chain") {
            UpstreamIntermediate(chain: Array($0.chain.prefix(1)), roots: $0.roots)
        },
        Spoiled("a tainted root") { minted in
            UpstreamIntermediate(
                chain: minted.chain,
                roots: minted.roots.map { UpstreamRoot(certificate: $0.certificate, isTainted: true) })
        },
        Spoiled(
            "a path longer than the root allows",
            root: { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0) }),
        Spoiled(
            "names that the root excludes",
            root: { $0.nameConstraints = NameConstraints(forbiddenURIDomains: ["example.org"]) }),
        Spoiled("an end that is past", own: { $0.validity = Given.start - 60..<Given.start - 1 }),
        Spoiled("a start to come", own: { $0.validity = Given.start + 60..<Given.start + 3600 }),
        Spoiled("no authority", own: { $0.basicConstraints = .notCertificateAuthority }),
        Spoiled("no leave to sign", own: { $0.keyUsage = KeyUsage(digitalSignature: true) }),
    ]

    @Test("A chain that no verifier would take is never used, and its key is destroyed", arguments: spoiled)
    func unsound(_ given: Spoiled) async throws {
        let upstream = try FakeUpstream(depth: 2, root: given.root, own: given.own, change: given.change)
        let keys = MemoryKeyStore()
        let error = await #expect(throws: AuthorityError.self) { try await TestIssuer(keys: keys, upstream: upstream) }
        guard case .upstream(.badAnswer)? = error else {
            Issue.record("expected a bad answer, got \(String(describing: error))")
            return
        }
        #expect(try await keys.names().filter { $0.hasPrefix("x509") }.isEmpty)
    }

    @Test(
        "An upstream that is away delays the successor and nothing else; one that is away at the first start stops it")
    func away() async throws {
        let upstream = try FakeUpstream(depth: 1)
        upstream.failure = .unavailable(detail: "away")
        await #expect(throws: AuthorityError.upstream(.unavailable(detail: "away"))) {
            try await TestIssuer(upstream: upstream)
        }
        upstream.failure = nil
        let test = try await TestIssuer(upstream: upstream)
        upstream.failure = .unavailable(detail: "away")
        let later = Given.start + 13 * 3600
        for seed in 0..<5 {
            await #expect(throws: AuthorityError.upstream(.unavailable(detail: "away"))) {
                try await test.keeper.tend(now: later, using: SeededEntropy(UInt64(40 + seed)))
            }
        }
        #expect(try await test.keys.names().count == 2, "no key is left behind by what failed")
        // Started again meanwhile: what signs goes on signing.
        let again = try await TestIssuer(store: test.store, keys: test.keys, now: later, upstream: upstream, seed: 9)
        _ = try issue(by: again, now: later)
        upstream.failure = nil
        #expect(try await again.keeper.tend(now: later, using: SeededEntropy(50)))
        #expect(again.keeper.snapshot.standing(.x509).prepared != nil)
        #expect(again.keeper.snapshot.standing(.jwt).prepared != nil)
    }

    @Test("JWT keys are published upstream before they sign, and the upstream's are published here")
    func jwtKeys() async throws {
        let theirs = UpstreamJWTKey(
            keyID: "theirs", publicDER: Array(P256.Signing.PrivateKey().publicKey.derRepresentation), notAfter: nil)
        let upstream = try FakeUpstream(depth: 1)
        upstream.jwtKeys = [theirs]
        let test = try await TestIssuer(upstream: upstream)
        let own = test.keeper.snapshot.jwt.keyID
        #expect(upstream.jwtKeys?.map(\.keyID) == ["theirs", own])
        #expect(Set(test.keeper.snapshot.bundle.jwt.authorities.keys) == ["theirs", own])
        // One without an end goes when the upstream no longer names it.
        try await test.keeper.adopt(UpstreamTrust(roots: upstream.roots, jwtKeys: []), now: Given.start)
        #expect(Set(test.keeper.snapshot.bundle.jwt.authorities.keys) == [own])
        #expect(test.keeper.snapshot.jwt.keyID == own, "this server's own key is not the upstream's to take away")
    }

    @Test("Local authorities are the upstream's to taint; its root is, once it vouches for nothing that signs")
    func taintedByCommand() async throws {
        let upstream = try FakeUpstream(depth: 1)
        let test = try await TestIssuer(upstream: upstream)
        let (keeper, now) = (test.keeper, Given.start + 60)
        let old = try #require(keeper.snapshot.x509.record.upstreamKeyID)
        for step in [keeper.taintUpstream, keeper.revokeUpstream] {
            await #expect(throws: AuthorityError.notAllowed(.upstreamInUse(keyID: old))) { try await step(old) }
            await #expect(throws: AuthorityError.notAllowed(.noID)) { try await step("") }
            await #expect(throws: AuthorityError.notAllowed(.unknown(id: "00ff"))) { try await step("00FF") }
        }
        let local = keeper.snapshot.x509.record.id
        await #expect(throws: AuthorityError.notAllowed(.isUpstreams)) { try await keeper.taint(.x509, id: local) }
        await #expect(throws: AuthorityError.notAllowed(.isUpstreams)) { try await keeper.revoke(.x509, id: local) }

        try upstream.rotate()
        let next = try await keeper.prepare(.x509, now: now, using: SeededEntropy(5))
        await #expect(throws: AuthorityError.notAllowed(.upstreamInUse(keyID: old))) {
            try await keeper.taintUpstream(keyID: old)
        }
        _ = try await keeper.activate(.x509, id: next.id, now: now)
        await #expect(throws: AuthorityError.notAllowed(.upstreamInUse(keyID: try #require(next.upstreamKeyID)))) {
            try await keeper.taintUpstream(keyID: try #require(next.upstreamKeyID))
        }
        await #expect(throws: AuthorityError.self) { try await keeper.revokeUpstream(keyID: old) }
        #expect(try await keeper.taintUpstream(keyID: old.uppercased()) == old)
        #expect(keeper.snapshot.bundle.x509.authorities.count == 2)
        #expect(keeper.snapshot.tainted.certificates.count == 1)
        #expect(keeper.snapshot.spoiled == [local])
        #expect(try await keeper.revokeUpstream(keyID: old) == old)
        #expect(keeper.snapshot.bundle.x509.authorities == [upstream.root.certificate])
        // The upstream may still name it; here it stays revoked.
        try await keeper.adopt(UpstreamTrust(roots: upstream.roots), now: now)
        #expect(keeper.snapshot.bundle.x509.authorities == [upstream.root.certificate])
    }

    @Test("A root that the upstream calls tainted is left at once, and is revoked when the upstream drops it")
    func taintedByUpstream() async throws {
        let upstream = try FakeUpstream(depth: 1)
        let test = try await TestIssuer(upstream: upstream)
        let (keeper, now) = (test.keeper, Given.start + 60)
        let (old, oldRoot) = (keeper.snapshot.x509.record.id, upstream.root.certificate)
        let tainted = UpstreamTrust(roots: [UpstreamRoot(certificate: try oldRoot.derBytes(), isTainted: true)])
        try await keeper.adopt(tainted, now: now)
        #expect(keeper.snapshot.spoiled == [old])
        // As long as the upstream signs under that root all the same, nothing is gained.
        await #expect(throws: AuthorityError.self) { try await keeper.tend(now: now, using: SeededEntropy(5)) }
        #expect(keeper.snapshot.x509.record.id == old)
        try upstream.rotate()
        try await keeper.tend(now: now, using: SeededEntropy(6))
        #expect(keeper.snapshot.x509.record.id != old)
        #expect(keeper.snapshot.bundle.x509.authorities.count == 2)
        _ = try issue(by: test, now: now)
        let later = now + 120
        try await keeper.adopt(
            UpstreamTrust(roots: [UpstreamRoot(certificate: try upstream.root.certificate.derBytes())]), now: later)
        #expect(try await !keeper.tend(now: later, using: SeededEntropy(7)), "one rotation is enough")
        #expect(try await keeper.tend(now: later + 60, using: SeededEntropy(8)))
        #expect(keeper.snapshot.bundle.x509.authorities == [upstream.root.certificate])
    }

    @Test("A root that the upstream drops without a word is left at once, and revoked when nothing signs under it")
    func dropped() async throws {
        let upstream = try FakeUpstream(depth: 1)
        let test = try await TestIssuer(upstream: upstream)
        let (keeper, now) = (test.keeper, Given.start + 3600)
        let (old, signer) = (upstream.root.certificate, keeper.snapshot.x509.record.id)
        try upstream.rotate(keepingOld: false)
        upstream.failure = .unavailable(detail: "away")
        try await keeper.adopt(UpstreamTrust(roots: upstream.roots), now: now)
        #expect(Set(keeper.snapshot.bundle.x509.authorities) == [old, upstream.root.certificate])
        #expect(keeper.snapshot.tainted.certificates == [try old.derBytes()])
        #expect(keeper.snapshot.spoiled == [signer], "everything under it is replaced")
        // As long as it signs for want of another, it is not taken away from under everybody.
        await #expect(throws: AuthorityError.self) { try await keeper.tend(now: now + 600, using: SeededEntropy(5)) }
        #expect(keeper.snapshot.bundle.x509.authorities.contains(old))
        upstream.failure = nil
        try await keeper.tend(now: now + 610, using: SeededEntropy(6))
        #expect(keeper.snapshot.x509.record.id != signer)
        try await keeper.tend(now: now + 620, using: SeededEntropy(7))
        #expect(keeper.snapshot.bundle.x509.authorities == [upstream.root.certificate])
        _ = try issue(by: test, now: now + 620)
    }

    @Test("An older answer that lacks the root of a new certificate takes nothing away")
    func overtaken() async throws {
        let upstream = try FakeUpstream(depth: 1)
        let test = try await TestIssuer(upstream: upstream)
        let before = UpstreamTrust(roots: upstream.roots)
        let now = Given.start + 13 * 3600
        try upstream.rotate()
        try await test.keeper.tend(now: now, using: SeededEntropy(5))
        try await test.keeper.adopt(before, now: now + 5)
        #expect(test.keeper.snapshot.tainted.certificates.isEmpty)
        try await test.keeper.adopt(before, now: now + 500)
        #expect(test.keeper.snapshot.tainted.certificates.count == 1, "much later it is news")
    }

    @Test("A root that is dropped soon after it came with a certificate is let go of a little later, and not never")
    func droppedSoon() async throws {
        let upstream = try FakeUpstream(depth: 1)
        let test = try await TestIssuer(upstream: upstream)
        let (keeper, old) = (test.keeper, upstream.root.certificate)
        let now = Given.start + 13 * 3600
        try await keeper.adopt(UpstreamTrust(roots: upstream.roots), now: now)
        try upstream.rotate()
        // The new certificate comes with both roots, and right after it the old one is revoked.
        try await keeper.tend(now: now, using: SeededEntropy(5))
        let left = UpstreamRoot(certificate: try upstream.root.certificate.derBytes())
        try await keeper.adopt(UpstreamTrust(roots: [left]), now: now + 5)
        try await keeper.tend(now: now + 10, using: SeededEntropy(6))
        #expect(keeper.snapshot.tainted.certificates.isEmpty, "it may be an older answer")
        // Nothing more is told: the upstream's mind stays what it is.
        try await keeper.tend(now: now + 65, using: SeededEntropy(7))
        #expect(keeper.snapshot.tainted.certificates == [try old.derBytes()])
        try await keeper.tend(now: now + 126, using: SeededEntropy(8))
        #expect(keeper.snapshot.bundle.x509.authorities == [upstream.root.certificate])
        _ = try issue(by: test, now: now + 126)
    }

    @Test("JWT keys that the upstream drops are dropped, and own keys that it lost are published again")
    func lostKeys() async throws {
        let theirs = UpstreamJWTKey(
            keyID: "theirs", publicDER: Array(P256.Signing.PrivateKey().publicKey.derRepresentation),
            notAfter: Given.start + 365 * Given.day)
        let upstream = try FakeUpstream(depth: 1)
        upstream.jwtKeys = [theirs]
        let test = try await TestIssuer(upstream: upstream)
        let own = test.keeper.snapshot.jwt.keyID
        #expect(test.keeper.snapshot.bundle.jwt.authorities.count == 2)
        upstream.announce(UpstreamTrust(roots: upstream.roots, jwtKeys: upstream.jwtKeys))
        upstream.jwtKeys = []
        upstream.announce(UpstreamTrust(roots: upstream.roots, jwtKeys: []))
        upstream.finish()
        await test.keeper.followUpstream(
            clock: ManualClock(Given.start), using: SeededEntropy(5), logger: test.logs.logger())
        #expect(Array(test.keeper.snapshot.bundle.jwt.authorities.keys) == [own])
        #expect(upstream.jwtKeys?.map(\.keyID) == [own])
    }

    @Test(
        "A root that nothing here stands under can be tainted and revoked, and so can authorities of before the upstream"
    )
    func strayRoots() async throws {
        let before = try await TestIssuer()
        let old = before.keeper.snapshot.x509.record.id
        let upstream = try FakeUpstream(depth: 1)
        let stray = try TestCA(commonName: "stray") { $0.validity = Given.start - 60..<Given.start + 60 * Given.day }
        let later = Given.start + 21 * 3600
        let test = try await TestIssuer(store: before.store, keys: before.keys, now: later, upstream: upstream, seed: 2)
        let keeper = test.keeper
        try await keeper.adopt(
            UpstreamTrust(roots: upstream.roots + [UpstreamRoot(certificate: try stray.certificate.derBytes())]),
            now: later)
        let id = try keyID(of: stray)
        #expect(try await keeper.taintUpstream(keyID: id) == id)
        #expect(try await keeper.revokeUpstream(keyID: id) == id)
        #expect(!keeper.snapshot.bundle.x509.authorities.contains(stray.certificate))
        let next = try await keeper.prepare(.x509, now: later, using: SeededEntropy(3))
        _ = try await keeper.activate(.x509, id: next.id, now: later)
        _ = try await keeper.taint(.x509, id: old)
        _ = try await keeper.revoke(.x509, id: old)
        #expect(keeper.snapshot.records.contains { $0.id == old && $0.state == .revoked })
    }

    @Test("What the upstream announces is followed until its stream ends")
    func follows() async throws {
        let upstream = try FakeUpstream(depth: 1)
        let test = try await TestIssuer(upstream: upstream)
        try upstream.rotate()
        upstream.announce(UpstreamTrust(roots: upstream.roots))
        upstream.announce(UpstreamTrust(roots: [UpstreamRoot(certificate: [0x30])]))
        upstream.announce(UpstreamTrust(roots: upstream.roots))
        upstream.finish()
        await test.keeper.followUpstream(
            clock: ManualClock(Given.start), using: SeededEntropy(5), logger: test.logs.logger())
        #expect(test.keeper.snapshot.bundle.x509.authorities.count == 2)
        #expect(test.logs.records.contains { $0.level == .error }, "what cannot be read is said, and the next is read")
    }

    @Test("Over many generations with the root replaced now and then, every SVID verifies until its end")
    func generations() async throws {
        let upstream = try FakeUpstream(depth: 2)
        let test = try await TestIssuer(lifetime: .seconds(600), upstream: upstream)
        var (now, entropy) = (Given.start, SeededEntropy(8))
        var svids: [(chain: [Certificate], end: Date)] = []
        var signers: Set<String> = []
        for step in 1...400 {
            now += .random(in: 5...30, using: &entropy)
            if step % 90 == 0 {
                try upstream.rotate(keepingOld: true)
                try await test.keeper.adopt(UpstreamTrust(roots: upstream.roots), now: now)
            }
            try await test.keeper.tend(now: now, using: SeededEntropy(entropy.next()))
            let svid = try issue(by: test, ttl: .seconds(100), now: now)
            signers.insert(svid.authorityID)
            svids.append(
                (
                    try svid.chain.map { try DERConcatenation.certificate(in: $0[...]) },
                    svid.lifetime.validity.upperBound
                ))
            svids.removeAll { $0.end <= now }
            let bundle = test.keeper.snapshot.bundle.x509
            for svid in svids { _ = try X509SVIDVerification.verify(svid.chain, at: now) { _ in bundle } }
        }
        #expect(signers.count > 15)
    }

    private func issue(
        by test: TestIssuer, ttl: Duration = .seconds(60), now: Date = Given.start
    ) throws -> IssuedX509SVID {
        var entropy = SeededEntropy(4)
        return try test.issuer.x509SVID(
            id: Given.id("/web"), request: Given.request(), asked: ttl, defaultTTL: ttl, now: now, using: &entropy)
    }

    private func keyID(of authority: TestCA) throws -> String {
        Hex.encode(try #require(try authority.certificate.extensions.subjectKeyIdentifier).keyIdentifier)
    }
}

/// An upstream in memory: a fake, whose answers tests spoil.
final class FakeUpstream: UpstreamAuthority {
    typealias Recipe = @Sendable (inout CertificateRecipe) -> Void

    private struct State {
        var issuer: TestCA
        var root: TestCA
        var roots: [UpstreamRoot]
        var between: [[UInt8]]
        var jwtKeys: [UpstreamJWTKey]?
        var failure: UpstreamError?
        var minted = 0
    }

    private let state: Mutex<State>
    private let depth: Int
    private let own: Recipe
    private let change: @Sendable (UpstreamIntermediate) throws -> UpstreamIntermediate
    private let stream: AsyncStream<UpstreamTrust>
    private let continuation: AsyncStream<UpstreamTrust>.Continuation

    /// Makes an upstream with a root of its own, and with authorities between it and what it signs where the depth is
    /// more than one.
    init(
        depth: Int, root: Recipe = { _ in }, own: @escaping Recipe = { _ in },
        change: @escaping @Sendable (UpstreamIntermediate) throws -> UpstreamIntermediate = { $0 }
    ) throws {
        (self.depth, self.own, self.change) = (depth, own, change)
        state = Mutex(try Self.make(depth: depth, number: 0, root: root))
        (stream, continuation) = AsyncStream.makeStream()
    }

    convenience init(depth: Int, _ root: Recipe) throws { try self.init(depth: depth, root: root) }

    var root: TestCA { state.withLock { $0.root } }
    var roots: [UpstreamRoot] { state.withLock { $0.roots } }
    var minted: Int { state.withLock { $0.minted } }

    var jwtKeys: [UpstreamJWTKey]? {
        get { state.withLock { $0.jwtKeys } }
        set { state.withLock { $0.jwtKeys = newValue } }
    }

    var failure: UpstreamError? {
        get { state.withLock { $0.failure } }
        set { state.withLock { $0.failure = newValue } }
    }

    /// Goes on with a new root.
    func rotate(keepingOld: Bool = true) throws {
        var next = try Self.make(depth: depth, number: Int.random(in: 1...1_000_000), root: { _ in })
        state.withLock {
            next.roots = next.roots + (keepingOld ? $0.roots : [])
            next.jwtKeys = $0.jwtKeys
            $0 = next
        }
    }

    func announce(_ trust: UpstreamTrust) { continuation.yield(trust) }

    func finish() { continuation.finish() }

    func mint(
        request: [UInt8], lifetime: Duration, now: Date
    ) async throws(UpstreamError) -> UpstreamIntermediate {
        let state = self.state.withLock { state in
            state.minted += 1
            return state
        }
        if let failure = state.failure { throw failure }
        do {
            let request = try SigningRequest(der: request)
            guard try request.names().uri == "spiffe://example.org" else {
                throw UpstreamError.refused(detail: "its name")
            }
            var recipe = CertificateRecipe.authority("server \(state.minted)", trustDomain: "example.org")
            recipe.validity = now - 10..<now + lifetime.timeInterval
            own(&recipe)
            let certificate = try state.issuer.issue(recipe, for: request.publicKey)
            return try change(
                UpstreamIntermediate(chain: [try certificate.derBytes()] + state.between, roots: state.roots))
        } catch let error as UpstreamError { throw error } catch { throw .refused(detail: "\(error)") }
    }

    func publish(_ key: UpstreamJWTKey) async throws(UpstreamError) -> [UpstreamJWTKey] {
        let (failure, keys) = state.withLock { state in
            if state.jwtKeys?.contains(where: { $0.keyID == key.keyID }) == false { state.jwtKeys?.append(key) }
            return (state.failure, state.jwtKeys)
        }
        if let failure { throw failure }
        guard let keys else { throw .unsupported }
        return keys
    }

    func updates() -> AsyncStream<UpstreamTrust> { stream }

    private static func make(depth: Int, number: Int, root change: Recipe) throws -> State {
        let years = 3650 * Given.day
        let root = try TestCA(commonName: "root \(number)") {
            $0.validity = Given.start - years..<Given.start + years
            change(&$0)
        }
        var (issuer, between): (TestCA, [[UInt8]]) = (root, [])
        for level in 1..<depth {
            issuer = try issuer.intermediate("between \(number) \(level)") {
                $0.validity = Given.start - years..<Given.start + years
            }
            between.insert(try issuer.certificate.derBytes(), at: 0)
        }
        return State(
            issuer: issuer, root: root, roots: [UpstreamRoot(certificate: try root.certificate.derBytes())],
            between: between)
    }
}
