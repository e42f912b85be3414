import Crypto
import Foundation
import NodeAttestation
import Platform
import SPIFFE
import TestSupport
import Testing

@Suite("sshpop")
struct SSHPoPTests {
    @Test(
        "A host with a certificate and its key is let in, by the certificate's fingerprint",
        arguments: ["ed25519", "ecdsa", "rsa"])
    func attests(kind: String) async throws {
        let prover = try prover("host_\(kind)", "host_\(kind)")
        let node = try await attestor().attest(prover.payload(), context: .now(), exchange: Node(prover: prover))
        let line = try Material.text("ssh/host_\(kind)-cert.pub").split(separator: " ")[1]
        let blob = try #require(Data(base64Encoded: String(line)))
        let fingerprint = Data(SHA256.hash(data: blob)).base64EncodedString().replacing("+", with: "-")
            .replacing("/", with: "_").replacing("=", with: "")
        #expect(node.path == "sshpop/\(fingerprint)")
        #expect(node.selectors.isEmpty)
        #expect(node.canReattest)
    }

    @Test("Of many at once each is asked for itself, and an answer to one is none to another")
    func atOnce() async throws {
        let (attestor, context) = (try attestor(), try NodeAttestationContext.now())
        let exchanges = try (0..<12).map { _ in ProverExchange(try prover("host_ecdsa", "host_ecdsa")) }
        let evidence = try await prover("host_ecdsa", "host_ecdsa").payload()
        let paths = try await withThrowingTaskGroup(of: String.self) { group in
            for exchange in exchanges {
                group.addTask { try await attestor.attest(evidence, context: context, exchange: exchange).path }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(paths.count == 12 && Set(paths).count == 1)
        #expect(Set(exchanges.flatMap { $0.exchanged.map(\.challenge) }).count == 12)
        for exchange in exchanges.prefix(3) {
            let answer = try #require(exchange.exchanged.first).answer
            let found = await outcome { () async throws(NodeAttestationError) in
                try await attestor.attest(evidence, context: context, exchange: DeafNode(answer: answer))
            }
            #expect(found == .refused, "a replay")
        }
    }

    @Test(
        "A certificate that has ended, of a user, of a stranger, or that is none is refused",
        arguments: [("expired", Outcome.refused), ("user", .refused), ("stranger", .refused)])
    func refusedCertificates(name: String, expected: Outcome) async throws {
        let prover = try prover("host_ed25519", name)
        let (evidence, context) = (try await prover.payload(), try NodeAttestationContext.now())
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(evidence, context: context, exchange: Node(prover: prover))
        }
        #expect(found == expected)
    }

    @Test("A certificate outside of its time is refused at both ends", arguments: [-2 * 3600, 31 * 86_400])
    func validity(offset: TimeInterval) async throws {
        let prover = try prover("host_rsa", "host_rsa")
        let (evidence, context) = (try await prover.payload(), try NodeAttestationContext.now(at: Date() + offset))
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(evidence, context: context, exchange: Node(prover: prover))
        }
        #expect(found == .refused)
    }

