import Crypto
import Foundation
import IssuerDomain
import Platform
import SPIFFE
import StoreContract
import SwiftASN1
import TestSupport
import Testing
import X509

@Suite("X.509-SVIDs that this issuer signs, parsed from their DER")
struct X509LeafProfileTests {
    @Test("X509-01, ID-19: one URI SAN, equal to the SPIFFE ID", arguments: ["/web", "/a/b.c/D-e_f", "/spire/agent/x"])
    func uri(path: String) async throws {
        let id = try Given.id(path)
        let leaf = try await issue(id).leaf
        #expect(try names(of: leaf) == [.uniformResourceIdentifier("\(id)")])
    }

    @Test("X509-02: DNS names of the entry are there besides")
    func dnsNames() async throws {
        let leaf = try await issue(dnsNames: ["web.example.org", "*.web.example.org"]).leaf
        #expect(
            try names(of: leaf) == [
                .uniformResourceIdentifier("spiffe://example.org/web"), .dnsName("web.example.org"),
                .dnsName("*.web.example.org"),
            ])
    }

    @Test("X509-03: a leaf for the trust domain itself is refused")
    func noPath() async throws {
        let test = try await TestIssuer()
        let error = await #expect(throws: IssuanceError.self) {
            try await issue(Given.trustDomain().id, by: test)
        }
        guard case .lintFailed? = error else {
            Issue.record("expected the lint to refuse, got \(String(describing: error))")
            return
        }
    }

    @Test("X509-04: the subject is not empty and never the authority's own, so the SAN need not be critical")
    func subject() async throws {
        let (leaf, authority) = try await issue()
        #expect(!leaf.subject.isEmpty)
        #expect(leaf.subject != authority.subject)
        #expect(try critical(leaf, .X509ExtensionID.subjectAlternativeName) == false)
    }

    @Test("X509-05: basic constraints say cA=false, explicitly and in DER's one way")
    func basicConstraints() async throws {
        let leaf = try await issue().leaf
        #expect(try value(leaf, .X509ExtensionID.basicConstraints) == [0x30, 0x00])
    }

    @Test("X509-06, X509-07, X509-08, X509-09: key usage is critical and says digitalSignature alone")
    func keyUsage() async throws {
        let leaf = try await issue().leaf
        #expect(try critical(leaf, .X509ExtensionID.keyUsage) == true)
        #expect(try value(leaf, .X509ExtensionID.keyUsage) == [0x03, 0x02, 0x07, 0x80])
    }

    @Test("X509-10, X509-11: extended key usage lists serverAuth and clientAuth, and nothing else")
    func extendedKeyUsage() async throws {
        let usages = try await issue().leaf.extensions.extendedKeyUsage
        #expect(usages.map(Array.init) == [.serverAuth, .clientAuth])
    }

    @Test("The key identifiers lead from the leaf to its authority (RFC 5280 §4.2.1.1)")
    func keyIdentifiers() async throws {
        let (leaf, authority) = try await issue()
        let subject = try #require(try authority.extensions.subjectKeyIdentifier).keyIdentifier
        #expect(try leaf.extensions.authorityKeyIdentifier?.keyIdentifier == subject)
        #expect(
            try leaf.extensions.subjectKeyIdentifier?.keyIdentifier
                == SubjectKeyIdentifier(hash: leaf.publicKey).keyIdentifier)
        #expect(leaf.issuer == authority.subject)
    }

    @Test("A leaf has six extensions, of which two are critical")
    func extensions() async throws {
        let leaf = try await issue().leaf
        #expect(leaf.extensions.count == 6)
        #expect(
            Set(leaf.extensions.filter(\.critical).map(\.oid)) == [
                .X509ExtensionID.keyUsage, .X509ExtensionID.basicConstraints,
            ])
        #expect(leaf.version == .v3)
    }

    @Test("Serial numbers are positive, long, unpredictable and never twice the same (RFC 5280 §4.1.2.2)")
    func serials() async throws {
        let test = try await TestIssuer()
        var entropy = SeededEntropy(5)
        var serials: Set<String> = []
        for _ in 0..<50 {
            let svid = try test.issuer.x509SVID(
                id: Given.id("/web"), request: Given.request(), asked: nil, defaultTTL: .seconds(60), now: Given.start,
                using: &entropy)
            let leaf = try Certificate(derEncoded: try #require(svid.chain.first))
            #expect(leaf.serialNumber.bytes.count == 16)
            #expect(try #require(leaf.serialNumber.bytes.first) & 0xC0 == 0x40)
            #expect(svid.serial == Hex.encode(leaf.serialNumber.bytes))
            serials.insert(svid.serial)
        }
        #expect(serials.count == 50)
    }

    @Test(
        "Authorities of every key type sign leaves that verify against the published bundle (ID-21, ID-28, X509-24)",
        arguments: SigningKeyType.allCases)
    func verifies(type: SigningKeyType) async throws {
        let test = try await TestIssuer(x509KeyType: type)
        let (leaf, authority) = try await issue(by: test)
        #expect(authority.publicKey.isValidSignature(leaf.signature, for: leaf))
        let bundle = test.keeper.snapshot.bundle.x509
        let verified = try X509SVIDVerification.verify([leaf], at: Given.start) {
            $0 == bundle.trustDomain ? bundle : nil
        }
        #expect(verified.id == (try Given.id("/web")))
    }

    @Test("Keys of every type that is signed for get a leaf with that key", arguments: SigningKeyType.allCases)
    func subjectKeys(type: SigningKeyType) async throws {
        let key = try await MemoryKeyStore().generate("any", type: type).certificateKey
        let test = try await TestIssuer()
        var entropy = SeededEntropy()
        let svid = try test.issuer.x509SVID(
            id: Given.id("/web"), request: SigningRequest(der: Given.requestDER(key)), asked: nil,
            defaultTTL: .seconds(60), now: Given.start, using: &entropy)
        #expect(try Certificate(derEncoded: try #require(svid.chain.first)).publicKey == key.publicKey)
    }

    @Test("ID-12, ID-13: the longest SPIFFE ID and the longest trust domain name can be issued")
    func longestID() async throws {
        let path = "/" + String(repeating: "p", count: 2048 - "spiffe://example.org/".utf8.count)
        let id = try Given.id(path)
        #expect("\(id)".utf8.count == 2048)
        #expect(try await names(of: issue(id).leaf) == [.uniformResourceIdentifier("\(id)")])
    }

    @Test("Validity is in whole seconds, starts a little early and ends as decided")
    func validity() async throws {
        let test = try await TestIssuer()
        let leaf = try await issue(by: test, now: Given.start + 100.75).leaf
        #expect(leaf.notValidBefore == Given.start + 90)
        #expect(leaf.notValidAfter == Given.start + 3700)
    }

    @Test("A leaf never starts before its authority, nor ends after it")
    func withinAuthority() async throws {
        let test = try await TestIssuer(lifetime: .seconds(600))
        let (leaf, authority) = try await issue(by: test, asked: .seconds(86_400))
        #expect(leaf.notValidBefore >= authority.notValidBefore)
        #expect(leaf.notValidAfter == authority.notValidAfter)
    }

    @Test("An entry's own settings go into its SVID: name, DNS names, lifetime and end")
    func entrySettings() async throws {
        let test = try await TestIssuer()
        var entry = try Sample.entry("a", path: "/web")
        entry.contents.dnsNames = ["web.example.org"]
        entry.contents.x509TTL = .seconds(120)
        var entropy = SeededEntropy()
        let svid = try test.issuer.x509SVID(
            for: entry, request: Given.request(), now: Given.start, using: &entropy)
        #expect(svid.id == entry.contents.spiffeID)
        #expect(svid.lifetime.limit == .entry)
        #expect(svid.lifetime.validity.upperBound == Given.start + 120)
        let leaf = try Certificate(derEncoded: try #require(svid.chain.first))
        #expect(try names(of: leaf).contains(.dnsName("web.example.org")))

        entry.contents.expiresAt = Given.start + 30
        let short = try test.issuer.x509SVID(
            for: entry, request: Given.request(), now: Given.start, using: &entropy)
        #expect(short.lifetime.limit == .entryExpiry)
        #expect(short.lifetime.validity.upperBound == Given.start + 30)
    }

    @Test("An ID of another trust domain is refused (ID-21)")
    func foreign() async throws {
        let id = try SPIFFEID("spiffe://other.example/web")
        await #expect(throws: IssuanceError.foreignTrustDomain(id)) { try await issue(id) }
    }

    @Test("A request for the authority's own key is refused")
    func authorityKey() async throws {
        let test = try await TestIssuer()
        let der = try Given.requestDER(test.keeper.snapshot.x509.key.certificateKey)
        await #expect(throws: IssuanceError.keyOfAuthority) {
            try await issue(by: test, request: SigningRequest(der: der))
        }
    }

    private func issue(
        _ id: SPIFFEID? = nil, by test: TestIssuer? = nil, dnsNames: [String] = [], asked: Duration? = nil,
        request: SigningRequest? = nil, now: Date = Given.start
    ) async throws -> (leaf: Certificate, authority: Certificate) {
        var issuer = test
        if issuer == nil { issuer = try await TestIssuer() }
        let test = try #require(issuer)
        var entropy = SeededEntropy(11)
        let svid = try test.issuer.x509SVID(
            id: id ?? Given.id("/web"), request: request ?? Given.request(), dnsNames: dnsNames, asked: asked,
            defaultTTL: .seconds(3600), now: now, using: &entropy)
        try #require(svid.chain.count == 1)
        return (try Certificate(derEncoded: svid.chain[0]), test.keeper.snapshot.x509.certificate)
    }
}

