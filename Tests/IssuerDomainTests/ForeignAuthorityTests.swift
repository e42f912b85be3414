import Crypto
import Foundation
import IssuerDomain
import Logging
import Platform
import SPIFFE
import StoreContract
import TestSupport
import Testing
import X509

@Suite("Authorities that sign elsewhere")
struct ForeignAuthorityTests {
    @Test("What an admin adds is published until it is over, survives a restart, and signs nothing here")
    func append() async throws {
        let test = try await TestIssuer()
        let root = try TestCA(commonName: "added")
        let key = try Self.jwt("added", notAfter: Given.start + 600)
        try await test.keeper.append([try ForeignAuthority(x509: root.certificate.derBytes()), key])
        #expect(test.keeper.snapshot.bundle.x509.authorities.contains(root.certificate))
        #expect(test.keeper.snapshot.bundle.jwt.authorities.keys.contains("added"))
        let again = try await TestIssuer(store: test.store, keys: test.keys, seed: 2)
        #expect(again.keeper.snapshot.bundle == test.keeper.snapshot.bundle)
        #expect(again.logs.messages(from: .warning).isEmpty)
        for kind in AuthorityRecord.Kind.allCases {
            #expect(again.keeper.snapshot.standing(kind).old == nil)
        }
        // A key stays for as long as it lived beyond its end, a day at most.
        try await again.keeper.tend(now: Given.start + 1199, using: SeededEntropy(3))
        #expect(again.keeper.snapshot.bundle.jwt.authorities.keys.contains("added"))
        try await again.keeper.tend(now: Given.start + 1200, using: SeededEntropy(4))
        #expect(!again.keeper.snapshot.bundle.jwt.authorities.keys.contains("added"))
        try await again.keeper.tend(now: root.certificate.notValidAfter + 25 * 3600, using: SeededEntropy(5))
        #expect(!again.keeper.snapshot.bundle.x509.authorities.contains(root.certificate))
    }

