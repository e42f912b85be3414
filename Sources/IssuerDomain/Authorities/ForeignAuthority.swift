internal import Crypto
package import Foundation
internal import Platform
internal import SPIFFE
internal import X509

/// The public half of an authority that signs somewhere else, already judged.
package struct ForeignAuthority: Hashable, Sendable {
    /// The most that are kept of others at a time.
    package static let limit = 1000
    /// The most that are kept of one server below at a time.
    package static let limitOfPublisher = 20
    /// The longest that a key of a server below is published, unless it publishes it again.
    package static let longestPublication = Duration.seconds(30 * 24 * 3600)
    /// The longest key ID taken, in bytes.
    package static let maximumIDLength = 255
    /// The longest certificate taken, in bytes.
    package static let maximumCertificateLength = 64 << 10

    let id: String
    let kind: AuthorityRecord.Kind
    let notBefore: Date
    let notAfter: Date
    let publicDER: [UInt8]

    /// Takes a CA certificate.
    ///
    /// - Parameter der: One certificate.
    /// - Throws: `unsound` when it is none, or may not sign certificates.
    package init(x509 der: [UInt8]) throws(AuthorityRefusal) {
        guard der.count <= Self.maximumCertificateLength else { throw .unsound(detail: "certificate is too long") }
        do {
            let certificate = try DERConcatenation.certificate(in: der[...])
            try X509SVIDProfile.checkIntermediate(certificate)
            notBefore = certificate.notValidBefore
            notAfter = certificate.notValidAfter
        } catch { throw .unsound(detail: "\(error)") }
        kind = .x509
        id = "sha256:\(Hex.encode(SHA256.hash(data: der)))"
        publicDER = der
    }

    /// Takes a JWT key.
    ///
    /// - Parameters:
    ///   - keyID: What tokens call it.
    ///   - der: SubjectPublicKeyInfo.
    ///   - notAfter: When it ends; nil when nobody says.
    ///   - latest: When it ends at the latest, whoever says what.
    ///   - now: The time.
    /// - Throws: `noID`, `unsound` or `ended`.
    package init(
        jwtKeyID keyID: String, der: [UInt8], notAfter: Date?, latest: Date = .distantFuture, now: Date
    ) throws(AuthorityRefusal) {
        guard !keyID.isEmpty else { throw .noID }
        guard keyID.utf8.count <= Self.maximumIDLength else { throw .unsound(detail: "key ID is too long") }
        if let notAfter, notAfter <= now { throw .ended(id: keyID) }
        do { publicDER = Array(try JWTVerificationKey(derRepresentation: der).derRepresentation) } catch {
            throw .unsound(detail: "\(error)")
        }
        kind = .jwt
        id = keyID
        notBefore = Date(timeIntervalSince1970: now.timeIntervalSince1970.rounded(.down))
        // In whole seconds, and within what a store can keep.
        self.notAfter = Date(
            timeIntervalSince1970: TimeInterval(min(notAfter ?? .distantFuture, latest).unixSeconds))
    }

    func record(from origin: AuthorityRecord.Origin, publisher: String?) -> AuthorityRecord {
        AuthorityRecord(
            id: id, kind: kind, state: .published, origin: origin, notBefore: notBefore, notAfter: notAfter,
            publicDER: publicDER, publisher: publisher)
    }
}

extension AuthorityDraft {
    /// Publishes what signs elsewhere; what is there already stays as it is.
    mutating func publish(
        _ authority: ForeignAuthority, from origin: AuthorityRecord.Origin, publisher: String? = nil
    ) throws(AuthorityRefusal) {
        if let known = self[authority.kind, authority.id] {
            guard known.publicDER == authority.publicDER else { throw .idTaken(id: authority.id) }
            guard known.state != .revoked else { throw .isRevoked(id: authority.id) }
            return
        }
        // An authority of a server here, sent back by whoever it was published to.
        if authority.kind == .x509, records.contains(where: { $0.publicDER == authority.publicDER }) { return }
        let others = records.count { if case .server = $0.origin { false } else { true } }
        guard others < ForeignAuthority.limit else { throw .tooMany(limit: ForeignAuthority.limit) }
        if let publisher {
            let theirs = records.count { $0.publisher == publisher }
            guard theirs < ForeignAuthority.limitOfPublisher else {
                throw .tooMany(limit: ForeignAuthority.limitOfPublisher)
            }
        }
        add(authority.record(from: origin, publisher: publisher))
    }

