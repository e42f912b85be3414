import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing

@Suite("JWT-SVIDs that this issuer signs, parsed from their text")
struct JWTProfileTests {
    @Test("JWT-01: three base64url parts without padding, nothing else", arguments: SigningKeyType.allCases)
    func compact(type: SigningKeyType) async throws {
        let token = try await issue(by: TestIssuer(jwtKeyType: type)).token.exposed
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        #expect(parts.count == 3)
        #expect(parts.allSatisfy { Base64URL.decode($0.utf8) != nil })
    }

    @Test("JWT-02, JWT-04, JWT-05: the header has exactly alg, kid and typ")
    func header() async throws {
        let test = try await TestIssuer()
        let header = try header(of: issue(by: test))
        #expect(Set(header.map(\.name)) == ["alg", "kid", "typ"])
        #expect(header["typ"]?.string == "JWT")
        #expect(header["kid"]?.string == test.keeper.snapshot.jwt.keyID)
        #expect(test.keeper.snapshot.jwt.keyID.isEmpty == false)
    }

    @Test(
        "JWT-03: alg is that of the authority's key",
        arguments: [(.ecP256, "ES256"), (.ecP384, "ES384"), (.rsa2048, "RS256"), (.rsa4096, "RS256")]
            as [(SigningKeyType, String)])
    func algorithm(type: SigningKeyType, name: String) async throws {
        let test = try await TestIssuer(jwtKeyType: type)
        let svid = try issue(by: test)
        #expect(try header(of: svid)["alg"]?.string == name)
        let bundle = test.keeper.snapshot.bundle.jwt
        let verified = try JWTSVID.verify(
            svid.token.exposed, audience: "db", at: Given.start, leeway: 0, bundle: { _ in bundle })
        #expect(verified.id == (try Given.id("/web")))
    }

    @Test("JWT-06, JWT-07, JWT-10: sub, aud and exp say what was asked for, exp as an integer")
    func claims() async throws {
        let claims = try await claims(of: issue(by: TestIssuer(), audience: ["db", "cache"]))
        #expect(claims["sub"]?.string == "spiffe://example.org/web")
        #expect(claims["aud"]?.array?.compactMap(\.string) == ["db", "cache"])
        #expect(claims["exp"]?.unsignedInteger == 1_800_000_300)
        #expect(claims["iat"]?.unsignedInteger == 1_800_000_000)
    }

    @Test("JWT-08: a single audience stays a single audience, written as an array (C-02)")
    func singleAudience() async throws {
        #expect(try await claims(of: issue(by: TestIssuer()))["aud"]?.array?.compactMap(\.string) == ["db"])
    }

    @Test("JWT-11, JWT-12: besides these there is a jti that never repeats, and iss where one is configured")
    func otherClaims() async throws {
        let plain = try await TestIssuer()
        var identifiers: Set<String> = []
        var entropy = SeededEntropy(3)
        for _ in 0..<20 {
            let svid = try plain.issuer.jwtSVID(
                id: Given.id("/web"), audience: ["db"], asked: nil, now: Given.start, using: &entropy)
            let claims = try claims(of: svid)
            #expect(Set(claims.map(\.name)) == ["sub", "aud", "exp", "iat", "jti"])
            identifiers.insert(try #require(claims["jti"]?.string))
        }
        #expect(identifiers.count == 20)
        let named = try await TestIssuer(svids: .init(jwtIssuer: "https://issuer.example"))
        #expect(try claims(of: issue(by: named))["iss"]?.string == "https://issuer.example")
    }

    @Test("JWT-09, ID-22: nothing of the entry leaks into the token")
    func leaksNothing() async throws {
        let test = try await TestIssuer()
        var entropy = SeededEntropy()
        let svid = try test.issuer.jwtSVID(
            for: Sample.fullEntry(), as: Given.id("/workload/full/users/u-ada.x"), audience: ["api"], now: Given.start,
            using: &entropy)
        #expect(try Set(claims(of: svid).map(\.name)) == ["sub", "aud", "exp", "iat", "jti"])
    }

    @Test("Lifetimes follow the entry, the default and the entry's end")
    func lifetimes() async throws {
        let test = try await TestIssuer(svids: .init(jwtTTL: .seconds(120)))
        var entropy = SeededEntropy()
        var entry = try Sample.entry("a", path: "/web")
        func issue() throws -> LifetimeDecision {
            try test.issuer.jwtSVID(for: entry, audience: ["db"], now: Given.start, using: &entropy).lifetime
        }
        #expect(try issue().validity.upperBound == Given.start + 120)
        #expect(try issue().limit == .issuerDefault)
        entry.contents.jwtTTL = .seconds(30)
        #expect(try issue().validity.upperBound == Given.start + 30)
        #expect(try issue().limit == .entry)
        entry.contents.expiresAt = Given.start + 7
        #expect(try issue().validity.upperBound == Given.start + 7)
        #expect(try issue().limit == .entryExpiry)
        entry.contents.expiresAt = Given.start
        #expect(throws: IssuanceError.lifetimeExhausted(limit: .entryExpiry)) { try issue() }
    }

    @Test("A token ends with its authority at the latest")
    func authorityEnd() async throws {
        let test = try await TestIssuer(lifetime: .seconds(600))
        let svid = try issue(by: test, now: Given.start + 500)
        #expect(svid.lifetime.limit == .authorityExpiry)
        #expect(svid.lifetime.validity.upperBound == Given.start + 600)
    }

    @Test("A clock before the authority signs nothing")
    func clockBefore() async throws {
        let test = try await TestIssuer()
        let now = Given.start - 60
        #expect(throws: IssuanceError.clockBeforeAuthority(now: now, start: Given.start - 10)) {
            try issue(by: test, now: now)
        }
    }

