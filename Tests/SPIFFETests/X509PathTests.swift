import Crypto
import CryptoExtras
import Foundation
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

/// A chain with what it should come to, here and in the verifier of swift-certificates.
struct PathCase: Sendable, CustomTestStringConvertible {
    /// What a peer presents and what is held against it.
    struct Material {
        var presented: [Certificate]
        var roots: [Certificate]
    }

    let testDescription: String

    /// Nil when the chain is sound.
    let refusal: SPIFFEError.Code?

    /// Whether the other verifier accepts what we refuse; the reason is in the description.
    let isKnownDifference: Bool
    let make: @Sendable () throws -> Material

    static func sound(_ name: String, _ make: @escaping @Sendable () throws -> Material) -> PathCase {
        PathCase(testDescription: name, refusal: nil, isKnownDifference: false, make: make)
    }

    static func refused(
        _ name: String, as code: SPIFFEError.Code = .untrusted, _ make: @escaping @Sendable () throws -> Material
    ) -> PathCase {
        PathCase(testDescription: name, refusal: code, isKnownDifference: false, make: make)
    }

    /// What swift-certificates lets pass.
    static func stricter(
        _ name: String, as code: SPIFFEError.Code = .untrusted, _ make: @escaping @Sendable () throws -> Material
    ) -> PathCase {
        PathCase(testDescription: name, refusal: code, isKnownDifference: true, make: make)
    }
}

extension PathCase {
    static let unknownExtension = Certificate.Extension(oid: [1, 2, 3, 4], critical: true, value: [0x05, 0x00])

    /// A root, an intermediate and a leaf, each with a change to it.
    static func chain(
        root: (inout CertificateRecipe) throws -> Void = { _ in },
        intermediate: (inout CertificateRecipe) throws -> Void = { _ in },
        leaf: (inout CertificateRecipe) throws -> Void = { _ in }
    ) throws -> Material {
        let ca = try TestCA { try root(&$0) }
        let issuer = try ca.intermediate("issuer", intermediate)
        return Material(
            presented: [try issuer.leaf(nil, leaf).certificate, issuer.certificate], roots: [ca.certificate])
    }

    /// A leaf that was forged after a sound one, below a root.
    static func forgedLeaf(_ change: (inout CertificateForge) throws -> Void) throws -> Material {
        let ca = try TestCA()
        var forge = try CertificateForge(try ca.leaf().certificate)
        try change(&forge)
        return Material(
            presented: [try Certificate(derEncoded: try forge.der(signedBy: ca.key))], roots: [ca.certificate])
    }

    /// A root whose key is of any kind, with an intermediate that it signed and a leaf below.
    static func signed(
        by root: Certificate.PrivateKey, _ algorithm: Certificate.SignatureAlgorithm
    ) throws -> Material {
        let recipe = CertificateRecipe.authority("root of many kinds", trustDomain: "example.org")
        let certificate = try TestCA.sign(
            recipe, for: root.publicKey, issuer: try recipe.subject(), issuerKey: root, algorithm: algorithm)
        let key = P256.Signing.PrivateKey()
        let below = CertificateRecipe.authority("intermediate", trustDomain: "example.org")
        let issuer = TestCA(
            trustDomain: try .example,
            certificate: try TestCA.sign(
                below, for: Certificate.PublicKey(key.publicKey), issuer: certificate.subject, issuerKey: root,
                algorithm: algorithm), key: key)
        return Material(presented: [try issuer.leaf().certificate, issuer.certificate], roots: [certificate])
    }

