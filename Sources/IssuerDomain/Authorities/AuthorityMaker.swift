internal import Foundation
internal import Platform
internal import SPIFFE
internal import X509

/// Turns the steps of a schedule into keys, certificates and records.
struct AuthorityMaker {
    let trustDomain: TrustDomain
    let settings: AuthorityKeeper.Settings
    let server: ServerID
    let keys: any SigningKeyStore
    let loose: LooseKeys
    let upstream: (any UpstreamAuthority)?

    private let schedule = AuthoritySchedule()

    init(
        trustDomain: TrustDomain, settings: AuthorityKeeper.Settings, server: ServerID, keys: any SigningKeyStore,
        loose: LooseKeys, upstream: (any UpstreamAuthority)?
    ) {
        self.trustDomain = trustDomain
        self.settings = settings
        self.server = server
        self.keys = keys
        self.loose = loose
        self.upstream = upstream
    }

    /// Carries out the schedule of both kinds up to, not including, making it durable.
    ///
    /// - Parameters:
    ///   - draft: What there is; changed.
    ///   - now: The time.
    ///   - mayForget: Whether what has long ended may be dropped.
    ///   - isStart: Whether there is no going on without both kinds, so that nothing is published upstream in vain: a server
    ///     that is started again and again would use up what an upstream keeps of it.
    ///   - entropy: For names and serial numbers.
    /// - Returns: What kept a kind from what was due; nothing of that kind was changed then, and the other one goes on.
    func tend(
        _ draft: inout AuthorityDraft, now: Date, mayForget: Bool, isStart: Bool = false,
        using entropy: inout some Entropy
    ) async -> [AuthorityRecord.Kind: AuthorityError] {
        var failures: [AuthorityRecord.Kind: AuthorityError] = [:]
        for kind in AuthorityRecord.Kind.allCases {
            var attempt = draft
            do throws(AuthorityError) {
                try await tend(kind, in: &attempt, now: now, mayForget: mayForget, using: &entropy)
                draft = attempt
            } catch {
                failures[kind] = error
                draft.note(createdKeys: attempt.createdKeys.dropFirst(draft.createdKeys.count))
                let own = draft.own(kind, of: server)
                if isStart, !own.contains(where: { $0.state == .active && AuthoritySchedule.canSign($0, now: now) }) {
                    return failures
                }
            }
        }
        guard mayForget else { return failures }
        for record in draft.records where !record.isOwned(by: server) {
            guard schedule.isOver(record, isAnothers: record.keyName != nil, now: now) else { continue }
            draft.remove(record, of: server)
        }
        return failures
    }

    private func tend(
        _ kind: AuthorityRecord.Kind, in draft: inout AuthorityDraft, now: Date, mayForget: Bool,
        using entropy: inout some Entropy
    ) async throws(AuthorityError) {
        let spoiled = kind == .x509 ? try SpoiledAuthorities(draft.records).underTaintedRoot : []
        for step in schedule.decide(draft.own(kind, of: server), spoiled: spoiled, now: now) {
            switch step {
            case .create(let state): try await create(kind, state: state, in: &draft, now: now, using: &entropy)
            case .activate(let id): try move(kind, id, by: .activate, in: &draft)
            case .retire(let id): try move(kind, id, by: .retire, in: &draft)
            case .delete(let id):
                guard let record = draft[kind, id] else { continue }
                if mayForget {
                    draft.remove(record, of: server)
                } else if record.state == .active || record.state == .prepared {
                    try move(kind, id, by: .retire, in: &draft)
                }
            }
        }
    }

    /// Makes a new authority and what is published with it.
    @discardableResult
    func create(
        _ kind: AuthorityRecord.Kind, state: AuthorityRecord.State, in draft: inout AuthorityDraft, now: Date,
        using entropy: inout some Entropy
    ) async throws(AuthorityError) -> AuthorityRecord {
        let name = "\(kind.rawValue)-\(RandomID.draw(using: &entropy))"
        // Also one that fails may have been made, and an upstream that is away for long must not fill the key store.
        draft.note(createdKeys: [name])
        let key: any SigningKey
        do {
            try await loose.add([name])
            key = try await keys.generate(name, type: kind == .x509 ? settings.x509KeyType : settings.jwtKeyType)
        } catch {
            throw .keyStore(error)
        }
        var attempt = draft
        let record =
            switch kind {
            case .x509: try await x509(key, name, state: state, in: &attempt, now: now, using: &entropy)
            case .jwt: try await jwt(key, name, state: state, in: &attempt, now: now, using: &entropy)
            }
        attempt.add(record)
        draft = attempt
        return record
    }

