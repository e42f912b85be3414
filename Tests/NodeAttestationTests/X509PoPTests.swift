import Crypto
import CryptoExtras
import Foundation
import NodeAttestation
import Platform
import SPIFFE
import TestSupport
import Testing
import X509

@Suite("x509pop")
struct X509PoPTests {
    @Test("A node with a certificate and its key is let in, with what the certificate says", arguments: ["ec", "rsa"])
    func attests(kind: String) async throws {
        let prover = try prover("node-\(kind)")
        let node = try await attestor().attest(
            prover.payload(), context: .now(), exchange: Node(prover: prover))
        let sha1 = try fingerprint("nodes/node-\(kind).pem")
        #expect(node.path == "x509pop/\(sha1)")
        #expect(node.canReattest)
        let values = node.selectors.map { "\($0)" }
        #expect(values.contains("x509pop:subject:cn:node-\(kind)"))
        #expect(values.contains("x509pop:ca:fingerprint:\(try fingerprint("nodes/intermediate.pem"))"))
        #expect(values.contains("x509pop:ca:fingerprint:\(try fingerprint("nodes/ca.pem"))"))
        #expect(values.contains("x509pop:san:region:north"))
        #expect(values.contains("x509pop:san:rack:7/left"))
        let serial = String(
            decoding: try Material.run(
                "openssl", "x509", "-noout", "-serial", "-in", Material.path("nodes/node-\(kind).pem")),
            as: UTF8.self
        ).dropFirst("serial=".count).trimmingCharacters(in: .newlines).lowercased()
        #expect(values.contains("x509pop:serialnumber:\(serial)"))
    }

    @Test("Of many at once each is asked for itself, and an answer to one is none to another")
    func atOnce() async throws {
        let (attestor, context) = (try attestor(), try NodeAttestationContext.now())
        let exchanges = try (0..<12).map { _ in ProverExchange(try prover("node-ec")) }
        let evidence = try await prover("node-ec").payload()
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

    @Test("Broken evidence is refused as such", arguments: brokenPayloads.indices)
    func brokenEvidence(index: Int) async throws {
        let prover = try prover("node-ec")
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(brokenPayloads[index], context: context(), exchange: Node(prover: prover))
        }
        #expect(found == .malformed)
    }

    @Test("A certificate cut short anywhere is malformed")
    func cutShort() async throws {
        let prover = try prover("node-ec")
        let whole = try Material.run("openssl", "x509", "-in", Material.path("nodes/node-ec.pem"), "-outform", "DER")
        for length in stride(from: 0, to: whole.count, by: 7) {
            let payload = payload([Array(whole.prefix(length))])
            let found = await outcome { () async throws(NodeAttestationError) in
                try await attestor().attest(payload, context: context(), exchange: Node(prover: prover))
            }
            #expect(found == .malformed, "\(length) bytes")
        }
    }

