import Crypto
import Foundation
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

/// Authorities, intermediates and a leaf put together by chance: some chains hold, most are broken somewhere.
private struct RandomChain {
    /// Few names and few keys, so that chance makes equal names with different keys, circles and cross-signatures.
    private static let names = ["red", "green", "blue"]
    private static let keys = (0..<5).map { _ in P256.Signing.PrivateKey() }

    let presented: [Certificate]
    let roots: [Certificate]

    init(seed: UInt64) throws {
        var chance = SeededEntropy(seed)
        // Each generation is signed by one before it, most of the time.
        var signers: [(name: String, key: P256.Signing.PrivateKey)] = []
        var roots: [Certificate] = []
        for _ in 0..<Int.random(in: 1...2, using: &chance) {
            let (name, key) = try Self.identity(&chance)
            roots.append(try Self.authority(name, key, by: (name, key), &chance))
            signers.append((name, key))
        }
        var intermediates: [Certificate] = []
        for _ in 0..<Int.random(in: 0...4, using: &chance) {
            let (name, key) = try Self.identity(&chance)
            let signer = try #require(signers.randomElement(using: &chance))
            intermediates.append(try Self.authority(name, key, by: try Self.spoil(signer, &chance), &chance))
            signers.append((name, key))
        }
        let signer = try Self.spoil(try #require(signers.last), &chance)
        presented = [try Self.leaf(by: signer, &chance)] + intermediates.shuffled(using: &chance)
        self.roots = roots
    }

    private static func identity(_ chance: inout SeededEntropy) throws -> (String, P256.Signing.PrivateKey) {
        (try #require(names.randomElement(using: &chance)), try #require(keys.randomElement(using: &chance)))
    }

    /// Now and then, another name or another key than the signer's own.
    private static func spoil(
        _ signer: (name: String, key: P256.Signing.PrivateKey), _ chance: inout SeededEntropy
    ) throws -> (String, P256.Signing.PrivateKey) {
        let (name, key) = try identity(&chance)
        switch Int.random(in: 0..<20, using: &chance) {
        case 0: return (name, signer.key)
        case 1: return (signer.name, key)
        default: return signer
        }
    }

    private static func authority(
        _ name: String, _ key: P256.Signing.PrivateKey, by signer: (String, P256.Signing.PrivateKey),
        _ chance: inout SeededEntropy
    ) throws -> Certificate {
        var recipe = CertificateRecipe.authority(name, trustDomain: "example.org")
        switch Int.random(in: 0..<40, using: &chance) {
        case 0: recipe.keyUsage = KeyUsage(cRLSign: true)
        case 1: recipe.basicConstraints = .notCertificateAuthority
        case 2: recipe.basicConstraints = nil
        case 3: recipe.keyUsage = nil
        case 4...8:
            recipe.basicConstraints = .isCertificateAuthority(maxPathLength: Int.random(in: 0...2, using: &chance))
        case 9: recipe.nameConstraints = NameConstraints(permittedURIDomains: [".org"])
        case 10: recipe.nameConstraints = NameConstraints(permittedURIDomains: ["example.org", "other.org"])
        case 11: recipe.nameConstraints = NameConstraints(permittedURIDomains: ["other.org"])
        case 12: recipe.nameConstraints = NameConstraints(forbiddenURIDomains: [".org"])
        case 13: recipe.nameConstraints = NameConstraints(permittedDNSDomains: ["corp.example"])
        case 14: recipe.nameConstraints = NameConstraints(excludedDNSDomains: ["corp.example"])
        case 15: recipe.nameConstraints = NameConstraints(permittedEmailAddresses: ["example.org"])
        case 16...18: recipe.uris = []
        default: break
        }
        try disturb(&recipe, &chance)
        return try sign(recipe, for: key, by: signer)
    }

    private static func leaf(
        by signer: (String, P256.Signing.PrivateKey), _ chance: inout SeededEntropy
    ) throws -> Certificate {
        var recipe = CertificateRecipe.leaf("spiffe://example.org/w")
        switch Int.random(in: 0..<30, using: &chance) {
        case 0...4: recipe.dnsNames = ["db.corp.example"]
        case 5: recipe.dnsNames = ["db.elsewhere.example"]
        case 6: recipe.keyUsage = nil
        case 7: recipe.extendedKeyUsage = []
        default: break
        }
        try disturb(&recipe, &chance)
        return try sign(recipe, for: try #require(keys.randomElement(using: &chance)), by: signer)
    }

    /// What may befall any certificate.
    private static func disturb(_ recipe: inout CertificateRecipe, _ chance: inout SeededEntropy) throws {
        let now = CertificateRecipe.now
        switch Int.random(in: 0..<60, using: &chance) {
        case 0: recipe.validity = now - 7200..<now - 1
        case 1: recipe.validity = now + 1..<now + 7200
        case 2: recipe.moreExtensions.append(PathCase.unknownExtension)
        case 3: recipe.moreExtensions.append(.init(oid: [1, 2, 3, 5], critical: false, value: [0x05, 0x00]))
        case 4...12: recipe.hasKeyIdentifiers = false
        default: break
        }
    }

    private static func sign(
        _ recipe: CertificateRecipe, for key: P256.Signing.PrivateKey, by signer: (String, P256.Signing.PrivateKey)
    ) throws -> Certificate {
        let issuer = CertificateRecipe.authority(signer.0, trustDomain: "example.org")
        return try TestCA.sign(
            recipe, for: Certificate.PublicKey(key.publicKey), issuer: try issuer.subject(),
            issuerKey: Certificate.PrivateKey(signer.1))
    }
}

@Suite("X.509 paths by chance")
struct X509PathDifferentialTests {
    /// Of the recipes above, none belongs to the differences that ``PathCase/knownDifferences`` lists, so both must agree.
    @Test("X509-24 agrees with swift-certificates on chains put together by chance", arguments: 0..<16)
    func agrees(batch: Int) async throws {
        var (accepted, refused) = (0, 0)
        for number in 0..<60 {
            let seed = UInt64(batch * 60 + number)
            let chain = try RandomChain(seed: seed)
            let isAccepted = try Self.accepts(chain)
            let oracle = await PathOracle.accepts(chain.presented, roots: chain.roots, at: CertificateRecipe.now)
            #expect(isAccepted == oracle, "seed \(seed)")
            if oracle { accepted += 1 } else { refused += 1 }
        }
        // A generator that only broke things, or none, would compare nothing.
        #expect(accepted >= 10 && refused >= 10, "\(accepted) accepted, \(refused) refused")
    }

    // Apart from the test, because the compiler crashes over both in one when it optimises.
    private static func accepts(_ chain: RandomChain) throws -> Bool {
        let bundle = X509Bundle(trustDomain: try .example, authorities: chain.roots)
        return (try? X509SVIDVerification.verify(chain.presented, at: CertificateRecipe.now) { _ in bundle }) != nil
    }

    @Test("never accepts a chain with any one bit flipped", arguments: 0..<4)
    func bitFlips(batch: Int) throws {
        let ca = try TestCA()
        let issuer = try ca.intermediate()
        let sound = [try issuer.leaf().certificate.derBytes(), try issuer.certificate.derBytes()]
        var chance = SeededEntropy(UInt64(batch))
        #expect(throws: Never.self) {
            try X509SVIDVerification.verify(presentedDER: sound, at: CertificateRecipe.now) { _ in ca.bundle }
        }
        for _ in 0..<300 {
            var presented = sound
            let which = Int.random(in: 0...1, using: &chance)
            let index = Int.random(in: presented[which].indices, using: &chance)
            // Not signed, and the library passes over it: how many bits of the signature are unused.
            guard index != (try Self.unusedBits(of: sound[which])) else { continue }
            presented[which][index] ^= 1 << UInt8.random(in: 0..<8, using: &chance)
            #expect(throws: SPIFFEError.self, "certificate \(which), byte \(index)") {
                try X509SVIDVerification.verify(presentedDER: presented, at: CertificateRecipe.now) { _ in ca.bundle }
            }
        }
    }

    /// Where the signature says how many of its bits are unused.
    private static func unusedBits(of der: [UInt8]) throws -> Int {
        try DER.sequence(DER.parse(der), identifier: .sequence) { nodes in
            _ = (nodes.next(), nodes.next())
            guard case .primitive(let content)? = nodes.next()?.content else { return -1 }
            return content.startIndex
        }
    }
}
