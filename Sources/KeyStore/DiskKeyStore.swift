internal import Foundation
package import IssuerDomain
package import Platform
internal import Synchronization

/// Signing keys in a folder, one PKCS#8 file each, readable by their owner alone.
package final class DiskKeyStore: SigningKeyStore {
    private let folder: String
    private let files: any FileSystem
    private let loaded = Mutex<[String: SoftwareSigningKey]>([:])

    private static let suffix = ".pk8"
    private static let maximumLength = 16 << 10

    /// Opens the folder, creating it where missing.
    ///
    /// - Parameters:
    ///   - folder: Where the keys are.
    ///   - files: How to reach them.
    /// - Throws: ``FileSystemError``.
    package init(folder: String, files: any FileSystem) throws(FileSystemError) {
        self.folder = folder
        self.files = files
        try files.createDirectory(folder, mode: 0o700)
    }

    package func generate(_ name: String, type: SigningKeyType) async throws(KeyStoreError) -> any SigningKey {
        let path = try path(of: name)
        guard try await !names().contains(name) else { throw .failed(detail: "a key named '\(name)' exists already") }
        let key = try SoftwareSigningKey(generating: type)
        do { try files.replace(path, with: Array(key.pkcs8), mode: 0o600) } catch { throw .failed(detail: "\(error)") }
        loaded.withLock { $0[name] = key }
        return key
    }

    package func key(_ name: String) async throws(KeyStoreError) -> any SigningKey {
        if let key = loaded.withLock({ $0[name] }) { return key }
        let path = try path(of: name)
        let contents: [UInt8]?
        do { contents = try files.read(path, limit: Self.maximumLength) } catch { throw .failed(detail: "\(error)") }
        guard let contents else { throw .missing(name: name) }
        guard let key = SoftwareSigningKey(pkcs8: Data(contents)) else { throw .damaged(name: name) }
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
        let path = try path(of: name)
        do { try files.remove(path) } catch { throw .failed(detail: "\(error)") }
        loaded.withLock { $0[name] = nil }
    }

    private func path(of name: String) throws(KeyStoreError) -> String {
        let allowed = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
        }
        guard allowed, (1...128).contains(name.utf8.count) else { throw .missing(name: name) }
        return "\(folder)/\(name)\(Self.suffix)"
    }
}
