import Foundation
import IssuerDomain
import StoreContract
import TestSupport
import Testing

@Suite("The life of an authority")
struct AuthorityStateTests {
    private typealias State = AuthorityRecord.State
    private typealias Step = AuthorityRecord.Step

    @Test("Each step leads from where it may be taken to one place, and from nowhere else")
    func steps() {
        let allowed: [State: [Step: State]] = [
            .prepared: [.activate: .active, .retire: .retired], .active: [.retire: .retired],
            .retired: [.taint: .tainted], .published: [.taint: .tainted], .tainted: [.revoke: .revoked],
        ]
        for state in State.allCases {
            for step in Step.allCases { #expect(state.after(step) == allowed[state]?[step], "\(state) \(step)") }
        }
    }

    @Test(
        "Whatever steps are tried, nothing comes back and nothing is skipped", arguments: 1...20 as ClosedRange<UInt64>)
    func walks(seed: UInt64) throws {
        let ranks: [State: Int] = [.prepared: 0, .published: 0, .active: 1, .retired: 2, .tainted: 3, .revoked: 4]
        var entropy = SeededEntropy(seed)
        for start in [State.prepared, .published] {
            var record = AuthorityRecord(
                id: "a", kind: .jwt, state: start, origin: start == .published ? .downstream : origin,
                notBefore: Given.start, notAfter: Given.start + 60, publicDER: [])
            for _ in 0..<50 {
                let before = record
                let step = try #require(Step.allCases.randomElement(using: &entropy))
                do throws(AuthorityRefusal) {
                    try record.take(step)
                    #expect(ranks[record.state] ?? -1 > ranks[before.state] ?? 9)
                    if record.state == .revoked { #expect(before.state == .tainted) }
                } catch {
                    #expect(error == .outOfOrder(id: "a", state: before.state, step: step))
                    #expect(record == before)
                }
            }
            #expect(record.isSound)
        }
    }

    @Test("What others sign with is published or worse, and what a server signs with is never just published")
    func soundness() {
        for state in State.allCases {
            let isForeign = [.published, .tainted, .revoked].contains(state)
            for other in [AuthorityRecord.Origin.upstream, .downstream, .appended] {
                #expect(record(state, other).isSound == isForeign)
            }
            #expect(record(state, origin).isSound == (state != .published))
        }
    }

    @Test("The bundle holds everything but what is revoked and what a root stands for")
    func published() {
        for state in State.allCases { #expect(record(state, origin).isPublished == (state != .revoked)) }
        #expect(!record(.active, origin, upstreamKeyID: "0a").isPublished)
    }

    @Test("Refusals say what to do, and never the same thing")
    func texts() {
        let refusals: [AuthorityRefusal] = [
            .noID, .unknown(id: "x"), .isActive(id: "x"), .outOfOrder(id: "x", state: .retired, step: .activate),
            .outOfOrder(id: "x", state: .retired, step: .revoke), .outOfOrder(id: "x", state: .prepared, step: .taint),
            .ended(id: "x"), .isUpstreams, .noUpstream, .upstreamInUse(keyID: "0a"), .unsound(detail: "d"),
            .idTaken(id: "x"), .isRevoked(id: "x"), .tooMany(limit: 3),
        ]
        #expect(Set(refusals.map { "\($0)" }).count == refusals.count)
    }

    @Test(
        "A server's ID is a UUID in lower case and nothing else",
        arguments: [
            "", "0b7c5a1e-0000-4000-8000-00000000000", "0B7C5A1E-0000-4000-8000-000000000001",
            "0b7c5a1e-0000-4000-8000-000000000001 ", "0b7c5a1e00004000800000000000000001--", "upstream",
        ])
    func serverID(text: String) throws {
        #expect(ServerID(text) == nil)
        var entropy = SeededEntropy()
        let drawn = ServerID(using: &entropy)
        #expect(ServerID(drawn.description) == drawn)
        #expect(ServerID(using: &entropy) != drawn)
    }

    private var origin: AuthorityRecord.Origin { .server(Sample.server, keyName: "jwt-a") }

    private func record(
        _ state: State, _ origin: AuthorityRecord.Origin, upstreamKeyID: String? = nil
    ) -> AuthorityRecord {
        AuthorityRecord(
            id: "a", kind: .x509, state: state, origin: origin, notBefore: Given.start, notAfter: Given.start + 60,
            publicDER: [], upstreamKeyID: upstreamKeyID)
    }
}
