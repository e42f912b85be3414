import Foundation
import IssuerDomain
import KeyStore
import Platform
import TestSupport
import Testing

@Suite("Encrypted keys on disk")
struct KeyEncryptionTests {
    private let path = "/state/keys/x509-1.pk8"

    @Test("A key of every type comes back with the same passphrase", arguments: SigningKeyType.allCases)
    func comesBack(type: SigningKeyType) async throws {
        let files = self.files()
        let made = try await store(files).generate("x509-1", type: type)
        let file = try #require(files.files[path])
        #expect(file.mode == 0o600)
        #expect(file.bytes.starts(with: Array("MMKEY".utf8)))
        let read = try await store(files).key("x509-1")
        #expect(read.type == type)
        #expect(read.publicKeyDER == made.publicKeyDER)
    }

    @Test("Two envelopes of one key have nothing in common but what they say about themselves")
    func fresh() async throws {
        let files = self.files()
        _ = try await DiskKeyStore(folder: "/state/keys", files: files).generate("x509-1", type: .ecP256)
        let plain = try #require(files.files[path]).bytes
        var sealed: [[UInt8]] = []
        for _ in 0..<2 {
            files.place(path, plain)
            #expect(try await store(files).encryptPlainKeys() == 1)
            sealed.append(try #require(files.files[path]).bytes)
        }
        #expect(sealed[0].prefix(12) == sealed[1].prefix(12))
        #expect(sealed[0][12..<28] != sealed[1][12..<28], "the salt")
        #expect(sealed[0].suffix(100) != sealed[1].suffix(100), "the ciphertext")
        for bytes in sealed {
            #expect(bytes.count == plain.count + 45 + 12 + 16)
            #expect(!contains(bytes, piece: Array(plain[40..<56])), "no part of the key is in plain")
        }
    }

    @Test("Another passphrase is called what it is, and so is none")
    func wrongPassphrase() async throws {
        let files = self.files()
        _ = try await store(files).generate("x509-1", type: .ecP256)
        files.place("/secret", Array("another long passphrase\n".utf8))
        await #expect(throws: KeyStoreError.wrongSecret(name: "x509-1")) { try await store(files).key("x509-1") }
        await #expect(throws: KeyStoreError.wrongSecret(name: "x509-1")) {
            try await store(files).encryptPlainKeys()
        }
        let unlocked = try DiskKeyStore(folder: "/state/keys", files: files)
        await #expect(throws: KeyStoreError.encrypted(name: "x509-1")) { try await unlocked.key("x509-1") }
        let withKeyFile = try store(files, .keyFile("/random"))
        await #expect(throws: KeyStoreError.wrongSecret(name: "x509-1")) { try await withKeyFile.key("x509-1") }
    }

    @Test("The line end after a passphrase does not count", arguments: ["", "\n", "\r\n"])
    func lineEnd(end: String) async throws {
        let files = self.files()
        _ = try await store(files).generate("x509-1", type: .ecP256)
        files.place("/secret", Array("correct horse battery staple\(end)".utf8))
        #expect(try await store(files).key("x509-1").type == .ecP256)
    }

    @Test(
        "A secret that others can read protects nothing and is refused", arguments: [0o644, 0o660, 0o602] as [UInt32])
    func readableSecret(mode: UInt32) {
        let files = self.files()
        files.place("/secret", Array("correct horse battery staple".utf8), mode: mode)
        let error = #expect(throws: KeyStoreError.self) { try KeyEncryption(.passphraseFile("/secret"), files: files) }
        #expect(error.map { "\($0)" }?.contains("chmod 600 /secret") == true)
    }

    @Test("Keys in plain are encrypted when the store is first opened with a secret, and stay the same keys")
    func migration() async throws {
        let files = self.files()
        let plain = try DiskKeyStore(folder: "/state/keys", files: files)
        let made = try await plain.generate("x509-1", type: .ecP256)
        let other = try await plain.generate("jwt-1", type: .rsa2048)
        let contents = files.files.mapValues(\.bytes)
        files.place("/state/keys/x509-2.pk8.new", contents[path] ?? [])
        let encrypted = try store(files)
        #expect(try await encrypted.encryptPlainKeys() == 2)
        #expect(files.files["/state/keys/x509-2.pk8.new"] == nil, "what a crash left behind may be in plain too")
        for (path, before) in contents where path.hasSuffix(".pk8") {
            let after = try #require(files.files[path]).bytes
            #expect(after.starts(with: Array("MMKEY".utf8)))
            #expect(!contains(after, piece: Array(before[40..<56])))
        }
        #expect(try await store(files).key("x509-1").publicKeyDER == made.publicKeyDER)
        #expect(try await store(files).key("jwt-1").publicKeyDER == other.publicKeyDER)
        #expect(try await store(files).encryptPlainKeys() == 0)
    }

