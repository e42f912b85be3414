internal import CLinuxKernel
internal import Glibc

/// The kernel's log of executable mappings and exec marks of all processes, and of their moves from one processor to
/// another: two rings for each processor.
///
/// The kernel writes each record before the exec or mmap(2) that caused it returns. Needs CAP_PERFMON.
///
/// Moves have rings of their own, so that whoever fills the rings of mappings on one processor cannot hide that a
/// process was there.
package final class MappingRings {
    private struct Ring {
        let descriptor: Int32
        let memory: UnsafeMutableRawPointer
        let size: Int
        var records: RingRecords

        init(_ kind: RingGap.Kind, processor: Int, size: Int) throws(LinuxError) {
            let start = mintmark_monotonic()
            var memory: UnsafeMutableRawPointer?
            let descriptor =
                switch kind {
                case .mappings: mintmark_mappings_open(Int32(processor), size, &memory)
                case .moves: mintmark_moves_open(Int32(processor), size, &memory)
                }
            guard descriptor >= 0, let memory else { throw LinuxError("perf_event_open") }
            (self.descriptor, self.memory, self.size) = (descriptor, memory, size)
            records = RingRecords(kind, of: processor, since: start)
        }

        func close() { mintmark_ring_close(descriptor, memory, size) }
    }

    /// What one call to ``take()`` found.
    package struct Batch: Sendable {
        /// In the order of time.
        ///
        /// Within a process it is complete up to the call, but for the gaps.
        package var events: [MappingEvent] = []
        package var gaps: [RingGap] = []
    }

    /// A record is a path of at most PATH_MAX bytes with its surroundings, and one may be being written.
    private static let largestRecords = 16 << 10
    private static let sizeOfMoves = 64 << 10

    private var rings: [Ring]
    private var buffer: [UInt8]
    /// Read too early: an event of another processor may come before these.
    private var early: [MappingEvent] = []

    /// How many processors are watched; those that come later are not.
    package let processors: Int

    /// Opens the rings of each processor.
    ///
    /// - Parameter size: Bytes in each ring of mappings, rounded up to a power of two of at least 64 KiB; unless given,
    ///   2 MiB, or less where there are many processors.
    /// - Throws: ``LinuxError``.
    package init(size: Int? = nil) throws(LinuxError) {
        let processors = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_CONF))))
        let wanted = size ?? max(512 << 10, min(2 << 20, (64 << 20) / processors))
        var rounded = 64 << 10
        while rounded < wanted && rounded < 64 << 20 { rounded *= 2 }
        buffer = [UInt8](repeating: 0, count: rounded)
        var opened: [Ring] = []
        do throws(LinuxError) {
            for processor in 0..<processors {
                do throws(LinuxError) {
                    opened.append(try Ring(.mappings, processor: processor, size: rounded))
                } catch  where error.code == ENODEV { continue }
                opened.append(try Ring(.moves, processor: processor, size: Self.sizeOfMoves))
            }
            guard !opened.isEmpty else { throw LinuxError("perf_event_open", code: ENODEV) }
        } catch {
            for ring in opened { ring.close() }
            throw error
        }
        rings = opened
        self.processors = opened.count / 2
    }

    deinit { for ring in rings { ring.close() } }

    /// For poll(2): readable when a ring fills up.
    package var pollDescriptors: [Int32] { rings.map(\.descriptor) }

    /// Takes what was written before the call.
    package func take() -> Batch {
        // Nothing later than this is handed out yet. A task writes its records one after the other, so once one of
        // them is older than this instant, those before it are there to be read, on whichever processor they are.
        let limit = mintmark_monotonic()
        var batch = Batch()
        var events = early
        for index in rings.indices {
            let (memory, size) = (rings[index].memory, rings[index].size)
            let count = mintmark_ring_take(memory, size, &buffer)
            let gaps = rings[index].records.read(
                buffer[..<count], wasFull: count > size - Self.largestRecords, emptied: mintmark_monotonic()
            ) { events.append($0) }
            batch.gaps += gaps
        }
        events.sort { $0.time < $1.time }
        let split = events.firstIndex { $0.time >= limit } ?? events.endIndex
        early = Array(events[split...])
        batch.events = Array(events[..<split])
        return batch
    }
}
