import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing
import X509

@Suite("Authorities changed by command")
struct AuthorityCommandTests {
    @Test("An authority is prepared, activated, tainted and revoked", arguments: AuthorityRecord.Kind.allCases)
    func life(kind: AuthorityRecord.Kind) async throws {
        let test = try await TestIssuer()
        let first = test.keeper.snapshot.standing(kind).active
        let prepared = try await test.keeper.prepare(kind, now: Given.start + 60, using: SeededEntropy(2))
        #expect(prepared.state == .prepared)
        #expect(test.keeper.snapshot.standing(kind).active == first)
        #expect(published(kind, test).count == 2)

        let active = try await test.keeper.activate(kind, id: prepared.id, now: Given.start + 61)
        var standing = test.keeper.snapshot.standing(kind)
        #expect(standing.active == active && active.id == prepared.id && standing.prepared == nil)
        #expect(standing.old?.id == first.id)
        #expect(isTainted(first.id, kind, test) == false)

        _ = try await test.keeper.taint(kind, id: first.id)
        standing = test.keeper.snapshot.standing(kind)
        #expect(standing.old?.state == .tainted)
        #expect(published(kind, test).count == 2, "it is trusted until it is revoked")
        #expect(isTainted(first.id, kind, test))
        #expect(test.keeper.snapshot.spoiled == (kind == .x509 ? [first.id] : []))

        _ = try await test.keeper.revoke(kind, id: first.id)
        standing = test.keeper.snapshot.standing(kind)
        #expect(standing.old == nil)
        #expect(published(kind, test) == [active.id])
        let key = try #require(first.keyName)
        #expect(try await !test.keys.names().contains(key), "its key is destroyed")
        #expect(test.keeper.snapshot.records.contains { $0.id == first.id && $0.state == .revoked })
    }

    @Test("A later preparation takes the place of an earlier one, whose key is destroyed")
    func prepareTwice() async throws {
        let test = try await TestIssuer()
        let first = try await test.keeper.prepare(.jwt, now: Given.start + 60, using: SeededEntropy(2))
        let second = try await test.keeper.prepare(.jwt, now: Given.start + 61, using: SeededEntropy(3))
        #expect(test.keeper.snapshot.standing(.jwt).prepared == second)
        #expect(test.keeper.snapshot.bundle.jwt.authorities[first.id] == nil)
        #expect(try await !test.keys.names().contains(try #require(first.keyName)))
        try await refuses(.unknown(id: first.id)) {
            try await test.keeper.activate(.jwt, id: first.id, now: Given.start + 62)
        }
    }

    @Test("What is out of order is refused and changes nothing", arguments: AuthorityRecord.Kind.allCases)
    func refusals(kind: AuthorityRecord.Kind) async throws {
        let test = try await TestIssuer()
        let (keeper, now) = (test.keeper, Given.start + 60)
        let first = keeper.snapshot.standing(kind).active.id
        for id in ["", "none"] {
            let refusal: AuthorityRefusal = id.isEmpty ? .noID : .unknown(id: id)
            try await refuses(refusal) { try await keeper.activate(kind, id: id, now: now) }
            try await refuses(refusal) { try await keeper.taint(kind, id: id) }
            try await refuses(refusal) { try await keeper.revoke(kind, id: id) }
        }
        try await refuses(.outOfOrder(id: first, state: .active, step: .activate)) {
            try await keeper.activate(kind, id: first, now: now)
        }
        try await refuses(.isActive(id: first)) { try await keeper.taint(kind, id: first) }
        try await refuses(.isActive(id: first)) { try await keeper.revoke(kind, id: first) }
        let prepared = try await keeper.prepare(kind, now: now, using: SeededEntropy(2))
        try await refuses(.outOfOrder(id: prepared.id, state: .prepared, step: .taint)) {
            try await keeper.taint(kind, id: prepared.id)
        }
        try await refuses(.outOfOrder(id: prepared.id, state: .prepared, step: .revoke)) {
            try await keeper.revoke(kind, id: prepared.id)
        }
        try await refuses(.ended(id: prepared.id)) {
            try await keeper.activate(kind, id: prepared.id, now: prepared.notAfter)
        }
        let other: AuthorityRecord.Kind = kind == .jwt ? .x509 : .jwt
        try await refuses(.unknown(id: prepared.id)) { try await keeper.activate(other, id: prepared.id, now: now) }
        let writes = test.store.writes
        #expect(writes == 2, "the first start and the preparation")
        _ = try await keeper.activate(kind, id: prepared.id, now: now)
        try await refuses(.outOfOrder(id: first, state: .retired, step: .revoke)) {
            try await keeper.revoke(kind, id: first)
        }
        try await refuses(.outOfOrder(id: first, state: .retired, step: .activate)) {
            try await keeper.activate(kind, id: first, now: now)
        }
        _ = try await keeper.taint(kind, id: first)
        try await refuses(.outOfOrder(id: first, state: .tainted, step: .taint)) {
            try await keeper.taint(kind, id: first)
        }
        _ = try await keeper.revoke(kind, id: first)
        try await refuses(.outOfOrder(id: first, state: .revoked, step: .taint)) {
            try await keeper.taint(kind, id: first)
        }
        try await refuses(.unknown(id: first)) { try await keeper.revoke(kind, id: first) }
        try await refuses(.noUpstream) { try await keeper.taintUpstream(keyID: "00") }
        try await refuses(.noUpstream) { try await keeper.revokeUpstream(keyID: "00") }
    }