    /// Takes over what an upstream trusts now.
    ///
    /// What is new is published, and what it calls tainted is tainted here. A JWT key that it drops is dropped here; of
    /// roots see ``drop(_:now:server:)``.
    ///
    /// - Returns: The IDs of the roots that it trusts.
    @discardableResult
    mutating func adopt(
        _ trust: UpstreamTrust, now: Date, server: ServerID
    ) throws(AuthorityRefusal) -> Set<String> {
        var roots: Set<String> = []
        for root in trust.roots.prefix(ForeignAuthority.limit) {
            let authority = try ForeignAuthority(x509: root.certificate)
            roots.insert(authority.id)
            try adopt(authority, isTainted: root.isTainted, server: server)
        }
        guard let keys = trust.jwtKeys else { return roots }
        var current: Set<String> = []
        for key in keys.prefix(ForeignAuthority.limit) where key.notAfter.map({ $0 > now }) ?? true {
            let authority = try ForeignAuthority(
                jwtKeyID: key.keyID, der: key.publicDER, notAfter: key.notAfter, now: now)
            current.insert(authority.id)
            try adopt(authority, isTainted: key.isTainted, server: server)
        }
        for record in records where record.kind == .jwt && record.origin == .upstream {
            guard !current.contains(record.id) else { continue }
            if record.state == .published { remove(record, of: server) }
            if record.state == .tainted { try move(.jwt, record.id, by: .revoke, of: server) }
        }
        return roots
    }

    /// How long a root that the upstream dropped is still believed, for what was signed under it to be replaced.
    static let farewell: TimeInterval = 60

    /// Lets go of roots that the upstream trusts no more.
    ///
    /// Each is tainted, so that this server leaves it and everything signed under it is replaced, and revoked a little
    /// later, once nothing under it signs.
    ///
    /// - Parameters:
    ///   - missed: Since when each is missed, by ID.
    ///   - now: The time.
    ///   - server: Whose authorities these are.
    /// - Throws: ``AuthorityRefusal``.
    mutating func drop(_ missed: [String: Date], now: Date, server: ServerID) throws(AuthorityRefusal) {
        for record in records where record.kind == .x509 && record.origin == .upstream {
            guard let since = missed[record.id], record.notAfter > now else { continue }
            if record.state == .published { try move(.x509, record.id, by: .taint, of: server) }
            if record.state == .tainted, since + Self.farewell <= now, !isInUse(record, now: now) {
                try move(.x509, record.id, by: .revoke, of: server)
            }
        }
    }

    /// Whether a server signs under a root, or is about to.
    private func isInUse(_ root: AuthorityRecord, now: Date) -> Bool {
        guard let keyID = try? SpoiledAuthorities.keyID(of: root) else { return true }
        return records.contains {
            $0.upstreamKeyID == keyID && ($0.state == .active || $0.state == .prepared) && $0.notAfter > now
        }
    }

    private mutating func adopt(
        _ authority: ForeignAuthority, isTainted: Bool, server: ServerID
    ) throws(AuthorityRefusal) {
        do { try publish(authority, from: .upstream) } catch {
            // Revoked here stays revoked here, and a key ID that was taken here first stays what it is.
            switch error {
            case .isRevoked, .idTaken: return
            default: throw error
            }
        }
        guard isTainted, let record = self[authority.kind, authority.id], record.state == .published else { return }
        try move(authority.kind, authority.id, by: .taint, of: server)
    }
}