    @Test("Broken evidence is refused as such", arguments: brokenPayloads.indices)
    func brokenEvidence(index: Int) async throws {
        let (prover, context) = (try prover("host_rsa", "host_rsa"), try NodeAttestationContext.now())
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(brokenPayloads[index], context: context, exchange: Node(prover: prover))
        }
        #expect(found == .malformed)
    }

    @Test("A certificate cut short, grown or changed anywhere proves nothing", arguments: ["ed25519", "ecdsa", "rsa"])
    func damaged(kind: String) async throws {
        let prover = try prover("host_\(kind)", "host_\(kind)")
        let (blob, context) = (try blob("host_\(kind)"), try NodeAttestationContext.now())
        var damaged = (0..<blob.count).map { Array(blob.prefix($0)) }
        damaged.append(blob + [0])
        damaged += (0..<blob.count).map { index in
            var changed = blob
            changed[index] ^= 0x41
            return changed
        }
        for (index, certificate) in damaged.enumerated() {
            let found = await outcome { () async throws(NodeAttestationError) in
                try await attestor().attest(payload(certificate), context: context, exchange: Node(prover: prover))
            }
            #expect(found != .attested, "damage \(index)")
        }
        let plain = Array(
            Data(base64Encoded: String(try Material.text("ssh/host_\(kind).pub").split(separator: " ")[1])) ?? Data())
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(payload(plain), context: context, exchange: Node(prover: prover))
        }
        #expect(found == .malformed, "a key is no certificate")
    }

    @Test("An answer by another key, to another challenge, cut short or in another algorithm is refused")
    func wrongAnswers() async throws {
        let prover = try prover("host_ed25519", "host_ed25519")
        let other = try self.prover("other", "host_ed25519")
        let (evidence, context) = (try await prover.payload(), try NodeAttestationContext.now())
        let nonce = Data(repeating: 7, count: 32).base64EncodedString()
        let old = try await prover.answer(to: Array("{\"Nonce\":\"\(nonce)\"}".utf8))
        let relabelled = String(decoding: old, as: UTF8.self).replacing("ssh-ed25519", with: "rsa-sha2-256")
        let nodes: [(any ChallengeExchange, Outcome)] = [
            (Node(prover: other), .refused), (DeafNode(answer: old), .refused),
            (DeafNode(answer: Array(relabelled.utf8)), .refused), (DeafNode(answer: []), .malformed),
            (Node(prover: prover) { Array($0.dropLast(20)) }, .malformed),
            (
                DeafNode(
                    answer: Array(
                        "{\"Nonce\":\"AA==\",\"Signature\":{\"Format\":\"ssh-ed25519\",\"Blob\":\"AA==\"}}".utf8)),
                .malformed
            ),
            (DeafNode(answer: Array("{\"Nonce\":\"\(nonce)\",\"Signature\":null}".utf8)), .malformed),
        ]
        for (index, (node, expected)) in nodes.enumerated() {
            let found = await outcome { () async throws(NodeAttestationError) in
                try await attestor().attest(evidence, context: context, exchange: node)
            }
            #expect(found == expected, "node \(index)")
        }
    }

    @Test(
        "The canonical domain is asked for and cut off",
        arguments: [
            ("example.org", "sshpop/node-rsa"), ("other.org", nil), ("node-rsa.example.org", nil),
        ] as [(String, String?)])
    func canonicalDomain(domain: String, expected: String?) async throws {
        let prover = try prover("host_rsa", "host_rsa")
        let template = try PathTemplate(
            parsing: "/sshpop/{{ .Hostname }}", type: "sshpop", fields: SSHPoPAttestor.templateFields)
        let node = try? await attestor(canonicalDomain: domain, template).attest(
            prover.payload(), context: .now(), exchange: Node(prover: prover))
        #expect(node?.path == expected)
    }

    @Test("RSA may answer a challenge with SHA-1, as other agents do, and with nothing weaker or unnamed")
    func otherMakes() async throws {
        let prover = try prover("host_rsa", "host_rsa")
        let (evidence, context) = (try await prover.payload(), try NodeAttestationContext.now())
        for (format, digest, expected) in [
            ("ssh-rsa", "sha1", Outcome.attested), ("rsa-sha2-256", "sha256", .attested),
            ("rsa-sha2-512", "sha512", .attested), ("rsa-sha2-256", "sha1", .refused), ("ssh-md5", "md5", .refused),
        ] {
            let node = OpenSSLHost(key: try Self.pem(), format: format, digest: digest)
            let found = await outcome { () async throws(NodeAttestationError) in
                try await attestor().attest(evidence, context: context, exchange: node)
            }
            #expect(found == expected, "\(format) over \(digest)")
        }
    }

    @Test("Lists of authorities are read line by line, and one bad line spoils them")
    func lists() throws {
        let line = try Material.text("ssh/ca.pub")
        #expect(try SSHKeyLine.keys(in: "# ours\n\n\(line)\n  \n\(line)").count == 2)
        for bad in ["nonsense", "ssh-rsa \(line.split(separator: " ")[1])", "ssh-ed25519 !!!!", "\(line)\nx"] {
            #expect(throws: NodeAttestationError.self) { try SSHKeyLine.keys(in: bad) }
        }
        #expect(throws: NodeAttestationError.self, "a certificate is no authority") {
            try SSHKeyLine.keys(in: Material.text("ssh/host_rsa-cert.pub"))
        }
    }

    /// The RSA host key in a form that openssl reads.
    private static func pem() throws -> String {
        let copy = try Material.path("ssh/host_rsa.converted")
        if !FileManager.default.fileExists(atPath: copy) {
            let beside = "\(copy).\(UInt32.random(in: 0 ... .max))"
            try FileManager.default.copyItem(atPath: Material.path("ssh/host_rsa"), toPath: beside)
            _ = try Material.run("ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "", "-P", "", "-f", beside)
            try FileManager.default.moveItem(atPath: beside, toPath: copy)
        }
        return copy
    }

    private func payload(_ certificate: [UInt8]) -> [UInt8] {
        Array("{\"Certificate\":\"\(Data(certificate).base64EncodedString())\"}".utf8)
    }

    private func blob(_ name: String) throws -> [UInt8] {
        try SSHKeyLine.blob(Material.text("ssh/\(name)-cert.pub"))
    }

    private func attestor(
        canonicalDomain: String? = nil, _ template: PathTemplate? = nil
    ) throws(NodeAttestationError) -> SSHPoPAttestor {
        let lines: String
        do { lines = try Material.text("ssh/ca.pub") } catch { throw .unavailable("\(error)") }
        return SSHPoPAttestor(
            authorities: try SSHKeyLine.keys(in: lines), canonicalDomain: canonicalDomain, pathTemplate: template)
    }

    private func prover(_ key: String, _ certificate: String) throws -> SSHPoPProver {
        SSHPoPProver(
            hostKey: try Material.path("ssh/\(key)"), hostCertificate: try Material.path("ssh/\(certificate)-cert.pub"),
            files: LocalFileSystem())
    }
}

/// Signs with openssl, as agents of another make would.
private struct OpenSSLHost: ChallengeExchange {
    let key: String
    let format: String
    let digest: String

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        do {
            let theirs = try #require(
                try JSONValue(parsing: challenge).object?["Nonce"]?.string.flatMap { Data(base64Encoded: $0) })
            let own = Data(repeating: 9, count: 32)
            let signature = try Material.run(
                "openssl", "dgst", "-\(digest)", "-sign", key, input: Array(SHA256.hash(data: theirs + own)))
            let answer: JSONValue = .members([
                "Nonce": .string(own.base64EncodedString()),
                "Signature": .members([
                    "Format": .string(format), "Blob": .string(Data(signature).base64EncodedString()),
                ]),
            ])
            return Array(answer.compactText.utf8)
        } catch { throw .exchange("\(error)") }
    }
}
