internal import Foundation
internal import GRDB
package import IssuerDomain
internal import Platform
internal import SPIFFE

extension SQLiteStore: FederationStore {
    package func loadFederation() async throws(StoreError) -> (
        bundles: [FederatedBundle], relationships: [FederationRelationship]
    ) {
        try await read { db in
            var keys: [String: [Columns]] = [:]
            for row in try Row.fetchAll(db, sql: "SELECT * FROM federated_jwt_authorities") {
                let columns = Columns(row, of: "federated_jwt_authorities")
                keys[try columns.text("trust_domain"), default: []].append(columns)
            }
            let bundles = try Row.fetchAll(db, sql: "SELECT * FROM federated_bundles").map { row in
                let columns = Columns(row, of: "federated_bundles")
                return try Self.bundle(in: columns, keys: keys[try columns.text("trust_domain")] ?? [])
            }
            let relationships = try Row.fetchAll(db, sql: "SELECT * FROM federation_relationships").map { row in
                try Self.relationship(in: Columns(row, of: "federation_relationships"))
            }
            return (bundles, relationships)
        }
    }

    package func apply(_ changes: [FederationChange], entries: [EntryChange]) async throws(StoreError) -> UInt64 {
        try await write { db in
            for change in entries { try Self.make(change, db) }
            for change in changes { try Self.make(change, db) }
            return try ChangeLog.revision(db)
        }
    }

    private static func make(_ change: FederationChange, _ db: Database) throws {
        switch change {
        case .putBundle(let bundle):
            try put(bundle, db)
            try ChangeLog.append("federated bundle", bundle.trustDomain.name, db)
        case .deleteBundle(let domain):
            try delete(domain.name, from: "federated_jwt_authorities", db)
            try delete(domain.name, from: "federated_bundles", db)
            try ChangeLog.append("federated bundle", domain.name, db)
        case .putRelationship(let relationship):
            try put(relationship, db)
            try ChangeLog.append("federation relationship", relationship.trustDomain.name, db)
        case .deleteRelationship(let domain):
            try delete(domain.name, from: "federation_relationships", db)
            try ChangeLog.append("federation relationship", domain.name, db)
        }
    }

    private static func delete(_ domain: String, from table: String, _ db: Database) throws {
        try db.execute(sql: "DELETE FROM \(table) WHERE trust_domain = ?", arguments: [domain])
    }

    private static func put(_ bundle: FederatedBundle, _ db: Database) throws {
        let (domain, trust) = (bundle.trustDomain.name, bundle.trust)
        try db.execute(
            sql: """
                INSERT INTO federated_bundles (trust_domain, x509_authorities, sequence, refresh_hint)
                VALUES (?, ?, ?, ?)
                ON CONFLICT (trust_domain) DO UPDATE SET x509_authorities = excluded.x509_authorities,
                    sequence = excluded.sequence, refresh_hint = excluded.refresh_hint
                """,
            arguments: [
                domain, Data(try DERConcatenation.bytes(of: trust.x509.authorities)), trust.sequence.map { "\($0)" },
                trust.refreshHint.map { "\($0)" },
            ])
        try delete(domain, from: "federated_jwt_authorities", db)
        for (keyID, key) in trust.jwt.authorities {
            try db.execute(
                sql: """
                    INSERT INTO federated_jwt_authorities (trust_domain, key_id, public_key, expires_at)
                    VALUES (?, ?, ?, ?)
                    """,
                arguments: [domain, keyID, key.derRepresentation, bundle.jwtEnds[keyID].map { $0.unixSeconds }])
        }
    }

    private static func put(_ relationship: FederationRelationship, _ db: Database) throws {
        let id: String? =
            switch relationship.endpoint.profile {
            case .web: nil
            case .spiffe(let id): "\(id)"
            }
        try db.execute(
            sql: """
                INSERT INTO federation_relationships (trust_domain, bundle_endpoint_url, endpoint_spiffe_id)
                VALUES (?, ?, ?)
                ON CONFLICT (trust_domain) DO UPDATE SET bundle_endpoint_url = excluded.bundle_endpoint_url,
                    endpoint_spiffe_id = excluded.endpoint_spiffe_id
                """,
            arguments: [relationship.trustDomain.name, relationship.endpoint.url.text, id])
    }

    private static func bundle(in columns: Columns, keys: [Columns]) throws -> FederatedBundle {
        let trustDomain = try columns.parsed("trust_domain") { try TrustDomain($0) }
        var authorities: [String: JWTVerificationKey] = [:]
        var ends: [String: Date] = [:]
        for key in keys {
            let keyID = try key.text("key_id")
            let der = try key.bytes("public_key")
            authorities[keyID] = try key.whole("public_key") { try JWTVerificationKey(derRepresentation: der) }
            ends[keyID] = try key.optionalDate("expires_at")
        }
        let der = try columns.bytes("x509_authorities")
        let certificates = try columns.whole("x509_authorities") { try DERConcatenation.certificates(in: der) }
        let (sequence, hint) = (try columns.counter("sequence"), try columns.counter("refresh_hint"))
        return try columns.whole("x509_authorities") {
            try FederatedBundle(
                TrustBundle(
                    trustDomain: trustDomain, x509Authorities: certificates, jwtAuthorities: authorities,
                    sequence: sequence, refreshHint: hint),
                jwtEnds: ends)
        }
    }

    private static func relationship(in columns: Columns) throws -> FederationRelationship {
        let id = try columns.optionalText("endpoint_spiffe_id")
        return FederationRelationship(
            trustDomain: try columns.parsed("trust_domain") { try TrustDomain($0) },
            endpoint: BundleEndpoint(
                url: try columns.parsed("bundle_endpoint_url") { try BundleEndpointURL($0) },
                profile: id == nil ? .web : .spiffe(try columns.spiffeID("endpoint_spiffe_id"))))
    }
}

extension Columns {
    /// Reads a text into a type that cannot be wrong.
    fileprivate func parsed<Value>(_ name: String, _ parse: (String) throws -> Value) throws(StoreError) -> Value {
        let text = try text(name)
        return try whole(name) { try parse(text) }
    }

    /// A number without a sign, kept as text.
    fileprivate func counter(_ name: String) throws(StoreError) -> UInt64? {
        guard let text = try optionalText(name) else { return nil }
        guard let number = UInt64(text) else { throw damaged(name) }
        return number
    }

    /// Reads what a column holds; anything that is wrong with it means that the file is damaged.
    fileprivate func whole<Value>(_ name: String, _ read: () throws -> Value) throws(StoreError) -> Value {
        do { return try read() } catch { throw damaged(name) }
    }
}
