import Crypto
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

/// A leaf with one thing about it, by the row that speaks of it.
struct LeafCase: Sendable, CustomTestStringConvertible {
    let row: String
    let change: @Sendable (inout CertificateRecipe) -> Void
    var code = SPIFFEError.Code.invalidX509SVID

    var testDescription: String { row }

    init(
        _ row: String, code: SPIFFEError.Code = .invalidX509SVID,
        _ change: @escaping @Sendable (inout CertificateRecipe) -> Void
    ) {
        (self.row, self.code, self.change) = (row, code, change)
    }

    /// Leaves that are SVIDs.
    static let sound = [
        LeafCase("X01 one URI SAN, digital signatures, both extended usages") { _ in },
        LeafCase("X04 a DNS SAN besides, and a common name") { recipe in
            recipe.dnsNames = ["db.example.org", "db"]
            recipe.commonName = "db.example.org"
        },
        LeafCase("X04 an empty subject and a critical SAN") { recipe in
            recipe.commonName = nil
            recipe.isSANCritical = true
        },
        LeafCase("X09 no basic constraints") { $0.basicConstraints = nil },
        LeafCase("X10 no extended key usage") { $0.extendedKeyUsage = [] },
        LeafCase("X11 server authentication only") { $0.extendedKeyUsage = [.serverAuth] },
        LeafCase("X11 code signing only") { $0.extendedKeyUsage = [.codeSigning] },
        LeafCase("X12 key encipherment and key agreement besides") {
            $0.keyUsage = KeyUsage(digitalSignature: true, keyEncipherment: true, keyAgreement: true)
        },
    ]

    /// Leaves that are none.
    static let unsound = [
        LeafCase("X02 X509-29 a second URI SAN of another scheme") { $0.uris.append("https://x") },
        LeafCase("X02 X509-29 a second URI SAN of another scheme, first") { $0.uris.insert("https://x", at: 0) },
        LeafCase("X02 X509-29 the same SPIFFE ID twice") { $0.uris += $0.uris },
        LeafCase("X02 X509-29 no URI SAN") { $0.uris = [] },
        LeafCase("X02 X509-29 a DNS SAN only") { recipe in
            recipe.uris = []
            recipe.dnsNames = ["example.org"]
        },
        LeafCase("X03 X509-27 another scheme", code: .invalidID) { $0.uris = ["https://example.org/w"] },
        LeafCase("X03 X509-27 a SPIFFE ID that breaks a rule", code: .invalidID) {
            $0.uris = ["spiffe://example.org/w/"]
        },
        LeafCase("X03 X509-27 a trust domain in upper case", code: .invalidTrustDomain) {
            $0.uris = ["spiffe://Example.org/w"]
        },
        LeafCase("X05 X509-28 the trust domain's own ID") { $0.uris = ["spiffe://example.org"] },
        LeafCase("X06 X509-25 an authority") { $0.basicConstraints = .isCertificateAuthority(maxPathLength: nil) },
        LeafCase("X06 X509-25 an authority of path length 0") {
            $0.basicConstraints = .isCertificateAuthority(maxPathLength: 0)
        },
        LeafCase("X07 X509-26 may sign certificates") {
            $0.keyUsage = KeyUsage(digitalSignature: true, keyCertSign: true)
        },
        LeafCase("X07 X509-26 may sign revocation lists") {
            $0.keyUsage = KeyUsage(digitalSignature: true, cRLSign: true)
        },
        LeafCase("X08 no key usage") { $0.keyUsage = nil },
        LeafCase("X08 no digital signatures") { $0.keyUsage = KeyUsage(keyEncipherment: true, keyAgreement: true) },
    ]
}

@Suite("The X.509-SVID profile")
struct X509SVIDProfileTests {
    private static let ca = Result { try TestCA() }

    @Test("accepts sound leaves", arguments: LeafCase.sound)
    func accepts(_ sound: LeafCase) throws {
        let leaf = try Self.ca.get().leaf(nil, sound.change)
        #expect(try X509SVIDProfile.checkLeaf(leaf.certificate).description == "spiffe://example.org/w")
    }

    @Test("refuses unsound leaves", arguments: LeafCase.unsound)
    func refuses(_ unsound: LeafCase) throws {
        let leaf = try Self.ca.get().leaf(nil, unsound.change)
        let error = #expect(throws: SPIFFEError.self) { try X509SVIDProfile.checkLeaf(leaf.certificate) }
        #expect(error?.code == unsound.code)
    }

    @Test("X15 accepts an intermediate that is an authority, whatever its SAN")
    func acceptsIntermediate() throws {
        for uris in [["spiffe://example.org"], [], ["https://x"]] {
            let intermediate = try Self.ca.get().intermediate { $0.uris = uris }
            #expect(throws: Never.self) { try X509SVIDProfile.checkIntermediate(intermediate.certificate) }
        }
    }

    @Test(
        "X15 refuses an intermediate that is no authority or may not sign certificates",
        arguments: Self.badIntermediates)
    func refusesIntermediate(_ bad: LeafCase) throws {
        let intermediate = try Self.ca.get().intermediate("bad", bad.change)
        let error = #expect(throws: SPIFFEError.self) {
            try X509SVIDProfile.checkIntermediate(intermediate.certificate)
        }
        #expect(error?.code == .invalidX509SVID)
    }

    static let badIntermediates = [
        LeafCase("X15 no basic constraints") { $0.basicConstraints = nil },
        LeafCase("X15 cA=false") { $0.basicConstraints = .notCertificateAuthority },
        LeafCase("X15 no key usage") { $0.keyUsage = nil },
        LeafCase("X15 no keyCertSign") { $0.keyUsage = KeyUsage(cRLSign: true) },
        LeafCase("X15 digital signatures only") { $0.keyUsage = KeyUsage(digitalSignature: true) },
    ]

    @Test(
        "refuses a leaf with an extension that cannot be parsed",
        arguments: [
            .X509ExtensionID.subjectAlternativeName, .X509ExtensionID.basicConstraints, .X509ExtensionID.keyUsage,
        ] as [ASN1ObjectIdentifier])
    func malformedExtension(_ oid: ASN1ObjectIdentifier) throws {
        let ca = try Self.ca.get()
        let sound = try ca.leaf().certificate
        let extensions = try Certificate.Extensions(
            sound.extensions.map { kept in
                Certificate.Extension(
                    oid: kept.oid, critical: kept.critical, value: kept.oid == oid ? [0x02, 0x01, 0x01] : kept.value)
            })
        let broken = try Certificate(
            version: .v3, serialNumber: sound.serialNumber, publicKey: sound.publicKey,
            notValidBefore: sound.notValidBefore, notValidAfter: sound.notValidAfter, issuer: sound.issuer,
            subject: sound.subject, extensions: extensions, issuerPrivateKey: Certificate.PrivateKey(ca.key))
        let error = #expect(throws: SPIFFEError.self) { try X509SVIDProfile.checkLeaf(broken) }
        #expect(error?.code == .invalidX509SVID)
    }
}
