internal import Synchronization

/// Where the newest bundles lie, for every request to take.
final class BundleShelf: Sendable {
    private let guarded = Mutex(HeldBundles())

    /// What is held now.
    var current: HeldBundles { guarded.withLock { $0 } }

    /// Replaces a part.
    func update(_ change: (inout HeldBundles) -> Void) { guarded.withLock { change(&$0) } }
}
