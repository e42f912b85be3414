import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

@Suite("X.509 bundles")
struct X509BundleTests {
    private static let authorities = Result { try (0..<3).map { try TestCA(commonName: "root \($0)").certificate } }

    @Test("reads back what it wrote, in order", arguments: 0...3)
    func roundTrip(_ count: Int) throws {
        let authorities = Array(try Self.authorities.get().prefix(count))
        let bundle = X509Bundle(trustDomain: try .example, authorities: authorities)
        #expect(try bundle.derBytes() == DERConcatenation.bytes(of: authorities))
        let fromDER = try X509Bundle(der: bundle.derBytes(), trustDomain: .example)
        #expect(fromDER == bundle)
        #expect(fromDER.hashValue == bundle.hashValue)
        #expect(fromDER.authorities == authorities)
        if count > 0 { #expect(try X509Bundle(pem: bundle.pemText(), trustDomain: .example) == bundle) }
    }

    @Test("tells bundles apart by trust domain, authorities and their order")
    func equality() throws {
        let authorities = try Self.authorities.get()
        let bundle = X509Bundle(trustDomain: try .example, authorities: authorities)
        #expect(bundle != X509Bundle(trustDomain: try TrustDomain("other.org"), authorities: authorities))
        #expect(bundle != X509Bundle(trustDomain: try .example, authorities: authorities.reversed()))
        #expect(bundle != X509Bundle(trustDomain: try .example, authorities: []))
    }

    @Test("A06 takes no bytes at all for no authorities, but an empty PEM text for a mistake")
    func empty() throws {
        #expect(try X509Bundle(der: [UInt8](), trustDomain: .example).authorities.isEmpty)
        #expect(try X509Bundle(der: [UInt8](), trustDomain: .example).pemText().isEmpty)
        let error = #expect(throws: SPIFFEError.self) { try X509Bundle(pem: "\n", trustDomain: .example) }
        #expect(error?.code == .invalidBundle)
    }

    @Test("refuses what is not certificates, as a matter of bundles")
    func malformed() throws {
        let der = try Self.authorities.get()[0].derBytes()
        for bytes in [der + [0], Array(der.dropLast()), [0x30, 0x00], Array("-----BEGIN".utf8)] {
            let error = #expect(throws: SPIFFEError.self) { try X509Bundle(der: bytes, trustDomain: .example) }
            #expect(error?.code == .invalidBundle)
        }
        let pem = try Self.authorities.get()[0].pemText()
        let key = pem.replacing("CERTIFICATE", with: "PUBLIC KEY")
        let cut = String(pem.dropLast(30))
        for text in [
            key, pem + key, cut, pem + cut, pem + pem.replacing("CERTIFICATE-----\n", with: "CERTIFICATE-----"),
            pem.replacing("MII", with: "M!I"), "certificate",
        ] {
            let error = #expect(throws: SPIFFEError.self) { try X509Bundle(pem: text, trustDomain: .example) }
            #expect(error?.code == .invalidBundle)
        }
    }

    @Test("bounds the number of certificates and the length of a PEM text")
    func bounds() throws {
        let pem = try Self.authorities.get()[0].pemText()
        let most = String(repeating: pem, count: DERConcatenation.maximumCount)
        #expect(try X509Bundle(pem: most, trustDomain: .example).authorities.count == DERConcatenation.maximumCount)
        for text in [most + pem, pem + String(repeating: "\n", count: 4 << 20)] {
            let error = #expect(throws: SPIFFEError.self) { try X509Bundle(pem: text, trustDomain: .example) }
            #expect(error?.code == .invalidBundle)
        }
    }

    @Test("trusts nobody by an authority whose extensions cannot be parsed, and everybody by the one beside it")
    func unreadableAuthority() throws {
        let ca = try TestCA()
        var forge = try CertificateForge(ca.certificate)
        forge.extensions = forge.extensions.map {
            $0.oid == .X509ExtensionID.basicConstraints ? .init(oid: $0.oid, critical: true, value: [0x05, 0x00]) : $0
        }
        let unreadable = try Certificate(derEncoded: try forge.der(signedBy: ca.key))
        let leaf = try ca.leaf().certificate
        let alone = X509Bundle(trustDomain: try .example, authorities: [unreadable])
        let error = #expect(throws: SPIFFEError.self) {
            try X509SVIDVerification.verify([leaf], at: CertificateRecipe.now) { _ in alone }
        }
        #expect(error?.code == .untrusted)
        let both = X509Bundle(trustDomain: try .example, authorities: [unreadable, ca.certificate])
        #expect(
            try X509SVIDVerification.verify([leaf], at: CertificateRecipe.now) { _ in both }.chain
                == [leaf, ca.certificate])
    }
}
