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

    /// Waits until one of the descriptors is readable, the time is over, or ``signal()`` was called.
    func wait(for descriptors: [Int32], atMost limit: Duration) {
        var watches = (descriptors + [reading]).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let (seconds, rest) = limit.components
        let milliseconds = seconds * 1000 + rest / 1_000_000_000_000_000
        _ = poll(&watches, nfds_t(watches.count), Int32(clamping: max(1, milliseconds)))
    }
}
