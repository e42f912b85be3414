import CPKCS11
import Foundation
import IssuerDomain
import KeyStore
import Platform
import SPIFFE
import TestSupport
import Testing
import X509

@Suite("Signing keys in a token", .enabled(if: SoftHSM.isInstalled, SoftHSM.needed))
struct PKCS11KeyStoreTests {
    @Test(
        "A key of every type signs certificates and tokens, and is there again after login",
        arguments: SigningKeyType.allCases)
    func signs(type: SigningKeyType) async throws {
        let token = try SoftHSM.makeToken()
        let made = try await store(token).generate("x509-1", type: type)
        let key = try await store(token).key("x509-1")
        #expect(made.type == type)
        #expect(key.type == type)
        #expect(key.publicKeyDER == made.publicKeyDER)
        #expect(key.certificateKey.publicKey == made.certificateKey.publicKey)
        let start = Date(timeIntervalSince1970: 1_800_000_000)
        let certificate = try X509Authority.selfSigned(
            for: TrustDomain("example.org"), key: key, validity: start..<(start + 3600),
            serial: [UInt8](repeating: 7, count: 16))
        let read = try DERConcatenation.certificate(in: certificate.derBytes()[...])
        #expect(read.publicKey.isValidSignature(read.signature, for: read))
        let input = Data("header.claims".utf8)
        let signature = try key.jwsSignature(for: input)
        let verifier = try JWTVerificationKey(derRepresentation: key.publicKeyDER)
        #expect(verifier.isValidSignature(signature, for: input, algorithm: type.jwtAlgorithm))
        #expect(!verifier.isValidSignature(signature, for: Data("header.claimz".utf8), algorithm: type.jwtAlgorithm))
    }

    @Test(
        "The token made the key and never lets it out",
        .enabled(if: SoftHSM.hasExaminer, SoftHSM.neededExaminer), arguments: [SigningKeyType.ecP256, .rsa2048])
    func staysInside(type: SigningKeyType) async throws {
        let token = try SoftHSM.makeToken()
        _ = try await store(token).generate("x509-1", type: type)
        let listing = try SoftHSM.examine(token, "--list-objects", "--type", "privkey")
        #expect(listing.contains("label:      mintmark:x509-1"))
        #expect(listing.contains("Access:     sensitive, always sensitive, never extractable, local"))
        #expect(listing.components(separatedBy: "Private Key Object").count == 2)
    }

    @Test(
        "A key that the token would let out is not used, whoever put it there",
        .enabled(if: SoftHSM.hasExaminer, SoftHSM.neededExaminer))
    func extractable() async throws {
        let token = try SoftHSM.makeToken()
        _ = try SoftHSM.examine(
            token, "--keypairgen", "--key-type", "EC:prime256v1", "--label", "mintmark:x509-1", "--extractable")
        let error = await #expect(throws: KeyStoreError.self) { try await store(token).key("x509-1") }
        #expect(error == .failed(detail: "the token would let key 'x509-1' out, or has done so"))
    }

    @Test(
        "A public key of another private one is noticed", .enabled(if: SoftHSM.hasExaminer, SoftHSM.neededExaminer))
    func mismatched() async throws {
        let token = try SoftHSM.makeToken()
        let store = try store(token)
        _ = try await store.generate("x509-1", type: .ecP256)
        try TemporaryFolder.use { folder in
            let file = "\(folder)/other.der"
            try SoftwareSigningKey(generating: .ecP256).publicKeyDER.write(to: URL(fileURLWithPath: file))
            _ = try SoftHSM.examine(token, "--delete-object", "--type", "pubkey", "--label", "mintmark:x509-1")
            _ = try SoftHSM.examine(
                token, "--write-object", file, "--type", "pubkey", "--label", "mintmark:x509-1")
        }
        await #expect(throws: KeyStoreError.damaged(name: "x509-1")) { try await store.key("x509-1") }
        _ = try SoftHSM.examine(token, "--delete-object", "--type", "pubkey", "--label", "mintmark:x509-1")
        await #expect(throws: KeyStoreError.damaged(name: "x509-1")) { try await store.key("x509-1") }
    }

