import Foundation
import IssuerDomain
import KeyStore
import Platform
import SPIFFE
import TestSupport
import Testing
import X509

@Suite("Signing keys on disk")
struct DiskKeyStoreTests {
    @Test("A key of every type comes back after reopening as the same key", arguments: SigningKeyType.allCases)
    func survivesReopening(type: SigningKeyType) async throws {
        let files = MemoryFileSystem()
        let made = try await store(files).generate("x509-1", type: type)
        let read = try await store(files).key("x509-1")
        #expect(made.type == type)
        #expect(read.type == type)
        #expect(read.publicKeyDER == made.publicKeyDER)
        #expect(read.certificateKey.publicKey == made.certificateKey.publicKey)
    }

    @Test("A key of every type signs a certificate that verifies", arguments: SigningKeyType.allCases)
    func signsCertificates(type: SigningKeyType) async throws {
        let key = try await store().generate("x509-1", type: type)
        let start = Date(timeIntervalSince1970: 1_800_000_000)
        let certificate = try X509Authority.selfSigned(
            for: TrustDomain("example.org"), key: key, validity: start..<(start + 3600),
            serial: [UInt8](repeating: 7, count: 16))
        let read = try DERConcatenation.certificate(in: certificate.derBytes()[...])
        #expect(read.publicKey.isValidSignature(read.signature, for: read))
        let stranger = try await store().generate("x509-2", type: type)
        #expect(!stranger.certificateKey.publicKey.isValidSignature(read.signature, for: read))
    }

    @Test(
        "A key of every type makes JWS signatures of its own algorithm that verify", arguments: SigningKeyType.allCases)
    func signsTokens(type: SigningKeyType) async throws {
        let key = try await store().generate("jwt-1", type: type)
        let input = Data("header.claims".utf8)
        let signature = try key.jwsSignature(for: input)
        let verifier = try JWTVerificationKey(derRepresentation: key.publicKeyDER)
        #expect(verifier.isValidSignature(signature, for: input, algorithm: type.jwtAlgorithm))
        #expect(!verifier.isValidSignature(signature, for: Data("header.claimz".utf8), algorithm: type.jwtAlgorithm))
        let length = [SigningKeyType.ecP256: 64, .ecP384: 96, .rsa2048: 256, .rsa4096: 512][type]
        #expect(signature.count == length, "raw R and S for ECDSA, never DER")
    }

    @Test("Keys are readable by their owner alone, and so is their folder")
    func modes() async throws {
        try await TemporaryFolder.use { folder in
            let keys = "\(folder)/state/keys"
            let store = try DiskKeyStore(folder: keys, files: LocalFileSystem())
            _ = try await store.generate("x509-1", type: .ecP256)
            #expect(try mode(of: keys) == 0o700)
            #expect(try FileManager.default.contentsOfDirectory(atPath: keys) == ["x509-1.pk8"])
            #expect(try mode(of: "\(keys)/x509-1.pk8") == 0o600)
        }
    }