    static let accepted: [PathCase] = [
        .sound("X509-24 leaf, intermediate and root") { try chain() },
        .sound("X509-24 ECDSA on P-384 with SHA-384") {
            try signed(by: .init(P384.Signing.PrivateKey()), .ecdsaWithSHA384)
        },
        .sound("X509-24 ECDSA on P-521 with SHA-512") {
            try signed(by: .init(P521.Signing.PrivateKey()), .ecdsaWithSHA512)
        },
        .sound("X509-24 ECDSA on P-256 with SHA-384") {
            try signed(by: .init(P256.Signing.PrivateKey()), .ecdsaWithSHA384)
        },
        .sound("X509-24 Ed25519") { try signed(by: .init(Curve25519.Signing.PrivateKey()), .ed25519) },
        .sound("X509-24 RSA with SHA-256") { try signed(by: .init(RSAKeys.shared.get()), .sha256WithRSAEncryption) },
        .sound("X509-24 RSA with SHA-512") { try signed(by: .init(RSAKeys.shared.get()), .sha512WithRSAEncryption) },
        .sound("X509-20 a path as long as its root allows") {
            try chain(root: { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 1) })
        },
        .sound("X509-20 an intermediate that allows no other below it") {
            try chain(intermediate: { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0) })
        },
        .sound("X509-20 an authority's certificate for its own next key does not count") {
            let ca = try TestCA { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0) }
            let next = try ca.intermediate("root")
            return Material(presented: [try next.leaf().certificate, next.certificate], roots: [ca.certificate])
        },
        .sound("X20 a root without key usage: RFC 5280 asks for it where it is") {
            try chain(root: { $0.keyUsage = nil })
        },
        .sound("X509-10 a critical extended key usage") {
            try chain(leaf: { recipe in
                recipe.extendedKeyUsage = []
                recipe.moreExtensions = [
                    try .init(ExtendedKeyUsage([.serverAuth, .clientAuth]), critical: true)
                ]
            })
        },
        .sound("X13 an empty subject with a SAN that is not critical: a rule for issuers") {
            try chain(leaf: { $0.commonName = nil })
        },
        .sound("X14 authorities that may also make digital signatures, and have an ID with a path") {
            let change = { @Sendable (recipe: inout CertificateRecipe) in
                recipe.keyUsage = KeyUsage(digitalSignature: true, keyCertSign: true, cRLSign: true)
                recipe.uris = ["spiffe://example.org/ca"]
            }
            return try chain(root: change, intermediate: change)
        },
        .sound("an unknown extension that is not critical") {
            try chain(leaf: {
                $0.moreExtensions = [Certificate.Extension(oid: [1, 2, 3, 4], critical: false, value: [0x05, 0x00])]
            })
        },
        .sound("no key identifiers at all") {
            try chain(
                root: { $0.hasKeyIdentifiers = false }, intermediate: { $0.hasKeyIdentifiers = false },
                leaf: { $0.hasKeyIdentifiers = false })
        },
        .sound("two roots of one name, of which the second signed") {
            let (old, new) = (try TestCA(), try TestCA())
            return Material(
                presented: [try new.leaf().certificate], roots: [old.certificate, new.certificate])
        },
        .sound("an expired root beside a valid one of the same name and key") {
            let ca = try TestCA()
            let expired = try ca.crossSign("root", of: ca) {
                $0.validity = CertificateRecipe.now - 7200..<CertificateRecipe.now - 3600
            }
            return Material(
                presented: [try ca.leaf().certificate], roots: [expired.certificate, ca.certificate])
        },
        .sound("an intermediate of the old root, cross-signed by the new one, which alone is held") {
            let (old, new) = (try TestCA(commonName: "old"), try TestCA(commonName: "new"))
            let issuer = try old.intermediate("shared")
            let crossed = try new.crossSign("shared", of: issuer)
            return Material(
                presented: [try issuer.leaf().certificate, issuer.certificate, crossed.certificate],
                roots: [new.certificate])
        },
        .sound("the root presented too, and an intermediate that leads nowhere") {
            let (ca, stranger) = (try TestCA(), try TestCA("other.org"))
            let issuer = try ca.intermediate()
            let lost = try stranger.intermediate("lost")
            return Material(
                presented: [try issuer.leaf().certificate, lost.certificate, ca.certificate, issuer.certificate],
                roots: [ca.certificate])
        },
    ]

    static let refusedByBoth: [PathCase] = [
        .refused("X509-24 no intermediate, though one is needed") {
            var material = try chain()
            material.presented.removeLast()
            return material
        },
        .refused("X509-24 an intermediate of the right name with another key") {
            let ca = try TestCA()
            let (issuer, impostor) = (try ca.intermediate(), try ca.intermediate())
            return Material(
                presented: [try issuer.leaf().certificate, impostor.certificate], roots: [ca.certificate])
        },
        .refused("X509-24 the right key under another name") {
            let ca = try TestCA()
            let issuer = try ca.intermediate("issuer")
            let renamed = try ca.crossSign("renamed", of: issuer)
            return Material(presented: [try issuer.leaf().certificate, renamed.certificate], roots: [ca.certificate])
        },
        .refused("X509-24 a leaf that was changed after signing") {
            let ca = try TestCA()
            var der = try ca.leaf().certificate.derBytes()
            // A byte of the serial number: signed, and parsed whatever it is.
            der[der.index(der.startIndex, offsetBy: 31)] ^= 1
            return Material(presented: [try Certificate(derEncoded: der)], roots: [ca.certificate])
        },
        .refused("X509-20 a path longer than its root allows") {
            try chain(root: { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0) })
        },
        .refused("X509-20 a path longer than an intermediate allows") {
            let ca = try TestCA()
            let upper = try ca.intermediate("upper") { $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0) }
            let lower = try upper.intermediate("lower")
            return Material(
                presented: [try lower.leaf().certificate, lower.certificate, upper.certificate],
                roots: [ca.certificate])
        },
        .refused("X509-12 a root that is no authority") { try chain(root: { $0.basicConstraints = nil }) },
        .refused("X509-12 a root with cA=false") {
            try chain(root: { $0.basicConstraints = .notCertificateAuthority })
        },
        .refused("X509-13 a root that may not sign certificates") {
            try chain(root: { $0.keyUsage = KeyUsage(cRLSign: true) })
        },
        .refused("X18 an expired root") {
            try chain(root: { $0.validity = CertificateRecipe.now - 7200..<CertificateRecipe.now - 1 })
        },
        .refused("X18 a root that is not valid yet") {
            try chain(root: { $0.validity = CertificateRecipe.now + 1..<CertificateRecipe.now + 7200 })
        },
        .refused("X18 an expired intermediate") {
            try chain(intermediate: { $0.validity = CertificateRecipe.now - 7200..<CertificateRecipe.now - 1 })
        },
        .refused("X18 an expired leaf", as: .outsideValidity) {
            try chain(leaf: { $0.validity = CertificateRecipe.now - 7200..<CertificateRecipe.now - 1 })
        },
        .refused("a critical extension in the leaf that nobody knows") {
            try chain(leaf: { $0.moreExtensions = [unknownExtension] })
        },
        .refused("a critical extension in the intermediate that nobody knows") {
            try chain(intermediate: { $0.moreExtensions = [unknownExtension] })
        },
        .refused("a critical extension in the root that nobody knows") {
            try chain(root: { $0.moreExtensions = [unknownExtension] })
        },
        .refused("a critical certificate policy, which SPIFFE knows nothing of") {
            try chain(leaf: {
                $0.moreExtensions = [.init(oid: [2, 5, 29, 32], critical: true, value: [0x30, 0x00])]
            })
        },
        .refused("two authorities that signed each other, without a root") {
            let (one, other) = (try TestCA(commonName: "one"), try TestCA(commonName: "other"))
            let crossed = [try one.crossSign("other", of: other), try other.crossSign("one", of: one)]
            return Material(
                presented: [try one.leaf().certificate] + crossed.map(\.certificate), roots: [try TestCA().certificate])
        },
        .refused("a self-signed leaf") {
            let key = P256.Signing.PrivateKey()
            let recipe = CertificateRecipe.leaf("spiffe://example.org/w")
            let leaf = try TestCA.sign(
                recipe, for: .init(key.publicKey), issuer: try recipe.subject(), issuerKey: .init(key))
            return Material(presented: [leaf], roots: [try TestCA().certificate])
        },
        .refused("a leaf that is held as a root") {
            let ca = try TestCA()
            let leaf = try ca.leaf().certificate
            return Material(presented: [leaf], roots: [ca.certificate, leaf])
        },
        .refused("a sound bundle, with the chain of another authority of the same names") {
            Material(presented: try chain().presented, roots: try chain().roots)
        },
    ]

    /// All that swift-certificates accepts and we do not.
    static let knownDifferences: [PathCase] = [
        .stricter("SHA-1 is broken") { try signed(by: .init(RSAKeys.shared.get()), .sha1WithRSAEncryption) },
        .stricter("RFC 5280 §4.1.1.2: the algorithm inside is another than outside") {
            try forgedLeaf { $0.innerAlgorithm = try CertificateForge.algorithm([1, 2, 840, 10045, 4, 3, 3]) }
        },
        .stricter("X509-12: a root of version 1 is no certificate authority") {
            let ca = try TestCA()
            var forge = try CertificateForge(ca.certificate)
            forge.version = []
            forge.extensions = []
            let root = try Certificate(derEncoded: try forge.der(signedBy: ca.key))
            return Material(presented: [try ca.leaf().certificate], roots: [root])
        },
        .stricter("RFC 5280 §4.1.2.1: extensions need version 3") {
            try forgedLeaf { $0.version = [0xA0, 0x03, 0x02, 0x01, 0x01] }
        },
        .stricter("X509-13: a root whose key usage cannot be parsed may sign nothing") {
            let ca = try TestCA()
            var forge = try CertificateForge(ca.certificate)
            forge.extensions = forge.extensions.map {
                $0.oid == .X509ExtensionID.keyUsage ? .init(oid: $0.oid, critical: true, value: [0x05, 0x00]) : $0
            }
            let root = try Certificate(derEncoded: try forge.der(signedBy: ca.key))
            return Material(presented: [try ca.leaf().certificate], roots: [root])
        },
        .stricter("an RSA key of 1024 bits is weak") {
            let ca = try TestCA()
            let key = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024))
            return Material(presented: [try ca.leaf(for: .init(key.publicKey))], roots: [ca.certificate])
        },
        .stricter("RFC 5280 §4.2.1.10: a URI constraint without a dot at the front names one host") {
            try chain(root: { $0.nameConstraints = NameConstraints(permittedURIDomains: ["org"]) })
        },
        .stricter("an address SAN below a constraint on addresses, which is not understood") {
            let range = ASN1OctetString(contentBytes: [10, 0, 0, 0, 255, 0, 0, 0])
            return try chain(
                root: { $0.nameConstraints = NameConstraints(permittedIPRanges: [range]) },
                leaf: { recipe in
                    let names: [GeneralName] = [
                        .uniformResourceIdentifier("spiffe://example.org/w"),
                        .ipAddress(.init(contentBytes: [10, 0, 0, 1])),
                    ]
                    recipe.moreExtensions = [try .init(SubjectAlternativeNames(names), critical: false)]
                    recipe.uris = []
                })
        },
    ]
}