    @Test("Other trust domains are refused (ID-21)")
    func foreign() async throws {
        let test = try await TestIssuer()
        let id = try SPIFFEID("spiffe://other.example/web")
        #expect(throws: IssuanceError.foreignTrustDomain(id)) { try issue(by: test, id: id) }
    }

    @Test("The trust domain itself is no subject")
    func noPath() async throws {
        let test = try await TestIssuer()
        let id = try Given.trustDomain().id
        #expect(throws: IssuanceError.lintFailed(detail: "subject names the trust domain itself (C-13)")) {
            try issue(by: test, id: id)
        }
    }

    @Test(
        "JWT-07: audiences that break a rule are refused before anything is signed",
        arguments: [
            ([], "at least one is required"), ([""], "an empty value is not allowed"),
            (["db", ""], "an empty value is not allowed"), ((0...32).map { "a\($0)" }, "at most 32 are allowed"),
            ([String(repeating: "a", count: 1025)], "a value is longer than 1024 bytes"),
            ([String(repeating: "é", count: 513)], "a value is longer than 1024 bytes"),
        ])
    func badAudiences(audience: [String], reason: String) async throws {
        let test = try await TestIssuer()
        #expect(throws: IssuanceError.badAudience(detail: reason)) { try issue(by: test, audience: audience) }
    }

    @Test("Audiences at the limits pass, and repeats count once, in the order given")
    func audienceLimits() throws {
        #expect(try AudienceRule.check(["b", "a", "b"]) == ["b", "a"])
        #expect(try AudienceRule.check((0..<32).map { "a\($0)" }).count == 32)
        #expect(try AudienceRule.check([String(repeating: "a", count: 1024)]).count == 1)
    }

    @Test("The largest token that the rules allow can be signed and verified")
    func largest() async throws {
        let test = try await TestIssuer()
        let id = try Given.id("/" + String(repeating: "p", count: 2000))
        let audience = (0..<8).map { String(repeating: "\($0)", count: 1024) }
        #expect(try issue(by: test, id: id, audience: audience).id == id)
    }

    @Test("Audiences with characters that JSON escapes come back as they went in")
    func escapes() async throws {
        let audience = ["a\"b\\c", "newline\nand\u{1}control", "snow\u{2603}man \u{1F600}", "</script>"]
        let claims = try await claims(of: issue(by: TestIssuer(), audience: audience))
        #expect(claims["aud"]?.array?.compactMap(\.string) == audience)
    }

    @Test("Nothing written about an issued token shows it")
    func redacted() async throws {
        let svid = try await issue(by: TestIssuer())
        var dumped = ""
        dump(svid, to: &dumped)
        for text in ["\(svid)", String(reflecting: svid), dumped] {
            #expect(text.contains("<redacted>"))
            #expect(!text.contains(svid.token.exposed.suffix(20)))
        }
    }

    private func issue(
        by test: TestIssuer, id: SPIFFEID? = nil, audience: [String] = ["db"], now: Date = Given.start
    ) throws -> IssuedJWTSVID {
        var entropy = SeededEntropy(21)
        return try test.issuer.jwtSVID(
            id: id ?? Given.id("/web"), audience: audience, asked: nil, now: now, using: &entropy)
    }

    private func header(of svid: IssuedJWTSVID) throws -> JSONObject { try part(0, of: svid) }

    private func claims(of svid: IssuedJWTSVID) throws -> JSONObject { try part(1, of: svid) }

    private func part(_ number: Int, of svid: IssuedJWTSVID) throws -> JSONObject {
        let parts = svid.token.exposed.split(separator: ".")
        try #require(parts.count == 3)
        let bytes = try #require(Base64URL.decode(parts[number].utf8))
        return try #require(try JSONValue(parsing: bytes).object)
    }
}
