import Foundation
import GRDB
import Glibc
import IssuerDomain
import SPIFFE
import SQLiteStore
import StoreContract
import TestSupport
import Testing

@Suite("The SQLite store's file")
struct SQLiteStoreFileTests {
    @Test("The database and its journal are readable by their owner alone")
    func modes() async throws {
        try await withStore { store, path in
            _ = try await store.apply([EntryChange.put(try Sample.entry("a"))])
            for file in [path, "\(path)-wal", "\(path)-shm"] { #expect(try mode(of: file) == 0o600, "\(file)") }
        }
    }

    @Test("Every commit is flushed to disk before it is acknowledged, so that it survives a power cut")
    func flushes() async throws {
        try await withStore { store, _ in
            let level = try await store.flushLevel()
            let full = 2
            #expect(level == full)
        }
    }

    @Test(
        "No search of the issuance record reads all of it",
        arguments: [
            ("principal = 'a'", "issuances_by_principal"), ("spiffe_id = 'a'", "issuances_by_spiffe_id"),
            ("outcome = 'denied'", "issuances_denied"), ("(serial = 'a' OR token_id = 'a')", "issuances_by_serial"),
            ("(serial = 'a' OR token_id = 'a')", "issuances_by_token_id"),
        ])
    func indexes(condition: String, index: String) async throws {
        try await withStore { _, path in
            let found = try plan(where: condition, in: path)
            #expect(found.contains(index), "\(found)")
        }
    }

    @Test("A database that others could read is closed to them on opening")
    func tightensMode() async throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            #expect(FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o644]))
            try open(path).close()
            #expect(try mode(of: path) == 0o600)
        }
    }

    @Test("A database that others could write to, or that is another user's, or a link, is not believed")
    func written() throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            for mode in [0o660, 0o606, 0o622] {
                #expect(
                    FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: mode]))
                #expect(throws: Refusal.readOnly) { try refusal(of: path) }
                #expect(try self.mode(of: path) == mode, "it is left as it is, for whoever has to look at it")
            }
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
            try open(path).close()
            try FileManager.default.createSymbolicLink(atPath: "\(folder)/link.db", withDestinationPath: path)
            #expect(throws: Refusal.readOnly) { try refusal(of: "\(folder)/link.db") }
            if getuid() == 0 {
                #expect(chown(path, 65534, 65534) == 0)
                #expect(throws: Refusal.readOnly) { try refusal(of: path) }
            }
        }
    }

    @Test("What is not a database is refused as corrupt and left as it is", arguments: [64, 4096, 200_000])
    func garbage(size: Int) async throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let garbage = Data((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) })
            try garbage.write(to: URL(fileURLWithPath: path))
            #expect(throws: Refusal.corrupt) { try refusal(of: path) }
            #expect(try contents(of: path) == garbage)
        }
    }

    @Test("A database whose pages are overwritten is refused as corrupt and left as it is")
    func damagedPages() async throws {
        try await withFilledDatabase { path in
            var bytes = try contents(of: path)
            for offset in stride(from: 8192, to: bytes.count, by: 4096) {
                bytes.replaceSubrange(offset..<(offset + 512), with: [UInt8](repeating: 0xA5, count: 512))
            }
            try bytes.write(to: URL(fileURLWithPath: path))
            #expect(throws: Refusal.corrupt) { try refusal(of: path) }
            #expect(try contents(of: path) == bytes)
        }
    }

    @Test("A database cut short is refused as corrupt and left as it is", arguments: [100, 4096, 20_000])
    func truncated(length: Int) async throws {
        try await withFilledDatabase { path in
            let bytes = try contents(of: path).prefix(length)
            try bytes.write(to: URL(fileURLWithPath: path))
            #expect(throws: Refusal.corrupt) { try refusal(of: path) }
            #expect(try contents(of: path) == bytes)
        }
    }

    @Test(
        "A value that breaks the rules of its type is corruption, not a crash",
        arguments: [
            "UPDATE entries SET spiffe_id = 'spiffe://Example.org//x'", "UPDATE entries SET selectors = '[\"uid\"]'",
            "UPDATE entries SET selectors = 'not json'", "UPDATE entries SET selectors = '[1]'",
            "UPDATE entries SET federates_with = '[\"UPPER\"]'", "UPDATE entries SET parent_id = ''",
        ])
    func unreadableEntry(sql: String) async throws {
        try await withStore { store, path in
            _ = try await store.apply([EntryChange.put(try Sample.fullEntry())])
            try edit(path, sql)
            let error = await #expect(throws: StoreError.self) { try await store.loadEntries() }
            #expect(error.map(Refusal.init) == .corrupt)
        }
    }

    @Test(
        "A damaged record of an agent or an authority is corruption, not a crash",
        arguments: [
            "UPDATE authorities SET state = 'reigning'", "UPDATE authorities SET kind = 'pgp'",
            "UPDATE agents SET id = 'nobody'",
        ])
    func unreadableRecord(sql: String) async throws {
        try await withStore { store, path in
            _ = try await store.apply([AuthorityChange.put(Sample.authority("a"))])
            try await store.put(try Sample.agent("one"))
            try edit(path, sql)
            let error = await #expect(throws: StoreError.self) {
                _ = try await store.loadAgents()
                _ = try await store.loadAuthorities()
            }
            #expect(error.map(Refusal.init) == .corrupt)
        }
    }

    @Test("What was acknowledged before a crash is there after it, from the journal that was left behind")
    func crash() async throws {
        try await withStore { store, path in
            let entries = try (0..<50).map { try Sample.entry("e\($0)") }
            for entry in entries { _ = try await store.apply([EntryChange.put(entry)]) }
            _ = try await store.apply([AuthorityChange.put(Sample.authority("a"))])
            // As a crash leaves it: nobody closed the file, and the shared-memory index is gone.
            let copy = "\(path).after-crash"
            for suffix in ["", "-wal"] {
                try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
            }
            #expect(try contents(of: copy + "-wal").count > 0, "the journal holds what was not yet folded in")
            let survivor = try open(copy)
            let loaded = try await survivor.loadEntries()
            #expect(Set(loaded.entries) == Set(entries))
            #expect(loaded.revision == 51)
            #expect(try await survivor.loadAuthorities().authorities.count == 1)
            try survivor.close()
        }
    }

    @Test(
        "A journal cut off in the middle of a commit loses that commit and nothing before it",
        arguments: [1, 500, 3000])
    func tornJournal(missing: Int) async throws {
        try await withStore { store, path in
            for number in 0..<20 { _ = try await store.apply([EntryChange.put(try Sample.entry("e\(number)"))]) }
            let copy = "\(path).after-crash"
            try contents(of: path).write(to: URL(fileURLWithPath: copy))
            try contents(of: "\(path)-wal").dropLast(missing).write(to: URL(fileURLWithPath: "\(copy)-wal"))
            let survivor = try open(copy)
            let loaded = try await survivor.loadEntries()
            #expect(loaded.revision == 19)
            #expect(Set(loaded.entries.map(\.id)) == Set((0..<19).map { "e\($0)" }))
            #expect(try await survivor.apply([EntryChange.put(try Sample.entry("next"))]) == 20)
            try survivor.close()
        }
    }

    @Test("A store of another trust domain is refused by name, and still opens for its own")
    func otherTrustDomain() async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let store = try open(path)
            _ = try await store.apply([EntryChange.put(try Sample.entry("a"))])
            try store.close()
            #expect(throws: StoreError.otherTrustDomain(stored: "example.org", asked: "other.example")) {
                try SQLiteStore(path: path, trustDomain: TrustDomain("other.example"))
            }
            #expect(try await open(path).loadEntries().entries.count == 1)
        }
    }

    @Test("A store that a later version wrote is refused and left as it is")
    func newerSchema() async throws {
        try TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            try open(path).close()
            try edit(path, "INSERT INTO grdb_migrations (identifier) VALUES ('999 from the future')")
            let before = try contents(of: path)
            #expect(throws: Refusal.tooNew) { try refusal(of: path) }
            #expect(try contents(of: path) == before)
        }
    }

    @Test("Entries of the version before levels get the terms that a new entry would have, and keep all else")
    func migratesTerms() async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let digest = String(repeating: "ab", count: 32)
            let table: [(id: String, selectors: [String], level: Int)] = [
                ("account", ["unix:uid:1", "unix:gid:2"], 0), ("path", ["unix:path:/x", "unix:uid:1"], 2),
                ("digest", ["unix:sha256:\(digest)"], 2), ("foreign", ["k8s:ns:a"], 0), ("node", ["spiffe_id:x"], 0),
            ]
            let entries = try table.map { try Sample.entry($0.id, selectors: $0.selectors, revision: 3) }
            let store = try open(path)
            _ = try await store.apply(entries.map { EntryChange.put($0) })
            try store.close()
            try undoTerms(path)
            let migrated = try await open(path).loadEntries().entries
            #expect(migrated.sorted { $0.id < $1.id } == entries.sorted { $0.id < $1.id })
            for row in table {
                let terms = migrated.first { $0.id == row.id }?.contents.terms
                #expect(terms?.minimum.number == row.level, "\(row)")
                #expect(terms?.allowsJIT == false)
            }
        }
    }

    @Test("An entry of an earlier version that cannot be read back stops the migration and loses nothing")
    func migrationOfDamage() async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let store = try open(path)
            _ = try await store.apply([.put(try Sample.entry("a")), .put(try Sample.entry("b"))])
            try store.close()
            try undoTerms(path)
            try edit(path, "UPDATE entries SET selectors = 'no list' WHERE id = 'b'")
            #expect(throws: Refusal.corrupt) { try refusal(of: path) }
            try edit(path, #"UPDATE entries SET selectors = '["unix:uid:7"]' WHERE id = 'b'"#)
            #expect(try await open(path).loadEntries().entries.count == 2)
        }
    }

    @Test("Authorities of the version before servers had IDs are nobody's yet, and keep all else")
    func migratesAuthorities() async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let records = [
                Sample.authority("a", server: nil), Sample.authority("b", .x509, .prepared, server: nil),
                Sample.authority("c", .jwt, server: nil), Sample.authority("d", .jwt, .retired, server: nil),
            ]
            let store = try open(path)
            let sequence = try await store.apply(records.map { AuthorityChange.put($0) })
            try store.close()
            try edit(
                path,
                """
                DROP TABLE authorities;
                CREATE TABLE authorities (
                    id TEXT PRIMARY KEY,
                    kind TEXT NOT NULL,
                    state TEXT NOT NULL,
                    not_before INTEGER NOT NULL,
                    not_after INTEGER NOT NULL,
                    key_name TEXT NOT NULL UNIQUE,
                    public_der BLOB NOT NULL
                ) WITHOUT ROWID, STRICT;
                CREATE UNIQUE INDEX one_active_authority ON authorities (kind) WHERE state = 'active';
                DELETE FROM grdb_migrations WHERE identifier = '3 authorities of several servers';
                DELETE FROM grdb_migrations WHERE identifier = '10 publishers of authorities';
                """)
            let start = Sample.start.timeIntervalSince1970
            for record in records {
                try edit(
                    path,
                    """
                    INSERT INTO authorities VALUES ('\(record.id)', '\(record.kind.rawValue)', '\(record.state.rawValue)',
                        \(Int(start)), \(Int(start) + 86400), '\(record.keyName ?? "")', x'300300FF80');
                    """)
            }
            let loaded = try await open(path).loadAuthorities()
            #expect(Set(loaded.authorities) == Set(records))
            #expect(loaded.sequence == sequence)
        }
    }

    @Test(
        "An authority that cannot be is damage",
        arguments: [
            "state = 'published'", "state = 'gone'", "kind = 'wit'", "server_id = 'me'", "chain = 'no list'",
            #"chain = '["no base64"]'"#,
        ])
    func impossibleAuthorities(change: String) async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let store = try open(path)
            _ = try await store.apply([AuthorityChange.put(Sample.authority("a"))])
            try store.close()
            try edit(path, "UPDATE authorities SET \(change)")
            let reopened = try open(path)
            await #expect(throws: StoreError.self) { try await reopened.loadAuthorities() }
        }
    }

    @Test(
        "An authority without what its origin asks for is never written",
        arguments: ["server_id = NULL", "key_name = NULL", "origin = 'upstream'"])
    func impossibleOrigins(change: String) async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let store = try open(path)
            _ = try await store.apply([AuthorityChange.put(Sample.authority("a"))])
            try store.close()
            #expect(throws: DatabaseError.self) { try edit(path, "UPDATE authorities SET \(change)") }
        }
    }

    @Test("A level that is none is damage", arguments: ["min_assurance = 4", "min_assurance = -1", "allows_jit = 2"])
    func impossibleTerms(change: String) async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            let store = try open(path)
            _ = try await store.apply([.put(try Sample.entry("a"))])
            try store.close()
            #expect(throws: DatabaseError.self) { try edit(path, "UPDATE entries SET \(change)") }
        }
    }

    @Test("Entries of the version before details keep all they said, and get nothing that narrows them")
    func migratesDetails() async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            var entries = [try Sample.fullEntry("full"), try Sample.entry("plain", revision: 3)]
            let store = try open(path)
            _ = try await store.apply(entries.map { EntryChange.put($0) })
            try store.close()
            let queue = try DatabaseQueue(path: path)
            try await queue.write { db in
                for column in [
                    "description", "owner", "purpose", "labels", "class", "not_before", "is_disabled", "audiences",
                    "key_type", "has_instance_keys", "id_template", "any_of", "none_of", "digest_sets",
                ] { try db.execute(sql: "ALTER TABLE entries DROP COLUMN \(column)") }
                try db.execute(
                    sql: """
                        DROP TABLE digest_set_versions;
                        DROP TABLE digest_sets;
                        DELETE FROM grdb_migrations WHERE identifier = '5 details of entries';
                        """)
            }
            try queue.close()
            for index in entries.indices { entries[index].contents.details = EntryDetails() }
            let migrated = try open(path)
            let loaded = try await migrated.loadEntries()
            #expect(Set(loaded.entries) == Set(entries))
            #expect(loaded.revision == 2)
            #expect(try await migrated.loadDigestSets().isEmpty)
            entries[1].contents.details = try Sample.fullDetails()
            #expect(try await migrated.apply([.put(entries[1])]) == 3)
            #expect(try await Set(open(path).loadEntries().entries) == Set(entries))
        }
    }

    @Test(
        "Details that are none are damage, not a crash",
        arguments: [
            "labels = '[]'", "labels = '{\"a\": 1}'", "audiences = '{}'", "any_of = '[[1]]'", "any_of = 'x'",
            "none_of = '[\"x\"]'", "id_template = 'no place'", "digest_sets = '7'",
        ])
    func damagedDetails(change: String) async throws {
        try await withStore { store, path in
            _ = try await store.apply([EntryChange.put(try Sample.fullEntry())])
            try edit(path, "UPDATE entries SET \(change)")
            let error = await #expect(throws: StoreError.self) { try await store.loadEntries() }
            #expect(error.map(Refusal.init) == .corrupt)
        }
    }

    /// How SQLite would search the issuance record.
    private func plan(where condition: String, in path: String) throws -> String {
        var configuration = Configuration()
        configuration.readonly = true
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        return try queue.read { db in
            try Row.fetchAll(
                db, sql: "EXPLAIN QUERY PLAN SELECT * FROM issuances WHERE \(condition) ORDER BY number DESC LIMIT 10"
            ).map { "\($0)" }.joined()
        }
    }

    /// Takes a file back to how the version before levels left it.
    private func undoTerms(_ path: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.write { db in
            try db.execute(
                sql: """
                    ALTER TABLE entries DROP COLUMN min_assurance;
                    ALTER TABLE entries DROP COLUMN allows_jit;
                    DELETE FROM grdb_migrations WHERE identifier = '2 terms of entries';
                    """)
        }
        try queue.close()
    }

    @Test("A place where no file can be is said to be read-only")
    func impossiblePlace() async throws {
        try TemporaryFolder.use { folder in
            try Data().write(to: URL(fileURLWithPath: "\(folder)/file"))
            for path in ["\(folder)/missing/store.db", "\(folder)/file/store.db", folder] {
                #expect(throws: Refusal.readOnly, "\(path)") { try refusal(of: path) }
            }
        }
    }

    @Test(
        "A folder that may not be written is said to be read-only", .enabled(if: getuid() != 0, "root is never refused")
    )
    func readOnlyFolder() async throws {
        try TemporaryFolder.use { folder in
            try #require(chmod(folder, 0o500) == 0)
            defer { chmod(folder, 0o700) }
            #expect(throws: Refusal.readOnly) { try refusal(of: "\(folder)/store.db") }
        }
    }

    @Test(
        "A file that may not be written is said to be read-only", .enabled(if: getuid() != 0, "root is never refused"))
    func readOnlyFile() async throws {
        try await withFilledDatabase { path in
            try #require(chmod(path, 0o400) == 0)
            #expect(throws: Refusal.readOnly) { try refusal(of: path) }
        }
    }

    @Test("A closed store fails every call instead of crashing")
    func closed() async throws {
        try await withStore { store, _ in
            try store.close()
            await #expect(throws: StoreError.self) { try await store.loadEntries() }
            await #expect(throws: StoreError.self) {
                try await store.apply([EntryChange.put(try Sample.entry("a"))])
            }
        }
    }

    @Test("Two stores on one file take turns, and neither repeats a revision")
    func twoStores() async throws {
        try await TemporaryFolder.use { folder in
            let stores = [try open("\(folder)/store.db"), try open("\(folder)/store.db")]
            let revisions = try await withThrowingTaskGroup(of: UInt64.self) { group in
                for number in 0..<30 {
                    group.addTask {
                        try await stores[number % 2].apply([EntryChange.put(try Sample.entry("e\(number)"))])
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(revisions.sorted() == (1...30).map { UInt64($0) })
        }
    }

    /// The case of a ``StoreError``, whatever its detail says.
    enum Refusal: Error, Equatable {
        case corrupt, full, tooNew, readOnly, otherTrustDomain, outsideScope, needsSecondPerson, failed

        init(_ error: StoreError) {
            self =
                switch error {
                case .corrupt: .corrupt
                case .full: .full
                case .tooNew: .tooNew
                case .readOnly: .readOnly
                case .otherTrustDomain: .otherTrustDomain
                case .outsideScope: .outsideScope
                case .needsSecondPerson: .needsSecondPerson
                case .failed: .failed
                }
        }
    }

    private func open(_ path: String) throws -> SQLiteStore {
        try SQLiteStore(path: path, trustDomain: Sample.trustDomain())
    }

    private func refusal(of path: String) throws {
        do { try open(path).close() } catch let error as StoreError { throw Refusal(error) }
    }

    private func withStore(_ body: (SQLiteStore, String) async throws -> Void) async throws {
        try await TemporaryFolder.use { folder in
            let path = "\(folder)/store.db"
            try await body(open(path), path)
        }
    }

    private func withFilledDatabase(_ body: (String) async throws -> Void) async throws {
        try await withStore { store, path in
            _ = try await store.apply((0..<400).map { EntryChange.put(try Sample.entry("entry-\($0)")) })
            try store.close()
            try #require(contents(of: path).count > 60_000)
            try await body(path)
        }
    }

    private func edit(_ path: String, _ sql: String) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.write { db in
            try db.execute(sql: sql)
            #expect(db.changesCount == 1)
        }
        try queue.close()
    }

    private func contents(of path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

    private func mode(of path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }
}
