import Crypto
import Foundation
import IssuerDomain
import Platform
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

@Suite("Signed leaves, read back before they leave")
struct LeafReadingTests {
    /// Of the form of one; who signed is not judged here.
    private static let signature: [UInt8] = [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01]

    @Test(
        "What the library reads is what is read, whenever the leaf begins and ends",
        arguments: [
            // 1970, a leap day, the ends of a century's February, UTCTime's last second and the first beyond, and 9999.
            0, 951_782_400, 951_868_799, 2_524_607_999, 2_524_608_000, 4_107_542_400, 253_402_300_799,
        ] as [TimeInterval])
    func instants(seconds: TimeInterval) async throws {
        let end = Date(timeIntervalSince1970: seconds)
        let (template, pattern) = try await leaf(validity: end.addingTimeInterval(-1)..<end)
        let der = pattern.certificate(pattern.toBeSigned(template), signature: Self.signature)
        let read = try #require(LeafReading(der))
        #expect(read.firstDifference(from: template, under: pattern) == nil)
        #expect(try Certificate(derEncoded: der).notValidAfter == end)
        for shift in [-1, 1] as [TimeInterval] {
            let wanted = template.with(validity: (template.validity.lowerBound - 2)..<(end + shift))
            #expect(read.firstDifference(from: wanted, under: pattern) == "validity")
        }
    }

    @Test("A leaf that says anything else than was decided is found out, by name")
    func otherDecisions() async throws {
        let (template, pattern) = try await leaf(dnsNames: ["a.example"])
        let other = try await leaf(dnsNames: ["a.example"], seed: 2)
        let read = try #require(
            LeafReading(pattern.certificate(pattern.toBeSigned(template), signature: Self.signature)))
        let changed: [(LeafTemplate, String)] = [
            (template.with(id: try Given.id("/other")), "subjectAltName"),
            (template.with(dnsNames: []), "subjectAltName"),
            (template.with(dnsNames: ["b.example"]), "subjectAltName"),
            (template.with(dnsNames: ["a.example", "b.example"]), "subjectAltName"),
            (template.with(serial: .init(bytes: [1])), "serialNumber"),
            (template.with(key: other.template.key), "subjectPublicKeyInfo"),
            (template.with(validity: Given.start..<(Given.start + 61)), "validity"),
            (template.with(validity: (Given.start + 1)..<(Given.start + 60)), "validity"),
        ]
        for (wanted, name) in changed { #expect(read.firstDifference(from: wanted, under: pattern) == name) }
        #expect(read.firstDifference(from: template, under: pattern) == nil)
        #expect(read.firstDifference(from: template, under: other.pattern) == "issuer")
    }

    @Test("A bit that flips anywhere in what is signed is noticed, but for names that decide nothing")
    func flippedBits() async throws {
        let (template, pattern) = try await leaf(dnsNames: ["a.example"])
        let der = pattern.certificate(pattern.toBeSigned(template), signature: Self.signature)
        // The subject, the usages of TLS and the authority's key identifier are compared as bytes, with what was signed.
        var unnoticed = 0
        for position in der.indices.dropLast(Self.signature.count) {
            for bit in 0..<8 {
                var flipped = der
                flipped[position] ^= 1 << UInt8(bit)
                guard let read = LeafReading(flipped) else { continue }
                if read.firstDifference(from: template, under: pattern) == nil { unnoticed += 1 }
            }
        }
        #expect(unnoticed < 100 * 8)
        #expect(LeafReading(der + [0]) == nil)
        #expect(LeafReading(Array(der.dropLast())) == nil)
        #expect(LeafReading([]) == nil)
    }

    private func leaf(
        dnsNames: [String] = [], validity: Range<Date> = Given.start..<(Given.start + 60), seed: UInt64 = 1
    ) async throws -> (template: LeafTemplate, pattern: LeafPattern) {
        let test = try await TestIssuer(seed: seed)
        let pattern = try #require(test.keeper.snapshot.x509.leafPattern)
        let key = try SubjectKey(Certificate.PublicKey(P256.Signing.PrivateKey().publicKey))
        let template = LeafTemplate(
            id: try Given.id("/web"), key: key, validity: validity, dnsNames: dnsNames,
            serial: .init(bytes: [0x40, 2, 3]))
        return (template, pattern)
    }
}

extension LeafTemplate {
    fileprivate func with(
        id: SPIFFEID? = nil, key: SubjectKey? = nil, validity: Range<Date>? = nil, dnsNames: [String]? = nil,
        serial: Certificate.SerialNumber? = nil
    ) -> LeafTemplate {
        LeafTemplate(
            id: id ?? self.id, key: key ?? self.key, validity: validity ?? self.validity,
            dnsNames: dnsNames ?? self.dnsNames, serial: serial ?? self.serial)
    }
}
