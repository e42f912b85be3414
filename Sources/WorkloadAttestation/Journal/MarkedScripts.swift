package import LinuxKernel

/// Which scripts' closing is reported: a bounded number, those used last.
///
/// Each keeps an inode in memory.
package struct MarkedScripts: Sendable {
    private let most: Int
    private var lastUse: [KernelFileHandle: UInt64] = [:]
    private var uses: UInt64 = 0

    /// - Parameter most: At least one.
    package init(most: Int) { self.most = max(1, most) }

    package var count: Int { lastUse.count }

    package func contains(_ script: KernelFileHandle) -> Bool { lastUse[script] != nil }

    /// Notes that a script is used now.
    ///
    /// - Parameters:
    ///   - script: The script.
    ///   - isNeeded: Whether one that was used before has to stay.
    /// - Returns: Those to be let go of in its stead; nil when it has no place, since all the others have to stay.
    package mutating func use(
        _ script: KernelFileHandle, unless isNeeded: (KernelFileHandle) -> Bool
    ) -> [KernelFileHandle]? {
        uses += 1
        guard lastUse[script] == nil, lastUse.count >= most else {
            lastUse[script] = uses
            return []
        }
        // Several at once, so that the search for the oldest is not made for each.
        let oldest = lastUse.filter { !isNeeded($0.key) }.sorted { $0.value < $1.value }.prefix(max(1, most / 64))
        guard !oldest.isEmpty else { return nil }
        for (script, _) in oldest { lastUse[script] = nil }
        lastUse[script] = uses
        return oldest.map(\.key)
    }

    /// Notes that a script's closing is not reported after all.
    package mutating func remove(_ script: KernelFileHandle) { lastUse[script] = nil }
}
