internal import AgentDomain
internal import Bootstrap
internal import Crypto
internal import Foundation
internal import Platform
internal import SPIFFE
internal import X509

/// This agent's own SVID: who it is to the issuer.
struct NodeIdentity: Sendable {
    let id: SPIFFEID
    let tls: TLSIdentity
    let validity: Range<Date>
    /// When it came, or was read again.
    let arrived: Date
    private(set) var renewal: RenewalPlan
    let authorityKeyID: String
    /// Whether the issuer wants the proof again, instead of a renewal.
    let canReattest: Bool

    /// Judges what the issuer sent for a key of this agent.
    init(
        chain: [[UInt8]], key: P256.Signing.PrivateKey, canReattest: Bool, now: Date, using entropy: inout some Entropy
    ) throws {
        let leaf = try IssuedChain.leaf(of: chain, key: key)
        id = leaf.id
        tls = TLSIdentity(chain: chain, key: SecretBytes(key.derRepresentation))
        validity = leaf.validity
        arrived = now
        authorityKeyID = leaf.authorityKeyID
        self.canReattest = canReattest
        renewal = RenewalPlan(arrived: now, end: leaf.validity.upperBound, using: &entropy)
    }
}

extension NodeIdentity {
    /// Brings the renewal forward.
    mutating func hasten(now: Date, within spread: TimeInterval, using entropy: inout some RandomNumberGenerator) {
        renewal.hasten(now: now, within: spread, using: &entropy)
    }

    /// Whether it holds no longer: it has ended, or the clock was set back to before it.
    ///
    /// One that came from an issuer whose clock is ahead was no better before, and is shown all the same.
    func hasEnded(at now: Date) -> Bool {
        validity.upperBound <= now || (now < validity.lowerBound && now < arrived)
    }

    /// Whether one of a bundle's authorities signed it.
    func isIssued(by bundle: TrustBundle) -> Bool {
        guard let der = tls.chain.first, let leaf = try? DERConcatenation.certificate(in: der[...]) else {
            return false
        }
        return bundle.x509.authorities.contains { $0.publicKey.isValidSignature(leaf.signature, for: leaf) }
    }
}

/// Where an agent keeps its identity and the bundle it trusts between runs.
struct NodeIdentityStore: Sendable {
    private static let maximumLength = 4 << 20

    let folder: StateFolder
    let files: any FileSystem

    private var identityPath: String { folder.file("agent-svid.json") }
    private var bundlePath: String { folder.file("bundle.json") }
    private var joinKeyPath: String { folder.file("join-key.der") }
    private var nodeKeyPath: String { folder.file("node-key.json") }

    /// The identity of the last run, if there is one.
    ///
    /// - Throws: ``Failure`` when the file is there but cannot be read back.
    func loadIdentity(now: Date) throws(Failure) -> NodeIdentity? {
        guard let contents = try readSecret(identityPath) else { return nil }
        do {
            let object = try JSONValue(parsing: contents, limit: Self.maximumLength).object
            guard let key = object?["key"]?.string.flatMap({ Data(base64Encoded: $0) }),
                let chain = object?["chain"]?.array?.compactMap({ $0.string.flatMap { Data(base64Encoded: $0) } })
            else { throw SPIFFEError(.invalidX509SVID, "members are missing") }
            var entropy = SystemEntropy()
            return try NodeIdentity(
                chain: chain.map { Array($0) }, key: try P256.Signing.PrivateKey(derRepresentation: key),
                canReattest: object?["reattestable"] == .bool(true), now: now, using: &entropy)
        } catch {
            throw Failure(
                .refused, "\(identityPath) cannot be read back",
                hint: "remove it, and start again with a new token from 'mintmark token create'")
        }
    }

    func save(_ identity: NodeIdentity) throws(FileSystemError) {
        let document: JSONValue = .members([
            "chain": .array(identity.tls.chain.map { .string(Data($0).base64EncodedString()) }),
            "key": .string(Data(identity.tls.key.exposed).base64EncodedString()),
            "reattestable": .bool(identity.canReattest),
        ])
        try files.replace(identityPath, with: Array(document.compactText.utf8), mode: 0o600)
    }

    /// The key with which this node asked to join and has had no answer yet; drawn where there is none.
    ///
    /// An issuer that used up a join token for it gives the answer once more, to this key alone.
    func joinKey() throws -> P256.Signing.PrivateKey {
        if let contents = try readSecret(joinKeyPath),
            let key = try? P256.Signing.PrivateKey(derRepresentation: contents)
        {
            return key
        }
        let key = P256.Signing.PrivateKey()
        try files.replace(joinKeyPath, with: Array(key.derRepresentation), mode: 0o600)
        return key
    }

    /// Forgets the key of a join that was answered.
    func forgetJoinKey() throws(FileSystemError) { try files.remove(joinKeyPath) }

    /// The key by which this node may come back, if it has one.
    ///
    /// - Throws: ``Failure`` when the file is there but cannot be read back.
    func loadNodeKey() throws(Failure) -> NodeKey? {
        guard let contents = try readSecret(nodeKeyPath) else { return nil }
        guard let object = try? JSONValue(parsing: contents, limit: Self.maximumLength).object,
            let der = object["key"]?.string.flatMap({ Data(base64Encoded: $0) }),
            let key = try? P256.Signing.PrivateKey(derRepresentation: der)
        else {
            throw Failure(
                .refused, "\(nodeKeyPath) cannot be read back",
                hint: "remove it; the agent registers another key once it has joined")
        }
        let agentID = object["agent_id"]?.string.flatMap { try? SPIFFEID($0) }
        // An earlier version wrote the ID down when the issuer had answered, and not before.
        return NodeKey(
            key: key, agentID: agentID, isRegistered: agentID != nil && object["registered"] != .bool(false))
    }

    func save(_ nodeKey: NodeKey) throws(FileSystemError) {
        let document: JSONValue = .members([
            "key": .string(nodeKey.key.derRepresentation.base64EncodedString()),
            "agent_id": nodeKey.agentID.map { .string("\($0)") } ?? .null,
            "registered": .bool(nodeKey.isRegistered),
        ])
        try files.replace(nodeKeyPath, with: Array(document.compactText.utf8), mode: 0o600)
    }

    /// The bundle of the last run, if there is one.
    func loadBundle(of trustDomain: TrustDomain) throws(Failure) -> TrustBundle? {
        guard let contents = try read(bundlePath) else { return nil }
        do { return try TrustBundle(json: contents, trustDomain: trustDomain) } catch {
            throw Failure(
                .refused, "\(bundlePath) cannot be read back: \(error)",
                hint: "remove it, and start again with --trust-bundle")
        }
    }

    /// Whether there is a bundle of an earlier run, readable or not.
    var hasBundle: Bool {
        do throws(FileSystemError) { return try files.read(bundlePath, limit: Self.maximumLength) != nil } catch {
            return true
        }
    }

    func save(_ bundle: TrustBundle) throws {
        try files.replace(bundlePath, with: Array(try bundle.spiffeDocument().compactText.utf8), mode: 0o600)
    }

    private func readSecret(_ path: String) throws(Failure) -> [UInt8]? {
        do { return try files.readSecret(path, limit: Self.maximumLength, privacy: .own) } catch {
            throw Failure(
                .cannotCreate, "\(error)",
                hint: error.remedy ?? "make the agent's data folder readable by this user")
        }
    }

    private func read(_ path: String) throws(Failure) -> [UInt8]? {
        do { return try files.read(path, limit: Self.maximumLength) } catch {
            throw Failure(.cannotCreate, "\(error)", hint: "make the agent's data folder readable by this user")
        }
    }
}
