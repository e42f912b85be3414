import Crypto
import Foundation
import IssuerDomain
import KeyStore
import Logging
import Platform
import SPIFFE
import StoreContract
import SwiftASN1
import Synchronization
import TestSupport
import Testing
import X509

/// What tests start from.
enum Given {
    static let start = Sample.start
    static let day: TimeInterval = 86_400

    static func trustDomain() throws -> TrustDomain { try Sample.trustDomain() }

    static func id(_ path: String) throws -> SPIFFEID { try Sample.id(path) }

    static func selectors(_ texts: [String]) throws -> [Selector] { try texts.map { try Selector(parsing: $0) } }

    static func contents(
        _ path: String = "/web", parent: String = "/spire/agent/one", selectors: [String] = ["unix:uid:1000"]
    ) throws -> EntryContents {
        EntryContents(
            spiffeID: try id(path), parentID: try id(parent), selectors: try Given.selectors(selectors))
    }

    /// A request signed by a P-256 key.
    static func request(_ key: P256.Signing.PrivateKey = P256.Signing.PrivateKey()) throws -> SigningRequest {
        try SigningRequest(der: SigningRequestMaker.request(signedBy: key))
    }

    /// PKCS#10 by any key, with extensions as an attribute where there are some.
    static func requestDER(
        _ key: Certificate.PrivateKey, extensions: Certificate.Extensions? = nil
    ) throws -> [UInt8] {
        var attributes: [CertificateSigningRequest.Attribute] = []
        if let extensions { attributes.append(try .init(ExtensionRequest(extensions: extensions))) }
        let request = try CertificateSigningRequest(
            version: .v1, subject: DistinguishedName { OrganizationName("Anyone") }, privateKey: key,
            attributes: CertificateSigningRequest.Attributes(attributes))
        var serializer = DER.Serializer()
        try serializer.serialize(request)
        return serializer.serializedBytes
    }
}

/// An issuer with everything in memory.
struct TestIssuer {
    let store: MemoryStore
    let keys: MemoryKeyStore
    let feed = RevisionFeed()
    let logs = LogCollector()
    let keeper: AuthorityKeeper
    let issuer: SVIDIssuer

    init(
        store: MemoryStore = MemoryStore(), keys: MemoryKeyStore = MemoryKeyStore(), now: Date = Given.start,
        lifetime: Duration = .seconds(86_400), x509KeyType: SigningKeyType = .ecP256,
        jwtKeyType: SigningKeyType = .ecP256, svids: SVIDIssuer.Settings = .init(),
        server: ServerID? = Sample.server, upstream: (any UpstreamAuthority)? = nil, seed: UInt64 = 1
    ) async throws {
        self.store = store
        self.keys = keys
        keeper = try await AuthorityKeeper(
            trustDomain: Given.trustDomain(),
            settings: .init(lifetime: lifetime, x509KeyType: x509KeyType, jwtKeyType: jwtKeyType),
            server: try #require(server), store: store, keys: keys, upstream: upstream, feed: feed, now: now,
            using: SeededEntropy(seed), logger: logs.logger())
        issuer = SVIDIssuer(trustDomain: try Given.trustDomain(), settings: svids, authorities: keeper)
    }
}

/// Keys in memory; making them can be made to fail.
final class MemoryKeyStore: SigningKeyStore {
    private struct State {
        var keys: [String: SoftwareSigningKey] = [:]
        var failure: KeyStoreError?
        var deletionFailure: KeyStoreError?
    }

    private let state = Mutex(State())

    var outlivesProcess: Bool { true }

    func fail(with failure: KeyStoreError?) { state.withLock { $0.failure = failure } }

    func failDeletion(with failure: KeyStoreError?) { state.withLock { $0.deletionFailure = failure } }

    func generate(_ name: String, type: SigningKeyType) async throws(KeyStoreError) -> any SigningKey {
        let key = try SoftwareSigningKey(generating: type)
        return try state.withLock { state throws(KeyStoreError) in
            if let failure = state.failure { throw failure }
            state.keys[name] = key
            return key
        }
    }

    func key(_ name: String) async throws(KeyStoreError) -> any SigningKey {
        guard let key = state.withLock({ $0.keys[name] }) else { throw .missing(name: name) }
        return key
    }

    func names() async throws(KeyStoreError) -> [String] { state.withLock { $0.keys.keys.sorted() } }

    func delete(_ name: String) async throws(KeyStoreError) {
        try state.withLock { state throws(KeyStoreError) in
            if let failure = state.deletionFailure { throw failure }
            state.keys[name] = nil
        }
    }
}
