internal import Foundation
internal import GRDB
package import IssuerDomain
internal import Platform

extension SQLiteStore {
    package func loadDigestSets() async throws(StoreError) -> [DigestSet] {
        try await read { db in
            var versions: [String: [DigestSet.Version]] = [:]
            let rows = try Row.fetchCursor(db, sql: "SELECT * FROM digest_set_versions ORDER BY name, number")
            while let row = try rows.next() {
                let columns = Columns(row, of: "digest_set_versions")
                versions[try columns.text("name"), default: []].append(
                    DigestSet.Version(
                        number: try columns.integer("number"), digests: try columns.list("digests") { $0 },
                        createdAt: try columns.date("created_at")))
            }
            return try Row.fetchAll(db, sql: "SELECT * FROM digest_sets").map { row in
                let columns = Columns(row, of: "digest_sets")
                let name = try columns.text("name")
                guard let own = versions[name], let keeps = Int(exactly: try columns.integer("keeps")) else {
                    throw StoreError.corrupt(detail: "digest set \(name) has no version")
                }
                return DigestSet(
                    name: name, keeps: keeps, grace: try columns.optionalDuration("grace") ?? .zero, versions: own)
            }
        }
    }

    static func put(_ set: DigestSet, _ db: Database) throws {
        try db.execute(sql: "DELETE FROM digest_set_versions WHERE name = ?", arguments: [set.name])
        try db.execute(
            sql: """
                INSERT INTO digest_sets (name, keeps, grace) VALUES (?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET keeps = excluded.keeps, grace = excluded.grace
                """,
            arguments: [set.name, set.keeps, set.grace.wholeSeconds])
        for version in set.versions {
            try db.execute(
                sql: "INSERT INTO digest_set_versions (name, number, digests, created_at) VALUES (?, ?, ?, ?)",
                arguments: [
                    set.name, version.number, ListColumn.text(version.digests), version.createdAt.unixSeconds,
                ])
        }
    }

    static func deleteDigestSet(_ name: String, _ db: Database) throws {
        try db.execute(sql: "DELETE FROM digest_set_versions WHERE name = ?", arguments: [name])
        try db.execute(sql: "DELETE FROM digest_sets WHERE name = ?", arguments: [name])
    }
}
