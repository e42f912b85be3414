import Foundation
import IssuerDomain
import Platform
import TestSupport
import Testing

@Suite("Safe lifetimes")
struct LifetimeAdviceTests {
    @Test("What authorities always have left is a sixth of their life, and a week at most")
    func longest() {
        #expect(AuthoritySchedule.longestWholeSVID(under: .seconds(86_400)) == .seconds(14_400))
        #expect(AuthoritySchedule.longestWholeSVID(under: .seconds(42 * 86_400)) == .seconds(7 * 86_400))
        #expect(AuthoritySchedule.longestWholeSVID(under: .seconds(365 * 86_400)) == .seconds(7 * 86_400))
    }

    @Test("Every lifetime that authorities may cut short is named, and no other")
    func names() {
        #expect(LifetimeAdvice.all(about: .init(), under: .init()).isEmpty)
        let svids = SVIDIssuer.Settings(
            x509TTL: .seconds(14_401), jwtTTL: .seconds(14_400), agentTTL: .seconds(86_400))
        let advice = LifetimeAdvice.all(about: svids, under: .init())
        #expect(advice.map(\.setting) == ["x509_svid_ttl", "jwt_svid_ttl", "agent_ttl"])
        #expect(advice.map(\.longest) == [.seconds(6480), .seconds(6480), .seconds(14_400)])
        let hour = SVIDIssuer.Settings(x509TTL: .seconds(3600), agentTTL: .seconds(3600))
        let cut = LifetimeAdvice.all(about: hour, under: .init())
        #expect(cut.map(\.setting) == ["x509_svid_ttl"], "a node's own SVID is half over when it renews")
        #expect(cut.first.map { "\($0)" }?.contains("45% of agent_ttl") == true)
        #expect(advice.first.map { "\($0)" }?.contains("x509_svid_ttl of 14401 s") == true)
    }

    @Test("A cut lifetime says what was asked, what is left and why; a whole one says nothing")
    func shortfall() throws {
        let authority = Given.start - 10..<Given.start + 900
        func decide(_ asked: Int, entryEnd: TimeInterval? = nil, node: TimeInterval? = nil) throws -> LifetimeDecision {
            try LifetimeDecision(
                asked: .seconds(asked), isDefault: false, entryEnd: entryEnd.map { Given.start + $0 },
                ceilings: node.map { [LifetimeCeiling(end: Given.start + $0, limit: .nodeExpiry)] } ?? [],
                authority: authority, now: Given.start)
        }
        #expect(try decide(900).shortfall == nil)
        let cut = try #require(try decide(3600).shortfall)
        #expect(cut.contains("3600 s were asked for and 900 s are left: the signing authority ends at"))
        #expect(try decide(3600, entryEnd: 60).shortfall?.contains("60 s are left: the entry ends") == true)
        #expect(try decide(3600, entryEnd: 60, node: 50).shortfall?.contains("the node's permission ends") == true)
        #expect(try decide(3600, entryEnd: 40, node: 50).limit == .entryExpiry)
    }

    @Test("No SVID outlives its authority, its entry or any other limit, and none is longer than asked (10,000 cases)")
    func property() throws {
        var entropy = SeededEntropy(2027)
        var (decided, exhausted) = (0, 0)
        for _ in 0..<10_000 {
            let now = Given.start + .random(in: 0...100_000, using: &entropy)
            let asked = Duration.seconds(Int.random(in: 1...Self.scale(&entropy), using: &entropy))
            let start = now - .random(in: -5...10_000, using: &entropy)
            let authority = start..<start + .random(in: 1...Double(Self.scale(&entropy)), using: &entropy)
            let entryEnd = Bool.random(using: &entropy) ? now + Self.end(&entropy) : nil
            let ceilings = (0..<Int.random(in: 0...2, using: &entropy)).map { _ in
                LifetimeCeiling(
                    end: now + Self.end(&entropy),
                    limit: [.nodeExpiry, .ceiling].randomElement(using: &entropy) ?? .ceiling)
            }
            do throws(IssuanceError) {
                let decision = try LifetimeDecision(
                    asked: asked, isDefault: Bool.random(using: &entropy), entryEnd: entryEnd, ceilings: ceilings,
                    authority: authority, now: now)
                let end = decision.validity.upperBound
                decided += 1
                let limits =
                    ceilings.map(\.end) + [entryEnd, authority.upperBound, now + asked.timeInterval].compactMap(\.self)
                let earliest = limits.min() ?? .distantFuture
                // Never shorter than its reason, by more than the fraction of a second that is cut off.
                let isSound =
                    end > now && end <= earliest && earliest.timeIntervalSince(end) < 1
                    && decision.validity.lowerBound >= authority.lowerBound
                    && end.timeIntervalSince1970.rounded() == end.timeIntervalSince1970
                    && (decision.shortfall == nil) == [.entry, .issuerDefault].contains(decision.limit)
                if !isSound { Issue.record("\(decision) at \(now) under \(authority), \(limits)") }
            } catch {
                exhausted += 1
                switch error {
                case .clockBeforeAuthority: #expect(now < authority.lowerBound)
                case .lifetimeExhausted: break
                default: Issue.record("unexpected: \(error)")
                }
            }
        }
        #expect(decided > 3000 && exhausted > 500, "\(decided) decided, \(exhausted) refused")
    }

    private static func scale(_ entropy: inout SeededEntropy) -> Int {
        [10, 100, 10_000, 1_000_000, 400_000_000].randomElement(using: &entropy) ?? 10
    }

    private static func end(_ entropy: inout SeededEntropy) -> TimeInterval {
        .random(in: -10...Double(scale(&entropy)), using: &entropy)
    }
}
