internal import Foundation
internal import Platform
internal import SPIFFE
internal import X509

/// Turns the steps of a schedule into keys, certificates and records.
struct AuthorityMaker {
    let trustDomain: TrustDomain
    let settings: AuthorityKeeper.Settings
    let keys: any SigningKeyStore

    /// Carries out the schedule of both kinds up to, not including, making it durable.
    ///
    /// - Returns: The records as they will be, the changes that make them so, and the records that go for good.
    func plan(
        for records: [AuthorityRecord], now: Date, using entropy: inout some Entropy
    ) async throws(AuthorityError) -> (
        records: [AuthorityRecord], changes: [AuthorityChange], dropped: [AuthorityRecord]
    ) {
        let schedule = AuthoritySchedule(lifetime: settings.lifetime)
        var records = records
        var changes: [AuthorityChange] = []
        var dropped: [AuthorityRecord] = []
        for kind in AuthorityRecord.Kind.allCases {
            for step in schedule.decide(records.filter { $0.kind == kind }, now: now) {
                switch step {
                case .create(let state):
                    let record = try await create(kind, state: state, now: now, using: &entropy)
                    records.append(record)
                    changes.append(.put(record))
                case .activate(let id): move(id, to: .active, in: &records, noting: &changes)
                case .retire(let id): move(id, to: .retired, in: &records, noting: &changes)
                case .delete(let id):
                    dropped += records.filter { $0.id == id }
                    records.removeAll { $0.id == id }
                    changes.append(.delete(id: id))
                }
            }
        }
        return (records, changes, dropped)
    }

    /// Loads what issuance needs for a set of records.
    func snapshot(
        of records: [AuthorityRecord], sequence: UInt64
    ) async throws(AuthorityError) -> AuthorityKeeper.Snapshot {
        guard let x509 = records.first(where: { $0.kind == .x509 && $0.state == .active }),
            let jwt = records.first(where: { $0.kind == .jwt && $0.state == .active })
        else { throw .damaged(id: "active") }
        var certificates: [Certificate] = []
        var jwtKeys: [String: JWTVerificationKey] = [:]
        // All of them, also those just over: what is published changes with the records alone (BUNDLE-04).
        for record in records.sorted(by: { ($0.notBefore, $0.id) < ($1.notBefore, $1.id) }) {
            switch record.kind {
            case .x509: certificates.append(try Self.certificate(of: record))
            case .jwt:
                do { jwtKeys[record.id] = try JWTVerificationKey(derRepresentation: record.publicDER) } catch {
                    throw .damaged(id: record.id)
                }
            }
        }
        let authority = X509Authority(
            record: x509, certificate: try Self.certificate(of: x509), key: try await key(of: x509))
        guard authority.key.certificateKey.publicKey == authority.certificate.publicKey else {
            throw .damaged(id: x509.id)
        }
        return AuthorityKeeper.Snapshot(
            x509: authority, jwt: JWTAuthority(record: jwt, key: try await key(of: jwt)),
            bundle: TrustBundle(
                trustDomain: trustDomain, x509Authorities: certificates, jwtAuthorities: jwtKeys, sequence: sequence,
                refreshHint: 300),
            records: records)
    }

    private func create(
        _ kind: AuthorityRecord.Kind, state: AuthorityRecord.State, now: Date, using entropy: inout some Entropy
    ) async throws(AuthorityError) -> AuthorityRecord {
        let start = Date(timeIntervalSince1970: (now.timeIntervalSince1970 - AuthorityKeeper.backdate).rounded(.down))
        let end = Date(
            timeIntervalSince1970: (now + settings.lifetime.timeInterval).timeIntervalSince1970.rounded(.down))
        let name = "\(kind.rawValue)-\(RandomID.draw(using: &entropy))"
        let type = kind == .x509 ? settings.x509KeyType : settings.jwtKeyType
        let key: any SigningKey
        do { key = try await keys.generate(name, type: type) } catch { throw .keyStore(error) }
        switch kind {
        case .x509:
            let certificate = try X509Authority.selfSigned(
                for: trustDomain, key: key, validity: start..<end, serial: entropy.bytes(16))
            let identifier = SubjectKeyIdentifier(hash: certificate.publicKey).keyIdentifier
            do {
                return AuthorityRecord(
                    id: Hex.encode(identifier), kind: kind, state: state, notBefore: start, notAfter: end,
                    keyName: name, publicDER: try certificate.derBytes())
            } catch { throw .refused(detail: "\(error)") }
        case .jwt:
            return AuthorityRecord(
                id: Base64URL.encode(entropy.bytes(16)), kind: kind, state: state, notBefore: start, notAfter: end,
                keyName: name, publicDER: Array(key.publicKeyDER))
        }
    }

    private func move(
        _ id: String, to state: AuthorityRecord.State, in records: inout [AuthorityRecord],
        noting changes: inout [AuthorityChange]
    ) {
        guard let position = records.firstIndex(where: { $0.id == id }) else { return }
        records[position].state = state
        changes.append(.put(records[position]))
    }

    private func key(of record: AuthorityRecord) async throws(AuthorityError) -> any SigningKey {
        do { return try await keys.key(record.keyName) } catch { throw .keyStore(error) }
    }

    private static func certificate(of record: AuthorityRecord) throws(AuthorityError) -> Certificate {
        do { return try DERConcatenation.certificate(in: record.publicDER[...]) } catch {
            throw .damaged(id: record.id)
        }
    }
}
