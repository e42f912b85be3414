internal import Glibc
internal import LinuxKernel

/// Waits for descriptors, and can be woken.
final class JournalWake: Sendable {
    private let reading: Int32
    private let writing: Int32

    init() throws(LinuxError) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw LinuxError("pipe") }
        (reading, writing) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        close(reading)
        close(writing)
    }

    /// Ends waiting, now and from now on.
    func signal() {
        var byte: UInt8 = 1
        _ = write(writing, &byte, 1)
    }

    /// Which descriptors are readable, and which will never be again.
    struct Ready {
        var readable: Set<Int32> = []
        var ended: Set<Int32> = []
    }

    /// Waits until one of the descriptors is readable, the time is over, or ``signal()`` was called.
    @discardableResult
    func wait(for descriptors: [Int32], atMost limit: Duration) -> Ready {
        var watches = (descriptors + [reading]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let (seconds, rest) = limit.components
        let milliseconds = seconds * 1000 + rest / 1_000_000_000_000_000
        var ready = Ready()
        guard poll(&watches, nfds_t(watches.count), Int32(clamping: max(1, milliseconds))) > 0 else { return ready }
        for watch in watches where watch.revents != 0 {
            if watch.revents & Int16(POLLIN) != 0 {
                ready.readable.insert(watch.fd)
            } else {
                ready.ended.insert(watch.fd)
            }
        }
        return ready
    }
}