    private func x509(
        _ key: any SigningKey, _ name: String, state: AuthorityRecord.State, in draft: inout AuthorityDraft, now: Date,
        using entropy: inout some Entropy
    ) async throws(AuthorityError) -> AuthorityRecord {
        guard let upstream else {
            let validity = validity(from: now)
            let certificate = try X509Authority.selfSigned(
                for: trustDomain, key: key, validity: validity, serial: entropy.bytes(16))
            do {
                return AuthorityRecord(
                    id: Hex.encode(X509Authority.keyIdentifier(of: certificate)), kind: .x509, state: state,
                    origin: .server(server, keyName: name), notBefore: validity.lowerBound,
                    notAfter: validity.upperBound, publicDER: try certificate.derBytes())
            } catch { throw .refused(detail: "\(error)") }
        }
        let request = try UpstreamChain.request(for: trustDomain, key: key)
        let minted: UpstreamIntermediate
        do { minted = try await upstream.mint(request: request, lifetime: settings.lifetime, now: now) } catch {
            throw .upstream(error)
        }
        let record = try UpstreamChain.record(
            of: minted, key: key, keyName: name, server: server, state: state, trustDomain: trustDomain, now: now,
            using: &entropy)
        do {
            draft.note(vouched: try draft.adopt(UpstreamTrust(roots: minted.roots), now: now, server: server), at: now)
        } catch {
            throw .upstream(.badAnswer(detail: "\(error)"))
        }
        // A root that was tainted or revoked here must not come back through a new chain.
        let root = record.upstreamKeyID
        guard let root, try SpoiledAuthorities(draft.records).trusts(rootKeyID: root) else {
            throw .upstream(.badAnswer(detail: "it is signed under a root that was tainted or revoked"))
        }
        return record
    }

    private func jwt(
        _ key: any SigningKey, _ name: String, state: AuthorityRecord.State, in draft: inout AuthorityDraft, now: Date,
        using entropy: inout some Entropy
    ) async throws(AuthorityError) -> AuthorityRecord {
        let validity = validity(from: now)
        // Hexadecimal, so that it is never taken for a flag where people write it.
        let record = AuthorityRecord(
            id: Hex.encode(entropy.bytes(16)), kind: .jwt, state: state, origin: .server(server, keyName: name),
            notBefore: validity.lowerBound, notAfter: validity.upperBound, publicDER: Array(key.publicKeyDER))
        try await publish(record, in: &draft, now: now)
        return record
    }

    /// Makes a JWT key known upstream before it signs; an upstream that takes none is fine.
    func publish(_ record: AuthorityRecord, in draft: inout AuthorityDraft, now: Date) async throws(AuthorityError) {
        guard let upstream else { return }
        let published: [UpstreamJWTKey]
        do {
            published = try await upstream.publish(
                UpstreamJWTKey(
                    keyID: record.id, publicDER: record.publicDER,
                    notAfter: record.notAfter == .distantFuture ? nil : record.notAfter))
        } catch {
            if error == .unsupported { return }
            throw .upstream(error)
        }
        // This one among them is no key of somebody else's.
        let others = published.filter { $0.keyID != record.id }
        do throws(AuthorityRefusal) {
            try draft.adopt(UpstreamTrust(roots: [], jwtKeys: others), now: now, server: server)
        } catch { throw .upstream(.badAnswer(detail: "\(error)")) }
    }

    private func validity(from now: Date) -> Range<Date> {
        let start = Date(timeIntervalSince1970: (now.timeIntervalSince1970 - AuthorityKeeper.backdate).rounded(.down))
        let end = (now + settings.lifetime.timeInterval).timeIntervalSince1970.rounded(.down)
        return start..<max(start, Date(timeIntervalSince1970: end))
    }

    private func move(
        _ kind: AuthorityRecord.Kind, _ id: String, by step: AuthorityRecord.Step, in draft: inout AuthorityDraft
    ) throws(AuthorityError) {
        do { try draft.move(kind, id, by: step, of: server) } catch { throw .notAllowed(error) }
    }
}
