import AgentDomain
import Foundation
import SPIFFE
import Testing

@Suite("Entry matching by assurance level")
struct EntryTermsTests {
    /// Asked for, JIT admitted, reached, reached with JIT admitted, and whether that matches.
    static let table: [(asked: Int, admits: Bool, level: Int, jit: Int, matches: Bool)] = [
        (0, false, 0, 0, true), (1, false, 0, 0, false), (1, false, 1, 1, true), (2, false, 1, 3, false),
        (2, false, 2, 2, true), (2, true, 1, 2, true), (2, true, 1, 1, false), (3, false, 2, 3, false),
        (3, true, 2, 3, true), (3, true, 1, 3, true), (3, true, 3, 3, true), (3, false, 3, 3, true),
        (0, false, 3, 3, true), (3, true, 2, 2, false),
    ]

    @Test("goes by the level that counts for the entry", arguments: table)
    func levels(row: (asked: Int, admits: Bool, level: Int, jit: Int, matches: Bool)) throws {
        func level(_ number: Int) throws -> AssuranceLevel { try #require(AssuranceLevel(rawValue: number)) }
        let entry = try AuthorizedEntry.make("a", level: level(row.asked), allowsJIT: row.admits)
        let attestation = Attestation.of(entry.selectors, try level(row.level), jit: try level(row.jit))
        let matcher = EntryMatcher([entry])
        #expect(matcher.matches(attestation, now: now).isEmpty == !row.matches)
        #expect(matcher.nearMisses(attestation, now: now).isEmpty == row.matches)
    }

    @Test("never takes a level for a selector that was not found")
    func selectorsStillCount() throws {
        let matcher = EntryMatcher([try .make("a", ["unix:uid:1", "unix:gid:1"])])
        #expect(matcher.matches(.of(try selectors("unix:uid:1"), .measuredExec), now: now).isEmpty)
    }

    @Test("names every selector that is missing, and nothing else")
    func missing() throws {
        let entry = try AuthorizedEntry.make("a", ["unix:uid:1", "unix:path:/x", "ns:user:init"], level: .boundImage)
        let misses = EntryMatcher([entry]).nearMisses(.of(try selectors("unix:uid:1"), .measuredExec), now: now)
        #expect(misses.map(\.entry.id) == ["a"])
        #expect(misses.first?.missing.map(\.description) == ["ns:user:init", "unix:path:/x"])
        #expect(misses.first?.shortfall == nil)
        #expect(misses.first?.hasExpired == false)
    }

    @Test("says which level lacks, and whether admitting made code would mend it")
    func shortfall() throws {
        let plain = try AuthorizedEntry.make("plain", level: .measuredExec)
        let jit = try AuthorizedEntry.make("jit", level: .measuredExec, allowsJIT: true)
        let node = Attestation.of(plain.selectors, .executableLink, jit: .measuredExec)
        let matcher = EntryMatcher([plain, jit])
        #expect(matcher.matches(node, now: now).map(\.id) == ["jit"])
        #expect(
            matcher.nearMisses(node, now: now).map(\.shortfall)
                == [AssuranceShortfall(needed: .measuredExec, reached: .executableLink, isOnlyJIT: true)])
        let weak = Attestation.of(plain.selectors, .account, jit: .boundImage)
        #expect(
            matcher.nearMisses(weak, now: now).map(\.shortfall) == [
                AssuranceShortfall(needed: .measuredExec, reached: .boundImage, isOnlyJIT: false),
                AssuranceShortfall(needed: .measuredExec, reached: .account, isOnlyJIT: false),
            ])
    }

    @Test("puts the nearest first, and tells no more than it is asked for")
    func order() throws {
        let entries = [
            try AuthorizedEntry.make("far", ["unix:uid:9", "unix:gid:9", "unix:path:/y"]),
            try .make("level", ["unix:uid:1"], level: .boundImage), try .make("one", ["unix:uid:1", "unix:path:/y"]),
            try .make("other", ["unix:uid:9"]), try .make("over", ["unix:uid:1"], expiresAt: now - 1),
            try .make("match", ["unix:uid:1"]),
        ]
        let matcher = EntryMatcher(entries)
        let found = Attestation.of(try selectors("unix:uid:1", "unix:path:/x"))
        #expect(
            matcher.nearMisses(found, now: now).map(\.entry.id) == ["one", "over", "other", "level", "far"])
        #expect(matcher.nearMisses(found, now: now, limit: 2).map(\.entry.id) == ["one", "over"])
        #expect(matcher.nearMisses(found, now: now, limit: 0).isEmpty)
        #expect(matcher.nearMisses(found, now: now, limit: -1).isEmpty)
    }
}