@Suite("Certificates of authorities, parsed from their DER")
struct X509AuthorityProfileTests {
    @Test("X509-12: basic constraints say cA=true and are critical", arguments: SigningKeyType.allCases)
    func basicConstraints(type: SigningKeyType) async throws {
        let certificate = try await authority(type)
        #expect(try value(certificate, .X509ExtensionID.basicConstraints) == [0x30, 0x03, 0x01, 0x01, 0xFF])
        #expect(try critical(certificate, .X509ExtensionID.basicConstraints) == true)
    }

    @Test("X509-06, X509-13, X509-14, X509-15: key usage is critical, keyCertSign and cRLSign and nothing of a leaf's")
    func keyUsage() async throws {
        let certificate = try await authority()
        #expect(try critical(certificate, .X509ExtensionID.keyUsage) == true)
        #expect(try value(certificate, .X509ExtensionID.keyUsage) == [0x03, 0x02, 0x01, 0x06])
    }

    @Test("X509-16, X509-17, X509-18, C-07, ID-15..17: it names its own trust domain, and nothing else")
    func uri() async throws {
        #expect(try await names(of: authority()) == [.uniformResourceIdentifier("spiffe://example.org")])
    }

    @Test("X509-21, X509-22: no name constraints, no extended key usage")
    func leavesOut() async throws {
        let certificate = try await authority()
        #expect(certificate.extensions[oid: .X509ExtensionID.nameConstraints] == nil)
        #expect(certificate.extensions[oid: .X509ExtensionID.extendedKeyUsage] == nil)
        #expect(certificate.extensions.count == 5)
    }

