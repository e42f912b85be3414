internal import Synchronization

/// The sessions that hold descriptors and buffers beyond the pinned process: a bounded number of those used last.
///
/// Thousands of connections do nothing for hours. Each holding its process's directory, its program and its libraries
/// open would use up the descriptors that others need.
final class AwakeSessions: Sendable {
    private struct Reference {
        weak var session: EvidenceSession?
    }

    private struct Ring {
        var places: [Reference]
        var hand = 0
    }

    private let ring: Mutex<Ring>

    init(capacity: Int = 128) {
        ring = Mutex(Ring(places: Array(repeating: Reference(), count: max(1, capacity))))
    }

    /// Takes in a session that has begun to hold something.
    ///
    /// - Returns: One that was not used for a while, which has to rest in its stead.
    func add(_ session: EvidenceSession) -> EvidenceSession? {
        ring.withLock { ring in
            // Whoever was used since the hand came by is passed over once.
            for _ in ring.places {
                guard let other = ring.places[ring.hand].session, other !== session,
                    other.wasUsed.exchange(false, ordering: .relaxed)
                else { break }
                ring.hand = (ring.hand + 1) % ring.places.count
            }
            let resting = ring.places[ring.hand].session
            ring.places[ring.hand] = Reference(session: session)
            ring.hand = (ring.hand + 1) % ring.places.count
            return resting === session ? nil : resting
        }
    }
}
