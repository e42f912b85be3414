import Crypto
import Foundation
import IssuerDomain
import KeyStore
import Logging
import Platform
import SPIFFE
import SQLiteStore

/// What the issuer does for one SVID, in process, with the floor of one signature beside it.
enum IssuanceBenchmark {
    static func run(count: Int) async throws -> [Measurement] {
        let folder = "/tmp/mintmark-bench-issuer-\(ProcessInfo.processInfo.processIdentifier)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let trustDomain = try TrustDomain("example.org")
        let clock = SystemWallClock()
        var names = SystemEntropy()
        let keeper = try await AuthorityKeeper(
            trustDomain: trustDomain, settings: .init(), server: ServerID(using: &names),
            store: try SQLiteStore(path: "\(folder)/db", trustDomain: trustDomain),
            keys: try DiskKeyStore(folder: "\(folder)/keys", files: LocalFileSystem()), feed: RevisionFeed(),
            now: clock.now, using: SystemEntropy(), logger: Logger(label: "bench"))
        let issuer = SVIDIssuer(trustDomain: trustDomain, settings: .init(), authorities: keeper)
        let entry = Entry(
            id: "bench",
            contents: EntryContents(
                spiffeID: try SPIFFEID("spiffe://example.org/bench"),
                parentID: try SPIFFEID("spiffe://example.org/agent"), selectors: [try Selector(parsing: "unix:uid:0")]),
            revision: 0, createdAt: clock.now)
        let key = P256.Signing.PrivateKey()
        let csr = try SigningRequestMaker.request(signedBy: key)
        var entropy = SystemEntropy()
        let digest = SHA256.hash(data: csr)
        let rounds = count * 4
        return [
            try await Meter.serial("floor: one P-256 signature", count: rounds) { _ in
                _ = try key.signature(for: digest)
            },
            try await Meter.serial("floor: one P-256 key", count: rounds) { _ in _ = P256.Signing.PrivateKey() },
            try await Meter.serial("CSR -> certificate, in process", count: rounds) { _ in
                _ = try issuer.x509SVID(
                    for: entry, request: try SigningRequest(der: csr), now: clock.now, using: &entropy)
            },
            try await Meter.serial("JWT-SVID, in process", count: rounds) { _ in
                _ = try issuer.jwtSVID(for: entry, audience: ["bench"], now: clock.now, using: &entropy)
            },
        ]
    }
}
