import Crypto
import CryptoExtras
import Foundation
import NodeAttestation
import Platform
import SPIFFE
import SwiftASN1
import TestSupport
import Testing
import X509

@Suite("tpm_devid with an emulated TPM", .enabled(if: EmulatedTPM.isInstalled, EmulatedTPM.wanted), .serialized)
struct TPMDevIDAttestationTests {
    /// A TPM, the authority for devices, and both halves of the attestor.
    private struct Scene {
        let tpm: EmulatedTPM
        let devices: TestCA
        let settings: TPMDevIDProverSettings
        let attestor: TPMDevIDAttestor

        var prover: TPMDevIDProver { TPMDevIDProver(settings, files: LocalFileSystem()) }
    }

    private static var context: NodeAttestationContext { NodeAttestationTests.context(now: Date()) }

    private func scene(
        _ kind: EmulatedTPM.Kind = .rsa, password: String = "", attributes: String = "",
        _ body: (Scene) async throws -> Void
    ) async throws {
        try await TemporaryFolder.use { folder in
            let tpm = try await EmulatedTPM(in: folder)
            defer { tpm.stop() }
            let devices = try TestCA.devices()
            let settings = try await tpm.makeDevID(
                kind, password: password, authority: devices, attributes: attributes)
            let attestor = TPMDevIDAttestor(
                TPMDevIDSettings(devIDAuthorities: [devices.certificate], endorsementAuthorities: [try tpm.maker]))
            try await body(Scene(tpm: tpm, devices: devices, settings: settings, attestor: attestor))
        }
    }

