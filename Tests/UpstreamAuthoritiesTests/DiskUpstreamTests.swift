import Crypto
import Foundation
import IssuerDomain
import Platform
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import UpstreamAuthorities
import X509

@Suite("An upstream authority in files")
struct DiskUpstreamTests {
    private let now = CertificateRecipe.now

    @Test("A root in files signs an authority that a leaf is verified under, by our rules and with nothing else")
    func root() async throws {
        let root = try TestCA()
        let (key, request) = try request()
        let minted = try await upstream(files(root)).mint(request: request, lifetime: .seconds(600), now: now)
        #expect(minted.chain.count == 1)
        #expect(minted.roots.map(\.certificate) == [try root.certificate.derBytes()])
        let own = try certificate(minted.chain[0])
        #expect(own.publicKey == Certificate.PublicKey(key.publicKey))
        #expect(own.notValidAfter == now + 600)
        try verifyLeaf(under: own, key: key, chain: minted.chain, root: root)
    }

    @Test("An intermediate in files brings itself and what leads from it to the root")
    func intermediate() async throws {
        let root = try TestCA()
        let middle = try root.intermediate("middle")
        let own = try middle.intermediate("own")
        let (key, request) = try request()
        let files = files(own, chain: [own.certificate, middle.certificate], bundle: [root.certificate])
        let minted = try await upstream(files, bundle: true).mint(
            request: request, lifetime: .seconds(600), now: now)
        #expect(minted.chain.count == 3)
        try verifyLeaf(under: try certificate(minted.chain[0]), key: key, chain: minted.chain, root: root)
        let withRoot = self.files(
            own, chain: [own.certificate, middle.certificate, root.certificate], bundle: [root.certificate])
        let again = try await upstream(withRoot, bundle: true).mint(
            request: request, lifetime: .seconds(600), now: now)
        #expect(again.chain.dropFirst() == minted.chain.dropFirst(), "a root at the end of the file is left out")
    }

    @Test("What it signs outlives neither the CA nor anything above it")
    func lifetimes() async throws {
        let root = try TestCA { $0.validity = now - 60..<now + 300 }
        let own = try root.intermediate("own") { $0.validity = now - 60..<now + 900 }
        let (_, request) = try request()
        let under = try await upstream(files(own, bundle: [root.certificate]), bundle: true)
            .mint(request: request, lifetime: .seconds(3600), now: now)
        #expect(try certificate(under.chain[0]).notValidAfter == now + 300)
        let alone = try await upstream(files(root)).mint(request: request, lifetime: .seconds(3600), now: now)
        #expect(try certificate(alone.chain[0]).notValidAfter == now + 300)
    }

    @Test(
        "The path length shrinks by one with each authority", arguments: [(1, 0), (2, 1), (nil, nil)] as [(Int?, Int?)])
    func pathLength(above: Int?, below: Int?) async throws {
        let root = try TestCA { $0.basicConstraints = .isCertificateAuthority(maxPathLength: above) }
        let (_, request) = try request()
        let minted = try await upstream(files(root)).mint(request: request, lifetime: .seconds(600), now: now)
        let constraints = try certificate(minted.chain[0]).extensions.basicConstraints
        #expect(constraints == .isCertificateAuthority(maxPathLength: below))
    }

    @Test("The subject is that of the CA, with how deep it stands and a number of its own")
    func subject() async throws {
        let root = try TestCA()
        let (_, request) = try request()
        let upstream = try upstream(files(root))
        let first = try certificate(
            try await upstream.mint(request: request, lifetime: .seconds(600), now: now).chain[0])
        let second = try certificate(
            try await upstream.mint(request: request, lifetime: .seconds(600), now: now).chain[0])
        #expect("\(first.subject)".contains("OU=DOWNSTREAM-1"))
        #expect("\(first.subject)".contains("O=Mintmark Test"))
        #expect(first.issuer == root.certificate.subject)
        #expect(first.subject != second.subject)
    }

