import CommandLine
import IssuerAPIProtos
import SPIFFE
import SwiftProtobuf
import Testing

@Suite("Other trust domains as shown")
struct FederationRenderingTests {
    private static func relationship() -> Spire_Api_Types_FederationRelationship {
        .with {
            $0.trustDomain = "other.example"
            $0.bundleEndpointURL = "https://other.example/bundle"
            $0.httpsSpiffe = .with { $0.endpointSpiffeID = "spiffe://other.example/endpoint" }
            $0.trustDomainBundle = .with {
                $0.trustDomain = "other.example"
                $0.sequenceNumber = 7
            }
        }
    }

    private static func status(error: String = "") -> Mintmark_V1_FederationStatus {
        .with {
            $0.trustDomain = "other.example"
            $0.attemptedAt = 1_800_000_060
            $0.succeededAt = 1_800_000_000
            $0.nextAttemptAt = 1_800_000_300
            $0.error = error
        }
    }

    @Test("have the JSON shape of the contract")
    func json() {
        #expect(
            FederationRendering.value(Self.relationship(), Self.status(error: "answered with status 503")).prettyText
                == """
                {
                  "trust_domain": "other.example",
                  "bundle_endpoint_url": "https://other.example/bundle",
                  "bundle_endpoint_profile": "https_spiffe",
                  "endpoint_spiffe_id": "spiffe://other.example/endpoint",
                  "has_bundle": true,
                  "bundle_sequence": 7,
                  "attempted_at": "2027-01-15T08:01:00Z",
                  "succeeded_at": "2027-01-15T08:00:00Z",
                  "next_attempt_at": "2027-01-15T08:05:00Z",
                  "error": "answered with status 503"
                }
                """)
    }

    @Test("say nothing where nothing is known")
    func unknown() {
        var relationship = Self.relationship()
        relationship.httpsWeb = .init()
        relationship.clearTrustDomainBundle()
        let value = FederationRendering.value(relationship, nil)
        let unknown = [
            "endpoint_spiffe_id", "bundle_sequence", "attempted_at", "succeeded_at", "next_attempt_at", "error",
        ]
        for name in unknown { #expect(value.object?[name] == .null, "\(name)") }
        #expect(value.object?["bundle_endpoint_profile"] == .string("https_web"))
        #expect(value.object?["has_bundle"] == .bool(false))
    }

    @Test("do not let a peer's words move the cursor")
    func printable() {
        let rendering = FederationRendering.list(
            [Self.relationship()], ["other.example": Self.status(error: "bad\u{1B}[2J\nline")])
        #expect(!rendering.table.contains("\u{1B}"))
        #expect(rendering.table.split(separator: "\n").count == 2)
        #expect(!FederationRendering.one(Self.relationship(), Self.status(error: "\u{1B}x")).table.contains("\u{1B}"))
        #expect(FederationRendering.list([], [:]).table == "no relationships")
    }
}