    @Test("Adding twice changes nothing; another key under the same ID, or what was revoked, is refused")
    func twice() async throws {
        let test = try await TestIssuer()
        let key = try Self.jwt("k")
        try await test.keeper.publish(key, by: Given.id("/below"), now: Given.start)
        let sequence = test.keeper.snapshot.bundle.sequence
        try await test.keeper.publish(key, by: Given.id("/below"), now: Given.start)
        #expect(test.keeper.snapshot.bundle.sequence == sequence)
        await #expect(throws: AuthorityError.notAllowed(.idTaken(id: "k"))) {
            try await test.keeper.publish(try Self.jwt("k"), by: Given.id("/below"), now: Given.start)
        }
        let own = test.keeper.snapshot.jwt.keyID
        await #expect(throws: AuthorityError.notAllowed(.idTaken(id: own))) {
            try await test.keeper.publish(try Self.jwt(own), by: Given.id("/below"), now: Given.start)
        }
        let x509 = test.keeper.snapshot.x509.record.id
        try await test.keeper.publish(try Self.jwt(x509), by: Given.id("/below"), now: Given.start)
        #expect(test.keeper.snapshot.x509.record.state == .active, "a key ID says nothing about X.509 authorities")
        let certificate = test.keeper.snapshot.x509.certificate
        try await test.keeper.append([try ForeignAuthority(x509: certificate.derBytes())])
        #expect(test.keeper.snapshot.bundle.x509.authorities == [certificate])

        let old = test.keeper.snapshot.jwt.record
        let next = try await test.keeper.prepare(.jwt, now: Given.start, using: SeededEntropy(4))
        _ = try await test.keeper.activate(.jwt, id: next.id, now: Given.start)
        _ = try await test.keeper.taint(.jwt, id: old.id)
        _ = try await test.keeper.revoke(.jwt, id: old.id)
        await #expect(throws: AuthorityError.notAllowed(.isRevoked(id: old.id))) {
            try await test.keeper.publish(
                try ForeignAuthority(jwtKeyID: old.id, der: old.publicDER, notAfter: nil, now: Given.start),
                by: Given.id("/below"), now: Given.start)
        }
        #expect(test.keeper.snapshot.bundle.jwt.authorities[old.id] == nil)
    }

    @Test("What cannot be an authority is refused")
    func unsound() throws {
        let leaf = try TestCA().leaf().certificate.derBytes()
        for der in [[], [0x30, 0x00], leaf, leaf + leaf, [UInt8](repeating: 0x30, count: 70_000)] {
            let error = #expect(throws: AuthorityRefusal.self) { try ForeignAuthority(x509: der) }
            guard case .unsound? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
        let good = Array(P256.Signing.PrivateKey().publicKey.derRepresentation)
        #expect(throws: AuthorityRefusal.noID) {
            try ForeignAuthority(jwtKeyID: "", der: good, notAfter: nil, now: Given.start)
        }
        #expect(throws: AuthorityRefusal.ended(id: "k")) {
            try ForeignAuthority(jwtKeyID: "k", der: good, notAfter: Given.start, now: Given.start)
        }
        let edwards = Array(Curve25519.Signing.PrivateKey().publicKey.rawRepresentation)
        for (id, der) in [
            ("k", []), ("k", edwards), ("k", good.dropLast()), (String(repeating: "k", count: 256), good),
        ] {
            let error = #expect(throws: AuthorityRefusal.self) {
                try ForeignAuthority(jwtKeyID: id, der: Array(der), notAfter: nil, now: Given.start)
            }
            guard case .unsound? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
    }

    @Test("A bundle takes so many from others and no more")
    func bounded() async throws {
        let test = try await TestIssuer()
        let der = Array(P256.Signing.PrivateKey().publicKey.derRepresentation)
        let keys = try (0..<ForeignAuthority.limit).map {
            try ForeignAuthority(jwtKeyID: "k\($0)", der: der, notAfter: nil, now: Given.start)
        }
        try await test.keeper.append(keys)
        await #expect(throws: AuthorityError.notAllowed(.tooMany(limit: ForeignAuthority.limit))) {
            try await test.keeper.append([try Self.jwt("one more")])
        }
        #expect(test.keeper.snapshot.bundle.jwt.authorities.count == ForeignAuthority.limit + 1)
    }

    @Test("A server below publishes a few keys and no more, for a while and no longer")
    func publishers() async throws {
        let test = try await TestIssuer()
        for number in 0..<ForeignAuthority.limitOfPublisher {
            try await test.keeper.publish(try Self.jwt("k\(number)"), by: Given.id("/below"), now: Given.start)
        }
        await #expect(throws: AuthorityError.notAllowed(.tooMany(limit: ForeignAuthority.limitOfPublisher))) {
            try await test.keeper.publish(try Self.jwt("more"), by: Given.id("/below"), now: Given.start)
        }
        try await test.keeper.publish(try Self.jwt("other"), by: Given.id("/other"), now: Given.start)
        let latest = Given.start + 600
        for end in [nil, .distantFuture, latest + 1, latest - 1] as [Date?] {
            let key = try ForeignAuthority(
                jwtKeyID: "k", der: Array(P256.Signing.PrivateKey().publicKey.derRepresentation), notAfter: end,
                latest: latest, now: Given.start)
            let other = try await TestIssuer()
            try await other.keeper.publish(key, by: Given.id("/below"), now: Given.start)
            let record = try #require(other.keeper.snapshot.records.first { $0.id == "k" })
            #expect(record.notAfter == (end == latest - 1 ? latest - 1 : latest))
        }
    }

    @Test("What came from below or from an admin can be tainted and revoked, and does not come back")
    func revoked() async throws {
        let test = try await TestIssuer()
        let root = try ForeignAuthority(x509: TestCA(commonName: "added").certificate.derBytes())
        let (added, published) = (try Self.jwt("added"), try Self.jwt("published"))
        try await test.keeper.append([root, added])
        try await test.keeper.publish(published, by: Given.id("/below"), now: Given.start)
        let additions = test.keeper.snapshot.records.filter(\.isAddition)
        #expect(additions.count == 3)
        for record in additions {
            _ = try await test.keeper.taint(record.kind, id: record.id)
            _ = try await test.keeper.revoke(record.kind, id: record.id)
        }
        #expect(test.keeper.snapshot.bundle.x509.authorities.count == 1)
        #expect(test.keeper.snapshot.bundle.jwt.authorities.count == 1)
        await #expect(throws: AuthorityError.notAllowed(.isRevoked(id: "published"))) {
            try await test.keeper.publish(published, by: Given.id("/below"), now: Given.start)
        }
        await #expect(throws: AuthorityError.self) { try await test.keeper.append([root]) }
    }

    private static func jwt(_ id: String, notAfter: Date? = nil) throws -> ForeignAuthority {
        try ForeignAuthority(
            jwtKeyID: id, der: Array(P256.Signing.PrivateKey().publicKey.derRepresentation), notAfter: notAfter,
            now: Given.start)
    }
}
