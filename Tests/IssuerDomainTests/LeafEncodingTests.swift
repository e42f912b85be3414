import Crypto
import CryptoExtras
import Foundation
import IssuerDomain
import KeyStore
import Platform
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

@Suite("Leaves are written by hand, and are what the X.509 library would have written")
struct LeafEncodingTests {
    @Test("Any template under any authority: byte for byte what the library signs", arguments: SigningKeyType.allCases)
    func sameBytes(type: SigningKeyType) async throws {
        let authority = try await TestIssuer(x509KeyType: type).keeper.snapshot.x509
        var entropy = SeededEntropy(7)
        let keys = [
            Certificate.PublicKey(P256.Signing.PrivateKey().publicKey),
            Certificate.PublicKey(P384.Signing.PrivateKey().publicKey),
            Certificate.PublicKey(try _RSA.Signing.PrivateKey(keySize: .bits2048).publicKey),
        ]
        for round in 0..<60 {
            let names = (0..<Int(entropy.next() % 4)).map { "host-\($0).\(entropy.next()).example.org" }
            let start = Given.start + TimeInterval(entropy.next() % 3600)
            // A first octet of every size, so that the sign and the length of the number are met.
            var serial = entropy.bytes(16)
            serial[0] = [0x01, 0x7F, 0x40][round % 3]
            let template = LeafTemplate(
                id: try Given.id("/" + String(repeating: "a", count: 1 + Int(entropy.next() % 300))),
                key: try SubjectKey(keys[round % keys.count]),
                validity: start..<(start + TimeInterval(1 + entropy.next() % 80_000)), dnsNames: names,
                serial: Certificate.SerialNumber(bytes: serial))
            let permit = try LeafLint.check(template, under: authority, trustDomain: Given.trustDomain())
            let ours = try Certificate(derEncoded: try LeafSigner.sign(permit))
            let theirs = try Self.library(template, under: authority)
            #expect(ours.tbsCertificateBytes.elementsEqual(theirs.tbsCertificateBytes), "round \(round)")
            #expect(authority.certificate.publicKey.isValidSignature(ours.signature, for: ours))
        }
    }

    @Test(
        "Times are written as RFC 5280 §4.1.2.5 wants them",
        arguments: [
            ("1970-01-01T00:00:00Z", "700101000000Z"), ("1999-12-31T23:59:59Z", "991231235959Z"),
            ("2000-02-29T12:00:00Z", "000229120000Z"), ("2026-11-23T17:52:55Z", "261123175255Z"),
            ("2049-12-31T23:59:59Z", "491231235959Z"), ("2050-01-01T00:00:00Z", "20500101000000Z"),
            ("2100-03-01T00:00:00Z", "21000301000000Z"), ("9999-12-31T23:59:59Z", "99991231235959Z"),
        ])
    func times(instant: String, text: String) throws {
        var writer = DERWriter(capacity: 32)
        writer.time(try Date(instant, strategy: .iso8601))
        #expect(writer.bytes == [text.count == 13 ? 0x17 : 0x18, UInt8(text.count)] + Array(text.utf8))
    }

    @Test("Every day of four centuries is the calendar's")
    func days() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
        for day in stride(from: 0, to: 146_097, by: 1) {
            let instant = Date(timeIntervalSince1970: TimeInterval(day) * 86_400)
            var writer = DERWriter(capacity: 32)
            writer.time(instant)
            let parts = calendar.dateComponents([.year, .month, .day], from: instant)
            let (year, month, dayOfMonth) = try (#require(parts.year), #require(parts.month), #require(parts.day))
            let text = String(decoding: writer.bytes.dropFirst(2), as: UTF8.self)
            let expected = String(format: "%04d%02d%02d000000Z", year, month, dayOfMonth)
            guard text == (year < 2050 ? String(expected.dropFirst(2)) : expected) else {
                Issue.record("\(expected) is written as \(text)")
                return
            }
        }
    }

    @Test("Lengths take one, two and three octets (X.690 §8.1.3)", arguments: [0, 127, 128, 255, 256, 70_000])
    func lengths(count: Int) throws {
        var writer = DERWriter(capacity: count + 8)
        writer.element(0x04, content: [UInt8](repeating: 1, count: count))
        let node = try DER.parse(writer.bytes)
        guard case .primitive(let content) = node.content else {
            Issue.record("not a primitive")
            return
        }
        #expect(content.count == count)
    }

    @Test("A request's key is certified as it proved itself, however its point was written")
    func requestKeys() throws {
        for _ in 0..<20 {
            let key = P256.Signing.PrivateKey()
            let request = try Given.request(key)
            #expect(request.publicKey == Certificate.PublicKey(key.publicKey))
            #expect(try request.key == SubjectKey(Certificate.PublicKey(key.publicKey)))
        }
    }

    /// What the leaf was before it was written by hand.
    private static func library(_ template: LeafTemplate, under authority: X509Authority) throws -> Certificate {
        try Certificate(
            version: .v3, serialNumber: template.serial, publicKey: template.key.publicKey,
            notValidBefore: template.validity.lowerBound, notValidAfter: template.validity.upperBound,
            issuer: authority.certificate.subject,
            subject: try DistinguishedName {
                OrganizationName("Mintmark SVID")
                if let name = template.dnsNames.first, name.utf8.count <= 64 { CommonName(name) }
            },
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.notCertificateAuthority)
                Critical(KeyUsage(digitalSignature: true))
                try ExtendedKeyUsage([.serverAuth, .clientAuth])
                SubjectKeyIdentifier(hash: template.key.publicKey)
                AuthorityKeyIdentifier(
                    keyIdentifier: try authority.certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
                SubjectAlternativeNames(
                    [.uniformResourceIdentifier("\(template.id)")] + template.dnsNames.map { .dnsName($0) })
            },
            issuerPrivateKey: authority.key.certificateKey)
    }
}
