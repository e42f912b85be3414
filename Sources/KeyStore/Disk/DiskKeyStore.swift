internal import Foundation
package import IssuerDomain
package import Platform
internal import Synchronization

/// Signing keys in a folder, one PKCS#8 file each, readable by their owner alone; encrypted when there is a secret.
package final class DiskKeyStore: SigningKeyStore {
    private let folder: String
    private let files: any FileSystem
    private let encryption: KeyEncryption?
    private let loaded = Mutex<[String: SoftwareSigningKey]>([:])

    private static let suffix = ".pk8"
    private static let maximumLength = 16 << 10

    /// Opens the folder, creating it where missing; one that others can reach into is refused, and so is one with a key
    /// that they can.
    ///
    /// - Parameters:
    ///   - folder: Where the keys are.
    ///   - files: How to reach them.
    ///   - encryption: What to encrypt them with; nil leaves them as they are.
    /// - Throws: ``FileSystemError``.
    package init(folder: String, files: any FileSystem, encryption: KeyEncryption? = nil) throws(FileSystemError) {
        self.folder = folder
        self.files = files
        self.encryption = encryption
        try files.createDirectory(folder, mode: 0o700)
        try files.requireOwn(folder)
        for name in try files.names(in: folder) where name.hasSuffix(Self.suffix) {
            try files.requireOwn("\(folder)/\(name)")
        }
    }

    package var outlivesProcess: Bool { true }

    /// Encrypts what is still in plain, one whole file at a time, and reads all others back.
    ///
    /// A crash leaves each key either as it was or encrypted. What a medium keeps of overwritten files is beyond this: who
    /// worries about that replaces the authorities, too.
    ///
    /// - Returns: How many were in plain.
    /// - Throws: ``KeyStoreError``, of the first key that cannot be read with this secret.
    package func encryptPlainKeys() async throws(KeyStoreError) -> Int {
        guard encryption != nil else { return 0 }
        var count = 0
        for name in try await names() where try load(name).wasPlain { count += 1 }
        do throws(FileSystemError) {
            // What a crash left behind while a key was written may be in plain as well.
            for name in try files.names(in: folder) where name.hasSuffix("\(Self.suffix).new") {
                try files.remove("\(folder)/\(name)")
            }
        } catch { throw .failed(detail: "\(error)") }
        return count
    }

    package func generate(_ name: String, type: SigningKeyType) async throws(KeyStoreError) -> any SigningKey {
        try KeyName.check(name)
        guard try await !names().contains(name) else { throw .failed(detail: "a key named '\(name)' exists already") }
        let key = try SoftwareSigningKey(generating: type)
        try write(key, name: name)
        loaded.withLock { $0[name] = key }
        return key
    }

    package func key(_ name: String) async throws(KeyStoreError) -> any SigningKey {
        if let key = loaded.withLock({ $0[name] }) { return key }
        try KeyName.check(name)
        let key = try load(name).key
        loaded.withLock { $0[name] = key }
        return key
    }

    package func names() async throws(KeyStoreError) -> [String] {
        do {
            return try files.names(in: folder).filter { $0.hasSuffix(Self.suffix) }
                .map { String($0.dropLast(Self.suffix.count)) }
        } catch { throw .failed(detail: "\(error)") }
    }

    package func delete(_ name: String) async throws(KeyStoreError) {
        try KeyName.check(name)
        do throws(FileSystemError) {
            try files.remove(path(of: name))
            // What a crash left behind while it was written.
            try files.remove("\(path(of: name)).new")
        } catch { throw .failed(detail: "\(error)") }
        loaded.withLock { $0[name] = nil }
    }

    private func load(_ name: String) throws(KeyStoreError) -> (key: SoftwareSigningKey, wasPlain: Bool) {
        let contents: [UInt8]?
        do { contents = try files.readSecret(path(of: name), limit: Self.maximumLength, privacy: .own) } catch {
            throw .failed(detail: error.advice)
        }
        guard let contents else { throw .missing(name: name) }
        if KeyEnvelope.isOne(contents) {
            guard let encryption else { throw .encrypted(name: name) }
            return (try KeyEnvelope.open(contents, name: name, with: encryption), false)
        }
        guard let key = SoftwareSigningKey(pkcs8: Data(contents)) else { throw .damaged(name: name) }
        if encryption != nil { try write(key, name: name) }
        return (key, true)
    }

    private func write(_ key: SoftwareSigningKey, name: String) throws(KeyStoreError) {
        let contents: [UInt8]
        if let encryption {
            var entropy = SystemEntropy()
            contents = try KeyEnvelope.seal(key, name: name, with: encryption, using: &entropy)
        } else {
            contents = Array(key.pkcs8)
        }
        do { try files.replace(path(of: name), with: contents, mode: 0o600) } catch {
            throw .failed(detail: "\(error)")
        }
    }

    /// The file of a name that was checked, or that the folder itself has.
    private func path(of name: String) -> String { "\(folder)/\(name)\(Self.suffix)" }
}
