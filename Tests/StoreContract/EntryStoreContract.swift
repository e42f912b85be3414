internal import IssuerDomain
internal import Testing

/// What every ``EntryStore`` must show.
package enum EntryStoreContract {
    package static let behaviours = [
        StoreBehaviour("an empty store has no entries and stands at revision 0") { open in
            let loaded = try await open().loadEntries()
            #expect(loaded.entries.isEmpty)
            #expect(loaded.revision == 0)
        },
        StoreBehaviour("every field of an entry comes back, also after reopening") { open in
            let entries = [try Sample.entry("plain"), try Sample.fullEntry()]
            let store = try await open()
            _ = try await store.apply(entries.map { EntryChange.put($0) })
            #expect(try await Set(store.loadEntries().entries) == Set(entries))
            #expect(try await Set(open().loadEntries().entries) == Set(entries))
        },
        StoreBehaviour("putting an entry again replaces everything but its creation") { open in
            let store = try await open()
            let old = try Sample.entry("a")
            _ = try await store.apply([EntryChange.put(old)])
            let new = Entry(id: "a", contents: try Sample.fullEntry().contents, revision: 1, createdAt: old.createdAt)
            _ = try await store.apply([EntryChange.put(new)])
            #expect(try await open().loadEntries().entries == [new])
        },
        StoreBehaviour("a deleted entry is gone, and its key is free") { open in
            let store = try await open()
            _ = try await store.apply([EntryChange.put(try Sample.entry("a", path: "/same"))])
            let heir = try Sample.entry("b", path: "/same")
            _ = try await store.apply([.delete(id: "a"), EntryChange.put(heir)])
            #expect(try await open().loadEntries().entries == [heir])
        },
        StoreBehaviour("revisions count every change, without gaps and across kinds") { open in
            let store = try await open()
            let three = [try Sample.entry("a"), try Sample.entry("b"), try Sample.entry("c")]
            #expect(try await store.apply(three.map { EntryChange.put($0) }) == 3)
            #expect(try await store.apply([EntryChange.delete(id: "a")]) == 4)
            #expect(try await store.apply([AuthorityChange.put(Sample.authority("x"))]) == 5)
            #expect(try await store.apply([EntryChange.put(try Sample.entry("d"))]) == 6)
            #expect(try await store.loadEntries().revision == 6)
            let reopened = try await open()
            #expect(try await reopened.loadEntries().revision == 6)
            #expect(try await reopened.apply([EntryChange.delete(id: "b")]) == 7)
        },
        StoreBehaviour("a batch that breaks the uniqueness of keys changes nothing at all") { open in
            let store = try await open()
            let standing = try Sample.entry("a", path: "/taken")
            _ = try await store.apply([EntryChange.put(standing)])
            let batch: [EntryChange] = [
                .put(try Sample.entry("b")), .delete(id: "a"), .put(try Sample.entry("c", path: "/taken")),
                .put(try Sample.entry("d", path: "/taken")),
            ]
            await #expect(throws: StoreError.self) { try await store.apply(batch) }
            let loaded = try await open().loadEntries()
            #expect(loaded.entries == [standing])
            #expect(loaded.revision == 1)
            #expect(try await store.apply([EntryChange.delete(id: "a")]) == 2, "a failed batch leaves no gap")
        },
        StoreBehaviour("entries that differ in one part of their key live side by side") { open in
            let store = try await open()
            let entries = [
                try Sample.entry("a", path: "/w"), try Sample.entry("b", path: "/w", parent: "/spire/agent/two"),
                try Sample.entry("c", path: "/w", selectors: ["unix:uid:1001"]),
                try Sample.entry("d", path: "/w", selectors: ["unix:uid:1000", "unix:uid:1001"]),
            ]
            #expect(try await store.apply(entries.map { EntryChange.put($0) }) == 4)
            #expect(try await Set(store.loadEntries().entries) == Set(entries))
        },
        StoreBehaviour("entries of one batch trade their keys") { open in
            let store = try await open()
            let (one, other) = (try Sample.entry("a", path: "/x"), try Sample.entry("b", path: "/y"))
            _ = try await store.apply([EntryChange.put(one), .put(other)])
            let traded = [
                Entry(id: "a", contents: other.contents, revision: 1, createdAt: one.createdAt),
                Entry(id: "b", contents: one.contents, revision: 1, createdAt: other.createdAt),
            ]
            #expect(try await store.apply(traded.map { EntryChange.put($0) }) == 4)
            #expect(try await Set(open().loadEntries().entries) == Set(traded))
        },
        StoreBehaviour("the same entry put twice in one batch is what it was put to last") { open in
            let store = try await open()
            var entry = try Sample.entry("a")
            let first = entry
            entry.contents.hint = "last"
            _ = try await store.apply([EntryChange.put(first), .put(entry)])
            #expect(try await open().loadEntries().entries == [entry])
        },
        StoreBehaviour("a digest set comes back with its versions, and goes with all of them") { open in
            let store = try await open()
            #expect(try await store.loadDigestSets().isEmpty)
            let set = Sample.digestSet()
            #expect(
                try await store.apply([EntryChange.putDigestSet(set), .putDigestSet(Sample.digestSet("other"))]) == 2)
            #expect(try await Set(open().loadDigestSets()) == [set, Sample.digestSet("other")])
            let cut = DigestSet(name: set.name, keeps: 0, grace: .zero, versions: [set.versions[1]])
            _ = try await store.apply([EntryChange.putDigestSet(cut), .deleteDigestSet(name: "other")])
            let reopened = try await open()
            #expect(try await reopened.loadDigestSets() == [cut])
            #expect(try await reopened.loadEntries().revision == 4)
        },
        StoreBehaviour("concurrent changes get distinct revisions without gaps") { open in
            let store = try await open()
            let count = 40
            let revisions = try await withThrowingTaskGroup(of: UInt64.self) { group in
                for number in 0..<count {
                    group.addTask { try await store.apply([EntryChange.put(try Sample.entry("e\(number)"))]) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(revisions.sorted() == (1...UInt64(count)).map { $0 })
            #expect(try await store.loadEntries().entries.count == count)
        },
    ]
}
