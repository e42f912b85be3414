internal import CLinuxKernel
internal import Glibc

/// The kernel's log of executable mappings and exec marks of all processes, one ring for each processor.
///
/// The kernel writes each record before the exec or mmap(2) that caused it returns. Needs CAP_PERFMON.
package final class MappingRings {
    private struct Ring {
        let descriptor: Int32
        let memory: UnsafeMutableRawPointer
    }

    /// What one call to ``take()`` found.
    package struct Batch: Sendable {
        /// In the order of time.
        ///
        /// Within a process it is complete up to the call.
        package var events: [MappingEvent] = []
        package var lost = false
        /// Bytes that were waiting in the fullest ring.
        package var fullest = 0
    }

    private let rings: [Ring]
    private let size: Int
    private var buffer: [UInt8]
    /// Read too early: an event of another processor may come before these.
    private var early: [MappingEvent] = []

    /// How many processors are watched; those that come later are not.
    package var processors: Int { rings.count }

    /// Opens a ring on each processor.
    ///
    /// - Parameter size: Bytes in each ring, rounded up to a power of two of at least 64 KiB.
    /// - Throws: ``LinuxError``.
    package init(size: Int = 512 << 10) throws(LinuxError) {
        var rounded = 64 << 10
        while rounded < size && rounded < 64 << 20 { rounded *= 2 }
        self.size = rounded
        buffer = [UInt8](repeating: 0, count: rounded)
        var opened: [Ring] = []
        for processor in 0..<max(1, Int(sysconf(Int32(_SC_NPROCESSORS_CONF)))) {
            var memory: UnsafeMutableRawPointer?
            let descriptor = mintmark_mappings_open(Int32(processor), rounded, &memory)
            if descriptor >= 0, let memory {
                opened.append(Ring(descriptor: descriptor, memory: memory))
            } else if errno != ENODEV {
                let error = LinuxError("perf_event_open")
                for ring in opened { mintmark_mappings_close(ring.descriptor, ring.memory, rounded) }
                throw error
            }
        }
        guard !opened.isEmpty else { throw LinuxError("perf_event_open", code: ENODEV) }
        rings = opened
    }

    deinit { for ring in rings { mintmark_mappings_close(ring.descriptor, ring.memory, size) } }

    /// For poll(2): readable when a ring is half full.
    package var pollDescriptors: [Int32] { rings.map(\.descriptor) }

    /// Takes what was written before the call.
    package func take() -> Batch {
        // Nothing later than this is handed out yet. A task writes its records one after the other, so once one of
        // them is older than this instant, those before it are there to be read, on whichever processor they are.
        let limit = mintmark_monotonic()
        var batch = Batch()
        var events = early
        for ring in rings {
            let count = mintmark_mappings_take(ring.memory, size, &buffer)
            guard count > 0 else { continue }
            batch.fullest = max(batch.fullest, count)
            // The kernel says that it left records out only with the next one that fits.
            if count > size - (72 << 10).clamped(below: size / 2) { batch.lost = true }
            if MappingEvent.read(buffer[..<count], { events.append($0) }) { batch.lost = true }
        }
        events.sort { $0.time < $1.time }
        let split = events.firstIndex { $0.time >= limit } ?? events.endIndex
        early = Array(events[split...])
        batch.events = Array(events[..<split])
        return batch
    }
}

extension Int {
    fileprivate func clamped(below limit: Int) -> Int { Swift.min(self, limit) }
}
