internal import Crypto
internal import CryptoExtras
package import IssuerDomain
package import Platform
internal import Synchronization

/// What private keys on disk are encrypted with: keys derived from one secret that is kept elsewhere.
package final class KeyEncryption: Sendable {
    /// Where the secret is.
    package enum Source: Hashable, Sendable {
        /// A file with a passphrase that a person chose, on one line.
        case passphraseFile(String)
        /// A file with random bytes.
        case keyFile(String)

        package var path: String {
            switch self {
            case .passphraseFile(let path), .keyFile(let path): path
            }
        }
    }

    /// How a key is derived from the secret; written beside what it encrypts.
    struct Derivation: Hashable {
        enum Function: Hashable {
            /// RFC 7914, for passphrases; `cost` is the binary logarithm of N.
            case scrypt(cost: Int, blockSize: Int, parallelism: Int)
            /// RFC 5869 over SHA-256, for secrets that are random already.
            case hkdf
        }

        static let saltLength = 16

        let function: Function
        let salt: [UInt8]
    }

    /// A key, and what tells the right secret from a wrong one without touching what is encrypted.
    struct Derived {
        static let checkLength = 16

        let key: SymmetricKey
        let check: [UInt8]
    }

    /// A passphrase shorter than this falls to guessing, whatever it costs to try one.
    package static let shortestPassphrase = 12
    package static let shortestKeyFile = 32
    private static let longestSecret = 4096

    /// 128 MiB for each guess.
    package static let defaultCost = 17

    private let secret: SecretBytes
    private let function: Derivation.Function
    /// Deriving is slow on purpose, so it is done once for each salt.
    private let derived = Mutex<[Derivation: Derived]>([:])
    /// What this process encrypts with.
    private let current = Mutex<Derivation?>(nil)

    /// Reads the secret.
    ///
    /// - Parameters:
    ///   - source: Where it is.
    ///   - files: How to read it.
    ///   - cost: The binary logarithm of scrypt's N, for what is encrypted from now on.
    /// - Throws: `failed` when it cannot be read, or is too short to protect anything.
    package init(
        _ source: Source, files: any FileSystem, cost: Int = KeyEncryption.defaultCost
    ) throws(KeyStoreError) {
        let contents: [UInt8]?
        do { contents = try files.readSecret(source.path, limit: Self.longestSecret, privacy: .handedOver) } catch {
            throw .failed(detail: error.advice)
        }
        guard var contents else { throw .failed(detail: "there is no file \(source.path)") }
        switch source {
        case .passphraseFile(let path):
            contents = SecretFile.withoutLineEnd(contents)
            guard contents.count >= Self.shortestPassphrase else {
                throw .failed(
                    detail: "the passphrase in \(path) is shorter than \(Self.shortestPassphrase) characters")
            }
            function = .scrypt(cost: cost, blockSize: 8, parallelism: 1)
        case .keyFile(let path):
            guard contents.count >= Self.shortestKeyFile else {
                throw .failed(detail: "\(path) holds fewer than \(Self.shortestKeyFile) bytes")
            }
            function = .hkdf
        }
        secret = SecretBytes(contents)
    }

    /// What new envelopes are made with: one salt for as long as this process lives.
    func derivation(using entropy: inout some Entropy) -> Derivation {
        let salt = entropy.bytes(Derivation.saltLength)
        return current.withLock { current in
            let derivation = current ?? Derivation(function: function, salt: salt)
            current = derivation
            return derivation
        }
    }

    /// Derives a key.
    ///
    /// - Throws: `failed` when there is no memory for it.
    func derive(_ derivation: Derivation) throws(KeyStoreError) -> Derived {
        if let known = derived.withLock({ $0[derivation] }) { return known }
        let root: SymmetricKey
        do {
            switch derivation.function {
            case .scrypt(let cost, let blockSize, let parallelism):
                root = try KDF.Scrypt.deriveKey(
                    from: secret.exposed, salt: derivation.salt, outputByteCount: 32, rounds: 1 << cost,
                    blockSize: blockSize, parallelism: parallelism)
            case .hkdf:
                root = HKDF<SHA256>.deriveKey(
                    inputKeyMaterial: SymmetricKey(data: secret.exposed), salt: derivation.salt,
                    info: Array("mintmark key file".utf8), outputByteCount: 32)
            }
        } catch { throw .failed(detail: "the key that encrypts keys cannot be derived") }
        let made = Derived(
            key: HKDF<SHA256>.deriveKey(
                inputKeyMaterial: root, info: Array("mintmark key encryption".utf8), outputByteCount: 32),
            check: Array(
                HMAC<SHA256>.authenticationCode(for: Array("mintmark key check".utf8), using: root)
                    .prefix(Derived.checkLength)))
        derived.withLock { $0[derivation] = made }
        return made
    }
}

/// Files with one secret in them.
enum SecretFile {
    /// Leaves off the line end that editors and `echo` put there.
    static func withoutLineEnd(_ contents: [UInt8]) -> [UInt8] {
        var contents = contents
        if contents.last == UInt8(ascii: "\n") { contents.removeLast() }
        if contents.last == UInt8(ascii: "\r") { contents.removeLast() }
        return contents
    }
}
