internal import LinuxKernel

/// When one of the kernel's queues may have left something out: a bounded number of stretches of time.
struct GapLog: Sendable {
    private struct Gap {
        var after: UInt64
        var before: UInt64
    }

    private static let most = 1024

    /// In the order in which they ended.
    private var gaps: [Gap] = []
    /// Gaps that ended before are not kept.
    private var kept: UInt64 = 0

    /// Notes that what happened between two instants may be missing.
    mutating func add(after: UInt64, before: UInt64) {
        guard after < before else { return }
        if let last = gaps.last, after <= last.before {
            gaps[gaps.count - 1] = Gap(after: min(last.after, after), before: max(last.before, before))
            return
        }
        gaps.append(Gap(after: after, before: before))
        guard gaps.count > Self.most else { return }
        // Several at once, so that the others are not moved for each.
        kept = max(kept, gaps[Self.most / 4 - 1].before)
        gaps.removeFirst(Self.most / 4)
    }

    /// Whether something may be missing of what happened between two instants; also when that is too long ago to say.
    func mayMiss(after start: UInt64, before end: UInt64) -> Bool {
        guard start >= kept else { return true }
        for gap in gaps.reversed() {
            guard gap.before > start else { return false }
            if gap.after < end { return true }
        }
        return false
    }
}

/// The gaps in the rings of all processors.
struct RingGapLog: Sendable {
    private struct Ring: Hashable {
        let kind: RingGap.Kind
        let processor: Int
    }

    private var logs: [Ring: GapLog] = [:]

    mutating func add(_ gap: RingGap) {
        logs[Ring(kind: gap.kind, processor: gap.processor), default: GapLog()].add(
            after: gap.after, before: gap.before)
    }

    func mayMiss(_ kind: RingGap.Kind, on processor: Int, after start: UInt64, before end: UInt64) -> Bool {
        logs[Ring(kind: kind, processor: processor)]?.mayMiss(after: start, before: end) ?? false
    }

    func mayMissAnywhere(_ kind: RingGap.Kind, after start: UInt64, before end: UInt64) -> Bool {
        logs.contains { $0.key.kind == kind && $0.value.mayMiss(after: start, before: end) }
    }
}
