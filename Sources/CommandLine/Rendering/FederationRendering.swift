package import IssuerAPIProtos
package import SPIFFE

/// Shows the bundles of other trust domains.
package enum FederatedBundleRendering {
    package static func value(_ wire: Spire_Api_Types_Bundle) throws -> JSONValue {
        try BundleRendering.summary(BundleRendering.bundle(wire), wire)
    }

    package static func list(_ bundles: [Spire_Api_Types_Bundle]) throws -> Rendering {
        Rendering(
            .members(["bundles": .array(try bundles.map(value))]),
            table: TableText.rows(
                ["TRUST DOMAIN", "X.509", "JWT", "SEQUENCE"],
                bundles.map {
                    [
                        $0.trustDomain, "\($0.x509Authorities.count)", "\($0.jwtAuthorities.count)",
                        $0.sequenceNumber == 0 ? "-" : "\($0.sequenceNumber)",
                    ]
                }, empty: "no bundles of other trust domains"))
    }
}

/// Shows how other trust domains are followed.
package enum FederationRendering {
    package static func value(
        _ relationship: Spire_Api_Types_FederationRelationship, _ status: Mintmark_V1_FederationStatus?
    ) -> JSONValue {
        let hasBundle = relationship.hasTrustDomainBundle
        return .members([
            "trust_domain": .string(relationship.trustDomain),
            "bundle_endpoint_url": .string(relationship.bundleEndpointURL),
            "bundle_endpoint_profile": .string(profile(relationship)),
            "endpoint_spiffe_id": endpointID(relationship).map { .string($0) } ?? .null,
            "has_bundle": .bool(hasBundle),
            "bundle_sequence": hasBundle ? .integer(relationship.trustDomainBundle.sequenceNumber) : .null,
            "attempted_at": InstantText.optional(status?.attemptedAt ?? 0),
            "succeeded_at": InstantText.optional(status?.succeededAt ?? 0),
            "next_attempt_at": InstantText.optional(status?.nextAttemptAt ?? 0),
            "error": status.flatMap { $0.error.isEmpty ? nil : .string($0.error) } ?? .null,
        ])
    }

    package static func one(
        _ relationship: Spire_Api_Types_FederationRelationship, _ status: Mintmark_V1_FederationStatus?
    ) -> Rendering {
        let bundle = relationship.trustDomainBundle
        return Rendering(
            value(relationship, status),
            table: TableText.fields([
                ("Trust domain", relationship.trustDomain), ("URL", relationship.bundleEndpointURL),
                ("Profile", profile(relationship)), ("Endpoint ID", endpointID(relationship) ?? ""),
                (
                    "Bundle",
                    relationship.hasTrustDomainBundle
                        ? "\(bundle.x509Authorities.count) X.509, \(bundle.jwtAuthorities.count) JWT" : "none yet"
                ),
                ("Sequence", bundle.sequenceNumber == 0 ? "" : "\(bundle.sequenceNumber)"),
                ("Fetched", instant(status?.succeededAt)), ("Next", instant(status?.nextAttemptAt)),
                ("Error", TableText.printable(status?.error ?? "")),
            ]))
    }

    package static func list(
        _ relationships: [Spire_Api_Types_FederationRelationship],
        _ statuses: [String: Mintmark_V1_FederationStatus]
    ) -> Rendering {
        Rendering(
            .members(["relationships": .array(relationships.map { value($0, statuses[$0.trustDomain]) })]),
            table: TableText.rows(
                ["TRUST DOMAIN", "PROFILE", "FETCHED", "URL", "ERROR"],
                relationships.map {
                    let status = statuses[$0.trustDomain]
                    return [
                        $0.trustDomain, profile($0), instant(status?.succeededAt, missing: "never"),
                        $0.bundleEndpointURL, status?.error ?? "",
                    ]
                }, empty: "no relationships"))
    }

    private static func profile(_ relationship: Spire_Api_Types_FederationRelationship) -> String {
        switch relationship.bundleEndpointProfile {
        case .httpsWeb?: "https_web"
        case .httpsSpiffe?: "https_spiffe"
        case nil: ""
        }
    }

    private static func endpointID(_ relationship: Spire_Api_Types_FederationRelationship) -> String? {
        guard case .httpsSpiffe(let profile)? = relationship.bundleEndpointProfile else { return nil }
        return profile.endpointSpiffeID
    }

    private static func instant(_ seconds: Int64?, missing: String = "") -> String {
        guard let seconds, seconds != 0 else { return missing }
        return InstantText.text(seconds)
    }
}
