internal import Crypto
package import Foundation
internal import Platform
internal import SPIFFE
internal import X509

/// The public half of an authority that signs somewhere else, already judged.
package struct ForeignAuthority: Hashable, Sendable {
    /// The most that are kept of others at a time.
    package static let limit = 1000
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
    ///   - now: The time.
    /// - Throws: `noID`, `unsound` or `ended`.
    package init(jwtKeyID keyID: String, der: [UInt8], notAfter: Date?, now: Date) throws(AuthorityRefusal) {
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
            timeIntervalSince1970: TimeInterval(min(notAfter ?? .distantFuture, .distantFuture).unixSeconds))
    }

    func record(_ state: AuthorityRecord.State, from origin: AuthorityRecord.Origin) -> AuthorityRecord {
        AuthorityRecord(
            id: id, kind: kind, state: state, origin: origin, notBefore: notBefore, notAfter: notAfter,
            publicDER: publicDER)
    }
}

extension AuthorityDraft {
    /// Publishes what signs elsewhere; what is there already stays as it is.
    mutating func publish(
        _ authority: ForeignAuthority, from origin: AuthorityRecord.Origin
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
        add(authority.record(.published, from: origin))
    }

    /// Takes over what an upstream trusts now.
    ///
    /// What is new is published, and what it calls tainted is tainted here. What it drops stays until its own end, for
    /// authorities under it may still sign, unless it was tainted or has no end.
    mutating func adopt(_ trust: UpstreamTrust, now: Date, server: ServerID) throws(AuthorityRefusal) {
        var current: [AuthorityRecord.Kind: Set<String>] = [.x509: []]
        for root in trust.roots.prefix(ForeignAuthority.limit) {
            let authority = try ForeignAuthority(x509: root.certificate)
            current[.x509]?.insert(authority.id)
            try adopt(authority, isTainted: root.isTainted, server: server)
        }
        if let keys = trust.jwtKeys {
            current[.jwt] = []
            for key in keys.prefix(ForeignAuthority.limit) where key.notAfter.map({ $0 > now }) ?? true {
                let authority = try ForeignAuthority(
                    jwtKeyID: key.keyID, der: key.publicDER, notAfter: key.notAfter, now: now)
                current[.jwt]?.insert(authority.id)
                try adopt(authority, isTainted: key.isTainted, server: server)
            }
        }
        for record in records where record.origin == .upstream {
            guard let ids = current[record.kind], !ids.contains(record.id) else { continue }
            if record.state == .published, record.notAfter == .distantFuture { remove(record, of: server) }
            if record.state == .tainted { try move(record.kind, record.id, by: .revoke, of: server) }
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