/// A certificate with one thing in it that the X.509 library would not write.
struct ForgeryCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout CertificateForge) throws -> Void

    init(_ name: String, _ change: @escaping @Sendable (inout CertificateForge) throws -> Void) {
        (testDescription, self.change) = (name, change)
    }

    static let unparsable = [
        ForgeryCase("an extension twice") { $0.extensions.append($0.extensions[0]) },
        ForgeryCase("RSA-PSS") { forge in
            let pss = try CertificateForge.algorithm([1, 2, 840, 113_549, 1, 1, 10])
            (forge.innerAlgorithm, forge.outerAlgorithm) = (pss, pss)
        },
        ForgeryCase("an RSA key of more than 8192 bits") { forge in
            var modulus = [UInt8](repeating: 0xFF, count: 1025)
            modulus[0] = 0x7F
            let key = try CertificateForge.sequence {
                try $0.serialize(modulus[...])
                try $0.serialize(65537)
            }
            forge.publicKeyInfo = try CertificateForge.sequence { info in
                info.serializeRawBytes(
                    try CertificateForge.sequence {
                        try $0.serialize([1, 2, 840, 113_549, 1, 1, 1] as ASN1ObjectIdentifier)
                        try $0.serialize(ASN1Null())
                    })
                try info.serialize(ASN1BitString(bytes: key[...]))
            }
        },
        ForgeryCase("an RSA key of 1024 bits") { forge in
            let key = try _RSA.Signing.PrivateKey(unsafeKeySize: .init(bitCount: 1024))
            forge.publicKeyInfo = Array(key.publicKey.derRepresentation)
        },
    ]
}

