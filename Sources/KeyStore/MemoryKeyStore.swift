package import IssuerDomain
internal import Synchronization

/// Signing keys in this process alone: none is written anywhere, and all end with it.
package final class MemoryKeyStore: SigningKeyStore {
    private let keys = Mutex<[String: SoftwareSigningKey]>([:])

    package init() {}

    package var outlivesProcess: Bool { false }

    package func generate(_ name: String, type: SigningKeyType) async throws(KeyStoreError) -> any SigningKey {
        try KeyName.check(name)
        let key = try SoftwareSigningKey(generating: type)
        let isNew = keys.withLock { keys in
            guard keys[name] == nil else { return false }
            keys[name] = key
            return true
        }
        guard isNew else { throw .failed(detail: "a key named '\(name)' exists already") }
        return key
    }

    package func key(_ name: String) async throws(KeyStoreError) -> any SigningKey {
        guard let key = keys.withLock({ $0[name] }) else { throw .missing(name: name) }
        return key
    }

    package func names() async throws(KeyStoreError) -> [String] { keys.withLock { $0.keys.sorted() } }

    package func delete(_ name: String) async throws(KeyStoreError) {
        try KeyName.check(name)
        keys.withLock { $0[name] = nil }
    }
}
