import Crypto
import Foundation
import SPIFFE
import TestSupport
import Testing

@Suite("Bundle sets")
struct BundleSetTests {
    private static let key = P256.Signing.PrivateKey()

    private static func bundle(
        _ name: String, sequence: UInt64? = nil, refreshHint: UInt64? = nil, ca: TestCA? = nil
    ) throws -> TrustBundle {
        TrustBundle(
            trustDomain: try TrustDomain(name), x509Authorities: ca.map { [$0.certificate] } ?? [],
            jwtAuthorities: [
                "k-\(name)": try JWTVerificationKey(derRepresentation: key.publicKey.derRepresentation)
            ], sequence: sequence, refreshHint: refreshHint)
    }

    @Test("BUNDLE-20 finds bundles by trust domain, and none for a domain it does not hold")
    func lookUp() throws {
        let set = try BundleSet([try Self.bundle("b.org"), try Self.bundle("a.org")])
        let (own, stranger) = (try TrustDomain("a.org"), try TrustDomain("c.org"))
        #expect(set[own] == (try Self.bundle("a.org")))
        #expect(set.x509Bundle(for: own)?.trustDomain == own)
        #expect(set.jwtBundle(for: own)?.authorities.keys.sorted() == ["k-a.org"])
        #expect(set[stranger] == nil)
        #expect(set.x509Bundle(for: stranger) == nil)
        #expect(set.jwtBundle(for: stranger) == nil)
        #expect(BundleSet()[own] == nil)
    }

    @Test("goes through its bundles in order of name, and is equal whatever the order they came in")
    func order() throws {
        let bundles = [try Self.bundle("b.org"), try Self.bundle("a.org"), try Self.bundle("a-b.org")]
        let set = try BundleSet(bundles)
        #expect(set.trustDomains.map(\.name) == ["a-b.org", "a.org", "b.org"])
        #expect(set.map(\.trustDomain) == set.trustDomains)
        #expect(set.count == 3)
        #expect(set == (try BundleSet(bundles.reversed())))
        #expect(set.hashValue == (try BundleSet(bundles.reversed())).hashValue)
        #expect(set != (try BundleSet(bundles.dropLast())))
    }

    @Test("BUNDLE-22 refuses two bundles of one trust domain, also when they are the same")
    func twice() throws {
        for second in [try Self.bundle("a.org"), try Self.bundle("a.org", sequence: 2)] {
            let error = #expect(throws: SPIFFEError.self) {
                try BundleSet([try Self.bundle("a.org"), try Self.bundle("b.org"), second])
            }
            #expect(error?.code == .invalidBundle)
        }
    }

    @Test("replaces and removes bundles, and says what was there")
    func mutation() throws {
        var set = BundleSet()
        let (first, second) = (try Self.bundle("a.org", sequence: 1), try Self.bundle("a.org", sequence: 2))
        #expect(set.insert(first) == nil)
        #expect(set.insert(second) == first)
        #expect(set.count == 1)
        #expect(set[first.trustDomain] == second)
        #expect(set.remove(first.trustDomain) == second)
        #expect(set.remove(first.trustDomain) == nil)
        #expect(set == BundleSet())
    }

    @Test("judges a token by the bundle of its own trust domain (JWT-18)")
    func verifies() throws {
        let forge = TokenForge()
        let own = try forge.bundle()
        let held = TrustBundle(
            trustDomain: own.trustDomain, x509Authorities: [], jwtAuthorities: own.authorities)
        let set = try BundleSet([held, try Self.bundle("b.org")])
        let svid = try JWTSVID.verify(
            try forge.token(), audience: "a", at: CertificateRecipe.now, bundle: set.jwtBundle(for:))
        #expect(svid.id.trustDomain == own.trustDomain)
    }
}

@Suite("Bundle maps")
struct BundleMapTests {
    private func read(_ text: String) throws -> BundleSet { try BundleSet(bundleMapJSON: text.utf8) }

