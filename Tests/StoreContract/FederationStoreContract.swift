internal import Crypto
internal import Foundation
internal import IssuerDomain
internal import SPIFFE
internal import TestSupport
internal import Testing

/// What every ``FederationStore`` must show.
package enum FederationStoreContract {
    package static let behaviours = [
        StoreBehaviour("an empty store knows no other trust domain") { open in
            let loaded = try await open().loadFederation()
            #expect(loaded.bundles.isEmpty)
            #expect(loaded.relationships.isEmpty)
        },
        StoreBehaviour("every part of a bundle and of a relationship comes back, also after reopening") { open in
            let bundles = [try bundle("full.example"), try FederatedBundle(TrustBundle(empty: "empty.example"))]
            let relationships = [try relationship("full.example"), try relationship("web.example", id: nil)]
            let store = try await open()
            _ = try await store.apply(
                bundles.map { .putBundle($0) } + relationships.map { .putRelationship($0) }, entries: [])
            for store in [store, try await open()] {
                let loaded = try await store.loadFederation()
                #expect(Set(loaded.bundles) == Set(bundles))
                #expect(Set(loaded.relationships) == Set(relationships))
            }
        },
        StoreBehaviour("putting again replaces everything, and deleting leaves nothing behind") { open in
            let store = try await open()
            let (old, new) = (try bundle("a.example"), try bundle("a.example", keyID: "other", sequence: nil))
            let (before, after) = (try relationship("a.example"), try relationship("a.example", id: nil))
            _ = try await store.apply([.putBundle(old), .putRelationship(before)], entries: [])
            _ = try await store.apply([.putBundle(new), .putRelationship(after)], entries: [])
            var loaded = try await open().loadFederation()
            #expect(loaded.bundles == [new])
            #expect(loaded.relationships == [after])
            let domain = try TrustDomain("a.example")
            _ = try await store.apply([.deleteBundle(domain), .deleteRelationship(domain)], entries: [])
            // What is put in its place later has nothing of it.
            _ = try await store.apply([.putBundle(try FederatedBundle(TrustBundle(empty: "a.example")))], entries: [])
            loaded = try await open().loadFederation()
            #expect(loaded.bundles.first?.trust.jwt.authorities.isEmpty == true)
            #expect(loaded.relationships.isEmpty)
        },
        StoreBehaviour("bundles and entries change together, under revisions of the one log") { open in
            let store = try await open()
            let entry = try Sample.entry("a")
            _ = try await store.apply([EntryChange.put(entry)])
            #expect(try await store.apply([.putBundle(try bundle("a.example"))], entries: []) == 2)
            let domain = try TrustDomain("a.example")
            #expect(try await store.apply([.deleteBundle(domain)], entries: [.delete(id: "a")]) == 4)
            #expect(try await store.loadEntries().entries.isEmpty)
            #expect(try await store.loadEntries().revision == 4)
        },
        StoreBehaviour("when the entries of a change cannot be stored, its bundles are not either") { open in
            let store = try await open()
            _ = try await store.apply([EntryChange.put(try Sample.entry("a", path: "/same"))])
            await #expect(throws: StoreError.self) {
                try await store.apply(
                    [.putBundle(try bundle("a.example"))], entries: [.put(try Sample.entry("b", path: "/same"))])
            }
            #expect(try await open().loadFederation().bundles.isEmpty)
            #expect(try await store.loadEntries().revision == 1)
        },
    ]

    /// A bundle in which no field has its default.
    private static func bundle(
        _ domain: String, keyID: String = "k1", sequence: UInt64? = .max
    ) throws -> FederatedBundle {
        let key = try JWTVerificationKey(derRepresentation: P256.Signing.PrivateKey().publicKey.derRepresentation)
        return try FederatedBundle(
            TrustBundle(
                trustDomain: TrustDomain(domain),
                x509Authorities: [TestCA(domain).certificate, TestCA(domain, commonName: "second").certificate],
                jwtAuthorities: [keyID: key, "endless": key], sequence: sequence, refreshHint: 300),
            jwtEnds: [keyID: Sample.start])
    }

    private static func relationship(
        _ domain: String, id: String? = "spiffe://host.example/endpoint"
    ) throws -> FederationRelationship {
        FederationRelationship(
            trustDomain: try TrustDomain(domain),
            endpoint: BundleEndpoint(
                url: try BundleEndpointURL("https://\(domain):8443/bundle?x=1"),
                profile: try id.map { .spiffe(try SPIFFEID($0)) } ?? .web))
    }
}

extension TrustBundle {
    /// A bundle by which nobody is believed.
    fileprivate init(empty domain: String) throws {
        self.init(trustDomain: try TrustDomain(domain), x509Authorities: [], jwtAuthorities: [:])
    }
}
