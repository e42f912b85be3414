/// A stretch of time in which a ring may have had no room for records.
package struct RingGap: Hashable, Sendable {
    /// What the ring holds.
    package enum Kind: Hashable, Sendable, CaseIterable {
        /// Exec marks and executable mappings.
        case mappings
        /// Moves from one processor to another.
        case moves
    }

    package var kind: Kind
    package var processor: Int
    /// What was written at or before this instant of CLOCK_MONOTONIC is there.
    package var after: UInt64
    /// What was written at or after this one is there, too.
    package var before: UInt64

    package init(kind: Kind, processor: Int, after: UInt64, before: UInt64) {
        (self.kind, self.processor, self.after, self.before) = (kind, processor, after, before)
    }
}

/// Reads the records of one processor's ring, and tells when some may be missing.
///
/// One processor writes them one after the other, so they are in the order of time. Only once one fits again does the
/// kernel say that it left others out before.
package struct RingRecords: Sendable {
    private let kind: RingGap.Kind
    private let processor: Int
    /// When the latest record was written.
    private var latest: UInt64
    /// An instant at which there was room: all that had been written before had been taken out.
    private var emptied: UInt64
    /// The kernel reports no moves until it says that it does again.
    private var isThrottled = false

    /// - Parameters:
    ///   - kind: What the ring holds.
    ///   - processor: Whose ring it is.
    ///   - start: An instant before its first record.
    package init(_ kind: RingGap.Kind, of processor: Int, since start: UInt64) {
        (self.kind, self.processor, latest, emptied) = (kind, processor, start, start)
    }

    /// Reads what was taken out of the ring at once.
    ///
    /// - Parameters:
    ///   - bytes: Whole records: `struct perf_event_header` and what follows; with pid, tid and time at the end, or, of
    ///     samples, at the beginning.
    ///   - wasFull: Whether there was so little room left that a record may not have fitted.
    ///   - now: An instant after that.
    ///   - found: Called with each event that matters here.
    /// - Returns: When records may have been left out.
    package mutating func read(
        _ bytes: ArraySlice<UInt8>, wasFull: Bool, emptied now: UInt64, _ found: (MappingEvent) -> Void
    ) -> [RingGap] {
        var gaps: [RingGap] = []
        // Since when something is missing, as long as it is not known until when.
        var missing: UInt64? = isThrottled ? latest : nil
        var isFirst = true
        func end(at instant: UInt64) {
            guard let start = missing else { return }
            gaps.append(RingGap(kind: kind, processor: processor, after: start, before: max(start, instant)))
            missing = nil
        }
        defer { emptied = now }
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let rest = KernelBytes(bytes[start...])
            guard let type: UInt32 = rest.number(at: 0), let misc: UInt16 = rest.number(at: 4),
                let size: UInt16 = rest.number(at: 6), size >= 16, let body = rest.part(at: 0, count: Int(size)),
                let time: UInt64 = rest.number(at: Int(size) - 8)
            else {
                // What cannot be read counts as missing, and nothing is read past it.
                missing = missing ?? latest
                end(at: now)
                return gaps
            }
            start += Int(size)
            switch type {
            case 2, 13:  // PERF_RECORD_LOST, PERF_RECORD_LOST_SAMPLES
                missing = missing ?? latest
                continue
            case 5:  // PERF_RECORD_THROTTLE
                (isThrottled, missing) = (true, missing ?? latest)
                continue
            case 6: isThrottled = false  // PERF_RECORD_UNTHROTTLE
            default: break
            }
            let event: MappingEvent?
            do throws(Unreadable) { event = try self.event(type, misc, KernelBytes(body)) } catch {
                missing = missing ?? latest
                end(at: now)
                return gaps
            }
            // The one that did fit; those that did not came before it, and before the ring was emptied.
            if !isThrottled { end(at: isFirst && type != 6 ? min(time, max(emptied, latest)) : time) }
            isFirst = false
            latest = max(latest, time)
            if let event { found(event) }
        }
        if wasFull { missing = missing ?? latest }
        end(at: now)
        return gaps
    }

    private struct Unreadable: Error {}

    /// - Returns: nil for a record that does not matter.
    private func event(_ type: UInt32, _ misc: UInt16, _ record: KernelBytes) throws(Unreadable) -> MappingEvent? {
        let kind: MappingEvent.Kind
        switch (type, self.kind) {
        // PERF_RECORD_COMM; only those made by an exec carry PERF_RECORD_MISC_COMM_EXEC
        case (3, .mappings):
            guard misc & 1 << 13 != 0 else { return nil }
            guard record.count >= 32 else { throw Unreadable() }
            kind = .becameAnother
        case (9, .moves): kind = .moved  // PERF_RECORD_SAMPLE
        case (10, .mappings):  // PERF_RECORD_MMAP2
            guard let major: UInt32 = record.number(at: 40), let minor: UInt32 = record.number(at: 44),
                let inode: UInt64 = record.number(at: 48), let generation: UInt64 = record.number(at: 56),
                // With PERF_RECORD_MISC_MMAP_BUILD_ID there is a build id in that place; it was not asked for.
                misc & 1 << 14 == 0
            else { throw Unreadable() }
            kind = .mapped(
                MappedFile(
                    deviceMajor: major, deviceMinor: minor, inode: inode,
                    generation: UInt32(truncatingIfNeeded: generation)))
        default: return nil
        }
        guard let event = MappingEvent(record, on: processor, kind) else { throw Unreadable() }
        return event
    }
}