    @Test("A step that cannot be written is not taken")
    func failingStore() async throws {
        let test = try await TestIssuer()
        let prepared = try await test.keeper.prepare(.x509, now: Given.start, using: SeededEntropy(2))
        let before = test.keeper.snapshot.records
        test.store.failWrites(with: .full(detail: "disk"))
        await #expect(throws: AuthorityError.store(.full(detail: "disk"))) {
            try await test.keeper.activate(.x509, id: prepared.id, now: Given.start)
        }
        #expect(test.keeper.snapshot.records == before)
        test.store.failWrites(with: nil)
        _ = try await test.keeper.activate(.x509, id: prepared.id, now: Given.start)
        #expect(test.keeper.snapshot.x509.record.id == prepared.id)
    }

    @Test("Every change is announced, under a sequence of its own (BUNDLE-04)")
    func sequences() async throws {
        let test = try await TestIssuer()
        var sequence = try #require(test.keeper.snapshot.bundle.sequence)
        func grew() throws {
            let next = try #require(test.keeper.snapshot.bundle.sequence)
            #expect(next > sequence && test.feed.revision == next)
            sequence = next
        }
        let old = test.keeper.snapshot.jwt.keyID
        let prepared = try await test.keeper.prepare(.jwt, now: Given.start, using: SeededEntropy(2))
        try grew()
        _ = try await test.keeper.activate(.jwt, id: prepared.id, now: Given.start)
        try grew()
        _ = try await test.keeper.taint(.jwt, id: old)
        try grew()
        _ = try await test.keeper.revoke(.jwt, id: old)
        try grew()
    }

    @Test("SVIDs come from the authority that was activated last")
    func issues() async throws {
        let test = try await TestIssuer()
        var entropy = SeededEntropy(9)
        for round in 0..<3 {
            let now = Given.start + Double(round) * 60
            for kind in AuthorityRecord.Kind.allCases {
                let next = try await test.keeper.prepare(kind, now: now, using: SeededEntropy(UInt64(100 + round)))
                _ = try await test.keeper.activate(kind, id: next.id, now: now)
            }
            let svid = try test.issuer.x509SVID(
                id: Given.id("/web"), request: Given.request(), asked: nil, defaultTTL: .seconds(60), now: now,
                using: &entropy)
            #expect(svid.authorityID == test.keeper.snapshot.x509.record.id)
            let token = try test.issuer.jwtSVID(
                id: Given.id("/web"), audience: ["a"], asked: nil, now: now, using: &entropy)
            #expect(try UnverifiedJWTSVID(parsing: token.token.exposed).keyID == test.keeper.snapshot.jwt.keyID)
        }
    }

    private func published(_ kind: AuthorityRecord.Kind, _ test: TestIssuer) -> [String] {
        test.keeper.snapshot.records.filter { $0.kind == kind && $0.isPublished }.map(\.id)
    }

    private func isTainted(_ id: String, _ kind: AuthorityRecord.Kind, _ test: TestIssuer) -> Bool {
        let tainted = test.keeper.snapshot.tainted
        guard kind == .x509 else { return tainted.keyIDs.contains(id) }
        let der = test.keeper.snapshot.records.first { $0.id == id }?.publicDER ?? []
        return tainted.certificates.contains(der)
    }

    private func refuses<Value>(_ expected: AuthorityRefusal, _ body: () async throws -> Value) async throws {
        await #expect(throws: AuthorityError.notAllowed(expected)) { try await body() }
    }
}
