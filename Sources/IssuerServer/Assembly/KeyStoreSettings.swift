internal import IssuerDomain
internal import KeyStore
internal import Logging
internal import Platform

/// Where an issuer keeps its signing keys.
package enum KeyStoreSettings: Hashable, Sendable {
    /// Nowhere: each start makes new ones, and what was signed before ends with its certificates.
    case memory
    /// In the folder of keys.
    case disk(secret: Secret?)
    /// In a token.
    case pkcs11(module: String, token: String, pinFile: String)

    /// What keys on disk are encrypted with.
    package enum Secret: Hashable, Sendable {
        case passphraseFile(String)
        case keyFile(String)

        package var path: String {
            switch self {
            case .passphraseFile(let path), .keyFile(let path): path
            }
        }
    }

    /// Opens the store; what lies there in plain and should not is encrypted first.
    func open(folder: String, files: any FileSystem, logger: Logger) async throws -> any SigningKeyStore {
        switch self {
        case .memory:
            logger.info("signing keys are kept in memory and end with this process")
            return MemoryKeyStore()
        case .disk(secret: nil): return try DiskKeyStore(folder: folder, files: files)
        case .disk(let secret?):
            let source: KeyEncryption.Source =
                switch secret {
                case .passphraseFile(let path): .passphraseFile(path)
                case .keyFile(let path): .keyFile(path)
                }
            let store = try DiskKeyStore(
                folder: folder, files: files, encryption: try KeyEncryption(source, files: files))
            let count = try await store.encryptPlainKeys()
            if count > 0 {
                logger.notice("signing keys that were in plain are encrypted now", metadata: ["count": "\(count)"])
            }
            return store
        case .pkcs11(let module, let token, let pinFile):
            return try PKCS11KeyStore(module: module, tokenLabel: token, pinFile: pinFile, files: files)
        }
    }
}