    @Test("BUNDLE-21..26 reads back the map it wrote, but for the refresh hints of single bundles")
    func roundTrip() throws {
        let key = try JWTVerificationKey(derRepresentation: P384.Signing.PrivateKey().publicKey.derRepresentation)
        func set(refreshHint: UInt64?) throws -> BundleSet {
            try BundleSet([
                TrustBundle(
                    trustDomain: try TrustDomain("b.org"), x509Authorities: [try Self.ca.get().certificate],
                    jwtAuthorities: ["k": key], sequence: 1 << 63, refreshHint: refreshHint),
                TrustBundle(trustDomain: try TrustDomain("a.org"), x509Authorities: [], jwtAuthorities: [:]),
            ])
        }
        let text = try set(refreshHint: 300).bundleMapJSON()
        #expect(try read(text) == set(refreshHint: nil))
        #expect(!text.contains("refresh_hint"), "BUNDLE-24")
        #expect(text.hasPrefix(#"{"trust_domains":{"a.org":{"keys":[]},"b.org":{"keys":[{"kty":"EC","#))
        #expect(text.hasSuffix(#"],"spiffe_sequence":9223372036854775808}}}"#))
    }

    private static let ca = Result { try TestCA() }

    @Test(
        "B14 refuses a trust domain that is named twice, also when an escape hides it",
        arguments: [
            #"{"trust_domains":{"a.org":{"keys":[]},"a.org":{"keys":[]}}}"#,
            #"{"trust_domains":{"a.org":{"keys":[]},"b.org":{"keys":[]},"\u0061.org":{"keys":[]}}}"#,
            #"{"trust_domains":{"a.org":{"keys":[]}},"trust_domains":{}}"#,
        ])
    func duplicates(_ text: String) {
        let error = #expect(throws: SPIFFEError.self) { try read(text) }
        #expect(error?.code == .invalidJSON)
    }

    @Test("B15, C-08 reads an empty map as a set that believes nobody")
    func empty() throws {
        #expect(try read(#"{"trust_domains":{}}"#) == BundleSet())
        #expect(try BundleSet().bundleMapJSON() == #"{"trust_domains":{}}"#)
    }

    @Test(
        "refuses a map that is not whole",
        arguments: [
            ("B15", "{}", .invalidBundle), ("B15", #"{"trust_domains":null}"#, .invalidBundle),
            ("B15", #"{"trust_domains":[]}"#, .invalidBundle), ("B15", #"{"keys":[]}"#, .invalidBundle),
            ("B15", "[]", .invalidBundle), ("B15", "", .invalidJSON),
            ("BUNDLE-21", #"{"trust_domains":{"spiffe://a.org":{"keys":[]}}}"#, .invalidTrustDomain),
            ("BUNDLE-21", #"{"trust_domains":{"A.org":{"keys":[]}}}"#, .invalidTrustDomain),
            ("BUNDLE-21", #"{"trust_domains":{"":{"keys":[]}}}"#, .invalidTrustDomain),
            ("BUNDLE-26", #"{"trust_domains":{"a.org":{"keys":[]},"b.org":{}}}"#, .invalidBundle),
            ("BUNDLE-26", #"{"trust_domains":{"a.org":{"keys":[]},"b.org":null}}"#, .invalidBundle),
            ("BUNDLE-26", #"{"trust_domains":{"b.org":{"keys":[],"spiffe_sequence":-1}}}"#, .invalidBundle),
        ] as [(String, String, SPIFFEError.Code)])
    func refuses(_ row: String, _ text: String, _ code: SPIFFEError.Code) {
        let error = #expect(throws: SPIFFEError.self, "\(row)") { try read(text) }
        #expect(error?.code == code, "\(row)")
    }

    @Test(
        "BUNDLE-25, C-08 keeps a bundle's hint with that bundle, and heeds none on the map",
        arguments: ["refresh_hint", "spiffe_refresh_hint", "spiffe_sequence"])
    func hints(_ name: String) throws {
        let bundle = #"{"a.org":{"keys":[],"spiffe_refresh_hint":60}}"#
        let set = try read(#"{"\#(name)":"soon","trust_domains":\#(bundle)}"#)
        #expect(set == (try read(#"{"trust_domains":\#(bundle)}"#)))
        #expect(set[try TrustDomain("a.org")]?.refreshHint == 60)
    }

    @Test("refuses a map that is too large before it looks inside")
    func tooLarge() {
        let text = #"{"trust_domains":{}}"# + String(repeating: " ", count: BundleSet.maximumMapLength)
        let error = #expect(throws: SPIFFEError.self) { try read(text) }
        #expect(error?.code == .invalidJSON)
    }
}