    @Test("ID-18, X509-34: it is self-signed, and its identifiers name its own key", arguments: SigningKeyType.allCases)
    func selfSigned(type: SigningKeyType) async throws {
        let certificate = try await authority(type)
        #expect(certificate.issuer == certificate.subject)
        #expect(certificate.publicKey.isValidSignature(certificate.signature, for: certificate))
        let identifier = SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier
        #expect(try certificate.extensions.subjectKeyIdentifier?.keyIdentifier == identifier)
        #expect(try certificate.extensions.authorityKeyIdentifier?.keyIdentifier == identifier)
    }

    @Test("X509-04: the subject is not empty, and tells two authorities of one trust domain apart")
    func subjects() async throws {
        let (one, other) = (try await TestIssuer(seed: 1), try await TestIssuer(seed: 2))
        #expect(!one.keeper.snapshot.x509.certificate.subject.isEmpty)
        #expect(
            one.keeper.snapshot.x509.certificate.subject != other.keeper.snapshot.x509.certificate.subject)
    }

    @Test("A trust domain of the longest name has an authority (ID-13)")
    func longestTrustDomain() async throws {
        let trustDomain = try TrustDomain(String(repeating: "t", count: 255))
        let key = try await MemoryKeyStore().generate("any", type: .ecP256)
        let certificate = try X509Authority.selfSigned(
            for: trustDomain, key: key, validity: Given.start..<(Given.start + 60),
            serial: [UInt8](repeating: 1, count: 16))
        let read = try Certificate(derEncoded: certificate.derBytes())
        #expect(try names(of: read) == [.uniformResourceIdentifier("spiffe://\(trustDomain.name)")])
    }

    @Test("Its record is named after its subject key identifier")
    func recordID() async throws {
        let x509 = try await TestIssuer().keeper.snapshot.x509
        #expect(x509.record.id == Hex.encode(x509.keyIdentifier))
        #expect(x509.record.publicDER == (try x509.certificate.derBytes()))
    }

    private func authority(_ type: SigningKeyType = .ecP256) async throws -> Certificate {
        let record = try await TestIssuer(x509KeyType: type).keeper.snapshot.x509.record
        return try Certificate(derEncoded: record.publicDER)
    }
}

private func names(of certificate: Certificate) throws -> [GeneralName] {
    Array(try #require(try certificate.extensions.subjectAlternativeNames))
}

private func value(_ certificate: Certificate, _ oid: ASN1ObjectIdentifier) throws -> [UInt8] {
    Array(try #require(certificate.extensions[oid: oid]).value)
}

private func critical(_ certificate: Certificate, _ oid: ASN1ObjectIdentifier) throws -> Bool {
    try #require(certificate.extensions[oid: oid]).critical
}
