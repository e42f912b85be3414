/// Why the authorities were not changed as somebody asked.
package enum AuthorityRefusal: Error, Hashable {
    /// The request names none.
    case noID
    /// There is none of that name that this server may change.
    case unknown(id: String)
    /// It is signing now.
    case isActive(id: String)
    /// The step does not follow from where the authority stands.
    case outOfOrder(id: String, state: AuthorityRecord.State, step: AuthorityRecord.Step)
    /// It has ended.
    case ended(id: String)
    /// It has not begun.
    case early(id: String)
    /// X.509 authorities of this server are the upstream's to vouch for.
    case isUpstreams
    /// There is no upstream.
    case noUpstream
    /// The upstream's root vouches for what signs now, or for what is about to.
    case upstreamInUse(keyID: String)
    /// What was to be added is not sound.
    case unsound(detail: String)
    /// The key ID stands for another key.
    case idTaken(id: String)
    /// It was revoked.
    case isRevoked(id: String)
    /// As many were added as one bundle may hold.
    case tooMany(limit: Int)
}

extension AuthorityRefusal: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noID: "no authority ID was given"
        case .unknown(let id): "this server has no such authority: \(id.prefix(255))"
        case .isActive(let id): "authority \(id) is signing now; prepare and activate another one first"
        case .outOfOrder(let id, let state, let step):
            "cannot \(step.rawValue) authority \(id): it is \(state.rawValue), and only \(Self.expected(step))"
        case .ended(let id): "authority \(id) has ended"
        case .early(let id): "authority \(id) has not begun; the clock was ahead when it was made, or is behind now"
        case .isUpstreams: "an upstream authority vouches for this server; taint or revoke its root instead"
        case .noUpstream: "no upstream authority is configured"
        case .upstreamInUse(let keyID): "upstream authority \(keyID) vouches for what this server signs with"
        case .unsound(let detail): "authority is not sound: \(detail)"
        case .idTaken(let id): "key ID \(id) stands for another key"
        case .isRevoked(let id): "authority \(id) was revoked"
        case .tooMany(let limit): "at most \(limit) such authorities are published"
        }
    }

    private static func expected(_ step: AuthorityRecord.Step) -> String {
        switch step {
        case .activate: "a prepared one can be activated"
        case .retire: "a prepared or active one can be retired"
        case .taint: "one that signs no more can be tainted"
        case .revoke: "a tainted one can be revoked"
        }
    }
}