    @Test(
        "A certificate of a stranger, one that has ended, an authority and a lone leaf are refused",
        arguments: ["stranger", "expired", "intermediate", "lone"])
    func refusedChains(name: String) async throws {
        let leaf = name == "lone" ? "node-ec" : name
        let prover = try prover(leaf, withIntermediate: name != "lone")
        let later = try NodeAttestationContext.now(at: Date() + 60)
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(try await prover.payload(), context: later, exchange: Node(prover: prover))
        }
        #expect(found == .refused)
    }

    @Test("More intermediates than allowed are refused before any is read")
    func tooMany() async throws {
        let prover = try prover("node-ec")
        let junk = [[UInt8]](repeating: [0x30, 0x00], count: 6)
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(payload(junk), context: context(), exchange: Node(prover: prover))
        }
        #expect(found == .refused)
    }

    @Test("An answer by another key, to another challenge, cut short or of another kind is refused")
    func wrongAnswers() async throws {
        let (prover, other) = (try prover("node-ec"), try prover("stranger"))
        let evidence = try await prover.payload()
        let old = try await prover.answer(to: Array(#"{"ecdsa_signature":{"nonce":"\#(nonce)"}}"#.utf8))
        let nodes: [(any ChallengeExchange, Outcome)] = [
            (Node(prover: other), .refused), (DeafNode(answer: old), .refused), (DeafNode(answer: []), .malformed),
            (Node(prover: prover) { Array($0.dropLast(9)) }, .malformed),
            (DeafNode(answer: Array(#"{"rsa_signature":{"nonce":"\#(nonce)","signature":"AAAA"}}"#.utf8)), .malformed),
            (DeafNode(answer: Array(#"{"ecdsa_signature":{"nonce":"AA==","r":"AQ==","s":"AQ=="}}"#.utf8)), .malformed),
            (DeafNode(answer: Array(#"{"ecdsa_signature":{"nonce":"\#(nonce)","r":"","s":""}}"#.utf8)), .refused),
            (
                DeafNode(
                    answer: Array(
                        #"{"ecdsa_signature":{"nonce":"\#(nonce)","r":"\#(String(repeating: "QUFB", count: 99))","s":"AQ=="}}"#
                            .utf8
                    )), .refused
            ),
        ]
        for (index, (node, expected)) in nodes.enumerated() {
            let found = await outcome { () async throws(NodeAttestationError) in
                try await attestor().attest(evidence, context: context(), exchange: node)
            }
            #expect(found == expected, "node \(index)")
        }
    }

    @Test(
        "The address that the call comes from can be held against the certificate",
        arguments: [
            ("127.0.0.1", Outcome.attested), ("::ffff:127.0.0.1", .attested), ("127.0.0.2", .refused), (nil, .refused),
        ]
            as [(String?, Outcome)])
    func address(address: String?, expected: Outcome) async throws {
        let prover = try prover("node-ec")
        let attestor = try attestor { $0.verifiesClientAddress = true }
        let context = try NodeAttestationContext.now(from: address)
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor.attest(try await prover.payload(), context: context, exchange: Node(prover: prover))
        }
        #expect(found == expected)
    }

    @Test(
        "An SVID of this trust domain below the prefix becomes an agent with the rest of its path",
        arguments: [("/spire-exchange/rack/7", "x509pop/rack/7"), ("/web", nil), ("/spire-exchange/", nil)]
            as [(String, String?)])
    func ownSVIDs(path: String, expected: String?) async throws {
        try await TemporaryFolder.use { folder in
            let authority = try TestCA()
            let id = path.hasSuffix("/") ? "spiffe://example.org/spire-exchange" : "spiffe://example.org\(path)"
            let leaf = try authority.leaf(id)
            try leaf.certificate.pemText().write(toFile: "\(folder)/c.pem", atomically: true, encoding: .utf8)
            try leaf.key.pemRepresentation.write(toFile: "\(folder)/k.pem", atomically: true, encoding: .utf8)
            let prover = X509PoPProver(
                .init(certificate: "\(folder)/c.pem", privateKey: "\(folder)/k.pem"), files: LocalFileSystem())
            let attestor = X509PoPAttestor(
                X509PoPSettings(trust: .ownSVIDs(prefix: "/spire-exchange/") { authority.bundle }))
            let context = try NodeAttestationContext.now(at: leaf.certificate.notValidBefore + 60)
            let found = try? await attestor.attest(
                prover.payload(), context: context, exchange: Node(prover: prover))
            #expect(found?.path == expected)
        }
    }

    @Test("A template names the agent by what was proven, and never out of the attestor's own paths")
    func templates() async throws {
        let prover = try prover("node-ec")
        let template = try PathTemplate(
            parsing: "/{{ .PluginName }}/{{.URISanSelectors.region}}/{{ .Subject.CommonName }}", type: "x509pop",
            fields: X509PoPSettings.templateFields)
        let node = try await attestor { $0.pathTemplate = template }.attest(
            prover.payload(), context: .now(), exchange: Node(prover: prover))
        #expect(node.path == "x509pop/north/node-ec")
        let slashed = try PathTemplate(
            parsing: "/x509pop/{{ .URISanSelectors.rack }}", type: "x509pop", fields: X509PoPSettings.templateFields)
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor { $0.pathTemplate = slashed }.attest(
                try await prover.payload(), context: context(), exchange: Node(prover: prover))
        }
        #expect(found == .refused, "a slash would lead elsewhere")
    }

    @Test(
        "Templates that are not sound are refused",
        arguments: [
            "/{{ .Fingerprint }}", "x509pop/{{ .Fingerprint }}", "/x509pop/{{ .Secret }}", "/x509pop/{{ .Fingerprint",
            "/sshpop/{{ .Fingerprint }}", "/{{ .TrustDomain }}/x", "/x509pop/{{ Fingerprint }}",
            "/x509pop/{{ .URISanSelectors. }}", "", String(repeating: "/x509pop/", count: 200),
        ])
    func badTemplates(text: String) {
        #expect(throws: PathTemplateError.self) {
            try PathTemplate(parsing: text, type: "x509pop", fields: X509PoPSettings.templateFields)
        }
    }

    @Test(
        "RSA-PSS is taken with a salt of any length, as other agents sign, and with no other digest",
        arguments: ["max", "digest", "20", "0"])
    func saltLengths(salt: String) async throws {
        let key = try Material.path("nodes/node-rsa.key")
        let prover = try prover("node-rsa")
        let (evidence, later) = (try await prover.payload(), try NodeAttestationContext.now())
        let found = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(
                evidence, context: later, exchange: OpenSSLNode(key: key, salt: salt, isSound: true))
        }
        #expect(found == .attested)
        let wrong = await outcome { () async throws(NodeAttestationError) in
            try await attestor().attest(
                evidence, context: later, exchange: OpenSSLNode(key: key, salt: salt, isSound: false))
        }
        #expect(wrong == .refused)
    }

    private let nonce = Data(repeating: 7, count: 32).base64EncodedString()

    private func context() throws(NodeAttestationError) -> NodeAttestationContext {
        do { return try .now() } catch { throw .malformed("\(error)") }
    }

    private func payload(_ chain: [[UInt8]]) -> [UInt8] {
        let texts = chain.map { "\"\(Data($0).base64EncodedString())\"" }.joined(separator: ",")
        return Array("{\"certificates\":[\(texts)]}".utf8)
    }

    private func attestor(
        _ change: (inout X509PoPSettings) -> Void = { _ in }
    ) throws(NodeAttestationError) -> X509PoPAttestor {
        do {
            let bundle = try TrustBundle(
                pem: Material.text("nodes/ca.pem"), trustDomain: TrustDomain("nodes.invalid"))
            var settings = X509PoPSettings(trust: .external(bundle.x509.authorities))
            change(&settings)
            return X509PoPAttestor(settings)
        } catch { throw .unavailable("\(error)") }
    }

    private func prover(_ name: String, withIntermediate: Bool = true) throws -> X509PoPProver {
        X509PoPProver(
            .init(
                certificate: try Material.path("nodes/\(name).pem"), privateKey: try Material.path("nodes/\(name).key"),
                intermediates: withIntermediate ? try Material.path("nodes/intermediate.pem") : nil),
            files: LocalFileSystem())
    }

    private func fingerprint(_ name: String) throws -> String {
        let text = try Material.run("openssl", "x509", "-noout", "-fingerprint", "-sha1", "-in", Material.path(name))
        return String(decoding: text, as: UTF8.self).split(separator: "=")[1].filter(\.isHexDigit).lowercased()
    }
}

/// Signs with openssl, as agents of another make would.
private struct OpenSSLNode: ChallengeExchange {
    let key: String
    let salt: String
    let isSound: Bool

    func answer(to challenge: [UInt8]) async throws(NodeAttestationError) -> [UInt8] {
        do {
            let object = try JSONValue(parsing: challenge).object?["rsa_signature"]?.object
            let theirs = try #require(object?["nonce"]?.string.flatMap { Data(base64Encoded: $0) })
            let own = Data(repeating: 9, count: 32)
            var digest = Array(SHA256.hash(data: theirs + own))
            if !isSound { digest[0] ^= 1 }
            let signature = try Material.run(
                "openssl", "pkeyutl", "-sign", "-inkey", key, "-pkeyopt", "digest:sha256", "-pkeyopt",
                "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:\(salt)", input: digest)
            let answer: JSONValue = .members([
                "rsa_signature": .members([
                    "nonce": .string(own.base64EncodedString()),
                    "signature": .string(Data(signature).base64EncodedString()),
                ])
            ])
            return Array(answer.compactText.utf8)
        } catch { throw .exchange("\(error)") }
    }
}
