package import Foundation
package import Platform
package import SPIFFE

// What an admin asks of the authorities; each is durable and announced on return.

extension AuthorityKeeper {
    /// Makes a successor and publishes it; one that was prepared before and never signed gives way to it.
    ///
    /// - Returns: The prepared authority.
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func prepare(
        _ kind: AuthorityRecord.Kind, now: Date, using entropy: some Entropy
    ) async throws(AuthorityError) -> AuthorityRecord {
        try await change { [maker, server] draft throws(AuthorityError) in
            var entropy = entropy
            let replaced = draft.own(kind, of: server).filter { $0.state == .prepared }
            let record = try await maker.create(kind, state: .prepared, in: &draft, now: now, using: &entropy)
            for record in replaced { draft.remove(record, of: server) }
            return record
        }
    }

    /// Lets the prepared authority sign from now on.
    ///
    /// - Returns: The active authority.
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func activate(
        _ kind: AuthorityRecord.Kind, id: String, now: Date
    ) async throws(AuthorityError) -> AuthorityRecord {
        try await changeOwn(kind, id) { [server] draft, record throws(AuthorityRefusal) in
            guard record.state == .prepared else {
                throw .outOfOrder(id: id, state: record.state, step: .activate)
            }
            guard record.notAfter > now else { throw .ended(id: id) }
            guard !AuthoritySchedule.isEarly(record.notBefore, now: now) else { throw .early(id: id) }
            for active in draft.own(kind, of: server) where active.state == .active {
                try draft.move(kind, active.id, by: .retire, of: server)
            }
            return try draft.move(kind, id, by: .activate, of: server)
        }
    }

    /// Has everything replaced that an authority signed, which goes on being trusted.
    ///
    /// It is this server's, or was added from below or by an admin.
    ///
    /// - Returns: The tainted authority.
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func taint(_ kind: AuthorityRecord.Kind, id: String) async throws(AuthorityError) -> AuthorityRecord {
        try await changeOne(kind, id) { [server] draft, record throws(AuthorityRefusal) in
            guard record.isOwned(by: server) || record.isAddition else { throw .unknown(id: id) }
            guard record.upstreamKeyID == nil else { throw .isUpstreams }
            if record.state == .active { throw .isActive(id: id) }
            return try draft.move(kind, id, by: .taint, of: server)
        }
    }

    /// Ends the trust in a tainted authority and destroys its key.
    ///
    /// A JWT authority may be another server's; one of either kind may have been added from below or by an admin.
    ///
    /// - Returns: The revoked authority.
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func revoke(_ kind: AuthorityRecord.Kind, id: String) async throws(AuthorityError) -> AuthorityRecord {
        try await changeOne(kind, id) { [server] draft, record throws(AuthorityRefusal) in
            let isOwn = record.isOwned(by: server)
            if isOwn, record.upstreamKeyID != nil { throw .isUpstreams }
            if isOwn, record.state == .active { throw .isActive(id: id) }
            guard record.isPublished, kind == .jwt || isOwn || record.isAddition else { throw .unknown(id: id) }
            return try draft.move(kind, id, by: .revoke, of: server)
        }
    }

    /// Has everything replaced under a root of the upstream with which this server signs no more.
    ///
    /// - Parameter keyID: The root's subject key identifier, in hex.
    /// - Returns: The identifier as it is kept.
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func taintUpstream(keyID: String) async throws(AuthorityError) -> String {
        try await changeRoots(keyID: keyID, by: .taint)
    }

    /// Ends the trust in a tainted root of the upstream.
    ///
    /// - Parameter keyID: The root's subject key identifier, in hex.
    /// - Returns: The identifier as it is kept.
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func revokeUpstream(keyID: String) async throws(AuthorityError) -> String {
        try await changeRoots(keyID: keyID, by: .revoke)
    }

    /// Publishes authorities that an admin names.
    ///
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func append(_ authorities: [ForeignAuthority]) async throws(AuthorityError) {
        try await change { draft throws(AuthorityError) in
            do throws(AuthorityRefusal) {
                for authority in authorities { try draft.publish(authority, from: .appended) }
            } catch { throw .notAllowed(error) }
        }
    }

    /// Publishes the JWT key of a server below this one, here and further up.
    ///
    /// - Parameters:
    ///   - authority: The key.
    ///   - publisher: Who publishes it; each may have a few of them.
    ///   - now: The time.
    /// - Throws: ``AuthorityError``; then nothing changed.
    package func publish(
        _ authority: ForeignAuthority, by publisher: SPIFFEID, now: Date
    ) async throws(AuthorityError) {
        try await change { [maker] draft throws(AuthorityError) in
            do throws(AuthorityRefusal) {
                try draft.publish(authority, from: .downstream, publisher: "\(publisher)")
            } catch { throw .notAllowed(error) }
            guard let record = draft[.jwt, authority.id] else { throw .notAllowed(.unknown(id: authority.id)) }
            try await maker.publish(record, in: &draft, now: now)
        }
    }

    private func changeOwn(
        _ kind: AuthorityRecord.Kind, _ id: String,
        _ body: @escaping @Sendable (inout AuthorityDraft, AuthorityRecord) throws(AuthorityRefusal) -> AuthorityRecord
    ) async throws(AuthorityError) -> AuthorityRecord {
        try await changeOne(kind, id) { [server] draft, record throws(AuthorityRefusal) in
            guard record.isOwned(by: server) else { throw .unknown(id: id) }
            return try body(&draft, record)
        }
    }

    private func changeOne(
        _ kind: AuthorityRecord.Kind, _ id: String,
        _ body: @escaping @Sendable (inout AuthorityDraft, AuthorityRecord) throws(AuthorityRefusal) -> AuthorityRecord
    ) async throws(AuthorityError) -> AuthorityRecord {
        guard !id.isEmpty else { throw .notAllowed(.noID) }
        return try await change { draft throws(AuthorityError) in
            do throws(AuthorityRefusal) {
                guard let record = draft[kind, id] else { throw .unknown(id: id) }
                return try body(&draft, record)
            } catch { throw .notAllowed(error) }
        }
    }

    private func changeRoots(
        keyID asked: String, by step: AuthorityRecord.Step
    ) async throws(AuthorityError) -> String {
        guard hasUpstream else { throw .notAllowed(.noUpstream) }
        let keyID = asked.lowercased()
        guard !keyID.isEmpty else { throw .notAllowed(.noID) }
        return try await change { [server] draft throws(AuthorityError) in
            let own = draft.own(.x509, of: server)
            let inUse = own.contains {
                $0.upstreamKeyID == keyID && ($0.state == .active || $0.state == .prepared)
            }
            guard !inUse else { throw .notAllowed(.upstreamInUse(keyID: keyID)) }
            var roots: [AuthorityRecord] = []
            for record in draft.records where record.kind == .x509 && record.origin == .upstream {
                if try SpoiledAuthorities.keyID(of: record) == keyID { roots.append(record) }
            }
            guard !roots.isEmpty else { throw .notAllowed(.unknown(id: keyID)) }
            do throws(AuthorityRefusal) {
                for root in roots { try draft.move(.x509, root.id, by: step, of: server) }
            } catch { throw .notAllowed(error) }
            return keyID
        }
    }
}
