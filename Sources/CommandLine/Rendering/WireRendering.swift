internal import Foundation
package import IssuerAPIProtos
internal import IssuerDomain
package import SPIFFE

// The stable JSON shapes of what a server says. Add members freely; rename none.

extension Spire_Api_Types_SPIFFEID {
    package var text: String { "spiffe://\(trustDomain)\(path)" }

    package init(_ id: SPIFFEID) {
        self.init()
        trustDomain = id.trustDomain.name
        path = id.path
    }
}

/// Instants as people and programs read them.
enum InstantText {
    static func text(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
    }

    /// nil for 0, which stands for never.
    static func optional(_ seconds: Int64) -> JSONValue { seconds == 0 ? .null : .string(text(seconds)) }
}

/// Shows entries.
package enum EntryRendering {
    package static func value(_ termed: Mintmark_V1_Entry) -> JSONValue {
        let entry = termed.entry
        var object = JSONObject()
        let members: KeyValuePairs<String, JSONValue> = [
            "id": .string(entry.id),
            "spiffe_id": .string(entry.spiffeID.text),
            "parent_id": .string(entry.parentID.text),
            "selectors": .array(entry.selectors.map { .string("\($0.type):\($0.value)") }),
            "x509_svid_ttl": .integer(entry.x509SvidTtl),
            "jwt_svid_ttl": .integer(entry.jwtSvidTtl),
            "hint": .string(entry.hint),
            "dns_names": .array(entry.dnsNames.map { .string($0) }),
            "federates_with": .array(entry.federatesWith.map { .string($0) }),
            "admin": .bool(entry.admin),
            "downstream": .bool(entry.downstream),
            "store_svid": .bool(entry.storeSvid),
            "min_assurance": .integer(termed.terms.minAssurance),
            "allow_jit": .bool(termed.terms.allowJit),
            "expires_at": InstantText.optional(entry.expiresAt),
            "disable_x509_svid_prefetch": .bool(entry.additionalAttributes.disableX509SvidPrefetch),
            "jwt_svid_include_jti": .bool(entry.additionalAttributes.jwtSvidIncludeJti),
            "revision": .integer(entry.revisionNumber),
            "created_at": .string(InstantText.text(entry.createdAt)),
        ]
        for (name, value) in members { object[name] = value }
        for (name, value) in EntryDetailsRendering.members(termed.details) { object[name] = value }
        return .object(object)
    }

    package static func one(_ entry: Mintmark_V1_Entry) -> Rendering {
        Rendering(value(entry), table: fields(entry))
    }

    package static func list(_ entries: [Mintmark_V1_Entry]) -> Rendering {
        Rendering(
            .members(["entries": .array(entries.map(value))]),
            table: TableText.rows(
                ["ID", "SPIFFE ID", "PARENT ID", "LEVEL", "SELECTORS"],
                entries.map { termed in
                    let entry = termed.entry
                    return [
                        entry.id, entry.spiffeID.text, entry.parentID.text, level(termed.terms),
                        entry.selectors.map { "\($0.type):\($0.value)" }.joined(separator: " "),
                    ]
                }, empty: "no entries"))
    }

    /// The level as people write it, such as `AL3+jit`.
    private static func level(_ terms: Mintmark_V1_Terms) -> String {
        "AL\(terms.minAssurance)\(terms.allowJit ? "+jit" : "")"
    }

    private static func fields(_ termed: Mintmark_V1_Entry) -> String {
        let entry = termed.entry
        return TableText.fields(
            [
                ("ID", entry.id), ("SPIFFE ID", entry.spiffeID.text), ("Parent ID", entry.parentID.text),
                ("Selectors", entry.selectors.map { "\($0.type):\($0.value)" }.joined(separator: "\n")),
                ("Assurance", level(termed.terms)),
                ("X.509-SVID TTL", entry.x509SvidTtl == 0 ? "default" : "\(entry.x509SvidTtl) s"),
                ("JWT-SVID TTL", entry.jwtSvidTtl == 0 ? "default" : "\(entry.jwtSvidTtl) s"), ("Hint", entry.hint),
                ("DNS names", entry.dnsNames.joined(separator: "\n")),
                ("Federates with", entry.federatesWith.joined(separator: "\n")), ("Admin", entry.admin ? "yes" : ""),
                ("Downstream", entry.downstream ? "yes" : ""),
                ("Expires", entry.expiresAt == 0 ? "" : InstantText.text(entry.expiresAt)),
            ] + EntryDetailsRendering.fields(termed.details) + [
                ("Revision", "\(entry.revisionNumber)"), ("Created", InstantText.text(entry.createdAt)),
            ])
    }
}

/// Shows agents.
package enum AgentRendering {
    package static func value(_ agent: Spire_Api_Types_Agent, _ status: Mintmark_V1_NodeStatus = .init()) -> JSONValue {
        .members([
            "spiffe_id": .string(agent.id.text),
            "attestation_type": .string(agent.attestationType),
            "serial_number": .string(serial(agent)),
            "expires_at": .string(InstantText.text(agent.x509SvidExpiresAt)),
            "banned": .bool(agent.banned),
            "can_reattest": .bool(agent.canReattest),
            "selectors": .array(agent.selectors.map { .string("\($0.type):\($0.value)") }),
            "version": .string(agent.agentVersion),
            "bundle_serial": status.hasBundleSerial ? .integer(status.bundleSerial) : .null,
            "last_seen_at": status.hasLastSeenAt ? .string(InstantText.text(status.lastSeenAt)) : .null,
        ])
    }

    /// In hex, as certificates are shown and the issuance record is asked; what is no number stays as it is.
    private static func serial(_ agent: Spire_Api_Types_Agent) -> String {
        SerialNumber.hex(decimal: agent.x509SvidSerialNumber) ?? agent.x509SvidSerialNumber
    }

    package static func one(
        _ agent: Spire_Api_Types_Agent, _ status: Mintmark_V1_NodeStatus = .init()
    ) -> Rendering {
        Rendering(
            value(agent, status),
            table: TableText.fields([
                ("SPIFFE ID", agent.id.text), ("Attested by", agent.attestationType),
                ("SVID serial", serial(agent)),
                ("SVID expires", InstantText.text(agent.x509SvidExpiresAt)),
                ("Banned", agent.banned ? "yes" : "no"), ("Can re-attest", agent.canReattest ? "yes" : "no"),
                ("Version", agent.agentVersion),
                ("Bundle serial", status.hasBundleSerial ? "\(status.bundleSerial)" : ""),
                ("Last seen", seen(status)),
            ]))
    }

    /// Agents in order, and what is known of them beyond that, by SPIFFE ID.
    package static func list(
        _ agents: [Spire_Api_Types_Agent], _ statuses: [String: Mintmark_V1_NodeStatus] = [:]
    ) -> Rendering {
        Rendering(
            .members(["agents": .array(agents.map { value($0, statuses[$0.id.text] ?? .init()) })]),
            table: TableText.rows(
                ["SPIFFE ID", "ATTESTED BY", "SVID EXPIRES", "LAST SEEN", "BANNED", "VERSION"],
                agents.map {
                    [
                        $0.id.text, $0.attestationType, InstantText.text($0.x509SvidExpiresAt),
                        seen(statuses[$0.id.text] ?? .init()), $0.banned ? "yes" : "no",
                        $0.agentVersion,
                    ]
                }, empty: "no agents"))
    }

    private static func seen(_ status: Mintmark_V1_NodeStatus) -> String {
        status.hasLastSeenAt ? InstantText.text(status.lastSeenAt) : "never"
    }
}
