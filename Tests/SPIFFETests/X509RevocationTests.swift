import Crypto
import Foundation
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

/// A revocation list with one thing in it that does not belong there.
struct RevocationCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout RevocationListRecipe) throws -> Void

    init(_ name: String, _ change: @escaping @Sendable (inout RevocationListRecipe) throws -> Void) {
        (testDescription, self.change) = (name, change)
    }

    static let refused = [
        RevocationCase("version 1") { $0.version = nil }, RevocationCase("version 3") { $0.version = 2 },
        RevocationCase("a negative version") { $0.version = -1 },
        RevocationCase("an unknown critical extension") { $0.extensions.append(PathCase.unknownExtension) },
        RevocationCase("an indirect list") {
            $0.extensions.append(.init(oid: [2, 5, 29, 28], critical: true, value: [0x30, 0x00]))
        },
        RevocationCase("a distribution point that is not critical") {
            $0.extensions.append(.init(oid: [2, 5, 29, 28], critical: false, value: [0x30, 0x00]))
        },
        RevocationCase("a delta list") {
            $0.extensions.append(.init(oid: [2, 5, 29, 27], critical: true, value: [0x02, 0x01, 0x01]))
        },
        RevocationCase("a delta indicator that is not critical") {
            $0.extensions.append(.init(oid: [2, 5, 29, 27], critical: false, value: [0x02, 0x01, 0x01]))
        },
        RevocationCase("an extension twice") { $0.extensions += $0.extensions },
        RevocationCase("an entry with a critical extension") { $0.entries[0].extensions = [PathCase.unknownExtension] },
        RevocationCase("an entry of another issuer") {
            $0.entries[0].extensions = [.init(oid: [2, 5, 29, 29], critical: false, value: [0x30, 0x00])]
        },
        RevocationCase("an entry that is taken back") {
            $0.entries[0].extensions = [.init(oid: [2, 5, 29, 21], critical: false, value: [0x0A, 0x01, 0x08])]
        },
        RevocationCase("another algorithm inside") {
            $0.innerAlgorithm = try CertificateForge.algorithm([1, 2, 840, 10045, 4, 3, 3])
        },
        RevocationCase("SHA-1") { recipe in
            let sha1 = try CertificateForge.algorithm([1, 2, 840, 10045, 4, 1])
            (recipe.innerAlgorithm, recipe.outerAlgorithm) = (sha1, sha1)
        },
        RevocationCase("a time with a fraction") {
            $0.thisUpdate = RevocationListRecipe.generalizedTime("20270101000000.5Z")
        },
        RevocationCase("a time that is none") { $0.nextUpdate = RevocationListRecipe.utcTime("271301000000Z") },
        RevocationCase("no time") {
            $0.thisUpdate = []; $0.nextUpdate = nil
        },
    ]
}

@Suite("X.509 revocation lists")
struct X509RevocationTests {
    private static func list(
        of ca: TestCA, revoking certificates: [Certificate], signedBy key: P256.Signing.PrivateKey? = nil,
        change: (inout RevocationListRecipe) throws -> Void = { _ in }
    ) throws -> RevocationList {
        var recipe = try RevocationListRecipe(of: ca, revoking: certificates)
        try change(&recipe)
        return try RevocationList.parse(der: recipe.der(signedBy: key ?? ca.key))
    }

    /// What comes of a chain under a root when these lists are known; nil when it is accepted.
    private static func refusal(
        of chain: [Certificate], under ca: TestCA, lists: [RevocationList]
    ) throws -> SPIFFEError.Code? {
        do throws(SPIFFEError) {
            _ = try X509SVIDVerification.verify(chain, at: CertificateRecipe.now, revocationLists: lists) { _ in
                ca.bundle
            }
            return nil
        } catch {
            return error.code
        }
    }

    @Test("reads what a list says")
    func reads() throws {
        let ca = try TestCA()
        let revoked = try (0..<3).map { _ in try ca.leaf().certificate }
        let list = try Self.list(of: ca, revoking: revoked)
        #expect(list.issuer == ca.certificate.subject)
        #expect(list.thisUpdate == Date(timeIntervalSince1970: 1_798_761_600))
        #expect(list.nextUpdate == Date(timeIntervalSince1970: 1_801_440_000))
        #expect(list.revokedSerialNumbers == Set(revoked.map(\.serialNumber)))
        let bare = try Self.list(of: ca, revoking: []) {
            $0.nextUpdate = nil
            $0.extensions = []
        }
        #expect(bare.nextUpdate == nil)
        #expect(bare.revokedSerialNumbers.isEmpty)
    }

