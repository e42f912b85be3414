import AgentDomain
import Foundation
import SPIFFE
import TestSupport
import Testing

@Suite("Entry matching")
struct EntryMatcherTests {
    private func matches(_ entries: [AuthorizedEntry], _ found: Set<Selector>, now: Date = now) -> [String] {
        EntryMatcher(entries).matches(.of(found), now: now).map(\.id)
    }

    @Test("matches entries whose selectors are all among those found")
    func subset() throws {
        let entries = [
            try AuthorizedEntry.make("one", ["unix:uid:1"]),
            try AuthorizedEntry.make("two", ["unix:uid:1", "unix:path:/bin/a"]),
            try AuthorizedEntry.make("three", ["unix:uid:1", "unix:path:/bin/a", "unix:gid:1"]),
            try AuthorizedEntry.make("other", ["unix:uid:2"]),
            try AuthorizedEntry.make("half", ["unix:uid:1", "unix:uid:2"]),
        ]
        let found = try selectors("unix:uid:1", "unix:path:/bin/a", "unix:user:a")
        #expect(Set(matches(entries, found)) == ["one", "two"])
        #expect(matches(entries, []).isEmpty)
        #expect(matches(entries, try selectors("unix:user:a")).isEmpty)
        #expect(matches([], found).isEmpty)
    }

    @Test("never matches an entry without selectors")
    func noSelectors() throws {
        #expect(matches([try .make("everything", [])], try selectors("unix:uid:1")).isEmpty)
        #expect(matches([try .make("everything", [])], []).isEmpty)
    }

    @Test("leaves entries that are meant for a store out")
    func stored() throws {
        #expect(matches([try .make("stored", storesSVID: true)], try selectors("unix:uid:1")).isEmpty)
    }

