import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

@Suite("X.509 name constraints")
struct X509NameConstraintsTests {
    /// Verifies a leaf below an intermediate that is constrained.
    private static func isAccepted(
        _ constraints: NameConstraints, leaf id: String = "spiffe://example.org/w", dns: [String] = []
    ) throws -> Bool {
        let ca = try TestCA(try SPIFFEID(id).trustDomain.name)
        let issuer = try ca.intermediate { $0.nameConstraints = constraints }
        let leaf = try issuer.leaf(id) { $0.dnsNames = dns }
        return
            (try? X509SVIDVerification.verify([leaf.certificate, issuer.certificate], at: CertificateRecipe.now) {
                _ in ca.bundle
            }) != nil
    }

    @Test(
        "X509-21 accepts a leaf whose ID lies inside of every constraint",
        arguments: [
            (["example.org"], []), (["EXAMPLE.org"], []), ([".org"], []), (["other.org", "example.org"], []),
            ([""], []), ([], ["other.org"]), ([], ["a.example.org"]), (["example.org"], ["other.org"]),
        ] as [([String], [String])])
    func permits(permitted: [String], excluded: [String]) throws {
        let constraints = NameConstraints(permittedURIDomains: permitted, forbiddenURIDomains: excluded)
        #expect(try Self.isAccepted(constraints))
    }

    @Test(
        "X509-21 refuses a leaf whose ID lies outside of a constraint, and all constraints that are malformed",
        arguments: [
            (["other.org"], []), ([".example.org"], []), (["org"], []), (["ample.org"], []), (["le.org"], []),
            ([], ["example.org"]), ([], [".org"]), ([], ["org"]), ([], [""]), (["example.org"], ["example.org"]),
            (["spiffe://example.org"], []), (["example.org."], []), (["*.org"], []), ([], ["exa mple.org"]),
            ([], ["other..org"]), ([], ["-other.org"]), ([], ["1.2.3.4"]), (["."], []),
        ] as [([String], [String])])
    func forbids(permitted: [String], excluded: [String]) throws {
        let constraints = NameConstraints(permittedURIDomains: permitted, forbiddenURIDomains: excluded)
        #expect(try !Self.isAccepted(constraints))
    }

    @Test(
        "X509-21 refuses a trust domain that is no domain name where URIs are constrained",
        arguments: ["1.2.3.4", "a..b", "a.", "-", "a.example-", "node.1"])
    func strangeDomains(_ name: String) throws {
        #expect(try !Self.isAccepted(NameConstraints(permittedURIDomains: [""]), leaf: "spiffe://\(name)/w"))
        #expect(try !Self.isAccepted(NameConstraints(forbiddenURIDomains: ["other.org"]), leaf: "spiffe://\(name)/w"))
        #expect(try Self.isAccepted(NameConstraints(permittedDNSDomains: ["x"]), leaf: "spiffe://\(name)/w"))
    }

    @Test("goes by where DNS names lie, and accepts any leaf without one")
    func dnsInside() throws {
        let inside = NameConstraints(permittedDNSDomains: ["corp.example"], excludedDNSDomains: ["lab.corp.example"])
        for names in [[], ["corp.example"], ["db.corp.example"], ["DB.Corp.Example"], ["a.b.corp.example"]] {
            #expect(try Self.isAccepted(inside, dns: names), "\(names)")
        }
        let below = NameConstraints(permittedDNSDomains: [".corp.example"])
        #expect(try Self.isAccepted(below, dns: ["db.corp.example"]))
        #expect(try !Self.isAccepted(below, dns: ["corp.example"]))
    }

    @Test(
        "refuses DNS names outside of a constraint, and those that it cannot tell",
        arguments: [
            "example", "evilcorp.example", "lab.corp.example", "x.lab.corp.example", "*.corp.example",
            "db.corp.example.", "10.0.0.1", "", "db..corp.example",
        ])
    func dnsOutside(_ name: String) throws {
        let inside = NameConstraints(permittedDNSDomains: ["corp.example"], excludedDNSDomains: ["lab.corp.example"])
        #expect(try !Self.isAccepted(inside, dns: [name]))
        #expect(try !Self.isAccepted(inside, dns: ["db.corp.example", name]))
    }

    @Test("refuses everything below a constraint of a kind that it does not understand")
    func otherKinds() throws {
        let name = try DistinguishedName { CommonName("x") }
        let kinds: [GeneralName] = [.rfc822Name("example.org"), .directoryName(name), .registeredID([1, 2, 3])]
        for kind in kinds {
            #expect(try !Self.isAccepted(NameConstraints(permittedSubtrees: [kind])), "\(kind)")
            #expect(try !Self.isAccepted(NameConstraints(excludedSubtrees: [kind])), "\(kind)")
        }
    }

    @Test("holds an intermediate to the constraints of what stands above it, and to none of its own")
    func intermediates() throws {
        let constraints = NameConstraints(permittedURIDomains: ["example.org"])
        let ca = try TestCA { $0.nameConstraints = constraints }
        for (uris, isSound) in [(["spiffe://example.org"], true), ([], true), (["spiffe://other.org"], false)] {
            let issuer = try ca.intermediate { $0.uris = uris }
            let chain = [try issuer.leaf().certificate, issuer.certificate]
            let verified = try? X509SVIDVerification.verify(chain, at: CertificateRecipe.now) { _ in ca.bundle }
            #expect((verified != nil) == isSound, "\(uris)")
        }
        let free = try TestCA()
        let issuer = try free.intermediate {
            $0.nameConstraints = constraints
            $0.uris = ["spiffe://other.org"]
        }
        let chain = [try issuer.leaf().certificate, issuer.certificate]
        #expect(try X509SVIDVerification.verify(chain, at: CertificateRecipe.now) { _ in free.bundle }.id.path == "/w")
    }

    @Test(
        "refuses constraints that cannot be parsed or say nothing",
        arguments: [[0x05, 0x00], [0x30, 0x00]] as [[UInt8]])
    func malformed(_ value: [UInt8]) throws {
        let ca = try TestCA()
        for critical in [true, false] {
            let issuer = try ca.intermediate {
                $0.moreExtensions = [
                    .init(oid: .X509ExtensionID.nameConstraints, critical: critical, value: value[...])
                ]
            }
            let error = #expect(throws: SPIFFEError.self) {
                try X509SVIDVerification.verify(
                    [issuer.leaf().certificate, issuer.certificate], at: CertificateRecipe.now
                ) { _ in ca.bundle }
            }
            #expect(error?.code == .invalidX509SVID)
        }
    }
}
