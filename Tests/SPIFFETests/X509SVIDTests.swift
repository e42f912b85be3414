import Crypto
import CryptoExtras
import Foundation
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

@Suite("One's own X.509-SVID")
struct X509SVIDTests {
    private static let ca = Result { try TestCA() }

    @Test("loads a leaf alone and a leaf with intermediates")
    func loads() throws {
        let ca = try Self.ca.get()
        let lone = try ca.leaf()
        let svid = try X509SVID(chain: Data(lone.certificate.derBytes()), privateKey: lone.pkcs8, hint: "internal")
        #expect(svid.id.description == "spiffe://example.org/w")
        #expect(svid.certificates == [lone.certificate])
        #expect(svid.privateKeyDER == lone.pkcs8)
        #expect(svid.hint == "internal")

        let intermediate = try ca.intermediate()
        let leaf = try intermediate.leaf("spiffe://example.org/below")
        let chain = Data(try DERConcatenation.bytes(of: [leaf.certificate, intermediate.certificate]))
        let below = try X509SVID(chain: chain, privateKey: leaf.pkcs8)
        #expect(below.id.path == "/below")
        #expect(below.certificates == [leaf.certificate, intermediate.certificate])
        #expect(below.hint.isEmpty)
    }

    @Test("GS-08 loads keys of every kind that an issuer may use")
    func keyKinds() throws {
        let p384 = P384.Signing.PrivateKey()
        let p521 = P521.Signing.PrivateKey()
        let ed25519 = Curve25519.Signing.PrivateKey()
        let rsa = try RSAKeys.shared.get()
        let kinds = [
            ("P-384", Certificate.PublicKey(p384.publicKey), p384.derRepresentation),
            ("P-521", Certificate.PublicKey(p521.publicKey), p521.derRepresentation),
            ("Ed25519", Certificate.PublicKey(ed25519.publicKey), try Self.pkcs8(of: ed25519)),
            ("RSA", Certificate.PublicKey(rsa.publicKey), rsa.pkcs8DERRepresentation),
        ]
        for (name, publicKey, privateKey) in kinds {
            let leaf = try Self.ca.get().leaf(for: publicKey)
            let svid = Result { try X509SVID(chain: Data(leaf.derBytes()), privateKey: privateKey) }
            #expect((try? svid.get())?.id.path == "/w", "\(name)")
        }
    }

