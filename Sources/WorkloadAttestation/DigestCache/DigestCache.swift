internal import Foundation
package import LinuxKernel
internal import Synchronization

/// Digests of files whose contents are known not to have changed since.
///
/// A file that is being executed cannot be written to, and one that only root can write is not written by attackers;
/// anything else may change under an unchanged time stamp, through a page that was mapped for writing earlier.
/// What is kept is found again by everything the kernel tells of a file, and never outlives the process that keeps it.
package final class DigestCache: Sendable {
    /// In which part a file is looked up.
    package enum Role: Hashable, Sendable {
        /// The main executable of a running process.
        case runningProgram
        /// Any other file.
        case other
    }

    /// Where and how often was looked.
    package struct Counts: Hashable, Sendable {
        package var hits = 0
        package var misses = 0
        /// Files that are never kept, or were too young to be.
        package var refused = 0
        package var entries = 0
    }

    struct Key: Hashable {
        let state: FileIdentity
        let generation: UInt64
        let mountID: UInt64?

        init(_ file: ExecutableFile, _ state: FileState) {
            (self.state, generation, mountID) = (state.identity, file.generation, state.mountID)
        }
    }

    private struct Entry {
        let digest: String
        var lastUse: UInt64
    }

    private struct Store {
        var entries: [Key: Entry] = [:]
        var counts = Counts()
        var clock: UInt64 = 0
    }

    private let store = Mutex(Store())
    private let capacity: Int
    private let protectsRunningFiles: Bool
    private let hasFineTimes: Bool

    /// Creates an empty cache.
    ///
    /// - Parameters:
    ///   - host: Whether running files are protected, and how finely times are kept.
    ///   - capacity: The most digests kept.
    package init(host: HostAbilities, capacity: Int = 4096) {
        protectsRunningFiles = host.protectsRunningFiles == true
        hasFineTimes = host.hasFineTimes
        self.capacity = max(capacity, 8)
    }

    package var counts: Counts {
        store.withLock { store in
            var counts = store.counts
            counts.entries = store.entries.count
            return counts
        }
    }

    /// The digest of a file in a state, if one is known that can be trusted.
    func digest(of file: ExecutableFile, in state: FileState, as role: Role, isImmutable: Bool) -> String? {
        guard isTrusted(file, as: role, isImmutable: isImmutable) else {
            store.withLock { $0.counts.refused += 1 }
            return nil
        }
        let key = Key(file, state)
        return store.withLock { store in
            guard store.entries[key] != nil else {
                store.counts.misses += 1
                return nil
            }
            store.clock += 1
            store.counts.hits += 1
            store.entries[key]?.lastUse = store.clock
            return store.entries[key]?.digest
        }
    }

    /// Keeps a digest, if it may be kept.
    ///
    /// - Parameters:
    ///   - digest: Taken between two looks that both found this state.
    ///   - file: The file.
    ///   - state: Its state.
    ///   - now: A file that changed a moment ago might change again within one tick of its clock.
    func keep(_ digest: String, of file: ExecutableFile, in state: FileState, now: Date) {
        let isKept = file.fileSystem.isLocal && !isYoung(state.identity, file.fileSystem, now: now)
        let key = Key(file, state)
        store.withLock { store in
            guard isKept else {
                store.counts.refused += 1
                return
            }
            store.clock += 1
            store.entries[key] = Entry(digest: digest, lastUse: store.clock)
            guard store.entries.count > capacity else { return }
            // Several at once, so that the search for the oldest is not made for each.
            let oldest = store.entries.sorted { $0.value.lastUse < $1.value.lastUse }.prefix(max(1, capacity / 8))
            for (key, _) in oldest { store.entries[key] = nil }
        }
    }

    private func isTrusted(_ file: ExecutableFile, as role: Role, isImmutable: Bool) -> Bool {
        guard file.fileSystem.isLocal else { return false }
        if isImmutable { return true }
        // Between two runs it can be changed; only where that leaves a later stamp is it told from what was hashed.
        return role == .runningProgram && protectsRunningFiles && file.fileSystem.stampsEveryChange
    }

    private func isYoung(_ identity: FileIdentity, _ fileSystem: FileSystemKind, now: Date) -> Bool {
        let changed = Double(identity.changed.seconds) + Double(identity.changed.nanoseconds) / 1e9
        let margin = hasFineTimes && !fileSystem.hasCoarseTimes ? 0.02 : 2
        // A file from the future is young, too.
        return now.timeIntervalSince1970 - changed < margin
    }
}