@Suite("X.509 paths")
struct X509PathTests {
    @Test("accepts sound paths, as swift-certificates does", arguments: PathCase.accepted)
    func accepts(_ one: PathCase) async throws { try await judge(one) }

    @Test("refuses unsound paths, as swift-certificates does", arguments: PathCase.refusedByBoth)
    func refuses(_ one: PathCase) async throws { try await judge(one) }

    @Test("refuses what swift-certificates lets pass, and nothing else", arguments: PathCase.knownDifferences)
    func isStricter(_ one: PathCase) async throws { try await judge(one) }

    private func judge(_ one: PathCase) async throws {
        let material = try one.make()
        let bundle = X509Bundle(trustDomain: try .example, authorities: material.roots)
        let verdict = Result { () throws(SPIFFEError) in
            try X509SVIDVerification.verify(material.presented, at: CertificateRecipe.now) { _ in bundle }
        }
        switch verdict {
        case .success(let svid):
            #expect(one.refusal == nil)
            #expect(svid.chain.first == material.presented.first)
            #expect(svid.chain.last.map(material.roots.contains) == true)
        case .failure(let error): #expect(error.code == one.refusal, "\(error)")
        }
        let oracle = await PathOracle.accepts(material.presented, roots: material.roots, at: CertificateRecipe.now)
        #expect(oracle == (one.refusal == nil || one.isKnownDifference))
    }