    @Test("compares selectors whole: no prefix, no case folding")
    func exact() throws {
        let entries = [try AuthorizedEntry.make("a", ["unix:uid:10"]), try .make("b", ["unix:path:/bin/A"])]
        #expect(
            matches(entries, try selectors("unix:uid:1", "unix:uid:100", "unix:path:/bin/a", "UNIX:uid:10")).isEmpty)
    }

    @Test("WLAPI-11 puts the oldest first, and goes by ID where two are as old")
    func order() throws {
        let entries = [
            try AuthorizedEntry.make("young", createdAt: now - 1), try .make("b", createdAt: now - 5),
            try .make("old", createdAt: now - 9), try .make("a", createdAt: now - 5),
        ]
        for rotation in entries.indices {
            let shuffled = Array(entries[rotation...] + entries[..<rotation])
            #expect(matches(shuffled, try selectors("unix:uid:1")) == ["old", "a", "b", "young"])
        }
    }

    @Test("stops matching an entry at the instant it expires")
    func expiry() throws {
        let entries = [try AuthorizedEntry.make("brief", expiresAt: now + 10)]
        let found = try selectors("unix:uid:1")
        #expect(matches(entries, found, now: now + 9.999) == ["brief"])
        #expect(matches(entries, found, now: now + 10).isEmpty)
        #expect(matches(entries, found, now: now + 11).isEmpty)
    }

    @Test("tells an entry for the same user that lacks what only a higher level tells, and nothing of others'")
    func asksForMore() throws {
        let digest = String(repeating: "a", count: 64)
        let found = try selectors("unix:uid:1", "unix:path:/bin/a", "unix:user:a")
        func asks(
            _ entries: AuthorizedEntry..., found other: Set<Selector>? = nil, level: AssuranceLevel = .executableLink
        ) -> Bool {
            EntryMatcher(entries).asksForMore(than: .of(other ?? found, level), now: now)
        }
        let measured = try AuthorizedEntry.make("measured", ["unix:uid:1", "exec:sha256:\(digest)"])
        #expect(asks(measured))
        #expect(asks(try .make("by-name", ["unix:user:a", "unix:path:/bin/a", "exec:sha256:\(digest)"])))
        #expect(asks(try .make("other", ["unix:uid:2"]), measured))
        // At the level that tells, another program is another program.
        #expect(!asks(measured, level: .measuredExec))
        #expect(!asks(try .make("more-wrong", ["unix:uid:1", "unix:path:/bin/b", "exec:sha256:\(digest)"])))
        #expect(!asks(try .make("nothing-wrong", ["unix:uid:1", "unix:path:/bin/a"])))
        #expect(!asks(try .make("another", ["unix:uid:2", "exec:sha256:\(digest)"])))
        #expect(!asks(try .make("nobody", ["exec:sha256:\(digest)"])))
        #expect(!asks(try .make("over", ["unix:uid:1", "exec:sha256:\(digest)"], expiresAt: now)))
        #expect(!asks(try .make("unknown", ["unix:uid:1", "foreign:fact"])))
        #expect(!asks(measured, found: []))
    }

    @Test("agrees with a matcher that tries every entry", arguments: UInt64(0)..<100)
    func agreesWithNaive(_ seed: UInt64) throws {
        var entropy = SeededEntropy(seed)
        let universe = try (0..<12).map { number in
            try Selector(parsing: number < 9 ? "unix:fact:\(number)" : "unix:sha256:\(number)")
        }
        let entries = try (0..<60).map { number in
            let size = Int.random(in: 0...5, using: &entropy)
            let expiry = Int.random(in: -20...60, using: &entropy)
            return AuthorizedEntry(
                id: "\(number)", spiffeID: try SPIFFEID("spiffe://example.org/\(number)"),
                selectors: Set(universe.shuffled(using: &entropy).prefix(size)),
                storesSVID: Bool.random(using: &entropy) && Bool.random(using: &entropy),
                expiresAt: expiry > 20 ? nil : now + Double(expiry), revision: 1,
                createdAt: now - Double(Int.random(in: 0...10, using: &entropy)),
                terms: AssuranceTerms(minimum: .account, allowsJIT: false))
        }
        let matcher = EntryMatcher(entries)
        for _ in 0..<50 {
            let size = Int.random(in: 0...universe.count, using: &entropy)
            let found = Set(universe.shuffled(using: &entropy).prefix(size))
            let naive = entries.filter { entry in
                !entry.selectors.isEmpty && !entry.storesSVID && entry.selectors.allSatisfy(found.contains)
                    && (entry.expiresAt.map { now < $0 } ?? true)
            }
            let sorted = naive.sorted { $0.createdAt == $1.createdAt ? $0.id < $1.id : $0.createdAt < $1.createdAt }
            #expect(matcher.matches(.of(found), now: now) == sorted)
        }
    }
}

@Suite("Entries that vouch for libraries")
struct VouchingTests {
    /// Two libraries that others than root could have made; measured but for them.
    private static func attestation(jit: AssuranceLevel? = nil) throws -> Attestation {
        let found = try selectors("unix:uid:1", "code:lib:sha256:aa", "code:lib:sha256:bb", "code:set:cc")
        var attestation = Attestation.of(found, jit == nil ? .boundImage : .executableLink, jit: .boundImage)
        attestation.unvouched = try selectors("code:lib:sha256:aa", "code:lib:sha256:bb")
        attestation.levelVouched = jit == nil ? .measuredExec : .executableLink
        attestation.levelVouchedAdmittingJIT = .measuredExec
        return attestation
    }

    static let naming: [(selectors: [String], asks: AssuranceLevel, matches: Bool)] = [
        (["unix:uid:1"], .measuredExec, false), (["unix:uid:1"], .boundImage, true),
        (["unix:uid:1", "code:lib:sha256:aa"], .measuredExec, false),
        (["unix:uid:1", "code:lib:sha256:aa"], .boundImage, true),
        (["unix:uid:1", "code:lib:sha256:aa", "code:lib:sha256:bb"], .measuredExec, true),
        (["code:set:cc"], .measuredExec, true), (["code:set:dd"], .measuredExec, false),
        (["code:lib:sha256:aa", "code:lib:sha256:bb", "code:lib:sha256:dd"], .measuredExec, false),
    ]

