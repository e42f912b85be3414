import Foundation
import SPIFFE
import TestSupport
import Testing
import X509

@Suite("X.509-SVID verification")
struct X509SVIDVerificationTests {
    private static let ca = Result { try TestCA() }
    private static let now = CertificateRecipe.now

    /// Verifies as a peer that holds these bundles.
    private func verify(
        _ chain: [Certificate], at instant: Date = now, holding authorities: [TestCA]
    ) throws -> VerifiedX509SVID {
        let bundles = Dictionary(authorities.map { ($0.trustDomain, $0.bundle) }, uniquingKeysWith: { one, _ in one })
        return try X509SVIDVerification.verify(chain, at: instant) { bundles[$0] }
    }

    private func refusal(
        of chain: [Certificate], at instant: Date = now, holding authorities: [TestCA]
    ) -> SPIFFEError.Code? {
        let error = #expect(throws: SPIFFEError.self) {
            try verify(chain, at: instant, holding: authorities)
        }
        return error?.code
    }

    @Test("accepts sound leaves", arguments: LeafCase.sound)
    func accepts(_ sound: LeafCase) throws {
        let ca = try Self.ca.get()
        let leaf = try ca.leaf(nil, sound.change).certificate
        let verified = try verify([leaf], holding: [ca])
        #expect(verified.id.description == "spiffe://example.org/w")
        #expect(verified.leaf == leaf)
        #expect(verified.chain == [leaf, ca.certificate])
    }

    @Test("refuses unsound leaves, although an authority signed them", arguments: LeafCase.unsound)
    func refuses(_ unsound: LeafCase) throws {
        let ca = try Self.ca.get()
        let leaf = try ca.leaf(nil, unsound.change).certificate
        #expect(refusal(of: [leaf], holding: [ca]) == unsound.code)
    }

    @Test("refuses an empty chain")
    func empty() throws {
        #expect(refusal(of: [], holding: [try Self.ca.get()]) == .invalidX509SVID)
    }

    @Test("follows intermediates in whatever order they come after the leaf")
    func intermediates() throws {
        let ca = try Self.ca.get()
        let upper = try ca.intermediate("upper")
        let lower = try upper.intermediate("lower")
        let leaf = try lower.leaf().certificate
        let orders = [[lower, upper], [upper, lower]].map { $0.map(\.certificate) }
        for order in orders {
            let verified = try verify([leaf] + order, holding: [ca])
            #expect(verified.chain == [leaf, lower.certificate, upper.certificate, ca.certificate])
        }
        #expect(refusal(of: [leaf, lower.certificate], holding: [ca]) == .untrusted)
        #expect(refusal(of: [leaf], holding: [ca]) == .untrusted)
    }

    @Test("accepts an intermediate that the bundle holds as an authority")
    func intermediateAsAuthority() throws {
        let intermediate = try Self.ca.get().intermediate()
        let leaf = try intermediate.leaf().certificate
        #expect(try verify([leaf], holding: [intermediate]).id.path == "/w")
    }

    @Test("X15 refuses a chain with an unsound intermediate", arguments: X509SVIDProfileTests.badIntermediates)
    func badIntermediate(_ bad: LeafCase) throws {
        let ca = try Self.ca.get()
        let intermediate = try ca.intermediate("bad", bad.change)
        let leaf = try intermediate.leaf().certificate
        #expect(refusal(of: [leaf, intermediate.certificate], holding: [ca]) == .invalidX509SVID)
    }

    @Test("X06 refuses a chain in which a workload's leaf signed another leaf")
    func leafAsIssuer() throws {
        let ca = try Self.ca.get()
        let workload = try ca.intermediate("workload") { recipe in
            recipe = .leaf("spiffe://example.org/attacker")
        }
        let forged = try workload.leaf("spiffe://example.org/victim").certificate
        #expect(refusal(of: [forged, workload.certificate], holding: [ca]) == .invalidX509SVID)
        #expect(refusal(of: [forged], holding: [workload]) == .untrusted)
    }

    @Test("X15 refuses an authority of the bundle that may not sign certificates")
    func rootWithoutKeyCertSign() throws {
        let ca = try TestCA { $0.keyUsage = KeyUsage(cRLSign: true) }
        #expect(refusal(of: [try ca.leaf().certificate], holding: [ca]) == .untrusted)
    }

    @Test("X16 X509-30 refuses a sound chain when only another domain's bundle is held")
    func onlyForeignBundle() throws {
        let ca = try Self.ca.get()
        let other = try TestCA("other.org")
        let leaf = try ca.leaf().certificate
        #expect(refusal(of: [leaf], holding: [other]) == .unknownTrustDomain)
        #expect(refusal(of: [leaf], holding: []) == .unknownTrustDomain)
    }

    @Test("X16 refuses a bundle that turns out to be another domain's")
    func mislabelledBundle() throws {
        let ca = try Self.ca.get()
        let foreign = X509Bundle(trustDomain: try TrustDomain("other.org"), authorities: [ca.certificate])
        let leaf = try ca.leaf().certificate
        let error = #expect(throws: SPIFFEError.self) {
            try X509SVIDVerification.verify([leaf], at: Self.now) { _ in foreign }
        }
        #expect(error?.code == .unknownTrustDomain)
    }

    @Test("X17 X509-30 refuses a leaf of one domain signed by the authority of another, though both bundles are held")
    func crossSigned() throws {
        let ca = try Self.ca.get()
        let other = try TestCA("other.org")
        let forged = try ca.leaf("spiffe://other.org/w").certificate
        #expect(refusal(of: [forged], holding: [ca, other]) == .untrusted)
        #expect(refusal(of: [forged, ca.certificate], holding: [ca, other]) == .untrusted)
    }

    @Test("refuses a leaf that only shares the authority's name, or whose signature was made by another key")
    func impostor() throws {
        let ca = try Self.ca.get()
        let impostor = try TestCA()
        #expect(impostor.certificate.subject == ca.certificate.subject)
        let leaf = try impostor.leaf().certificate
        #expect(refusal(of: [leaf], holding: [ca]) == .untrusted)
        #expect(refusal(of: [leaf, impostor.certificate], holding: [ca]) == .untrusted)
    }

    @Test("refuses everything of a domain whose bundle is empty")
    func emptyBundle() throws {
        let leaf = try Self.ca.get().leaf().certificate
        let empty = X509Bundle(trustDomain: try TrustDomain("example.org"), authorities: [])
        let error = #expect(throws: SPIFFEError.self) {
            try X509SVIDVerification.verify([leaf], at: Self.now) { _ in empty }
        }
        #expect(error?.code == .untrusted)
    }

    @Test("X18 goes by the instant asked about, for leaf, intermediate and authority alike")
    func validity() throws {
        let ca = try Self.ca.get()
        let leaf = try ca.leaf().certificate
        #expect(try verify([leaf], at: Self.now + 1799, holding: [ca]).leaf == leaf)
        #expect(refusal(of: [leaf], at: Self.now + 1801, holding: [ca]) == .outsideValidity)
        #expect(refusal(of: [leaf], at: Self.now - 1801, holding: [ca]) == .outsideValidity)

        let brief = try ca.intermediate("brief") { $0.validity = Self.now - 60..<Self.now + 60 }
        let below = [try brief.leaf().certificate, brief.certificate]
        #expect(try verify(below, at: Self.now + 59, holding: [ca]).id.path == "/w")
        #expect(refusal(of: below, at: Self.now + 61, holding: [ca]) == .untrusted)

        let old = try TestCA { $0.validity = Self.now - 7200..<Self.now - 3600 }
        #expect(refusal(of: [try old.leaf().certificate], holding: [old]) == .untrusted)
    }

    @Test("refuses a leaf that lies in the root store, where no signature would be asked of it")
    func leafInRootStore() throws {
        let ca = try Self.ca.get()
        let leaf = try ca.leaf().certificate
        let bundle = X509Bundle(trustDomain: ca.trustDomain, authorities: [ca.certificate, leaf])
        let error = #expect(throws: SPIFFEError.self) {
            try X509SVIDVerification.verify([leaf], at: Self.now) { _ in bundle }
        }
        #expect(error?.code == .untrusted)
    }

    @Test("judges chains up to its limit and refuses longer ones before it looks at them")
    func longChain() throws {
        let ca = try Self.ca.get()
        var authorities = [ca]
        for level in 1..<X509SVIDVerification.maximumChainLength {
            authorities.insert(try authorities[0].intermediate("level \(level)"), at: 0)
        }
        let leaf = try authorities[0].leaf().certificate
        let longest = [leaf] + authorities.dropLast().map(\.certificate)
        #expect(longest.count == X509SVIDVerification.maximumChainLength)
        #expect(try verify(longest, holding: [ca]).chain.count == longest.count + 1)
        let tooLong = longest + [ca.certificate]
        #expect(refusal(of: tooLong, holding: [ca]) == .invalidX509SVID)
    }

    @Test("keeps to a path length that an authority sets")
    func pathLength() throws {
        let ca = try TestCA { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0) }
        #expect(try verify([try ca.leaf().certificate], holding: [ca]).id.path == "/w")
        let intermediate = try ca.intermediate()
        let chain = [try intermediate.leaf().certificate, intermediate.certificate]
        #expect(refusal(of: chain, holding: [ca]) == .untrusted)
    }

    @Test(
        "X20 accepts an authority whatever its SAN: the bundle says whose it is",
        arguments: [["spiffe://example.org/"], [], ["spiffe://example.org/ca"], ["spiffe://elsewhere.org"]])
    func rootSAN(_ uris: [String]) throws {
        let ca = try TestCA { $0.uris = uris }
        #expect(try verify([try ca.leaf().certificate], holding: [ca]).id.path == "/w")
    }

    @Test("X21 refuses a chain whose leaf comes second")
    func wrongOrder() throws {
        let ca = try Self.ca.get()
        let intermediate = try ca.intermediate()
        let leaf = try intermediate.leaf().certificate
        #expect(refusal(of: [intermediate.certificate, leaf], holding: [ca]) == .invalidX509SVID)
    }

    @Test("X509-23 refuses an authority that presents its own certificate as a leaf")
    func authorityAsLeaf() throws {
        let ca = try Self.ca.get()
        #expect(refusal(of: [ca.certificate], holding: [ca]) == .invalidX509SVID)
        let named = try TestCA { $0.uris = ["spiffe://example.org/ca"] }
        #expect(refusal(of: [named.certificate], holding: [named]) == .invalidX509SVID)
    }

    @Test("never shows more of a refusal than names and reasons")
    func refusalText() throws {
        let leaf = try TestCA("other.org").leaf().certificate
        let error = #expect(throws: SPIFFEError.self) { try verify([leaf], holding: []) }
        #expect(error?.description == "no bundle is held for trust domain other.org")
    }
}
