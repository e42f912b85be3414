/// What the kernel's rings told of a process: that it became another program, mapped an executable file, or went on to
/// another processor.
package struct MappingEvent: Hashable, Sendable {
    /// CLOCK_MONOTONIC in nanoseconds.
    package var time: UInt64
    /// The process, by the number of its first thread.
    package var process: Int32
    /// Where it ran then.
    package var processor: Int
    package var kind: Kind

    package init(time: UInt64, process: Int32, processor: Int = 0, kind: Kind) {
        (self.time, self.process, self.processor, self.kind) = (time, process, processor, kind)
    }

    package enum Kind: Hashable, Sendable {
        /// The point of no return of an exec; mappings of the new program follow.
        case becameAnother
        case mapped(MappedFile)
        /// One of its threads goes on here, and ran on another processor before.
        case moved
    }

    /// A record with its process first and its time last.
    init?(_ record: KernelBytes, on processor: Int, _ kind: Kind) {
        guard let process: UInt32 = record.number(at: 8), let time: UInt64 = record.number(at: record.count - 8),
            record.count >= 24
        else { return nil }
        // A process that is just being made or undone may have no number; 0 and -1 match none.
        self.init(time: time, process: Int32(truncatingIfNeeded: process), processor: processor, kind: kind)
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