    @Test("Names lists this server's keys alone, and a deleted key is gone, both halves")
    func namesAndDeletion() async throws {
        let token = try SoftHSM.makeToken()
        let store = try store(token)
        for name in ["x509-2", "jwt-1"] { _ = try await store.generate(name, type: .ecP256) }
        #expect(try await store.names() == ["jwt-1", "x509-2"])
        await #expect(throws: KeyStoreError.failed(detail: "a key named 'jwt-1' exists already")) {
            try await store.generate("jwt-1", type: .ecP256)
        }
        let held = try await store.key("jwt-1")
        try await store.delete("jwt-1")
        try await store.delete("jwt-1")
        #expect(try await store.names() == ["x509-2"])
        await #expect(throws: KeyStoreError.missing(name: "jwt-1")) { try await store.key("jwt-1") }
        #expect(throws: KeyStoreError.missing(name: "jwt-1")) { try held.jwsSignature(for: Data()) }
        let again = try await store.generate("jwt-1", type: .ecP384)
        #expect(again.type == .ecP384)
        await #expect(throws: KeyStoreError.missing(name: "../x")) { try await store.key("../x") }
    }

    @Test("After the token was reset, the same key goes on signing")
    func reset() async throws {
        let token = try SoftHSM.makeToken()
        let store = try store(token)
        let key = try await store.generate("x509-1", type: .ecP256)
        let verifier = try JWTVerificationKey(derRepresentation: key.publicKeyDER)
        for _ in 0..<3 {
            try closeAllSessions(ofToken: token)
            let input = Data("after a reset".utf8)
            let signature = try key.jwsSignature(for: input)
            #expect(verifier.isValidSignature(signature, for: input, algorithm: .es256))
        }
        try closeAllSessions(ofToken: token)
        #expect(try await store.names() == ["x509-1"])
    }

    @Test("A login that somebody ended is not taken for a token without keys")
    func loggedOut() async throws {
        let token = try SoftHSM.makeToken()
        let store = try store(token)
        let made = try await store.generate("x509-1", type: .ecP256)
        // A failed call gives up its session, and with the last session goes the login.
        await #expect(throws: KeyStoreError.missing(name: "none")) { try await store.key("none") }
        #expect(try await store.names() == ["x509-1"])
        await #expect(throws: KeyStoreError.failed(detail: "a key named 'x509-1' exists already")) {
            try await store.generate("x509-1", type: .ecP256)
        }
        #expect(try await store.key("x509-1").publicKeyDER == made.publicKeyDER)
    }

    @Test("Many callers at once each get a signature of their own")
    func concurrency() async throws {
        let token = try SoftHSM.makeToken()
        let key = try await store(token).generate("x509-1", type: .ecP256)
        let verifier = try JWTVerificationKey(derRepresentation: key.publicKeyDER)
        let bad = try await withThrowingTaskGroup(of: Int.self) { group in
            for caller in 0..<8 {
                group.addTask {
                    var bad = 0
                    for number in 0..<50 {
                        let input = Data("\(caller) \(number)".utf8)
                        let signature = try key.jwsSignature(for: input)
                        if !verifier.isValidSignature(signature, for: input, algorithm: .es256) { bad += 1 }
                    }
                    return bad
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(bad == 0)
    }

    @Test("A wrong PIN is shown to the token once, and tried again only when the file says another")
    func wrongPIN() async throws {
        let token = try SoftHSM.makeToken()
        let files = pinFile()
        let key = try await store(token, files).generate("x509-1", type: .ecP256)
        files.place("/pin", Array("161803\n".utf8))
        try closeAllSessions(ofToken: token)
        #expect(throws: KeyStoreError.loginRefused(detail: "the PIN is wrong")) { try key.jwsSignature(for: Data()) }
        for _ in 0..<20 {
            #expect(
                throws: KeyStoreError.loginRefused(detail: "the PIN in /pin was refused before and has not changed")
            ) { try key.jwsSignature(for: Data()) }
        }
        files.place("/pin", Array(SoftHSM.pin.utf8))
        #expect(try key.jwsSignature(for: Data()).count == 64)
        files.place("/pin", Array("161803".utf8))
        try closeAllSessions(ofToken: token)
        #expect(throws: KeyStoreError.loginRefused(detail: "the PIN is wrong")) { try store(token, files) }
    }

    @Test("What is missing at the start is named")
    func missing() throws {
        let token = try SoftHSM.makeToken()
        let files = pinFile()
        files.place("/empty", Array("\n".utf8))
        let module = try #require(SoftHSM.module)
        for (module, label, pin, text) in [
            (module, "nobody", "/pin", "there is no token with the label 'nobody'"),
            (module, token, "/none", "there is no PIN file /none"),
            (module, token, "/empty", "the PIN file /empty is empty"),
            ("/nowhere/module.so", token, "/pin", "PKCS #11 module /nowhere/module.so: "),
            ("/lib/x86_64-linux-gnu/libm.so.6", token, "/pin", "PKCS #11 module /lib/x86_64-linux-gnu/libm.so.6: "),
        ] {
            let error = #expect(throws: KeyStoreError.self) {
                try PKCS11KeyStore(module: module, tokenLabel: label, pinFile: pin, files: files)
            }
            #expect("\(error.map { "\($0)" } ?? "")".contains(text))
        }
    }

    @Test("Nothing written about a key or its store shows the PIN")
    func redacted() async throws {
        let token = try SoftHSM.makeToken()
        let store = try store(token)
        let key = try await store.generate("x509-1", type: .ecP256)
        var dumped = ""
        dump(key, to: &dumped)
        dump(store, to: &dumped)
        for text in ["\(key)", "\(store)", dumped] {
            #expect(!text.contains(SoftHSM.pin))
            #expect(!text.contains(SoftHSM.pin.utf8.map { "\($0)" }.joined(separator: ", ")))
        }
        #expect("\(key)" == "TokenSigningKey(x509-1, ec-p256)")
    }

    @Test("A key in a token cannot be written down as PEM")
    func noPEM() async throws {
        let key = try await store(SoftHSM.makeToken()).generate("x509-1", type: .ecP256)
        #expect(throws: KeyStoreError.self) { try key.certificateKey.serializeAsPEM() }
    }

    private func pinFile() -> MemoryFileSystem {
        let files = MemoryFileSystem()
        files.place("/pin", Array("\(SoftHSM.pin)\n".utf8))
        return files
    }

    private func store(_ token: String, _ files: MemoryFileSystem? = nil) throws -> PKCS11KeyStore {
        try PKCS11KeyStore(
            module: try #require(SoftHSM.module), tokenLabel: token, pinFile: "/pin", files: files ?? pinFile())
    }

    /// Ends every session and login of this process with a token, as pulling it does.
    private func closeAllSessions(ofToken label: String) throws {
        var reason = [CChar](repeating: 0, count: 256)
        let module = try #require(mintmark_pkcs11_load(SoftHSM.module, &reason, reason.count))
        var slots = [CK_SLOT_ID](repeating: 0, count: 256)
        var count = CK_ULONG(slots.count)
        try #require(mintmark_pkcs11_slots(module, &slots, &count) == CKR_OK)
        let slot = try #require(
            slots.prefix(Int(count)).first { slot in
                var bytes = [UInt8](repeating: 0, count: 32)
                return mintmark_pkcs11_label(module, slot, &bytes) == CKR_OK
                    && bytes.starts(with: Array("\(label) ".utf8))
            })
        try #require(mintmark_pkcs11_close_all(module, slot) == CKR_OK)
    }
}
