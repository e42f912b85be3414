import AgentDomain
import Foundation
import Platform
import SPIFFE
import Testing

@Suite("The token cache")
struct JWTCacheTests {
    private static func token(_ name: String = "t", from start: Date = now, lifetime: TimeInterval = 300) throws
        -> HeldJWTSVID
    {
        HeldJWTSVID(
            spiffeID: try SPIFFEID("spiffe://example.org/w"), token: SecretText(name), issuedAt: start,
            expiresAt: start + lifetime)
    }

    private func key(_ id: String = "e", revision: Int64 = 1, _ audience: String...) -> JWTCache.Key {
        JWTCache.Key(slot: SVIDSlot(entryID: id), entryRevision: revision, audience: audience)
    }

    @Test("GS-13 serves a token until half of its life is over, and no longer")
    func fresh() throws {
        var cache = JWTCache()
        let token = try Self.token()
        #expect(token.staleAt == now + 150)
        #expect(cache.fresh(key("e", "a"), now: now) == nil)
        cache.insert(token, for: key("e", "a"))
        #expect(cache.fresh(key("e", "a"), now: now) == token)
        #expect(cache.fresh(key("e", "a"), now: now + 149.999) == token)
        #expect(cache.fresh(key("e", "a"), now: now + 150) == nil)
    }

    @Test("keeps a token for when no new one can be had, until its end")
    func usable() throws {
        var cache = JWTCache()
        let token = try Self.token()
        cache.insert(token, for: key("e", "a"))
        #expect(cache.usable(key("e", "a"), now: now + 299.999) == token)
        #expect(cache.usable(key("e", "a"), now: now + 300) == nil)
        #expect(cache.usable(key("e", "b"), now: now) == nil)
    }

    @Test("takes the audience as a set: order and repeats do not matter, members do")
    func audienceSet() throws {
        var cache = JWTCache()
        let token = try Self.token()
        cache.insert(token, for: key("e", "a", "b"))
        #expect(cache.fresh(key("e", "b", "a"), now: now) == token)
        #expect(cache.fresh(key("e", "b", "a", "b"), now: now) == token)
        #expect(cache.fresh(key("e", "a"), now: now) == nil)
        #expect(cache.fresh(key("e", "a", "b", "c"), now: now) == nil)
        #expect(cache.fresh(key("e", "A", "b"), now: now) == nil)
        #expect(cache.fresh(key("f", "a", "b"), now: now) == nil)
        #expect(cache.fresh(key("e", revision: 2, "a", "b"), now: now) == nil)
        #expect(cache.count == 1)
    }

    @Test("drops the least recently used when it is full")
    func bound() throws {
        var cache = JWTCache(capacity: 3)
        for name in ["a", "b", "c"] { cache.insert(try Self.token(name), for: key(name)) }
        #expect(cache.fresh(key("a"), now: now)?.token.exposed == "a")
        cache.insert(try Self.token("d"), for: key("d"))
        #expect(cache.count == 3)
        #expect(cache.fresh(key("b"), now: now) == nil)
        for name in ["a", "c", "d"] { #expect(cache.fresh(key(name), now: now)?.token.exposed == name) }
        cache.insert(try Self.token("e"), for: key("e"))
        #expect(cache.fresh(key("a"), now: now) == nil)
    }

    @Test("stays within its bound however much is put in")
    func neverBeyondBound() throws {
        var cache = JWTCache(capacity: 10)
        for number in 0..<100 {
            cache.insert(try Self.token(), for: key("\(number % 30)"))
            #expect(cache.count <= 10)
        }
        #expect(cache.count == 10)
    }

    @Test("replaces a token under the same key without growing")
    func replaces() throws {
        var cache = JWTCache(capacity: 1)
        cache.insert(try Self.token("old"), for: key())
        cache.insert(try Self.token("new"), for: key())
        #expect(cache.count == 1)
        #expect(cache.fresh(key(), now: now)?.token.exposed == "new")
    }

    @Test("retains only what its entry and its end allow")
    func retain() throws {
        var cache = JWTCache()
        cache.insert(try Self.token("kept"), for: key("kept"))
        cache.insert(try Self.token("changed"), for: key("changed"))
        cache.insert(try Self.token("gone"), for: key("gone"))
        cache.insert(try Self.token("ended", from: now - 300), for: key("ended"))
        cache.retain(entries: ["kept": 1, "changed": 2, "ended": 1], now: now)
        #expect(cache.count == 1)
        #expect(cache.fresh(key("kept"), now: now)?.token.exposed == "kept")
    }

    @Test("drops tokens of tainted keys, and of keys that the bundle no longer holds")
    func tainted() throws {
        var cache = JWTCache()
        for name in ["good", "tainted", "gone"] {
            let token = HeldJWTSVID(
                spiffeID: try SPIFFEID("spiffe://example.org/w"), token: SecretText(name), issuedAt: now,
                expiresAt: now + 300, keyID: name)
            cache.insert(token, for: key(name))
        }
        cache.insert(try Self.token("unsaid"), for: key("unsaid"))
        cache.drop(tainted: ["tainted"], published: ["good", "tainted"])
        #expect(cache.count == 2)
        #expect(cache.usable(key("good"), now: now)?.token.exposed == "good")
        #expect(cache.usable(key("unsaid"), now: now)?.token.exposed == "unsaid")
    }

    @Test("does not take a token from the future for fresh when the clock went back, but may use it")
    func clockWentBack() throws {
        var cache = JWTCache()
        let token = try Self.token()
        cache.insert(token, for: key())
        #expect(cache.fresh(key(), now: now - 3600) == nil)
        #expect(cache.usable(key(), now: now - 3600) == token)
        // Issuers round to whole seconds.
        #expect(cache.fresh(key(), now: now - 1) == token)
    }

    @Test("never shows a token")
    func redaction() throws {
        var cache = JWTCache()
        cache.insert(try Self.token("s3cr3t"), for: key())
        var dumped = ""
        dump(cache, to: &dumped)
        let token = try Self.token("s3cr3t")
        for text in ["\(cache)", String(reflecting: cache), dumped, "\(token)", String(reflecting: token)] {
            #expect(text.contains("<redacted>"))
            #expect(!text.contains("s3cr3t"))
        }
    }
}
