import Crypto
import Foundation
import IssuerDomain
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

@Suite("Lifetimes of SVIDs")
struct LifetimeDecisionTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var asked = Duration.seconds(3600)
        var isDefault = false
        var entryEnd: TimeInterval?
        var authority: ClosedRange<TimeInterval> = -10...86_400
        var now: TimeInterval = 0
        let validity: ClosedRange<TimeInterval>
        let limit: LifetimeLimit
    }

    static let cases = [
        Case(testDescription: "the entry decides", validity: -10...3600, limit: .entry),
        Case(testDescription: "the default decides", isDefault: true, validity: -10...3600, limit: .issuerDefault),
        Case(testDescription: "the entry ends first", entryEnd: 60, validity: -10...60, limit: .entryExpiry),
        Case(testDescription: "the entry ends later", entryEnd: 9999, validity: -10...3600, limit: .entry),
        Case(testDescription: "the entry ends just then", entryEnd: 3600, validity: -10...3600, limit: .entry),
        Case(
            testDescription: "the authority ends first", authority: -10...900, validity: -10...900,
            limit: .authorityExpiry),
        Case(
            testDescription: "the authority ends before the entry does", entryEnd: 1000, authority: -10...900,
            validity: -10...900, limit: .authorityExpiry),
        Case(
            testDescription: "the entry ends before the authority does", entryEnd: 800, authority: -10...900,
            validity: -10...800, limit: .entryExpiry),
        Case(
            testDescription: "the default is cut by the authority", isDefault: true, authority: -10...900,
            validity: -10...900, limit: .authorityExpiry),
        Case(testDescription: "the authority began just now", authority: 0...86_400, validity: 0...3600, limit: .entry),
        Case(
            testDescription: "the authority began 3 seconds ago", authority: -3...86_400, validity: -3...3600,
            limit: .entry),
        Case(testDescription: "fractions are cut off at both ends", now: 0.9, validity: -10...3600, limit: .entry),
        Case(testDescription: "a second is enough", asked: .seconds(1), validity: -10...1, limit: .entry),
        Case(
            testDescription: "ten years are cut to what the authority has", asked: .seconds(315_360_000),
            validity: -10...86_400, limit: .authorityExpiry),
    ]

    @Test("The shortest of what is asked, the entry and the authority decides, and says so", arguments: cases)
    func decides(_ given: Case) throws {
        let decision = try decide(given)
        #expect(decision.validity == at(given.validity.lowerBound)..<at(given.validity.upperBound))
        #expect(decision.limit == given.limit)
    }

    @Test(
        "Where nothing is left, the limit is named",
        arguments: [
            (nil, 0.0, 3600, .authorityExpiry), (nil, -5, 3600, .authorityExpiry), (0, 86_400, 3600, .entryExpiry),
            (-5, 86_400, 3600, .entryExpiry), (0.5, 86_400, 3600, .entryExpiry), (nil, 86_400, 0, .entry),
            (nil, 86_400, -60, .entry),
        ] as [(TimeInterval?, TimeInterval, Int, LifetimeLimit)])
    func exhausted(entryEnd: TimeInterval?, authorityEnd: TimeInterval, asked: Int, limit: LifetimeLimit) {
        #expect(throws: IssuanceError.lifetimeExhausted(limit: limit)) {
            try LifetimeDecision(
                asked: .seconds(asked), isDefault: false, entryEnd: entryEnd.map { at($0) },
                authority: at(-10)..<at(authorityEnd), now: at(0))
        }
    }

    @Test("A clock before the authority's start is refused, at its start it is not")
    func clockBefore() throws {
        #expect(throws: IssuanceError.clockBeforeAuthority(now: at(-0.5), start: at(0))) {
            try LifetimeDecision(
                asked: .seconds(60), isDefault: false, entryEnd: nil, authority: at(0)..<at(600), now: at(-0.5))
        }
        let decision = try LifetimeDecision(
            asked: .seconds(60), isDefault: false, entryEnd: nil, authority: at(0)..<at(600), now: at(0))
        #expect(decision.validity == at(0)..<at(60))
    }

    @Test("Limits have names that can be logged and matched")
    func names() {
        let limits: [LifetimeLimit] = [.issuerDefault, .entry, .entryExpiry, .authorityExpiry]
        #expect(limits.map { "\($0)" } == ["issuer_default", "entry", "entry_expiry", "authority_expiry"])
    }

    private func decide(_ given: Case) throws -> LifetimeDecision {
        try LifetimeDecision(
            asked: given.asked, isDefault: given.isDefault, entryEnd: given.entryEnd.map { at($0) },
            authority: at(given.authority.lowerBound)..<at(given.authority.upperBound), now: at(given.now))
    }

    private func at(_ seconds: TimeInterval) -> Date { Given.start + seconds }
}

@Suite("The last look before a CA key is touched")
struct LeafLintTests {
    @Test("A sound template gets a permit, and what is signed with it is that leaf")
    func permits() async throws {
        let authority = try await TestIssuer().keeper.snapshot.x509
        let template = try template()
        let permit = try LeafLint.check(template, under: authority, trustDomain: Given.trustDomain())
        let leaf = try Certificate(derEncoded: try LeafSigner.sign(permit))
        #expect(leaf.publicKey == template.key.publicKey)
        #expect(leaf.serialNumber == template.serial)
    }

    @Test("A name of another trust domain gets none")
    func foreign() async throws {
        let id = try SPIFFEID("spiffe://other.example/web")
        try await expect(.foreignTrustDomain(id), for: template(id: id))
    }

    @Test("The trust domain itself gets none (X509-03)")
    func noPath() async throws {
        try await expect(
            .lintFailed(detail: "leaf names the trust domain itself (X509-03)"),
            for: template(id: Given.trustDomain().id))
    }

    @Test("The authority's own key gets none")
    func authorityKey() async throws {
        let authority = try await TestIssuer().keeper.snapshot.x509
        try await expect(
            .keyOfAuthority, for: template(publicKey: authority.certificate.publicKey), under: authority)
    }

    @Test(
        "A validity outside the authority's gets none",
        arguments: [-11..<60, -10..<86_401, 86_400..<86_401, -20..<(-10)] as [Range<TimeInterval>])
    func outside(validity: Range<TimeInterval>) async throws {
        try await expect(
            .lintFailed(detail: "validity is not within the authority's"), for: template(validity: validity))
    }

    @Test("An empty validity gets none")
    func empty() async throws {
        try await expect(.lintFailed(detail: "validity is empty"), for: template(validity: 5..<5))
    }

    private func template(
        id: SPIFFEID? = nil, publicKey: Certificate.PublicKey? = nil, validity: Range<TimeInterval> = -10..<60
    ) throws -> LeafTemplate {
        LeafTemplate(
            id: try id ?? Given.id("/web"),
            key: try SubjectKey(publicKey ?? Certificate.PublicKey(P256.Signing.PrivateKey().publicKey)),
            validity: (Given.start + validity.lowerBound)..<(Given.start + validity.upperBound), dnsNames: [],
            serial: SerialNumber.positive([UInt8](repeating: 9, count: 16)))
    }

    private func expect(
        _ refusal: IssuanceError, for template: LeafTemplate, under given: X509Authority? = nil
    ) async throws {
        var authority = given
        if authority == nil { authority = try await TestIssuer().keeper.snapshot.x509 }
        let signer = try #require(authority)
        #expect(throws: refusal) {
            _ = try LeafLint.check(template, under: signer, trustDomain: Given.trustDomain())
        }
    }
}