    @Test("reach the highest level only by naming each, or the whole set", arguments: naming)
    func vouching(row: (selectors: [String], asks: AssuranceLevel, matches: Bool)) throws {
        let entry = try AuthorizedEntry.make("a", row.selectors, level: row.asks)
        let matcher = EntryMatcher([entry])
        #expect(matcher.matches(try Self.attestation(), now: now).isEmpty == !row.matches)
        let misses = matcher.nearMisses(try Self.attestation(), now: now)
        #expect(misses.isEmpty == row.matches)
        if row.selectors == ["unix:uid:1"], !row.matches {
            #expect(
                misses.first?.shortfall
                    == AssuranceShortfall(needed: .measuredExec, reached: .boundImage, isOnlyJIT: false))
        }
    }

    @Test("need to admit made code besides, where there is some")
    func jit() throws {
        let names = ["code:lib:sha256:aa", "code:lib:sha256:bb"]
        let attestation = try Self.attestation(jit: .measuredExec)
        for (admits, asks, matches) in [
            (false, AssuranceLevel.measuredExec, false), (true, .measuredExec, true), (false, .executableLink, true),
            (false, .boundImage, false),
        ] {
            let entry = try AuthorizedEntry.make("a", names, level: asks, allowsJIT: admits)
            #expect(EntryMatcher([entry]).matches(attestation, now: now).isEmpty == !matches)
        }
        let unnamed = try AuthorizedEntry.make("b", ["unix:uid:1"], level: .measuredExec, allowsJIT: true)
        #expect(EntryMatcher([unnamed]).matches(attestation, now: now).isEmpty)
    }

    @Test("A library that could not be hashed is vouched for by nobody")
    func unhashed() throws {
        var attestation = try Self.attestation()
        attestation.unvouched = try selectors("code:lib:sha256:unknown")
        for names in [["code:lib:sha256:unknown"], ["unix:uid:1", "code:lib:sha256:aa"]] {
            let entry = try AuthorizedEntry.make("a", names, level: .measuredExec)
            #expect(EntryMatcher([entry]).matches(attestation, now: now).isEmpty)
        }
    }

    @Test("The levels of an attestation", arguments: AssuranceLevel.allCases, AssuranceLevel.allCases)
    func levels(plain: AssuranceLevel, jit: AssuranceLevel) throws {
        let attestation = Attestation.of(try selectors("unix:uid:1"), plain, jit: jit)
        #expect(attestation.level(admittingJIT: false, naming: []) == plain)
        #expect(attestation.level(admittingJIT: true, naming: []) == max(plain, jit))
        for asked in AssuranceLevel.allCases {
            for admits in [true, false] {
                #expect(
                    attestation.meets(AssuranceTerms(minimum: asked, allowsJIT: admits), naming: [])
                        == ((admits ? max(plain, jit) : plain) >= asked))
                #expect(attestation.raisedToTop.meets(AssuranceTerms(minimum: asked, allowsJIT: admits), naming: []))
            }
        }
    }
}

@Suite("Hints")
struct HintRuleTests {
    @Test(
        "WLAPI-09, SP-03, A07 keeps the first of equal hints and every entry without one",
        arguments: [
            ([], []), (["i", "e", "i", "", ""], [0, 1, 3, 4]), (["", "", ""], [0, 1, 2]), (["a", "A"], [0, 1]),
            (["x", "x", "x"], [0]), (["x", "", "x", "y", "y"], [0, 1, 3]),
        ] as [([String], [Int])])
    func resolves(_ hints: [String], _ kept: [Int]) throws {
        let entries = try hints.enumerated().map { try AuthorizedEntry.make("\($0.offset)", hint: $0.element) }
        #expect(HintRule.resolve(entries).map(\.id) == kept.map(String.init))
    }
}