    @Test("Files that do not belong together are refused, by what is wrong with them")
    func refusals() async throws {
        let root = try TestCA()
        let other = try TestCA(commonName: "other")
        let own = try root.intermediate("own")
        let expired = try TestCA { $0.validity = now - 600..<now - 1 }
        let early = try TestCA { $0.validity = now + 1..<now + 600 }
        let full = try TestCA { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0) }
        let leaf = try TestCA { $0.basicConstraints = .notCertificateAuthority }
        let mute = try TestCA { $0.keyUsage = KeyUsage(digitalSignature: true) }
        let broken = files(root)
        broken.place("/ca/key.pem", Array("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".utf8))
        let binary = files(root)
        binary.place("/ca/certificate.pem", [0xFF, 0xFE])
        let empty = files(root)
        empty.place("/ca/certificate.pem", [])
        let cases: [(MemoryFileSystem, Bool, String)] = [
            (files(root, key: other.key), false, "the key is not that of the first certificate"),
            (files(expired), false, "the certificate has expired on"),
            (files(early), false, "the certificate is not valid yet"),
            (files(full), false, "path length 0"),
            (files(leaf), false, "the certificate may not sign"),
            (files(mute), false, "the certificate may not sign"),
            (files(own), false, "the certificate is not a root, and there is no bundle file"),
            (files(own, bundle: [other.certificate]), true, "does not lead to a valid root"),
            (
                files(own, chain: [own.certificate, other.certificate], bundle: [root.certificate]), true,
                "certificate 1 of the certificate file is not signed by a valid next one"
            ),
            (files(root), true, "there is no file /ca/bundle.pem"),
            (broken, false, "the key file does not hold one unencrypted private key in PEM"),
            (binary, false, "/ca/certificate.pem is not text"),
            (empty, false, "the certificate file is not sound"),
        ]
        let (_, request) = try request()
        for (files, hasBundle, text) in cases {
            let error = await #expect(throws: UpstreamError.self) {
                try await upstream(files, bundle: hasBundle).mint(request: request, lifetime: .seconds(600), now: now)
            }
            #expect("\(error.map { "\($0)" } ?? "")".contains(text))
        }
    }

    @Test("A request that asks for anything but the trust domain is refused")
    func requests() async throws {
        let root = try TestCA()
        let upstream = try upstream(files(root))
        let key = P256.Signing.PrivateKey()
        for names in [
            SubjectAlternativeNames([]), .init([.uniformResourceIdentifier("spiffe://other.example")]),
            .init([.uniformResourceIdentifier("spiffe://example.org/w")]),
            .init([.uniformResourceIdentifier("spiffe://example.org"), .dnsName("example.org")]),
            .init([
                .uniformResourceIdentifier("spiffe://example.org"), .uniformResourceIdentifier("spiffe://example.org"),
            ]),
        ] {
            let error = await #expect(throws: UpstreamError.self) {
                try await upstream.mint(
                    request: try self.request(key, names: names), lifetime: .seconds(600), now: now)
            }
            #expect("\(error.map { "\($0)" } ?? "")".contains("does not name spiffe://example.org and nothing else"))
        }
        await #expect(throws: UpstreamError.self) {
            try await upstream.mint(request: [0x30, 0], lifetime: .seconds(600), now: now)
        }
        let own = try self.request(root.key, names: .init([.uniformResourceIdentifier("spiffe://example.org")]))
        await #expect(throws: UpstreamError.refused(detail: "public key is an authority's own")) {
            try await upstream.mint(request: own, lifetime: .seconds(600), now: now)
        }
    }

    @Test("Files are read again for each certificate, and a change of roots is told once")
    func rereading() async throws {
        let (root, next) = (try TestCA(), try TestCA(commonName: "next"))
        let files = files(root)
        let clock = ManualClock(now)
        let upstream = DiskUpstream(
            trustDomain: root.trustDomain, paths: paths(bundle: false), files: files, clock: clock)
        let (_, request) = try request()
        var updates = upstream.updates().makeAsyncIterator()
        #expect(await updates.next()?.roots.map(\.certificate) == [try root.certificate.derBytes()])
        try write(next, to: files)
        let minted = try await upstream.mint(request: request, lifetime: .seconds(600), now: now)
        #expect(try certificate(minted.chain[0]).issuer == next.certificate.subject)
        #expect(await updates.next()?.roots.map(\.certificate) == [try next.certificate.derBytes()])
    }

    @Test("It takes no JWT keys, and says so")
    func publish() async throws {
        await #expect(throws: UpstreamError.unsupported) {
            try await upstream(files(try TestCA())).publish(
                UpstreamJWTKey(keyID: "k", publicDER: [1], notAfter: nil))
        }
    }

    private func paths(bundle: Bool) -> DiskUpstream.Files {
        .init(
            certificates: "/ca/certificate.pem", key: "/ca/key.pem", bundle: bundle ? "/ca/bundle.pem" : nil)
    }

    @Test("A CA key that others can read is not used")
    func readableKey() async throws {
        let root = try TestCA()
        let files = files(root)
        files.place("/ca/key.pem", Array(root.key.pemRepresentation.utf8), mode: 0o644)
        let request = try request().1
        let error = await #expect(throws: UpstreamError.self) {
            try await upstream(files).mint(request: request, lifetime: .seconds(3600), now: now)
        }
        #expect(error.map { "\($0)" }?.contains("chmod 600 /ca/key.pem") == true)
    }

    private func upstream(_ files: MemoryFileSystem, bundle: Bool = false) throws -> DiskUpstream {
        DiskUpstream(
            trustDomain: try TrustDomain("example.org"), paths: paths(bundle: bundle), files: files,
            clock: ManualClock(now))
    }

    private func files(
        _ ca: TestCA, key: P256.Signing.PrivateKey? = nil, chain: [Certificate]? = nil, bundle: [Certificate]? = nil
    ) -> MemoryFileSystem {
        let files = MemoryFileSystem()
        try? write(ca, key: key, chain: chain, bundle: bundle, to: files)
        return files
    }

    private func write(
        _ ca: TestCA, key: P256.Signing.PrivateKey? = nil, chain: [Certificate]? = nil, bundle: [Certificate]? = nil,
        to files: MemoryFileSystem
    ) throws {
        files.place("/ca/certificate.pem", Array(try pem(chain ?? [ca.certificate]).utf8))
        files.place("/ca/key.pem", Array((key ?? ca.key).pemRepresentation.utf8))
        if let bundle { files.place("/ca/bundle.pem", Array(try pem(bundle).utf8)) }
    }

    private func pem(_ certificates: [Certificate]) throws -> String {
        try certificates.map { try $0.serializeAsPEM().pemString + "\n" }.joined()
    }

    private func request() throws -> (P256.Signing.PrivateKey, [UInt8]) {
        let key = P256.Signing.PrivateKey()
        return (key, try request(key, names: .init([.uniformResourceIdentifier("spiffe://example.org")])))
    }

    private func request(_ key: P256.Signing.PrivateKey, names: SubjectAlternativeNames) throws -> [UInt8] {
        let request = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName(), privateKey: Certificate.PrivateKey(key),
            attributes: try .init([.init(ExtensionRequest(extensions: try Certificate.Extensions { names }))]),
            signatureAlgorithm: .ecdsaWithSHA256)
        var serializer = DER.Serializer()
        try serializer.serialize(request)
        return serializer.serializedBytes
    }

    private func certificate(_ der: [UInt8]) throws -> Certificate { try DERConcatenation.certificate(in: der[...]) }

    private func verifyLeaf(
        under own: Certificate, key: P256.Signing.PrivateKey, chain: [[UInt8]], root: TestCA
    ) throws {
        let authority = TestCA(trustDomain: root.trustDomain, certificate: own, key: key)
        let leaf = try authority.leaf { $0.validity = now - 1..<now + 60 }
        let verified = try X509SVIDVerification.verify(
            presentedDER: [leaf.certificate.derBytes()] + chain, at: now
        ) { _ in root.bundle }
        #expect("\(verified.id)" == "spiffe://example.org/w")
    }
}
