internal import Foundation
package import IssuerAPIProtos
internal import Platform
package import SPIFFE
internal import X509

/// Shows one authority.
package enum AuthorityRendering {
    package typealias State = Spire_Api_Server_Localauthority_V1_AuthorityState

    package static func value(_ state: State, isTainted: Bool) -> JSONValue {
        .members([
            "id": .string(state.authorityID),
            "expires_at": InstantText.optional(state.expiresAt),
            "upstream_key_id": state.upstreamAuthoritySubjectKeyID.isEmpty
                ? .null : .string(state.upstreamAuthoritySubjectKeyID),
            "tainted": .bool(isTainted),
        ])
    }

    /// What a command made of an authority.
    package static func one(_ kind: AuthorityKind, _ state: State, as outcome: String) -> Rendering {
        let id = state.authorityID.isEmpty ? nil : state.authorityID
        let upstream = state.upstreamAuthoritySubjectKeyID
        return Rendering(
            .members([
                "kind": .string(kind.rawValue), "state": .string(outcome),
                "id": id.map { .string($0) } ?? .null, "expires_at": InstantText.optional(state.expiresAt),
                "upstream_key_id": upstream.isEmpty ? .null : .string(upstream),
            ]),
            table: "\(outcome) \(kind.rawValue) \(id.map { $0 } ?? "upstream \(upstream)")")
    }
}

/// Shows how the authorities of one kind stand.
package struct AuthorityStandingText {
    private let kind: AuthorityKind
    private let rows: [(name: String, state: AuthorityRendering.State?)]
    private let tainted: Set<String>

    /// Puts together what the server says of its authorities and of the bundle.
    package init(
        kind: AuthorityKind, active: AuthorityRendering.State, prepared: AuthorityRendering.State?,
        old: AuthorityRendering.State?, bundle: Spire_Api_Types_Bundle
    ) {
        self.kind = kind
        rows = [("active", active), ("prepared", prepared), ("old", old)]
        tainted =
            switch kind {
            case .jwt: Set(bundle.jwtAuthorities.filter(\.tainted).map(\.keyID))
            case .x509:
                Set(
                    bundle.x509Authorities.filter(\.tainted).compactMap { authority in
                        let certificate = try? DERConcatenation.certificate(in: Array(authority.asn1)[...])
                        return try? certificate?.extensions.subjectKeyIdentifier.map { Hex.encode($0.keyIdentifier) }
                    })
            }
    }

    /// Whether the authority, or the root above it, is tainted.
    private func isTainted(_ state: AuthorityRendering.State) -> Bool {
        tainted.contains(state.authorityID) || tainted.contains(state.upstreamAuthoritySubjectKeyID)
    }

    package var rendering: Rendering {
        var members: [(String, JSONValue)] = [("kind", .string(kind.rawValue))]
        members += rows.map { name, state in
            (name, state.map { AuthorityRendering.value($0, isTainted: isTainted($0)) } ?? .null)
        }
        return Rendering(
            .object(JSONObject(members)),
            table: TableText.rows(
                ["STATE", "ID", "EXPIRES", "UPSTREAM"],
                rows.compactMap { name, state in
                    state.map {
                        [
                            isTainted($0) ? "\(name), tainted" : name, $0.authorityID, InstantText.text($0.expiresAt),
                            $0.upstreamAuthoritySubjectKeyID,
                        ]
                    }
                }, empty: "no authorities"))
    }
}
