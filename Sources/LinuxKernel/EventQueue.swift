internal import CLinuxKernel
internal import Glibc

/// An epoll set for several threads: each event is given to one of them, once, until its descriptor is armed again.
package final class EventQueue: Sendable {
    private let descriptor: Int32
    private let waker: Int32

    /// What a wait ended with.
    package enum Event: Sendable {
        /// A descriptor, by the token it was added with.
        case ready(UInt64)
        /// The queue was told to wake everyone.
        case woken
        /// The time was over.
        case timeout
    }

    /// No descriptor may have this token.
    private static let wakerToken = UInt64.max

    package init() throws(LinuxError) {
        descriptor = mintmark_queue_create()
        guard descriptor >= 0 else {
            waker = -1
            throw LinuxError("epoll_create1")
        }
        waker = mintmark_queue_waker(descriptor, Self.wakerToken)
        guard waker >= 0 else { throw LinuxError("eventfd") }
    }

    deinit {
        if waker >= 0 { close(waker) }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Asks for one event of a descriptor, in place of what was asked for before.
    ///
    /// Closing it takes it out.
    ///
    /// - Parameters:
    ///   - watched: The descriptor.
    ///   - isNew: Whether it was never asked about before.
    ///   - token: What its events are known by; any number but the largest.
    ///   - readable: Whether to be told that it can be read. Errors and hang-ups are told anyway.
    ///   - writable: Whether to be told that it can be written.
    /// - Throws: ``LinuxError``.
    package func arm(
        _ watched: Int32, isNew: Bool, token: UInt64, readable: Bool, writable: Bool
    ) throws(LinuxError) {
        guard
            mintmark_queue_arm(descriptor, isNew ? 1 : 0, watched, token, readable ? 1 : 0, writable ? 1 : 0) == 0
        else { throw LinuxError("epoll_ctl") }
    }

    /// Waits for one event: a thread that takes more would keep them from the others while it is busy with the first.
    ///
    /// - Parameter milliseconds: How long; for ever if negative.
    /// - Returns: What there is.
    /// - Throws: ``LinuxError``.
    package func wait(milliseconds: Int32 = -1) throws(LinuxError) -> Event {
        var token: UInt64 = 0
        let count = mintmark_queue_wait(descriptor, milliseconds, &token)
        guard count >= 0 else { throw LinuxError("epoll_wait") }
        if count == 0 { return .timeout }
        return token == Self.wakerToken ? .woken : .ready(token)
    }

    /// Wakes every thread that waits, and every one that comes to wait later.
    package func wakeAll() { _ = mintmark_queue_wake(waker) }
}
