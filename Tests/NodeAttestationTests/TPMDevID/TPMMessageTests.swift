import NodeAttestation
import Platform
import SPIFFE
import TestSupport
import Testing

@Suite("Messages of tpm_devid")
struct TPMMessageTests {
    @Test("They are spelled as SPIRE's agents and servers spell them")
    func spelling() throws {
        let evidence = TPMDevIDMessages.Evidence(
            devIDCertificates: [[1], [2]], devIDPublic: [3], endorsementCertificate: [4], endorsementPublic: [5],
            attestationPublic: [6], certification: [7], certificationSignature: [8])
        let payload = """
            {"DevIDCert":["AQ==","Ag=="],"DevIDPub":"Aw==","EKCert":"BA==","EKPub":"BQ==","AKPub":"Bg==",\
            "CertifiedDevID":"Bw==","CertificationSignature":"CA=="}
            """
        #expect(String(decoding: evidence.message, as: UTF8.self) == payload)
        #expect(try TPMDevIDMessages.Evidence(parsing: Array(payload.utf8)) == evidence)

        let challenge = TPMDevIDMessages.Challenge(
            nonce: [1], credential: TPMCredential(blob: [2], encryptedSeed: [3]))
        let question = #"{"DevID":"AQ==","CredActivation":{"Credential":"Ag==","Secret":"Aw=="}}"#
        #expect(String(decoding: challenge.message, as: UTF8.self) == question)
        #expect(try TPMDevIDMessages.Challenge(parsing: Array(question.utf8)) == challenge)

        let answer = TPMDevIDMessages.Answer(signature: [1], secret: [2])
        #expect(String(decoding: answer.message, as: UTF8.self) == #"{"DevID":"AQ==","CredActivation":"Ag=="}"#)
        #expect(try TPMDevIDMessages.Answer(parsing: answer.message) == answer)
    }

    @Test(
        "Anything else is refused before it is judged",
        arguments: [
            "", "[]", "{}", #"{"DevIDCert":null}"#, #"{"DevIDCert":["AQ"]}"#, #"{"DevIDCert":"AQ=="}"#,
            #"{"DevIDCert":[],"DevIDPub":"","EKCert":"","EKPub":"","AKPub":"","CertifiedDevID":"","CertificationSignature":""}"#,
            #"{"DevIDCert":["AQ=="],"DevIDPub":"","EKCert":"","EKPub":"","AKPub":"","CertifiedDevID":"","CertificationSignature":""}"#,
            #"{"DevIDCert":["","","","","",""],"DevIDPub":"","EKCert":"","EKPub":"","AKPub":"","CertifiedDevID":"","CertificationSignature":""}"#,
            #"{"DevIDCert":["AQ=="],"DevIDCert":["AQ=="]}"#,
        ])
    func malformed(_ payload: String) async throws {
        let attestor = TPMDevIDAttestor(TPMDevIDSettings(devIDAuthorities: [], endorsementAuthorities: []))
        let exchange = ProverExchange { _ in [] }
        let error = await #expect(throws: NodeAttestationError.self) {
            try await attestor.attest(
                Array(payload.utf8), context: NodeAttestationTests.context(now: CertificateRecipe.now),
                exchange: exchange)
        }
        guard case .malformed? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(exchange.exchanged.isEmpty)
    }

    @Test("The one TPM of a machine is found, the one behind the resource manager first")
    func search() throws {
        let files = MemoryFileSystem(folders: ["/dev"])
        func path() -> Result<String, NodeAttestationError> {
            Result { () throws(NodeAttestationError) in try TPMDeviceSearch.path(files) }
        }
        #expect(path() == .failure(.unavailable("there is no TPM at /dev/tpmrm0 or /dev/tpm0")))
        for name in ["tpmrm", "tpm", "tpmx", "tpm0.old", "null"] { files.place("/dev/\(name)", []) }
        #expect(path() == .failure(.unavailable("there is no TPM at /dev/tpmrm0 or /dev/tpm0")))
        files.place("/dev/tpm0", [])
        #expect(path() == .success("/dev/tpm0"))
        files.place("/dev/tpm1", [])
        #expect(path() == .failure(.unavailable("there is more than one TPM; say which one to use")))
        files.place("/dev/tpmrm1", [])
        #expect(path() == .success("/dev/tpmrm1"))
        files.fail(.names)
        #expect(throws: NodeAttestationError.self) { try TPMDeviceSearch.path(files) }
    }

    @Test("A node whose files are missing or are something else says which")
    func files() async throws {
        let files = MemoryFileSystem()
        let settings = TPMDevIDProverSettings(
            certificatePath: "/devid.pem", privatePath: "/devid.priv", publicPath: "/devid.pub", devicePath: "/none")
        func reason() async -> String {
            let error = await #expect(throws: NodeAttestationError.self) {
                try await TPMDevIDProver(settings, files: files).payload()
            }
            return error?.description ?? ""
        }
        #expect(await reason() == "attestation is not possible: no file at /devid.pem")
        files.place("/devid.pem", "nothing".utf8)
        #expect(await reason() == "attestation is not possible: /devid.pem holds no certificate in PEM")
        files.place("/devid.pem", try TestCA().certificate.pemText().utf8)
        #expect(await reason() == "attestation is not possible: no file at /devid.pub")
        files.place("/devid.pub", [1, 2, 3])
        #expect(await reason().hasPrefix("attestation is not possible: /devid.pub is not the public area of a key: "))
    }
}