    @Test("refuses a certificate that the X.509 library does not parse", arguments: ForgeryCase.unparsable)
    func unparsable(_ one: ForgeryCase) throws {
        let ca = try TestCA()
        var forge = try CertificateForge(try ca.leaf().certificate)
        let sound = try forge.der(signedBy: ca.key)
        #expect(try Self.verify([sound], under: ca).id.path == "/w")
        try one.change(&forge)
        let spoiled = try forge.der(signedBy: ca.key)
        let error = #expect(throws: SPIFFEError.self) { try Self.verify([spoiled], under: ca) }
        #expect(error?.code == .invalidX509SVID)
    }

    @Test("X509-24 counts both ends of a validity in, to the second")
    func bounds() throws {
        let ca = try TestCA()
        let leaf = try ca.leaf().certificate
        let (start, end) = (leaf.notValidBefore, leaf.notValidAfter)
        for instant in [start, end, start + 0.5, end - 0.5] {
            #expect(try Self.verify([leaf.derBytes()], at: instant, under: ca).leaf == leaf)
        }
        for instant in [start - 0.5, end + 0.5, .distantPast, .distantFuture] {
            let error = #expect(throws: SPIFFEError.self) {
                try Self.verify([leaf.derBytes()], at: instant, under: ca)
            }
            #expect(error?.code == .outsideValidity)
        }
    }

    @Test("never accepts a certificate that ends before it begins")
    func reversed() throws {
        let ca = try TestCA()
        var forge = try CertificateForge(try ca.leaf().certificate)
        forge.validity = .init(notBefore: forge.validity.notAfter, notAfter: forge.validity.notBefore)
        let leaf = try forge.der(signedBy: ca.key)
        for offset in [-7200, -1800, 0, 1800, 7200] {
            #expect(throws: SPIFFEError.self) {
                try Self.verify([leaf], at: CertificateRecipe.now + Double(offset), under: ca)
            }
        }
    }

    @Test("gives up on a peer that offers a thicket of authorities of one name")
    func boundedWork() throws {
        // Three keys of one name, each certified by each: every signature holds, and no path ends.
        let authorities = try (0..<3).map { _ in try TestCA(commonName: "thicket") { $0.hasKeyIdentifiers = false } }
        var presented = [try authorities[0].leaf(nil) { $0.hasKeyIdentifiers = false }.certificate]
        for (issuer, subject) in authorities.flatMap({ one in authorities.map { (one, $0) } }) {
            presented.append(try issuer.crossSign("thicket", of: subject) { $0.hasKeyIdentifiers = false }.certificate)
        }
        #expect(presented.count == X509SVIDVerification.maximumChainLength)
        let root = try TestCA(commonName: "elsewhere")
        let error = #expect(throws: SPIFFEError.self) {
            try X509SVIDVerification.verify(presented, at: CertificateRecipe.now) { _ in root.bundle }
        }
        #expect(error?.code == .untrusted)
        #expect(error?.message.contains("more than 32 signature checks") == true)
        // With a root that is held, the first path is found long before.
        #expect(
            try X509SVIDVerification.verify(presented, at: CertificateRecipe.now) { _ in authorities[0].bundle }.chain
                .count == 2)
    }

    @Test("goes by key identifiers, so that authorities of one name cost one check each")
    func keyIdentifiers() throws {
        let root = try TestCA(commonName: "same")
        var levels = [root]
        for _ in 1..<X509SVIDVerification.maximumChainLength {
            levels.append(try levels[levels.count - 1].intermediate("same"))
        }
        let leaf = try levels[levels.count - 1].leaf().certificate
        let presented = [leaf] + levels.dropFirst().map(\.certificate)
        let svid = try X509SVIDVerification.verify(presented, at: CertificateRecipe.now) { _ in root.bundle }
        #expect(svid.chain == [leaf] + levels.reversed().map(\.certificate))
    }

    @Test("judges DER as it judges parsed certificates, and bounds it before parsing")
    func der() throws {
        let ca = try TestCA()
        let issuer = try ca.intermediate()
        let chain = [try issuer.leaf().certificate, issuer.certificate]
        let bytes = try chain.map { try $0.derBytes() }
        let svid = try Self.verify(bytes, under: ca)
        #expect(svid.chain == chain + [ca.certificate])
        #expect(svid.leaf == chain[0])
        let malformed: [[[UInt8]]] = [
            [], [[]], [bytes[0] + [0]], [bytes[0].dropLast()], [bytes[0] + bytes[1]], [bytes[0], [0x30, 0x00]],
            Array(repeating: [], count: X509SVIDVerification.maximumChainLength + 1),
            [[UInt8](repeating: 0x30, count: DERConcatenation.maximumLength + 1)],
        ]
        for presented in malformed {
            let error = #expect(throws: SPIFFEError.self) { try Self.verify(presented, under: ca) }
            #expect(error?.code == .invalidX509SVID)
        }
    }

    private static func verify(
        _ presented: [[UInt8]], at instant: Date = CertificateRecipe.now, under ca: TestCA
    ) throws(SPIFFEError) -> VerifiedX509SVID {
        try X509SVIDVerification.verify(presentedDER: presented, at: instant) { _ in ca.bundle }
    }
}
