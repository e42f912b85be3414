internal import Foundation

/// The authorities as they will be, with the changes that make them so; nothing of it is durable yet.
struct AuthorityDraft {
    private(set) var records: [AuthorityRecord]
    private(set) var changes: [AuthorityChange] = []
    /// Private keys that are of no more use once the changes are durable.
    private(set) var doomedKeys: [String] = []
    /// Private keys made for what is in here, or for what came to nothing.
    private(set) var createdKeys: [String] = []
    /// IDs of the roots that an upstream named when it signed, and when that was.
    private(set) var vouched: (ids: Set<String>, at: Date) = ([], .distantPast)

    init(_ records: [AuthorityRecord]) { self.records = records }

    subscript(kind: AuthorityRecord.Kind, id: String) -> AuthorityRecord? {
        records.first { $0.kind == kind && $0.id == id }
    }

    /// Those of one kind with which a server signs, or did.
    func own(_ kind: AuthorityRecord.Kind, of server: ServerID) -> [AuthorityRecord] {
        records.filter { $0.kind == kind && $0.isOwned(by: server) }
    }

    mutating func add(_ record: AuthorityRecord) {
        records.append(record)
        changes.append(.put(record))
    }

    /// Notes a key that is of use only if the changes become durable.
    mutating func note(createdKeys names: some Sequence<String>) { createdKeys += names }

    /// Notes which roots an upstream named when it signed.
    mutating func note(vouched ids: Set<String>, at now: Date) { vouched = (ids, now) }

    /// Moves an authority through its life.
    ///
    /// - Returns: What it is now.
    @discardableResult
    mutating func move(
        _ kind: AuthorityRecord.Kind, _ id: String, by step: AuthorityRecord.Step, of server: ServerID
    ) throws(AuthorityRefusal) -> AuthorityRecord {
        guard let position = records.firstIndex(where: { $0.kind == kind && $0.id == id }) else {
            throw .unknown(id: id)
        }
        try records[position].take(step)
        let record = records[position]
        changes.append(.put(record))
        // What nobody trusts has nothing left to sign.
        if record.state == .revoked, record.isOwned(by: server), let key = record.keyName { doomedKeys.append(key) }
        return record
    }

    /// Forgets an authority, and its key if it is one of this server's.
    mutating func remove(_ record: AuthorityRecord, of server: ServerID) {
        records.removeAll { $0.kind == record.kind && $0.id == record.id }
        changes.append(.delete(record.kind, id: record.id))
        if record.isOwned(by: server), let key = record.keyName { doomedKeys.append(key) }
    }

    /// Takes over the records of an earlier version whose keys this server has.
    mutating func claim(for server: ServerID, keys: Set<String>) {
        for position in records.indices {
            guard case .server(nil, let keyName) = records[position].origin, keys.contains(keyName) else { continue }
            records[position].claim(for: server)
            changes.append(.put(records[position]))
        }
    }
}
