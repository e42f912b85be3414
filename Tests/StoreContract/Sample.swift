package import Foundation
package import IssuerDomain
package import SPIFFE

/// Values to put into a store, all in whole seconds as the ports keep them.
package enum Sample {
    package static let start = Date(timeIntervalSince1970: 1_800_000_000)

    package static func trustDomain() throws -> TrustDomain { try TrustDomain("example.org") }

    package static func id(_ path: String) throws -> SPIFFEID {
        try SPIFFEID(trustDomain: trustDomain(), path: path)
    }

    /// An entry with everything optional left out.
    package static func entry(
        _ id: String, path: String? = nil, parent: String = "/spire/agent/one", selectors: [String] = ["unix:uid:1000"],
        revision: Int64 = 0, createdAt: Date = start
    ) throws -> Entry {
        let contents = EntryContents(
            spiffeID: try self.id(path ?? "/workload/\(id)"), parentID: try self.id(parent),
            selectors: try selectors.map { try Selector(parsing: $0) })
        return Entry(id: id, contents: contents, revision: revision, createdAt: createdAt)
    }

    /// An entry in which no field has its default.
    package static func fullEntry(_ id: String = "full") throws -> Entry {
        var entry = try entry(
            id, selectors: ["unix:uid:1000", "unix:path:/opt/a \"quoted\", [odd] näme", "k8s:ns:prod"], revision: 41,
            createdAt: start - 86_400)
        entry.contents.x509TTL = .seconds(1800)
        entry.contents.jwtTTL = .seconds(60)
        entry.contents.federatesWith = [try TrustDomain("other.example"), try TrustDomain("third.example")]
        entry.contents.isAdmin = true
        entry.contents.isDownstream = true
        entry.contents.expiresAt = start + 3600
        entry.contents.dnsNames = ["web.example.org", "*.web.example.org"]
        entry.contents.hint = "internal; for 'x' \u{1F511}"
        entry.contents.storesSVID = true
        entry.contents.prefetchesX509 = false
        entry.contents.includesJTI = true
        entry.contents.terms = AssuranceTerms(minimum: .measuredExec, allowsJIT: true)
        entry.contents.details = try fullDetails()
        return entry
    }

    /// Details in which no field has its default.
    package static func fullDetails() throws -> EntryDetails {
        var details = EntryDetails()
        details.description = "Reviews; 'quoted' \"twice\""
        details.owner = "team-näme"
        details.purpose = "code review"
        details.labels = ["managed-by": "folder", "env/stage": "prod, {not} [json]"]
        details.entryClass = .agent
        details.notBefore = start - 60
        details.isDisabled = true
        details.audiences = ["api", "https://a.example/ä"]
        details.keyType = .ecP384
        details.hasInstanceKeys = true
        details.template = try IDTemplate(parsing: "users/u-{unix:user}.x")
        details.rules = SelectorRules(
            anyOf: [
                try ["unix:path:/a", "unix:path:/b, c"].map { try Selector(parsing: $0) },
                [try Selector(parsing: "unix:gid:7")],
            ], noneOf: [try Selector(parsing: "unix:gid:0")], digestSets: ["release", "tools"])
        return details
    }

    /// A digest set with two versions.
    package static func digestSet(_ name: String = "release") -> DigestSet {
        DigestSet(
            name: name, keeps: 2, grace: .seconds(3600),
            versions: [
                .init(number: 3, digests: [String(repeating: "a", count: 64)], createdAt: start - 100),
                .init(
                    number: 4, digests: [String(repeating: "b", count: 64), String(repeating: "c", count: 64)],
                    createdAt: start),
            ])
    }

    /// An agent that just joined.
    package static func agent(_ name: String, serial: String = "40aa") throws -> AttestedAgent {
        AttestedAgent(
            id: try id("/spire/agent/\(name)"), attestationType: "join_token", serial: serial,
            expiresAt: start + 3600, selectors: [], canReattest: false)
    }

    /// An agent in which no field has its default.
    package static func fullAgent(_ name: String = "full") throws -> AttestedAgent {
        var agent = AttestedAgent(
            id: try id("/spire/agent/\(name)"), attestationType: "x509pop", serial: "40bb", expiresAt: start + 7200,
            selectors: [try Selector(parsing: "x509pop:ca:aa"), try Selector(parsing: "x509pop:subject:cn:b")],
            canReattest: true)
        agent.pendingSerial = "40cc"
        agent.isBanned = true
        agent.version = "0.1.0-\u{E9}"
        agent.nodeKey = [0x30, 0x59, 0x00, 0xFF]
        agent.bundleSerial = .max
        agent.lastSeen = start + 60
        return agent
    }

    /// A token that ends an hour after ``start``.
    package static func token(_ byte: UInt8, expiresAt: Date = start + 3600) throws -> JoinTokenRecord {
        JoinTokenRecord(
            digest: [UInt8](repeating: byte, count: 32), expiresAt: expiresAt,
            agentID: try id("/spire/agent/join_token/\(byte)"))
    }

    /// A use of a token.
    package static func redemption(_ byte: UInt8) -> JoinTokenRedemption {
        JoinTokenRedemption(keyDigest: [UInt8](repeating: byte, count: 32), at: start)
    }

    /// An authority; its public part is no real key, which is nothing to a store.
    package static func authority(
        _ id: String, _ kind: AuthorityRecord.Kind = .x509, _ state: AuthorityRecord.State = .active,
        server: ServerID? = server, notBefore: Date = start, lifetime: TimeInterval = 86_400
    ) -> AuthorityRecord {
        AuthorityRecord(
            id: id, kind: kind, state: state, origin: .server(server, keyName: "\(kind.rawValue)-\(id)"),
            notBefore: notBefore, notAfter: notBefore + lifetime, publicDER: [0x30, 0x03, 0x00, 0xFF, 0x80])
    }

    /// The server that tests speak of, and another one.
    package static let server = ServerID("0b7c5a1e-0000-4000-8000-000000000001")
    package static let otherServer = ServerID("0b7c5a1e-0000-4000-8000-000000000002")
}