    @Test("says when the leaf is valid, and refuses one that ends before it begins")
    func validity() throws {
        let leaf = try Self.ca.get().leaf()
        let svid = try X509SVID(chain: Data(leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
        #expect(svid.validity == CertificateRecipe.now - 1800..<CertificateRecipe.now + 1800)
        var forge = try CertificateForge(leaf.certificate)
        forge.validity = .init(notBefore: forge.validity.notAfter, notAfter: forge.validity.notBefore)
        let reversed = Data(try forge.der(signedBy: Self.ca.get().key))
        let error = #expect(throws: SPIFFEError.self) { try X509SVID(chain: reversed, privateKey: leaf.pkcs8) }
        #expect(error?.code == .invalidX509SVID)
    }

    @Test("X18 loads an SVID that has expired; only verification asks the clock")
    func expired() throws {
        let leaf = try Self.ca.get().leaf {
            $0.validity = Date(timeIntervalSince1970: 0)..<Date(timeIntervalSince1970: 1)
        }
        #expect(try X509SVID(chain: Data(leaf.certificate.derBytes()), privateKey: leaf.pkcs8).id.path == "/w")
    }

    @Test("refuses unsound leaves on loading, too", arguments: LeafCase.unsound)
    func refusesLeaf(_ unsound: LeafCase) throws {
        let leaf = try Self.ca.get().leaf(nil, unsound.change)
        let error = #expect(throws: SPIFFEError.self) {
            try X509SVID(chain: Data(leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
        }
        #expect(error?.code == unsound.code)
    }

    @Test("X15 refuses an unsound intermediate", arguments: X509SVIDProfileTests.badIntermediates)
    func refusesIntermediate(_ bad: LeafCase) throws {
        let intermediate = try Self.ca.get().intermediate("bad", bad.change)
        let leaf = try intermediate.leaf()
        let chain = Data(try DERConcatenation.bytes(of: [leaf.certificate, intermediate.certificate]))
        let error = #expect(throws: SPIFFEError.self) { try X509SVID(chain: chain, privateKey: leaf.pkcs8) }
        #expect(error?.code == .invalidX509SVID)
    }

    @Test("X21 refuses an intermediate before its leaf")
    func wrongOrder() throws {
        let intermediate = try Self.ca.get().intermediate()
        let leaf = try intermediate.leaf()
        let chain = Data(try DERConcatenation.bytes(of: [intermediate.certificate, leaf.certificate]))
        let error = #expect(throws: SPIFFEError.self) { try X509SVID(chain: chain, privateKey: leaf.pkcs8) }
        #expect(error?.code == .invalidX509SVID)
    }

    @Test("refuses a chain that is empty or not DER", arguments: [Data(), Data("-----BEGIN".utf8), Data([0x30])])
    func malformedChain(_ chain: Data) throws {
        let leaf = try Self.ca.get().leaf()
        let error = #expect(throws: SPIFFEError.self) { try X509SVID(chain: chain, privateKey: leaf.pkcs8) }
        #expect(error?.code == .invalidX509SVID)
    }

    @Test("X19 refuses a key that is not the leaf's, of the same kind or another")
    func keyMismatch() throws {
        let leaf = try Self.ca.get().leaf()
        let strangers = [P256.Signing.PrivateKey().derRepresentation, P384.Signing.PrivateKey().derRepresentation]
        for stranger in strangers {
            #expect(try Self.refusal(of: stranger, for: leaf) == .invalidPrivateKey)
        }
    }

    @Test("X19 refuses SEC1, which is not PKCS#8")
    func sec1() throws {
        let leaf = try Self.ca.get().leaf()
        let sec1 = try Self.sec1(of: leaf.key)
        // The bytes are a key, just not in the form that the Workload API carries.
        #expect(try P256.Signing.PrivateKey(derRepresentation: sec1).rawRepresentation == leaf.key.rawRepresentation)
        #expect(try Self.refusal(of: sec1, for: leaf) == .invalidPrivateKey)
    }

    @Test("X19 refuses PKCS#1, which is not PKCS#8")
    func pkcs1() throws {
        let rsa = try RSAKeys.shared.get()
        let leaf = try Self.ca.get().leaf(for: Certificate.PublicKey(rsa.publicKey))
        let pkcs1 = rsa.derRepresentation
        #expect(pkcs1 != rsa.pkcs8DERRepresentation)
        let error = #expect(throws: SPIFFEError.self) {
            try X509SVID(chain: Data(leaf.derBytes()), privateKey: pkcs1)
        }
        #expect(error?.code == .invalidPrivateKey)
    }

    @Test("X19 refuses encrypted PKCS#8")
    func encrypted() throws {
        let leaf = try Self.ca.get().leaf()
        // EncryptedPrivateKeyInfo: an algorithm (PBES2 here) and an octet string; what is inside does not matter.
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { info in
            try info.appendConstructedNode(identifier: .sequence) { algorithm in
                try algorithm.serialize([1, 2, 840, 113_549, 1, 5, 13] as ASN1ObjectIdentifier)
            }
            try info.serialize(ASN1OctetString(contentBytes: Array(leaf.pkcs8)[...]))
        }
        #expect(try Self.refusal(of: Data(serializer.serializedBytes), for: leaf) == .invalidPrivateKey)
    }

    @Test("X19 refuses PEM, nothing, and what is no key")
    func notDER() throws {
        let leaf = try Self.ca.get().leaf()
        let sound = leaf.pkcs8
        let keys = [
            Data(leaf.key.pemRepresentation.utf8), Data(), Data([0x30, 0x00]), sound.dropLast(), sound + [0],
            Data(try leaf.certificate.derBytes()), leaf.key.rawRepresentation,
        ]
        for key in keys { #expect(try Self.refusal(of: key, for: leaf) == .invalidPrivateKey) }
    }

    @Test("writes its key as a PKCS#8 PEM block that can be read back")
    func pem() throws {
        let leaf = try Self.ca.get().leaf()
        let svid = try X509SVID(chain: Data(leaf.certificate.derBytes()), privateKey: leaf.pkcs8)
        let pem = try PEMDocument(pemString: svid.privateKeyPEM)
        #expect(pem.discriminator == "PRIVATE " + "KEY")
        #expect(Data(pem.derBytes) == leaf.pkcs8)
        #expect(svid.privateKeyPEM.hasSuffix("-----\n"))
        #expect(svid.privateKeyPEM.split(separator: "\n").allSatisfy { $0.count <= 64 })
    }

    @Test("reads back the PEM that it wrote")
    func pemRoundTrip() throws {
        let intermediate = try Self.ca.get().intermediate()
        let leaf = try intermediate.leaf()
        let chain = [leaf.certificate, intermediate.certificate]
        let svid = try X509SVID(chain: Data(DERConcatenation.bytes(of: chain)), privateKey: leaf.pkcs8)
        let text = try svid.chainPEM()
        #expect(text == (try chain.map { try $0.pemText() }.joined()))
        let read = try X509SVID(pemChain: text, pemKey: svid.privateKeyPEM, hint: "h")
        #expect(read.certificates == chain)
        #expect(read.privateKeyDER == leaf.pkcs8)
        #expect(read.id == svid.id)
        #expect(read.hint == "h")
    }

    @Test("X19 refuses a PEM key of another kind, two of them, none, or one that is too long")
    func pemKeys() throws {
        let leaf = try Self.ca.get().leaf()
        let chain = try leaf.certificate.pemText()
        let sound = PEMDocument(type: "PRIVATE " + "KEY", derBytes: Array(leaf.pkcs8)).pemString
        #expect(throws: Never.self) { try X509SVID(pemChain: chain, pemKey: sound) }
        let sec1 = PEMDocument(type: "EC PRIVATE " + "KEY", derBytes: Array(try Self.sec1(of: leaf.key))).pemString
        let mislabelled = PEMDocument(type: "PRIVATE " + "KEY", derBytes: Array(try Self.sec1(of: leaf.key))).pemString
        let encrypted = PEMDocument(type: "ENCRYPTED PRIVATE " + "KEY", derBytes: Array(leaf.pkcs8)).pemString
        let padding = String(repeating: "x", count: 1 << 16)
        for key in [sec1, mislabelled, encrypted, sound + "\n" + sound, "", chain, padding + sound] {
            let error = #expect(throws: SPIFFEError.self) { try X509SVID(pemChain: chain, pemKey: key) }
            #expect(error?.code == .invalidPrivateKey)
        }
        for text in ["", sound, chain + sound, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = #expect(throws: SPIFFEError.self) { try X509SVID(pemChain: text, pemKey: sound) }
            #expect(error?.code == .invalidX509SVID)
        }
    }

    @Test("never shows its key")
    func redaction() throws {
        let leaf = try Self.ca.get().leaf()
        let svid = try X509SVID(chain: Data(leaf.certificate.derBytes()), privateKey: leaf.pkcs8, hint: "h")
        var dumped = ""
        dump(svid, to: &dumped)
        dump([svid], to: &dumped)
        let texts = ["\(svid)", String(reflecting: svid), "\([svid])", "\(Optional.some(svid) as Any)", dumped]
        for text in texts {
            #expect(text.contains("spiffe://example.org/w"))
            #expect(!text.contains(leaf.pkcs8.base64EncodedString().prefix(20)))
            #expect(!text.contains("bytes"))
        }
        #expect("\(svid)" == "X509SVID(spiffe://example.org/w, key: <redacted>)")
        #expect(Mirror(reflecting: svid).children.map(\.label) == ["id"])
    }

    private static func refusal(of key: Data, for leaf: TestCA.Leaf) throws -> SPIFFEError.Code? {
        let chain = Data(try leaf.certificate.derBytes())
        let error = #expect(throws: SPIFFEError.self) { try X509SVID(chain: chain, privateKey: key) }
        return error?.code
    }

    /// PrivateKeyInfo of RFC 8410.
    private static func pkcs8(of key: Curve25519.Signing.PrivateKey) throws -> Data {
        let document = try Certificate.PrivateKey(key).serializeAsPEM()
        return Data(document.derBytes)
    }

    /// ECPrivateKey of RFC 5915.
    private static func sec1(of key: P256.Signing.PrivateKey) throws -> Data {
        var serializer = DER.Serializer()
        try serializer.appendConstructedNode(identifier: .sequence) { body in
            try body.serialize(1)
            try body.serialize(ASN1OctetString(contentBytes: Array(key.rawRepresentation)[...]))
            try body.serialize(
                [1, 2, 840, 10045, 3, 1, 7] as ASN1ObjectIdentifier, explicitlyTaggedWithTagNumber: 0,
                tagClass: .contextSpecific)
            try body.serialize(
                ASN1BitString(bytes: Array(key.publicKey.x963Representation)[...]), explicitlyTaggedWithTagNumber: 1,
                tagClass: .contextSpecific)
        }
        return Data(serializer.serializedBytes)
    }
}
