import Crypto
import Foundation
import IssuerDomain
import KeyStore
import Logging
import Platform
import SPIFFE
import SQLiteStore
import X509

/// What it costs to sign, in time of the processor: the mathematics alone, through each key store, and for whole SVIDs.
///
/// Everything takes turns, so that whatever else the machine does falls on all of it.
enum SigningBenchmark {
    static func run(count: Int) async throws -> [[String]] {
        let raw = try RawSignatures()
        let memory = try await MemoryKeyStore().generate("bench", type: .ecP256)
        let issuer = try await SampleIssuer()
        defer { issuer.remove() }
        var contenders: [Contender] = [
            Contender("floor: one P-256 signature", raw.sign),
            Contender("floor: one P-256 verification", raw.verify),
            Contender("P-256 signature through the port, key in memory") {
                _ = try memory.jwsSignature(for: raw.input)
            },
            Contender("CSR -> certificate, checked", issuer.certificate),
            Contender("JWT-SVID", issuer.token),
        ]
        let token = try await BenchmarkToken.key()
        if let token {
            contenders.append(Contender("P-256 signature in SoftHSM2") { _ = try token.jwsSignature(for: raw.input) })
        }
        contenders.append(Contender("floor: one P-256 key") { _ = P256.Signing.PrivateKey() })
        for round in -50..<(count * 4) {
            for index in contenders.indices { try contenders[index].take(isCounted: round >= 0) }
        }
        let (signature, verification) = (contenders[0].middle, contenders[1].middle)
        var rows = contenders.map(\.row)
        rows += [
            ratio("- memory store, in parts of one signature", signature, contenders[2]),
            ratio(
                "- certificate, in parts of two verifications and a signature", signature + 2 * verification,
                contenders[3]),
            ratio("- JWT-SVID, in parts of one signature", signature, contenders[4]),
        ]
        if token == nil {
            rows.append(["P-256 signature in SoftHSM2", "", "", "not measured: set MINTMARK_BENCH_PKCS11", ""])
        } else {
            rows.append(ratio("- SoftHSM2, in parts of one signature", signature, contenders[5]))
        }
        return rows
    }

    private static func ratio(_ name: String, _ floor: Double, _ contender: Contender) -> [String] {
        [name, "", "", "\(Int(floor / contender.middle * 100)) %", ""]
    }

    /// One thing that takes turns.
    private struct Contender {
        let name: String
        let body: () throws -> Void
        private var samples: [Double] = []

        init(_ name: String, _ body: @escaping () throws -> Void) { (self.name, self.body) = (name, body) }

        mutating func take(isCounted: Bool) throws {
            let before = Self.processorTime()
            try body()
            if isCounted { samples.append(Self.processorTime() - before) }
        }

        /// The median, in seconds.
        var middle: Double { quantile(0.5) }

        var row: [String] {
            let (middle, late) = (quantile(0.5), quantile(0.99))
            return [
                name, "\(samples.count)", "\(Int(1 / middle))/s", Duration.seconds(middle).text,
                Duration.seconds(late).text,
            ]
        }

        private func quantile(_ share: Double) -> Double {
            let sorted = samples.sorted()
            return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
        }

        /// Of this thread alone, in seconds.
        private static func processorTime() -> Double {
            var time = timespec()
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }
    }
}

/// Signing and checking with a key at hand, of what a JWT-SVID signs.
private struct RawSignatures {
    let input = Data(repeating: 0x61, count: 300)
    private let key = P256.Signing.PrivateKey()
    private let publicKey: P256.Signing.PublicKey
    private let signature: P256.Signing.ECDSASignature

    init() throws {
        publicKey = key.publicKey
        signature = try key.signature(for: SHA256.hash(data: input))
    }

    func sign() throws { _ = try key.signature(for: SHA256.hash(data: input)) }

    func verify() throws {
        guard publicKey.isValidSignature(signature, for: SHA256.hash(data: input)) else {
            throw TokenBenchmarkError.refused
        }
    }
}

/// A key in the token that `MINTMARK_BENCH_PKCS11` names: `module:token label:PIN file`.
private enum BenchmarkToken {
    static func key() async throws -> (any SigningKey)? {
        guard let text = ProcessInfo.processInfo.environment["MINTMARK_BENCH_PKCS11"] else { return nil }
        let parts = text.split(separator: ":").map { String($0) }
        guard parts.count == 3 else { throw TokenBenchmarkError.refused }
        let store = try PKCS11KeyStore(
            module: parts[0], tokenLabel: parts[1], pinFile: parts[2], files: LocalFileSystem())
        try await store.delete("bench")
        return try await store.generate("bench", type: .ecP256)
    }
}

/// An issuer with its store on disk and its keys in memory.
private final class SampleIssuer {
    private let folder = "/tmp/mintmark-bench-signing-\(ProcessInfo.processInfo.processIdentifier)"
    private let issuer: SVIDIssuer
    private let entry: Entry
    private let csr: [UInt8]
    private let now = SystemWallClock().now

    init() async throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let trustDomain = try TrustDomain("example.org")
        var entropy = SystemEntropy()
        let keeper = try await AuthorityKeeper(
            trustDomain: trustDomain, settings: .init(), server: ServerID(using: &entropy),
            store: try SQLiteStore(path: "\(folder)/db", trustDomain: trustDomain), keys: MemoryKeyStore(),
            feed: RevisionFeed(), now: now, using: SystemEntropy(), logger: Logger(label: "bench"))
        issuer = SVIDIssuer(trustDomain: trustDomain, settings: .init(), authorities: keeper)
        entry = Entry(
            id: "bench",
            contents: EntryContents(
                spiffeID: try SPIFFEID("spiffe://example.org/ns/payments/sa/orders"),
                parentID: try SPIFFEID("spiffe://example.org/agent"), selectors: [try Selector(parsing: "unix:uid:0")]),
            revision: 0, createdAt: now)
        csr = try SigningRequestMaker.request(signedBy: P256.Signing.PrivateKey())
    }

    func certificate() throws {
        var entropy = SystemEntropy()
        _ = try issuer.x509SVID(for: entry, request: try SigningRequest(der: csr), now: now, using: &entropy)
    }

    func token() throws {
        var entropy = SystemEntropy()
        _ = try issuer.jwtSVID(for: entry, audience: ["ledger.example.org"], now: now, using: &entropy)
    }

    func remove() { try? FileManager.default.removeItem(atPath: folder) }
}
