import Crypto
import Foundation
import SPIFFE
import X509

/// What a TLS handshake or a request waits for: judging what a peer presents, with the floor of its signatures beside it.
enum VerificationBenchmark {
    static func run(count: Int) async throws -> [[String]] {
        let chain = try PresentedChain()
        let id = "spiffe://example.org/ns/payments/sa/ledger"
        let rounds = count * 10
        var rows = [
            try await row("floor: one P-256 verification", count: rounds) { try chain.verifyOneSignature() },
            try await row("SPIFFE ID, parsed", count: rounds) { _ = try SPIFFEID(id) },
            try await row("X.509 leaf and intermediate, parsed only", count: rounds) { try chain.parse() },
        ].flatMap(\.self)
        // By turns, so that a busy machine slows both alike and the ratio stays true.
        let clock = ContinuousClock()
        var (floor, whole): ([Duration], [Duration]) = ([], [])
        for _ in 0..<rounds {
            let start = clock.now
            try chain.verifyOneSignature()
            try chain.verifyOneSignature()
            let middle = clock.now
            try chain.verify()
            floor.append(middle - start)
            whole.append(clock.now - middle)
        }
        let signatures = Measurement(
            name: "floor: two P-256 verifications", samples: floor, elapsed: floor.reduce(.zero, +))
        let path = Measurement(
            name: "X.509 leaf, intermediate, root: parsed and verified", samples: whole,
            elapsed: whole.reduce(.zero, +))
        let share = signatures.quantile(0.5).seconds / path.quantile(0.5).seconds
        rows += [signatures.row, path.row]
        rows.append(["- allocations of it", "", "", "\(try await Meter.allocations { try chain.verify() })", ""])
        rows.append(["- its rate, in parts of that of two signatures", "", "", "\(Int(share * 100)) %", ""])
        return rows
    }

    /// One row of times, and one of what the heap was asked for.
    private static func row(
        _ name: String, count: Int, _ body: () async throws -> Void
    ) async throws -> [[String]] {
        let measurement = try await Meter.serial(name, count: count) { _ in try await body() }
        return [measurement.row, ["- allocations of it", "", "", "\(try await Meter.allocations(body))", ""]]
    }
}

/// A sound chain of P-256 keys, as a peer presents it.
private struct PresentedChain {
    let instant = Date(timeIntervalSince1970: 1_800_000_000)
    let bundle: X509Bundle
    let leafDER: [UInt8]
    let intermediateDER: [UInt8]
    private let publicKey: P256.Signing.PublicKey
    private let digest: SHA256Digest
    private let signature: P256.Signing.ECDSASignature

    init() throws {
        let root = Party(name: "root", isAuthority: true, uri: "spiffe://example.org")
        let intermediate = Party(name: "intermediate", isAuthority: true, uri: "spiffe://example.org")
        let key = P256.Signing.PrivateKey()
        let leaf = Party(name: "leaf", isAuthority: false, uri: "spiffe://example.org/ns/payments/sa/ledger", key: key)
        bundle = X509Bundle(
            trustDomain: try TrustDomain("example.org"), authorities: [try root.certificate(by: root, at: instant)])
        leafDER = try leaf.certificate(by: intermediate, at: instant).derBytes()
        intermediateDER = try intermediate.certificate(by: root, at: instant).derBytes()
        publicKey = key.publicKey
        digest = SHA256.hash(data: leafDER)
        signature = try key.signature(for: digest)
    }

    func verifyOneSignature() throws {
        guard publicKey.isValidSignature(signature, for: digest) else { throw Failure() }
    }

    func verify() throws {
        _ = try X509SVIDVerification.verify(presentedDER: [leafDER, intermediateDER], at: instant) { _ in bundle }
    }

    func parse() throws {
        for der in [leafDER, intermediateDER] { _ = try DERConcatenation.certificate(in: der[...]) }
    }

    private struct Failure: Error {}

    private struct Party {
        let name: String
        let isAuthority: Bool
        let uri: String
        var key = P256.Signing.PrivateKey()

        var keyIdentifier: SubjectKeyIdentifier {
            SubjectKeyIdentifier(hash: Certificate.PublicKey(key.publicKey))
        }

        func certificate(by issuer: Party, at instant: Date) throws -> Certificate {
            try Certificate(
                version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
                notValidBefore: instant - 3600, notValidAfter: instant + 3600,
                issuer: DistinguishedName { CommonName(issuer.name) }, subject: DistinguishedName { CommonName(name) },
                extensions: Certificate.Extensions {
                    Critical(
                        isAuthority
                            ? BasicConstraints.isCertificateAuthority(maxPathLength: nil) : .notCertificateAuthority)
                    Critical(isAuthority ? KeyUsage(keyCertSign: true) : KeyUsage(digitalSignature: true))
                    SubjectAlternativeNames([.uniformResourceIdentifier(uri)])
                    keyIdentifier
                    AuthorityKeyIdentifier(keyIdentifier: issuer.keyIdentifier.keyIdentifier)
                }, issuerPrivateKey: Certificate.PrivateKey(issuer.key))
        }
    }
}