    @Test(
        "reads times of both kinds",
        arguments: [
            (RevocationListRecipe.utcTime("700101000000Z"), 0),
            (RevocationListRecipe.utcTime("000229235959Z"), 951_868_799),
            (RevocationListRecipe.utcTime("491231235959Z"), 2_524_607_999),
            (RevocationListRecipe.utcTime("500101000000Z"), -631_152_000),
            (RevocationListRecipe.generalizedTime("20500101000000Z"), 2_524_608_000),
            (RevocationListRecipe.generalizedTime("21000301000000Z"), 4_107_542_400),
            (RevocationListRecipe.generalizedTime("99991231235959Z"), 253_402_300_799),
        ] as [([UInt8], TimeInterval)])
    func times(_ time: [UInt8], _ seconds: TimeInterval) throws {
        let list = try Self.list(of: try TestCA(), revoking: []) { $0.thisUpdate = time }
        #expect(list.thisUpdate == Date(timeIntervalSince1970: seconds))
    }

    @Test("refuses a revoked leaf and a revoked intermediate, and nothing else of that authority")
    func revokes() throws {
        let ca = try TestCA()
        let issuer = try ca.intermediate()
        let (revoked, kept) = (try issuer.leaf().certificate, try issuer.leaf().certificate)
        let lists = [try Self.list(of: ca, revoking: []), try Self.list(of: issuer, revoking: [revoked])]
        #expect(try Self.refusal(of: [revoked, issuer.certificate], under: ca, lists: lists) == .revoked)
        #expect(try Self.refusal(of: [kept, issuer.certificate], under: ca, lists: lists) == nil)
        #expect(try Self.refusal(of: [revoked, issuer.certificate], under: ca, lists: []) == nil)
        let above = [try Self.list(of: ca, revoking: [issuer.certificate])]
        #expect(try Self.refusal(of: [kept, issuer.certificate], under: ca, lists: above) == .revoked)
    }

    @Test("takes the other way when only one of two paths is revoked")
    func otherPath() throws {
        let (old, new) = (try TestCA(commonName: "old"), try TestCA(commonName: "new"))
        let issuer = try old.intermediate("shared")
        let crossed = try new.crossSign("shared", of: issuer)
        let chain = [try issuer.leaf().certificate, issuer.certificate, crossed.certificate]
        let bundle = X509Bundle(trustDomain: try .example, authorities: [old.certificate, new.certificate])
        let lists = [try Self.list(of: old, revoking: [issuer.certificate])]
        let svid = try X509SVIDVerification.verify(chain, at: CertificateRecipe.now, revocationLists: lists) { _ in
            bundle
        }
        #expect(svid.chain == [chain[0], crossed.certificate, new.certificate])
    }

    @Test("does not count a list that another key signed or that has another name")
    func strangers() throws {
        let (ca, stranger) = (try TestCA(), try TestCA(commonName: "stranger"))
        let leaf = try ca.leaf().certificate
        let forged = try Self.list(of: ca, revoking: [leaf], signedBy: stranger.key)
        #expect(try Self.refusal(of: [leaf], under: ca, lists: [forged]) == nil)
        let foreign = try Self.list(of: stranger, revoking: [leaf])
        #expect(try Self.refusal(of: [leaf], under: ca, lists: [foreign]) == nil)
        let renamed = try Self.list(of: stranger, revoking: [leaf], signedBy: ca.key)
        #expect(try Self.refusal(of: [leaf], under: ca, lists: [renamed]) == nil)
    }