    @Test("Nothing is left of a deleted key, not even of one that a crash kept from being written whole")
    func deletesWhatACrashLeft() async throws {
        try await TemporaryFolder.use { folder in
            let store = try DiskKeyStore(folder: folder, files: LocalFileSystem())
            _ = try await store.generate("x509-1", type: .ecP256)
            for name in ["x509-1", "x509-2"] {
                try Data("half a key".utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name).pk8.new"))
                try await store.delete(name)
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }

    @Test("A folder or a key that others can reach is refused on opening, and used again once it is mended")
    func reachable() async throws {
        try await TemporaryFolder.use { folder in
            let keys = "\(folder)/keys"
            _ = try await DiskKeyStore(folder: keys, files: LocalFileSystem()).generate("x509-1", type: .ecP256)
            for (path, wrong, right) in [(keys, 0o750, 0o700), ("\(keys)/x509-1.pk8", 0o640, 0o600)] {
                try FileManager.default.setAttributes([.posixPermissions: wrong], ofItemAtPath: path)
                let error = #expect(throws: FileSystemError.self) {
                    try DiskKeyStore(folder: keys, files: LocalFileSystem())
                }
                #expect(error?.remedy?.contains("chmod \(String(right, radix: 8)) \(path)") == true)
                try FileManager.default.setAttributes([.posixPermissions: right], ofItemAtPath: path)
            }
            let store = try DiskKeyStore(folder: keys, files: LocalFileSystem())
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: "\(keys)/x509-1.pk8")
            let late = await #expect(throws: KeyStoreError.self, "also when it happens later") {
                try await store.key("x509-1")
            }
            #expect(late.map { "\($0)" }?.contains("chmod 600") == true)
        }
    }

    @Test("A link in place of the folder or of a key is refused")
    func links() async throws {
        try await TemporaryFolder.use { folder in
            _ = try await DiskKeyStore(folder: "\(folder)/real", files: LocalFileSystem())
                .generate("x509-1", type: .ecP256)
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/keys", withDestinationPath: "\(folder)/real")
            #expect(throws: FileSystemError.self) {
                try DiskKeyStore(folder: "\(folder)/keys", files: LocalFileSystem())
            }
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/real/x509-2.pk8", withDestinationPath: "\(folder)/real/x509-1.pk8")
            #expect(throws: FileSystemError.self) {
                try DiskKeyStore(folder: "\(folder)/real", files: LocalFileSystem())
            }
        }
    }

    @Test("A key that is not there is missing")
    func missing() async throws {
        await #expect(throws: KeyStoreError.missing(name: "x509-1")) { try await store().key("x509-1") }
    }

    @Test(
        "A file that is no key of a kind that authorities may have is damaged",
        arguments: [
            "", "MA==", "bm90IGEga2V5",
            // PKCS#8 of Ed25519, truncated PKCS#8 of P-256, and a bare SubjectPublicKeyInfo header.
            "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg", "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
        ])
    func damaged(base64: String) async throws {
        let files = MemoryFileSystem()
        let store = try store(files)
        files.place("/state/keys/x509-1.pk8", try #require(Data(base64Encoded: base64)))
        await #expect(throws: KeyStoreError.damaged(name: "x509-1")) { try await store.key("x509-1") }
        #expect(try await store.names() == ["x509-1"], "a damaged key is still named, never dropped silently")
    }

    @Test("A key cut off anywhere is damaged, not half used", arguments: [1, 10, 60, 100])
    func truncated(missing: Int) async throws {
        let files = MemoryFileSystem()
        _ = try await store(files).generate("x509-1", type: .ecP256)
        let whole = try #require(files.files["/state/keys/x509-1.pk8"]).bytes
        files.place("/state/keys/x509-1.pk8", whole.dropLast(missing))
        await #expect(throws: KeyStoreError.damaged(name: "x509-1")) { try await store(files).key("x509-1") }
    }

    @Test("A file too large to be a key is not read")
    func tooLarge() async throws {
        let files = MemoryFileSystem()
        let store = try store(files)
        files.place("/state/keys/x509-1.pk8", [UInt8](repeating: 0, count: 17 << 10))
        let error = await #expect(throws: KeyStoreError.self) { try await store.key("x509-1") }
        guard case .failed? = error else {
            Issue.record("expected a failure, got \(String(describing: error))")
            return
        }
    }

    @Test(
        "Names that could lead out of the folder are refused by every call, and nothing is written",
        arguments: [
            "../x", "a/b", "/etc/passwd", "..", ".", "", "a.b", "a b", "A", "ключ", "a\u{0}b",
            String(repeating: "a", count: 129),
        ])
    func hostileNames(name: String) async throws {
        let files = MemoryFileSystem()
        let store = try store(files)
        files.place("/state/victim.pk8", [1])
        await #expect(throws: KeyStoreError.missing(name: name)) { try await store.generate(name, type: .ecP256) }
        await #expect(throws: KeyStoreError.missing(name: name)) { try await store.key(name) }
        await #expect(throws: KeyStoreError.missing(name: name)) { try await store.delete(name) }
        #expect(Array(files.files.keys) == ["/state/victim.pk8"])
    }

    @Test("Names lists keys alone, not what a crash or a person left in the folder")
    func names() async throws {
        let files = MemoryFileSystem()
        let store = try store(files)
        for name in ["x509-2", "jwt-1"] { _ = try await store.generate(name, type: .ecP256) }
        files.place("/state/keys/x509-9.pk8.123.new", [1])
        files.place("/state/keys/README", [1])
        #expect(try await store.names() == ["jwt-1", "x509-2"])
    }

    @Test("A deleted key is gone from disk and from memory, and deleting it again is fine")
    func deletes() async throws {
        let files = MemoryFileSystem()
        let store = try store(files)
        _ = try await store.generate("x509-1", type: .ecP256)
        try await store.delete("x509-1")
        try await store.delete("x509-1")
        #expect(files.files.isEmpty)
        await #expect(throws: KeyStoreError.missing(name: "x509-1")) { try await store.key("x509-1") }
    }

    @Test("A key that cannot be written is not handed out, now or later")
    func fullDisk() async throws {
        let files = MemoryFileSystem()
        let store = try store(files)
        files.fail(.replace)
        let error = await #expect(throws: KeyStoreError.self) { try await store.generate("x509-1", type: .ecP256) }
        guard case .failed? = error else {
            Issue.record("expected a failure, got \(String(describing: error))")
            return
        }
        files.heal(.replace)
        await #expect(throws: KeyStoreError.missing(name: "x509-1")) { try await store.key("x509-1") }
    }

    @Test("A folder that cannot be made is an error when the store is opened")
    func noFolder() {
        let files = MemoryFileSystem()
        files.fail(.createDirectory)
        #expect(throws: FileSystemError.self) { try store(files) }
    }

    @Test("Nothing written about a key shows any of it", arguments: SigningKeyType.allCases)
    func redacted(type: SigningKeyType) async throws {
        let files = MemoryFileSystem()
        let store = try store(files)
        let key = try await store.generate("x509-1", type: type)
        let secret = try #require(files.files["/state/keys/x509-1.pk8"]).bytes
        var dumped = ""
        dump(key, to: &dumped)
        dump(store, to: &dumped)
        dump(["nested": [key]], to: &dumped)
        for text in ["\(key)", String(reflecting: key), "\(store)", String(reflecting: store), dumped] {
            #expect(!text.isEmpty)
            for spelling in spellings(of: secret) { #expect(!text.contains(spelling)) }
        }
        #expect("\(key)" == "SoftwareSigningKey(\(type.rawValue), <redacted>)")
        #expect(String(reflecting: key) == "\(key)")
        #expect(Mirror(reflecting: key).children.isEmpty)
    }

    @Test("Errors name the key and never show it")
    func errorTexts() {
        let texts = [KeyStoreError.missing(name: "k"), .damaged(name: "k"), .failed(detail: "d")].map { "\($0)" }
        #expect(texts == ["signing key 'k' is missing", "signing key 'k' cannot be read back", "key store: d"])
    }

    /// Ways in which 16 bytes of a key could show up.
    private func spellings(of secret: [UInt8]) -> [String] {
        stride(from: 24, to: secret.count - 16, by: 16).flatMap { start in
            let piece = Array(secret[start..<(start + 15)])
            return [
                Hex.encode(piece), Data(piece).base64EncodedString(), Base64URL.encode(piece),
                piece.map { "\($0)" }.joined(separator: ", "),
            ]
        }
    }

    private func store(_ files: MemoryFileSystem = MemoryFileSystem()) throws -> DiskKeyStore {
        try DiskKeyStore(folder: "/state/keys", files: files)
    }

    private func mode(of path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }
}
