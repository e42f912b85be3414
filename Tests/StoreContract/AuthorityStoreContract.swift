internal import Foundation
internal import IssuerDomain
internal import Testing

/// What every ``AuthorityStore`` must show.
package enum AuthorityStoreContract {
    package static let behaviours = [
        StoreBehaviour("an empty store has no authorities and stands at sequence 0") { open in
            let loaded = try await open().loadAuthorities()
            #expect(loaded.authorities.isEmpty)
            #expect(loaded.sequence == 0)
        },
        StoreBehaviour("every field of an authority comes back, also after reopening") { open in
            let records = [
                Sample.authority("a", .x509, .active), Sample.authority("b", .x509, .prepared),
                Sample.authority("c", .x509, .retired), Sample.authority("d", .jwt, .active),
            ]
            let store = try await open()
            let sequence = try await store.apply(records.map { AuthorityChange.put($0) })
            let loaded = try await store.loadAuthorities()
            #expect(Set(loaded.authorities) == Set(records))
            #expect(loaded.sequence == sequence)
            let reloaded = try await open().loadAuthorities()
            #expect(Set(reloaded.authorities) == Set(records))
            #expect(reloaded.sequence == sequence)
        },
        StoreBehaviour("the sequence grows with every change of authorities and with nothing else (BUNDLE-04)") {
            open in
            let store = try await open()
            let first = try await store.apply([AuthorityChange.put(Sample.authority("a"))])
            #expect(first > 0)
            _ = try await store.apply([EntryChange.put(try Sample.entry("e"))])
            try await store.put(try Sample.agent("one"))
            #expect(try await store.loadAuthorities().sequence == first)
            let second = try await store.apply([AuthorityChange.put(Sample.authority("b", .x509, .prepared))])
            #expect(second > first)
            let third = try await store.apply([AuthorityChange.delete(.x509, id: "b")])
            #expect(third > second)
            #expect(try await open().loadAuthorities().sequence == third)
        },
        StoreBehaviour("a second active authority of one kind fails the transaction and changes nothing") { open in
            let store = try await open()
            let standing = [Sample.authority("a", .x509), Sample.authority("j", .jwt)]
            let sequence = try await store.apply(standing.map { AuthorityChange.put($0) })
            let batch: [AuthorityChange] = [
                .put(Sample.authority("new", .x509, .prepared)), .delete(.jwt, id: "j"),
                .put(Sample.authority("usurper", .x509, .active)),
            ]
            await #expect(throws: StoreError.self) { try await store.apply(batch) }
            let loaded = try await open().loadAuthorities()
            #expect(Set(loaded.authorities) == Set(standing))
            #expect(loaded.sequence == sequence)
            #expect(try await store.apply([EntryChange.put(try Sample.entry("e"))]) == sequence + 1)
        },
        StoreBehaviour("a hand-over is one transaction, in whichever order it is written") { open in
            let store = try await open()
            var (old, new) = (Sample.authority("old"), Sample.authority("new", .x509, .prepared))
            _ = try await store.apply([AuthorityChange.put(old), AuthorityChange.put(new)])
            try old.take(.retire)
            try new.take(.activate)
            _ = try await store.apply([AuthorityChange.put(new), AuthorityChange.put(old)])
            #expect(try await Set(store.loadAuthorities().authorities) == [old, new])
            var next = Sample.authority("next", .x509, .prepared)
            _ = try await store.apply([AuthorityChange.put(next)])
            try new.take(.retire)
            try next.take(.activate)
            _ = try await store.apply([AuthorityChange.put(new), AuthorityChange.put(next)])
            #expect(try await Set(open().loadAuthorities().authorities) == [old, new, next])
        },
        StoreBehaviour("a deleted authority makes room for the next active one") { open in
            let store = try await open()
            _ = try await store.apply([AuthorityChange.put(Sample.authority("a"))])
            let heir = Sample.authority("b")
            _ = try await store.apply([.delete(.x509, id: "a"), AuthorityChange.put(heir)])
            #expect(try await open().loadAuthorities().authorities == [heir])
        },
        StoreBehaviour("putting an authority again changes its state and its server alone") { open in
            let store = try await open()
            var record = Sample.authority("a")
            _ = try await store.apply([AuthorityChange.put(record)])
            let forged = Sample.authority("a", .x509, .retired, lifetime: 999_999_999)
            _ = try await store.apply([AuthorityChange.put(forged)])
            try record.take(.retire)
            #expect(try await open().loadAuthorities().authorities == [record])
        },
        StoreBehaviour("what was revoked stays revoked, and each revocation raises the security revision") { open in
            let store = try await open()
            let before = try await store.securityRevision()
            let records = [Sample.authority("a"), Sample.authority("b", .x509, .revoked)]
            _ = try await store.apply(records.map { AuthorityChange.put($0) })
            for state in AuthorityRecord.State.allCases where state != .revoked {
                await #expect(throws: StoreError.self) {
                    try await store.apply([
                        AuthorityChange.put(Sample.authority("a", .x509, .retired)),
                        .put(Sample.authority("b", .x509, state)),
                    ])
                }
            }
            #expect(try await Set(open().loadAuthorities().authorities) == Set(records))
            #expect(try await open().securityRevision() == before + 1)
        },
        StoreBehaviour("each of several servers has an active authority of its own, and no second one") { open in
            let store = try await open()
            let records = [
                Sample.authority("a"), Sample.authority("b", server: Sample.otherServer),
                Sample.authority("c", server: nil), Sample.authority("d", .jwt, server: Sample.otherServer),
            ]
            _ = try await store.apply(records.map { AuthorityChange.put($0) })
            #expect(try await Set(open().loadAuthorities().authorities) == Set(records))
            for server in [Sample.server, Sample.otherServer, nil] {
                await #expect(throws: StoreError.self) {
                    try await store.apply([AuthorityChange.put(Sample.authority("second", server: server))])
                }
            }
            #expect(try await Set(open().loadAuthorities().authorities) == Set(records))
        },
        StoreBehaviour("a record of before servers had IDs can be claimed by one") { open in
            let store = try await open()
            _ = try await store.apply([AuthorityChange.put(Sample.authority("a", server: nil))])
            _ = try await store.apply([AuthorityChange.put(Sample.authority("a"))])
            #expect(try await open().loadAuthorities().authorities == [Sample.authority("a")])
        },
        StoreBehaviour("authorities of others come back with their chain, their origin and without an end") { open in
            let store = try await open()
            let records = [
                AuthorityRecord(
                    id: "kid \u{E9}", kind: .jwt, state: .published, origin: .downstream, notBefore: Sample.start,
                    notAfter: .distantFuture, publicDER: [0x30, 0x00], publisher: "spiffe://example.org/below"),
                AuthorityRecord(
                    id: "sha256:aa", kind: .x509, state: .tainted, origin: .upstream, notBefore: Sample.start,
                    notAfter: Sample.start + 60, publicDER: [0x30, 0x01, 0x00]),
                AuthorityRecord(
                    id: "sha256:bb", kind: .x509, state: .revoked, origin: .appended, notBefore: Sample.start,
                    notAfter: Sample.start + 60, publicDER: [0x30, 0x01, 0x01]),
                AuthorityRecord(
                    id: "aa", kind: .x509, state: .active, origin: .server(Sample.server, keyName: "x509-aa"),
                    notBefore: Sample.start, notAfter: Sample.start + 60, publicDER: [0x30, 0x01, 0x02],
                    chain: [[0x30, 0x00], [0xFF, 0x00, 0x80]], upstreamKeyID: "0a0b"),
            ]
            _ = try await store.apply(records.map { AuthorityChange.put($0) })
            #expect(try await Set(open().loadAuthorities().authorities) == Set(records))
        },
        StoreBehaviour("one ID can stand for an X.509 and a JWT authority, which are changed apart") { open in
            let store = try await open()
            let x509 = Sample.authority("same", .x509)
            let jwt = AuthorityRecord(
                id: "same", kind: .jwt, state: .published, origin: .downstream, notBefore: Sample.start,
                notAfter: Sample.start + 60, publicDER: [0x30, 0x00])
            _ = try await store.apply([AuthorityChange.put(x509), AuthorityChange.put(jwt)])
            #expect(try await Set(store.loadAuthorities().authorities) == [x509, jwt])
            _ = try await store.apply([AuthorityChange.delete(.jwt, id: "same")])
            #expect(try await open().loadAuthorities().authorities == [x509])
        },
    ]
}
