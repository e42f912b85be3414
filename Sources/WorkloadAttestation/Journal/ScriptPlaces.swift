internal import Synchronization

/// How many scripts are held open for the processes of each user: one who starts many leaves the others theirs.
final class ScriptPlaces: Sendable {
    /// A place, given back when it goes.
    final class Place: Sendable {
        private let places: ScriptPlaces
        private let user: UInt32

        fileprivate init(_ places: ScriptPlaces, _ user: UInt32) { (self.places, self.user) = (places, user) }

        deinit { places.giveBack(user) }
    }

    private let most: Int
    private let taken = Mutex<[UInt32: Int]>([:])

    init(most: Int) { self.most = most }

    /// A place for a process of a user; nil when that user has too many.
    func take(for user: UInt32) -> Place? {
        let isFree = taken.withLock { taken in
            guard taken[user, default: 0] < most else { return false }
            taken[user, default: 0] += 1
            return true
        }
        return isFree ? Place(self, user) : nil
    }

    private func giveBack(_ user: UInt32) {
        taken.withLock { taken in
            let rest = taken[user, default: 1] - 1
            taken[user] = rest > 0 ? rest : nil
        }
    }
}
