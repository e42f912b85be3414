/// What a ring of executable mappings told: that a process became another program, or mapped an executable file.
package struct MappingEvent: Hashable, Sendable {
    /// CLOCK_MONOTONIC in nanoseconds.
    package var time: UInt64
    /// The process, by the number of its first thread.
    package var process: Int32
    package var kind: Kind

    package init(time: UInt64, process: Int32, kind: Kind) {
        (self.time, self.process, self.kind) = (time, process, kind)
    }

    package enum Kind: Hashable, Sendable {
        /// The point of no return of an exec; mappings of the new program follow.
        case becameAnother
        case mapped(MappedFile)
    }

    /// Reads records one after the other.
    ///
    /// - Parameters:
    ///   - bytes: Whole records (`struct perf_event_header` and what follows, with pid, tid and time at the end).
    ///   - found: Called with each event that matters here.
    /// - Returns: Whether records are missing: the kernel said so, or what it wrote cannot be read.
    package static func read(_ bytes: ArraySlice<UInt8>, _ found: (MappingEvent) -> Void) -> Bool {
        var lost = false
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let rest = KernelBytes(bytes[start...])
            guard let type: UInt32 = rest.number(at: 0), let misc: UInt16 = rest.number(at: 4),
                let size: UInt16 = rest.number(at: 6), size >= 8, let body = rest.part(at: 0, count: Int(size))
            else { return true }
            start += Int(size)
            switch type {
            case 2, 13: lost = true  // PERF_RECORD_LOST, PERF_RECORD_LOST_SAMPLES
            case 3:  // PERF_RECORD_COMM; only those made by an exec carry PERF_RECORD_MISC_COMM_EXEC
                guard misc & 1 << 13 != 0 else { continue }
                guard let event = Self(KernelBytes(body), .becameAnother) else { return true }
                found(event)
            case 10:  // PERF_RECORD_MMAP2
                let record = KernelBytes(body)
                guard let major: UInt32 = record.number(at: 40), let minor: UInt32 = record.number(at: 44),
                    let inode: UInt64 = record.number(at: 48), let generation: UInt64 = record.number(at: 56),
                    // With PERF_RECORD_MISC_MMAP_BUILD_ID there is a build id in that place; it was not asked for.
                    misc & 1 << 14 == 0
                else { return true }
                let file = MappedFile(
                    deviceMajor: major, deviceMinor: minor, inode: inode,
                    generation: UInt32(truncatingIfNeeded: generation))
                guard let event = Self(record, .mapped(file)) else { return true }
                found(event)
            default: continue
            }
        }
        return lost
    }

    /// A record with its process first and its time last.
    private init?(_ record: KernelBytes, _ kind: Kind) {
        guard let process: UInt32 = record.number(at: 8), let time: UInt64 = record.number(at: record.count - 8),
            record.count >= 32
        else { return nil }
        // A process that is just being made or undone may have no number; 0 and -1 match none.
        self.init(time: time, process: Int32(truncatingIfNeeded: process), kind: kind)
    }
}

/// The file behind a mapping, as the kernel names it when it makes the mapping.
package struct MappedFile: Hashable, Sendable {
    package var deviceMajor: UInt32
    package var deviceMinor: UInt32
    package var inode: UInt64
    /// Tells files apart that had the same inode number one after the other.
    package var generation: UInt32

    package init(deviceMajor: UInt32, deviceMinor: UInt32, inode: UInt64, generation: UInt32) {
        (self.deviceMajor, self.deviceMinor) = (deviceMajor, deviceMinor)
        (self.inode, self.generation) = (inode, generation)
    }
}