    @Test("A disk that fills up in between leaves every key readable, encrypted or not, and the next start goes on")
    func interruptedMigration() async throws {
        let files = self.files()
        let plain = try DiskKeyStore(folder: "/state/keys", files: files)
        var made: [String: Data] = [:]
        for name in ["a", "b", "c"] { made[name] = try await plain.generate(name, type: .ecP256).publicKeyDER }
        files.fail(.replace, at: "/state/keys/b.pk8")
        await #expect(throws: KeyStoreError.self) { try await store(files).encryptPlainKeys() }
        let isSealed = ["a", "b", "c"].map { name in
            files.files["/state/keys/\(name).pk8"]?.bytes.starts(with: Array("MMKEY".utf8))
        }
        #expect(isSealed == [true, false, false])
        files.heal(.replace)
        let opened = try store(files)
        #expect(try await opened.encryptPlainKeys() == 2)
        for (name, key) in made { #expect(try await opened.key(name).publicKeyDER == key) }
    }

    @Test("A key put under another name is damaged, and so is one with any byte changed or cut off")
    func tampering() async throws {
        let files = self.files()
        _ = try await store(files, .keyFile("/random")).generate("x509-1", type: .ecP256)
        let whole = try #require(files.files[path]).bytes
        files.place("/state/keys/x509-2.pk8", whole)
        await #expect(throws: KeyStoreError.damaged(name: "x509-2")) {
            try await store(files, .keyFile("/random")).key("x509-2")
        }
        let opened = try store(files, .keyFile("/random"))
        for position in whole.indices {
            var changed = whole
            changed[position] ^= 1
            files.place(path, changed)
            let error = await #expect(throws: KeyStoreError.self) { try await opened.key("x509-1") }
            #expect(
                error == .damaged(name: "x509-1") || error == .wrongSecret(name: "x509-1"), "byte \(position)")
            files.place(path, Array(whole[..<position]))
            await #expect(throws: KeyStoreError.self) { try await opened.key("x509-1") }
        }
        files.place(path, whole)
        #expect(try await opened.key("x509-1").type == .ecP256)
    }

    @Test(
        "Parameters that would cost more than a start is worth are not tried",
        arguments: [
            [1, 31, 8, 1], [1, 19, 8, 1], [1, 9, 8, 1], [1, 10, 9, 1], [1, 10, 8, 0], [1, 10, 8, 5], [3, 0, 0, 0],
        ]
            as [[UInt8]])
    func bounds(parameters: [UInt8]) async throws {
        let files = self.files()
        _ = try await store(files).generate("x509-1", type: .ecP256)
        var changed = try #require(files.files[path]).bytes
        changed.replaceSubrange(8..<12, with: parameters)
        files.place(path, changed)
        await #expect(throws: KeyStoreError.damaged(name: "x509-1")) { try await store(files).key("x509-1") }
    }

    @Test("A secret that protects nothing is refused before a key is touched")
    func weakSecrets() throws {
        let files = self.files()
        files.place("/short", Array("elevenchars\n".utf8))
        files.place("/few", [UInt8](repeating: 1, count: 31))
        files.place("/long", [UInt8](repeating: 97, count: 5000))
        for source in [
            KeyEncryption.Source.passphraseFile("/short"), .keyFile("/few"), .passphraseFile("/none"),
            .passphraseFile("/long"),
        ] {
            let error = #expect(throws: KeyStoreError.self) { try KeyEncryption(source, files: files) }
            #expect("\(error.map { "\($0)" } ?? "")".contains(source.path))
            #expect(!"\(error.map { "\($0)" } ?? "")".contains("elevenchars"))
        }
    }

    @Test("What is written down about the store shows nothing of the secret")
    func redacted() async throws {
        let files = self.files()
        let encryption = try KeyEncryption(.passphraseFile("/secret"), files: files, cost: 10)
        var dumped = ""
        dump(encryption, to: &dumped)
        dump(try DiskKeyStore(folder: "/state/keys", files: files, encryption: encryption), to: &dumped)
        #expect(!dumped.contains("horse"))
        #expect(!dumped.contains(Hex.encode(Array("horse".utf8))))
        #expect(!dumped.contains("99, 111, 114, 114"))
    }

    private func files() -> MemoryFileSystem {
        let files = MemoryFileSystem()
        files.place("/secret", Array("correct horse battery staple\n".utf8))
        files.place("/random", (0..<32).map { UInt8($0) })
        return files
    }

    private func store(
        _ files: MemoryFileSystem, _ source: KeyEncryption.Source = .passphraseFile("/secret")
    ) throws -> DiskKeyStore {
        try DiskKeyStore(
            folder: "/state/keys", files: files, encryption: try KeyEncryption(source, files: files, cost: 10))
    }

    private func contains(_ bytes: [UInt8], piece: [UInt8]) -> Bool {
        Data(bytes).range(of: Data(piece)) != nil
    }
}