    @Test("A device whose TPM holds its key gets in, and gets in again", arguments: EmulatedTPM.Kind.allCases)
    func admits(_ kind: EmulatedTPM.Kind) async throws {
        try await scene(kind) { scene in
            let prover = scene.prover
            #expect(prover.type == "tpm_devid" && scene.attestor.type == "tpm_devid" && scene.attestor.canReattest)
            let node = try await scene.attestor.attest(
                prover.payload(), context: Self.context, exchange: ProverExchange(prover))
            let certificate = try Certificate(
                pemEncoded: String(contentsOfFile: scene.settings.certificatePath, encoding: .utf8))
            let der = try certificate.derBytes()
            #expect(node.path == "tpm_devid/\(Hex.encode(Insecure.SHA1.hash(data: der)))")
            #expect(node.canReattest)
            let authority = try scene.devices.certificate.derBytes()
            let ekCertificate = try scene.tpm.bytes(of: "ek-rsa2048.crt")
            #expect(
                node.selectors.map(\.description) == [
                    "tpm_devid:subject:cn:machine-17", "tpm_devid:issuer:cn:devices of devices.test",
                    "tpm_devid:ca:fingerprint:\(Hex.encode(Insecure.SHA1.hash(data: authority)))",
                    "tpm_devid:ca:sha256:\(Hex.encode(SHA256.hash(data: authority)))",
                    "tpm_devid:ek:sha256:\(Hex.encode(SHA256.hash(data: ekCertificate)))",
                ])
            let again = try await scene.attestor.attest(
                prover.payload(), context: Self.context, exchange: ProverExchange(prover))
            #expect(again == node)
            #expect(try await scene.tpm.loadedKeys() == 0, "nothing is left in the TPM")
        }
    }

    @Test("Several agents at once take turns at one TPM, and nothing of theirs is left in it", .timeLimit(.minutes(4)))
    func severalAgents() async throws {
        try await scene(.p256) { scene in
            let paths = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<4 {
                    let (prover, attestor) = (scene.prover, scene.attestor)
                    group.addTask {
                        try await attestor.attest(
                            prover.payload(), context: Self.context, exchange: ProverExchange(prover)
                        ).path
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(paths.count == 4 && Set(paths).count == 1, "\(paths)")
            #expect(try await scene.tpm.loadedKeys() == 0)
        }
    }

    @Test("A TPM that has a certificate for a P-256 endorsement key alone gets in")
    func ellipticEndorsement() async throws {
        try await scene { scene in
            let maker = try TestCA.devices("maker")
            try await scene.tpm.replaceEndorsement(signedBy: maker)
            let attestor = TPMDevIDAttestor(
                TPMDevIDSettings(
                    devIDAuthorities: [scene.devices.certificate], endorsementAuthorities: [maker.certificate]))
            let prover = scene.prover
            let node = try await attestor.attest(
                prover.payload(), context: Self.context, exchange: ProverExchange(prover))
            #expect(node.path.hasPrefix("tpm_devid/"))
        }
    }

    @Test("What the TPM calls a key is what its public area says")
    func names() async throws {
        try await scene { scene in
            let folder = scene.tpm.folder
            try await scene.tpm.tool(
                "load", "-C", "\(folder)/root.ctx", "-u", scene.settings.publicPath, "-r", scene.settings.privatePath,
                "-c", "\(folder)/loaded.ctx", "-n", "\(folder)/name")
            let area = try TPMPublicArea(parsingFile: scene.tpm.bytes(of: "devid.pub"))
            #expect(try scene.tpm.bytes(of: "name") == area.name)
        }
    }

    @Test("A DevID key with a password needs it")
    func passwords() async throws {
        try await scene(password: "correct horse") { scene in
            let prover = scene.prover
            _ = try await scene.attestor.attest(
                prover.payload(), context: Self.context, exchange: ProverExchange(prover))
            var settings = scene.settings
            settings.devIDPassword = SecretBytes("wrong".utf8)
            let error = await #expect(throws: NodeAttestationError.self) {
                try await TPMDevIDProver(settings, files: LocalFileSystem()).payload()
            }
            #expect("\(try #require(error))".hasSuffix(": a password is wrong"))
        }
    }

    @Test("A maker or an owner that is not trusted vouches for nothing")
    func authorities() async throws {
        try await scene { scene in
            let payload = try await scene.prover.payload()
            let stranger = try TestCA.devices("stranger").certificate
            let maker = try scene.tpm.maker
            for (settings, reason) in [
                (
                    TPMDevIDSettings(
                        devIDAuthorities: [scene.devices.certificate], endorsementAuthorities: [stranger]),
                    "the endorsement certificate: "
                ),
                (
                    TPMDevIDSettings(devIDAuthorities: [stranger], endorsementAuthorities: [maker]),
                    "the DevID certificate: "
                ),
                (
                    TPMDevIDSettings(devIDAuthorities: [maker], endorsementAuthorities: [maker]),
                    "the DevID certificate: "
                ),
                (TPMDevIDSettings(devIDAuthorities: [], endorsementAuthorities: []), "the DevID certificate: "),
            ] {
                await Self.expectRefusal(reason, by: TPMDevIDAttestor(settings), payload)
            }
        }
    }

    @Test("Certificates count while they are valid")
    func validity() async throws {
        try await scene { scene in
            let payload = try await scene.prover.payload()
            for instant in [1_400_000_000.0, 2_600_000_000] {
                await Self.expectRefusal(
                    "the DevID certificate: ", by: scene.attestor, payload,
                    NodeAttestationTests.context(now: Date(timeIntervalSince1970: instant)))
            }
        }
    }

    @Test("A DevID certificate for another key than the TPM's is of no use")
    func otherCertificate() async throws {
        try await scene { scene in
            var evidence = try await TPMDevIDMessages.Evidence(parsing: scene.prover.payload())
            let key = P256.Signing.PrivateKey()
            let certificate = try scene.devices.deviceCertificate(for: Certificate.PublicKey(key.publicKey))
            evidence.devIDCertificates = [try certificate.derBytes()]
            await Self.expectRefusal(
                "the DevID certificate is for another key than the TPM's", by: scene.attestor, evidence.message)
        }
    }

    @Test("A DevID key that may leave its TPM is refused")
    func movableKey() async throws {
        try await scene(attributes: "sign|sensitivedataorigin|userwithauth") { scene in
            await Self.expectRefusal(
                "the DevID key is not kept by its TPM as it must be", by: scene.attestor,
                try await scene.prover.payload())
        }
    }

    @Test("An answer is of no use twice, and neither half of it is of use alone")
    func replay() async throws {
        try await scene { scene in
            let prover = scene.prover
            let exchange = ProverExchange(prover)
            let payload = try await prover.payload()
            _ = try await scene.attestor.attest(payload, context: Self.context, exchange: exchange)
            let old = try #require(exchange.exchanged.first).answer
            await Self.expectRefusal(
                "the nonce is not signed by the DevID key", by: scene.attestor, payload, asked: true
            ) { _ in old }

            let second = scene.prover
            let evidence = try await second.payload()
            await Self.expectRefusal(
                "the nonce is not signed by the DevID key", by: scene.attestor, evidence, asked: true
            ) { (challenge) throws(NodeAttestationError) in
                var answer = try TPMDevIDMessages.Answer(parsing: await second.answer(to: challenge))
                answer.signature = try TPMDevIDMessages.Answer(parsing: old).signature
                return answer.message
            }
            let third = scene.prover
            let more = try await third.payload()
            await Self.expectRefusal("the TPM does not hold both keys", by: scene.attestor, more, asked: true) {
                (challenge) throws(NodeAttestationError) in
                var answer = try TPMDevIDMessages.Answer(parsing: await third.answer(to: challenge))
                answer.secret = try TPMDevIDMessages.Answer(parsing: old).secret
                return answer.message
            }
            // The prover itself answers once for each payload.
            let error = await #expect(throws: NodeAttestationError.self) {
                try await prover.answer(to: try #require(exchange.exchanged.first).challenge)
            }
            #expect(error == .exchange("a challenge came before it was asked for"))
        }
    }

    @Test("A key of one TPM does not get in with the endorsement of another")
    func otherTPM() async throws {
        try await scene { scene in
            try await TemporaryFolder.use { folder in
                let other = try await EmulatedTPM(in: folder)
                defer { other.stop() }
                let theirs = TPMDevIDProver(
                    try await other.makeDevID(.rsa, authority: scene.devices), files: LocalFileSystem())
                let attestor = TPMDevIDAttestor(
                    TPMDevIDSettings(
                        devIDAuthorities: [scene.devices.certificate],
                        endorsementAuthorities: [try scene.tpm.maker, try other.maker]))

                // The credential is made for one TPM, and the attestation key is in the other.
                for solver in [scene.prover, theirs] {
                    var evidence = try await TPMDevIDMessages.Evidence(parsing: scene.prover.payload())
                    let borrowed = try await TPMDevIDMessages.Evidence(parsing: theirs.payload())
                    if solver !== theirs {
                        // Its own keys must be the ones of the evidence.
                        evidence = try await TPMDevIDMessages.Evidence(parsing: solver.payload())
                    }
                    evidence.endorsementCertificate = borrowed.endorsementCertificate
                    evidence.endorsementPublic = borrowed.endorsementPublic
                    let error = await #expect(throws: NodeAttestationError.self) {
                        try await attestor.attest(
                            evidence.message, context: Self.context, exchange: ProverExchange(solver))
                    }
                    #expect("\(try #require(error))".contains("TPM2_ActivateCredential"))
                }

                // A statement of the other's attestation key is about the other's key.
                var evidence = try await TPMDevIDMessages.Evidence(parsing: scene.prover.payload())
                let borrowed = try await TPMDevIDMessages.Evidence(parsing: theirs.payload())
                evidence.attestationPublic = borrowed.attestationPublic
                await Self.expectRefusal(
                    "the TPM's statement is not signed by the attestation key", by: attestor, evidence.message)
                evidence.certification = borrowed.certification
                evidence.certificationSignature = borrowed.certificationSignature
                await Self.expectRefusal(
                    "the TPM's statement is about another key", by: attestor, evidence.message)
            }
        }
    }

    @Test("Keys in software that claim to be in a TPM do not get in, though the TPM beside them is genuine")
    func softwareKeys() async throws {
        try await scene { scene in
            let prover = scene.prover
            var evidence = try await TPMDevIDMessages.Evidence(parsing: prover.payload())
            let devID = try _RSA.Signing.PrivateKey(keySize: .bits2048)
            let attestationKey = try _RSA.Signing.PrivateKey(keySize: .bits2048)
            evidence.devIDPublic = try evidence.devIDPublic.withModulus(of: devID)
            evidence.attestationPublic = try evidence.attestationPublic.withModulus(of: attestationKey)
            evidence.devIDCertificates = [
                try scene.devices.deviceCertificate(for: Certificate.PublicKey(devID.publicKey)).derBytes()
            ]
            let name = try TPMPublicArea(parsing: evidence.devIDPublic).name
            evidence.certification = try evidence.certification.withName(name)
            evidence.certificationSignature =
                [0x00, 0x14, 0x00, 0x0B, 0x01, 0x00]
                + Array(
                    try attestationKey.signature(for: evidence.certification, padding: .insecurePKCS1v1_5)
                        .rawRepresentation)
            // All that can be judged without the TPM is sound; so the issuer asks, and the TPM does not open the credential.
            let exchange = ProverExchange { (challenge) throws(NodeAttestationError) in
                let asked = try TPMDevIDMessages.Challenge(parsing: challenge)
                let signature = try? devID.signature(for: asked.nonce, padding: .insecurePKCS1v1_5)
                #expect(signature != nil)
                var answer = try TPMDevIDMessages.Answer(parsing: await prover.answer(to: challenge))
                answer.signature = signature.map { Array($0.rawRepresentation) } ?? []
                return answer.message
            }
            let error = await #expect(throws: NodeAttestationError.self) {
                try await scene.attestor.attest(evidence.message, context: Self.context, exchange: exchange)
            }
            #expect("\(try #require(error))".contains("TPM2_ActivateCredential"))
            await Self.expectRefusal(
                "the TPM does not hold both keys", by: scene.attestor, evidence.message, asked: true
            ) { (challenge) throws(NodeAttestationError) in
                let asked = try TPMDevIDMessages.Challenge(parsing: challenge)
                let signature = try? devID.signature(for: asked.nonce, padding: .insecurePKCS1v1_5)
                return TPMDevIDMessages.Answer(
                    signature: signature.map { Array($0.rawRepresentation) } ?? [],
                    secret: [UInt8](repeating: 7, count: 32)
                ).message
            }
        }
    }

    @Test("Every part of the evidence counts: cut short or with any one bit changed, it does not get in")
    func spoiledEvidence() async throws {
        try await scene { scene in
            let prover = scene.prover
            let sound = try await TPMDevIDMessages.Evidence(parsing: prover.payload())
            let fields: [(name: String, path: WritableKeyPath<TPMDevIDMessages.Evidence, [UInt8]>)] = [
                ("DevIDCert", \.devIDCertificates[0]), ("DevIDPub", \.devIDPublic),
                ("EKCert", \.endorsementCertificate),
                ("EKPub", \.endorsementPublic), ("AKPub", \.attestationPublic), ("CertifiedDevID", \.certification),
                ("CertificationSignature", \.certificationSignature),
            ]
            for (name, path) in fields {
                let bytes = sound[keyPath: path]
                for length in [0, 1, 2, 9, bytes.count / 2, bytes.count - 1] {
                    var spoiled = sound
                    spoiled[keyPath: path] = Array(bytes.prefix(length))
                    await Self.expectRefusal(nil, by: scene.attestor, spoiled.message, note: "\(name) cut to \(length)")
                }
                var longer = sound
                longer[keyPath: path] = bytes + [0]
                await Self.expectRefusal(nil, by: scene.attestor, longer.message, note: "\(name) and more")
                var asked = 0
                for bit in 0..<bytes.count * 8 where bit < 256 || bit % 61 == 0 {
                    var spoiled = sound
                    spoiled[keyPath: path][bit / 8] ^= 1 << (bit % 8)
                    let exchange = ProverExchange { _ in TPMDevIDMessages.Answer(signature: [], secret: []).message }
                    await #expect(throws: NodeAttestationError.self, "\(name), bit \(bit)") {
                        try await scene.attestor.attest(spoiled.message, context: Self.context, exchange: exchange)
                    }
                    guard !exchange.exchanged.isEmpty else { continue }
                    asked += 1
                    // A TPM takes its time to make keys anew.
                    guard asked % 8 == 1 else { continue }
                    // What only the TPM can judge: what a key claims of itself is part of its name, and no credential
                    // for that name is opened. Of the endorsement key nothing counts but the key and its protection.
                    let restarted = scene.prover
                    let fresh = try await TPMDevIDMessages.Evidence(parsing: restarted.payload())
                    var again = fresh
                    again[keyPath: path][bit / 8] ^= 1 << (bit % 8)
                    let verdict = try? await scene.attestor.attest(
                        again.message, context: Self.context, exchange: ProverExchange(restarted))
                    #expect(
                        verdict == nil || name == "EKPub", "\(name), bit \(bit) was changed, and the node got in")
                }
                #expect(asked == 0 || ["AKPub", "EKPub"].contains(name), "\(name) is judged before the node is asked")
            }
        }
    }

    /// Expects evidence to be refused, for a reason when one is given, and before the node is asked unless it is said.
    private static func expectRefusal(
        _ reason: String?, by attestor: TPMDevIDAttestor, _ payload: [UInt8],
        _ context: NodeAttestationContext = context, note: String = "", asked: Bool = false,
        _ respond: @escaping @Sendable ([UInt8]) async throws(NodeAttestationError) -> [UInt8] = { _ in [] }
    ) async {
        let exchange = ProverExchange(respond)
        let error = await #expect(throws: NodeAttestationError.self, "\(note)") {
            try await attestor.attest(payload, context: context, exchange: exchange)
        }
        #expect(exchange.exchanged.isEmpty != asked, "\(note)")
        guard let reason, let error else { return }
        #expect("\(error)".hasPrefix("attestation refused: \(reason)"), "\(error)")
    }
}

extension [UInt8] {
    /// A public area of an RSA key with another key in it.
    fileprivate func withModulus(of key: _RSA.Signing.PrivateKey) throws -> [UInt8] {
        dropLast(256) + Array(try key.publicKey.getKeyPrimitives().modulus)
    }

    /// A TPM's statement about another key: the name comes before the empty or long name of its own kind at the end.
    fileprivate func withName(_ name: [UInt8]) throws -> [UInt8] {
        // Magic, kind, the signer's name, no data, the clock, the firmware; then two names of 34 bytes.
        let head = count - 2 * (2 + name.count)
        return prefix(head + 2) + name + suffix(2 + name.count)
    }
}