    @Test("counts a list that the authority signed with its next key, once the bundle has that")
    func nextKey() throws {
        let (old, new) = (try TestCA(commonName: "issuing"), try TestCA(commonName: "issuing"))
        let leaf = try old.leaf().certificate
        let list = try Self.list(of: old, revoking: [leaf], signedBy: new.key)
        #expect(try Self.refusal(of: [leaf], under: old, lists: [list]) == nil)
        let both = X509Bundle(trustDomain: try .example, authorities: [old.certificate, new.certificate])
        #expect(throws: SPIFFEError.self) {
            try X509SVIDVerification.verify([leaf], at: CertificateRecipe.now, revocationLists: [list]) { _ in both }
        }
    }

    @Test("counts the signatures of lists among those checked for one chain, and gives up when they are too many")
    func boundsSignatures() throws {
        let ca = try TestCA()
        let leaf = try ca.leaf().certificate
        let forged = try Self.list(of: ca, revoking: [leaf], signedBy: try TestCA().key)
        #expect(try Self.refusal(of: [leaf], under: ca, lists: Array(repeating: forged, count: 31)) == nil)
        #expect(try Self.refusal(of: [leaf], under: ca, lists: Array(repeating: forged, count: 32)) == .untrusted)
    }

    @Test("counts a list only of an authority that may sign lists, where its key usage speaks of it")
    func mayNotSign() throws {
        for (usage, code) in [
            (KeyUsage(keyCertSign: true), nil), (KeyUsage(keyCertSign: true, cRLSign: true), .revoked), (nil, .revoked),
        ] as [(KeyUsage?, SPIFFEError.Code?)] {
            let ca = try TestCA { $0.keyUsage = usage }
            let leaf = try ca.leaf().certificate
            #expect(try Self.refusal(of: [leaf], under: ca, lists: [try Self.list(of: ca, revoking: [leaf])]) == code)
        }
    }

    @Test("honours a list whose time has passed or not come, and refuses nothing else for its age")
    func stale() throws {
        let ca = try TestCA()
        let (revoked, kept) = (try ca.leaf().certificate, try ca.leaf().certificate)
        for (this, next) in [("200101000000Z", "200102000000Z"), ("480101000000Z", "490101000000Z")] {
            let list = try Self.list(of: ca, revoking: [revoked]) {
                $0.thisUpdate = RevocationListRecipe.utcTime(this)
                $0.nextUpdate = RevocationListRecipe.utcTime(next)
            }
            #expect(try Self.refusal(of: [revoked], under: ca, lists: [list]) == .revoked)
            #expect(try Self.refusal(of: [kept], under: ca, lists: [list]) == nil)
            // A later list without it takes nothing back.
            let later = try Self.list(of: ca, revoking: [])
            #expect(try Self.refusal(of: [revoked], under: ca, lists: [later, list, later]) == .revoked)
        }
    }

    @Test("never makes a chain valid, or hides why it is not")
    func noHelp() throws {
        let (ca, stranger) = (try TestCA(), try TestCA())
        let list = try Self.list(of: stranger, revoking: [])
        #expect(try Self.refusal(of: [try stranger.leaf().certificate], under: ca, lists: [list]) == .untrusted)
    }

    @Test("refuses lists of other kinds, and those that break a rule", arguments: RevocationCase.refused)
    func refuses(_ one: RevocationCase) throws {
        let ca = try TestCA()
        let leaf = try ca.leaf().certificate
        #expect(throws: Never.self) { try Self.list(of: ca, revoking: [leaf]) }
        let error = #expect(throws: SPIFFEError.self) { try Self.list(of: ca, revoking: [leaf], change: one.change) }
        #expect(error?.code == .invalidRevocationList || error?.code == .unsupportedRevocationList)
    }

    @Test("accepts entries with a reason, also those on hold, and revokes them")
    func reasons() throws {
        let ca = try TestCA()
        let leaf = try ca.leaf().certificate
        for reason in [1, 4, 6] as [UInt8] {
            let list = try Self.list(of: ca, revoking: [leaf]) {
                $0.entries[0].extensions = [.init(oid: [2, 5, 29, 21], critical: false, value: [0x0A, 0x01, reason])]
            }
            #expect(try Self.refusal(of: [leaf], under: ca, lists: [list]) == .revoked)
        }
    }

    @Test("refuses what is no list, cut off, or followed by something")
    func malformed() throws {
        let ca = try TestCA()
        let leaf = try ca.leaf().certificate
        let sound = try RevocationListRecipe(of: ca, revoking: [leaf]).der(signedBy: ca.key)
        let cut = [1, 2, 10, 80, 200].map { Array(sound.dropLast($0)) } + [1, 2, 10].map { Array(sound.prefix($0)) }
        for bytes in cut + [
            [], [0x30, 0x00], sound + [0], sound + sound, try leaf.derBytes(), Array("-----BEGIN".utf8),
        ] {
            let error = #expect(throws: SPIFFEError.self) { try RevocationList.parse(der: bytes) }
            // To its parser, a certificate is a list without a version, and so of version 1.
            let isCertificate = bytes == (try leaf.derBytes())
            #expect(error?.code == (isCertificate ? .unsupportedRevocationList : .invalidRevocationList))
        }
    }

    @Test("bounds the size of a list and the number of its entries")
    func bounds() throws {
        let ca = try TestCA()
        let long = [UInt8](repeating: 0x30, count: RevocationList.maximumLength + 1)
        let tooLong = #expect(throws: SPIFFEError.self) { try RevocationList.parse(der: long) }
        #expect(tooLong?.message.contains("\(RevocationList.maximumLength)") == true)
        var recipe = try RevocationListRecipe(of: ca, revoking: [])
        recipe.entries = (1...RevocationList.maximumCount + 1).map { .init(serialNumber: .init($0)) }
        let many = try recipe.der(signedBy: ca.key)
        let tooMany = #expect(throws: SPIFFEError.self) { try RevocationList.parse(der: many) }
        #expect(tooMany?.code == .invalidRevocationList)
        #expect(tooMany?.message.contains("\(RevocationList.maximumCount)") == true)
    }

    @Test("survives any one bit flipped, and never counts the list then")
    func bitFlips() throws {
        let ca = try TestCA()
        let leaf = try ca.leaf().certificate
        let sound = try RevocationListRecipe(of: ca, revoking: [leaf]).der(signedBy: ca.key)
        for index in sound.indices {
            var changed = sound
            changed[index] ^= 1 << UInt8(index % 8)
            guard let list = try? RevocationList.parse(der: changed) else { continue }
            #expect(try Self.refusal(of: [leaf], under: ca, lists: [list]) == nil, "byte \(index)")
        }
    }

    @Test("refuses a signature that is not whole bytes")
    func unusedBits() throws {
        let ca = try TestCA()
        let recipe = try RevocationListRecipe(of: ca, revoking: [])
        // Only when its last bit is zero may a bit string call it unused.
        let sound = try #require(
            (0..<64).lazy.compactMap { _ in try? recipe.der(signedBy: ca.key) }.first { $0.last.map { $0 & 1 } == 0 })
        let start = try DER.sequence(DER.parse(sound), identifier: .sequence) { nodes in
            _ = (nodes.next(), nodes.next())
            return nodes.next()?.encodedBytes.startIndex
        }
        var changed = sound
        changed[try #require(start) + 2] = 1
        #expect(throws: Never.self) { try RevocationList.parse(der: sound) }
        let error = #expect(throws: SPIFFEError.self) { try RevocationList.parse(der: changed) }
        #expect(error?.code == .invalidRevocationList)
    }

    @Test("reads and honours what OpenSSL makes")
    func openSSL() throws {
        let certificates = try [OpenSSLFixture.authority, OpenSSLFixture.revoked, OpenSSLFixture.kept].map {
            try DERConcatenation.certificate(in: $0[...])
        }
        let list = try RevocationList.parse(der: OpenSSLFixture.list)
        #expect(list.issuer == certificates[0].subject)
        #expect(list.thisUpdate == Date(timeIntervalSince1970: 1_798_761_600))
        #expect(list.revokedSerialNumbers == [Certificate.SerialNumber(0x1001)])
        let bundle = X509Bundle(trustDomain: try .example, authorities: [certificates[0]])
        let verify = { (leaf: Certificate) throws(SPIFFEError) in
            try X509SVIDVerification.verify([leaf], at: CertificateRecipe.now, revocationLists: [list]) { _ in bundle }
        }
        #expect(try verify(certificates[2]).id.path == "/w")
        let error = #expect(throws: SPIFFEError.self) { try verify(certificates[1]) }
        #expect(error?.code == .revoked)
    }
}
