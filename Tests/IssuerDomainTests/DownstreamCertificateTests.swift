import Crypto
import Foundation
import IssuerDomain
import Platform
import SPIFFE
import TestSupport
import Testing
import X509

@Suite("Certificates of authorities below")
struct DownstreamCertificateTests {
    private let now = CertificateRecipe.now

    @Test("Each stands one deeper than the one above, and a leaf is verified through all of them")
    func depth() throws {
        let root = try TestCA()
        var above = root
        var chain: [Certificate] = []
        for depth in 1...3 {
            let key = P256.Signing.PrivateKey()
            let own = try sign(key, under: above)
            #expect("\(own.subject)".contains("OU=DOWNSTREAM-\(depth)"))
            #expect("\(own.subject)".components(separatedBy: "DOWNSTREAM").count == 2)
            #expect("\(own.subject)".contains("CN=root of example.org"))
            #expect(own.issuer == above.certificate.subject)
            chain.insert(own, at: 0)
            above = TestCA(trustDomain: root.trustDomain, certificate: own, key: key)
        }
        let leaf = try above.leaf { $0.validity = now - 1..<now + 60 }
        let verified = try X509SVIDVerification.verify([leaf.certificate] + chain, at: now) { _ in root.bundle }
        #expect("\(verified.id)" == "spiffe://example.org/w")
    }

    @Test("A path length runs out, and then nothing more is signed")
    func pathLength() throws {
        var above = try TestCA { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 2) }
        for left in [1, 0] {
            let key = P256.Signing.PrivateKey()
            let own = try sign(key, under: above)
            #expect(try own.extensions.basicConstraints == .isCertificateAuthority(maxPathLength: left))
            above = TestCA(trustDomain: above.trustDomain, certificate: own, key: key)
        }
        let last = above
        #expect(throws: IssuanceError.pathLengthExhausted) { try sign(P256.Signing.PrivateKey(), under: last) }
    }

    @Test("It never outlives what is above it, nor the end it is given, whatever is asked for")
    func lifetimes() throws {
        var entropy = SeededEntropy(7)
        for _ in 0..<200 {
            let life = TimeInterval.random(in: 1...100_000, using: &entropy)
            let end = Bool.random(using: &entropy) ? now + TimeInterval.random(in: 1...100_000, using: &entropy) : nil
            let asked = Duration.seconds(Int64.random(in: 1...(1 << 40), using: &entropy))
            let above = try TestCA { $0.validity = now - 60..<now + life }
            do {
                let own = try sign(P256.Signing.PrivateKey(), under: above, lifetime: asked, end: end)
                #expect(own.notValidAfter <= above.certificate.notValidAfter)
                #expect(own.notValidAfter <= end ?? .distantFuture)
                #expect(own.notValidAfter <= now + asked.timeInterval)
                #expect(own.notValidBefore >= above.certificate.notValidBefore)
            } catch IssuanceError.lifetimeExhausted {
                #expect(min(life, end?.timeIntervalSince(now) ?? life) < 2)
            }
        }
    }

    @Test("Nothing is signed under what is no authority, or with the key above")
    func refusals() throws {
        let leaf = try TestCA { $0.basicConstraints = .notCertificateAuthority }
        #expect(throws: IssuanceError.self) { try sign(P256.Signing.PrivateKey(), under: leaf) }
        let root = try TestCA()
        #expect(throws: IssuanceError.keyOfAuthority) { try sign(root.key, under: root) }
        let later = try TestCA { $0.validity = now + 60..<now + 600 }
        #expect(throws: IssuanceError.self) { try sign(P256.Signing.PrivateKey(), under: later) }
    }

    private func sign(
        _ key: P256.Signing.PrivateKey, under above: TestCA, lifetime: Duration = .seconds(600), end: Date? = nil
    ) throws -> Certificate {
        var entropy = SystemEntropy()
        let request = try SigningRequest(
            der: SigningRequestMaker.request(signedBy: key, for: above.trustDomain.id))
        return try DownstreamCertificate.sign(
            request, for: above.trustDomain, under: above.certificate, key: Certificate.PrivateKey(above.key),
            lifetime: lifetime, end: end, now: now, using: &entropy
        ).certificate
    }
}
