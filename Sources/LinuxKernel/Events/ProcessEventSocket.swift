internal import CLinuxKernel
internal import Glibc

/// A subscription to the proc connector.
///
/// The kernel puts each event into the socket's queue before the system call that caused it returns, so what has been
/// read until the queue is empty is everything that had happened. Needs CAP_NET_ADMIN and the initial user, PID and
/// network namespaces.
package final class ProcessEventSocket {
    private static let slot = 256
    private static let slots = 64

    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: slot * slots)
    private var lengths = [UInt32](repeating: 0, count: slots)
    private var senders = [UInt32](repeating: 0, count: slots)

    /// What one call to ``drain(limit:)`` found.
    package struct Batch: Sendable {
        package var events: [ProcessEvent] = []
        /// The kernel had more than its queue holds, so some are missing.
        package var overran = false
        /// Messages that were no events, which only others can have sent.
        package var refused = 0
    }

    /// Subscribes, and waits for the kernel's word that it did.
    ///
    /// - Parameters:
    ///   - queue: Bytes that may wait in the kernel.
    ///   - patience: Milliseconds to wait for the answer.
    /// - Throws: ``LinuxError``; `EPERM` when this process is not in the initial namespaces, where the kernel keeps
    ///   silent.
    package init(queue: Int32 = 16 << 20, patience: Int32 = 1000) throws(LinuxError) {
        descriptor = mintmark_connector_open(queue)
        guard descriptor >= 0 else { throw LinuxError("proc connector") }
        guard mintmark_connector_listen(descriptor) == 0 else { throw LinuxError("proc connector listen") }
        let end = mintmark_monotonic() &+ UInt64(patience) * 1_000_000
        while mintmark_monotonic() < end {
            var watch = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&watch, 1, 50) >= 0 || errno == EINTR else { throw LinuxError("proc connector poll") }
            for event in drain(limit: 4096).events {
                guard case .acknowledged(let error) = event.kind else { continue }
                guard error == 0 else {
                    throw LinuxError("proc connector listen", code: Int32(truncatingIfNeeded: error))
                }
                return
            }
        }
        throw LinuxError("proc connector listen", code: EPERM)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// For poll(2).
    package var pollDescriptor: Int32 { descriptor }

    /// Takes what waits, without waiting for more.
    ///
    /// - Parameter limit: The most events taken; the queue is empty afterwards unless that many came.
    /// - Returns: What there was.
    package func drain(limit: Int = .max) -> Batch {
        var batch = Batch()
        while batch.events.count < limit {
            let count = mintmark_connector_receive(
                descriptor, &buffer, Self.slot, &lengths, &senders, UInt32(Self.slots))
            if count < 0 {
                guard errno == ENOBUFS else { break }
                batch.overran = true
                continue
            }
            guard count > 0 else { break }
            for index in 0..<min(Int(count), Self.slots) {
                let length = Int(lengths[index])
                let start = index * Self.slot
                do {
                    batch.events.append(
                        try ProcessEvent(
                            datagram: buffer[start..<(start + min(length, Self.slot))], length: length,
                            sender: senders[index]))
                } catch {
                    // A message of the kernel's that cannot be read may have been an event.
                    if case .foreignSender = error {} else { batch.overran = true }
                    batch.refused += 1
                }
            }
            if count < Self.slots { break }
        }
        return batch
    }
}
