internal import CLinuxKernel
internal import Glibc

/// One end of a Unix stream connection, non-blocking, whose reads tell who wrote.
package final class ConnectedSocket: Sendable {
    package let descriptor: Int32

    /// Takes over a connected socket that has SO_PASSCRED set; it is closed when the object goes.
    package init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// What one read brought.
    ///
    /// All its bytes have one sender: the kernel glues no others to them.
    package struct Received: Sendable {
        /// Bytes at the start of the buffer; none at the end of the stream.
        package let count: Int
        /// Who wrote them; nil when it was not noted.
        ///
        /// A process of a PID namespace that cannot be seen from here has the number 0.
        package let sender: PeerCredentials?
        /// Whether descriptors came along; they are closed already.
        package let broughtDescriptors: Bool
        /// Whether control data was cut off.
        package let isTruncated: Bool
    }

    /// Reads what is there.
    ///
    /// - Parameter buffer: As long as the most that is read.
    /// - Returns: Nil when nothing is there.
    /// - Throws: ``LinuxError``.
    package func receive(into buffer: inout [UInt8]) throws(LinuxError) -> Received? {
        var sender = mintmark_ucred()
        var brought: Int32 = 0
        let count = buffer.withUnsafeMutableBytes {
            mintmark_receive(descriptor, $0.baseAddress, $0.count, &sender, &brought)
        }
        guard count >= 0 else {
            if errno == EAGAIN { return nil }
            throw LinuxError("recvmsg")
        }
        let isKnown = brought & MINTMARK_RECEIVED_SENDER != 0
        return Received(
            count: count, sender: isKnown ? PeerCredentials(sender) : nil,
            broughtDescriptors: brought & MINTMARK_RECEIVED_DESCRIPTORS != 0,
            isTruncated: brought & MINTMARK_RECEIVED_TRUNCATED != 0)
    }

    /// Writes what the kernel has room for.
    ///
    /// - Parameters:
    ///   - bytes: What to write.
    ///   - start: Where in it to begin.
    /// - Returns: How many bytes were taken; 0 when there is no room.
    /// - Throws: ``LinuxError``; `EPIPE` when the other end is gone, without a signal.
    package func send(_ bytes: [UInt8], from start: Int) throws(LinuxError) -> Int {
        guard start < bytes.count else { return 0 }
        let sent = bytes.withUnsafeBytes { whole in
            let rest = UnsafeRawBufferPointer(rebasing: whole[start...])
            return mintmark_send(descriptor, rest.baseAddress, rest.count)
        }
        guard sent >= 0 else {
            if errno == EAGAIN { return 0 }
            throw LinuxError("send")
        }
        return sent
    }

    /// Ends the connection in both directions, which wakes whoever waits for it; what was written is still delivered.
    package func shutDown() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// The peer's process, pinned.
    ///
    /// - Parameter credentials: What the kernel noted of it.
    /// - Returns: The process, and whether the kernel itself pinned it at connect. Where it cannot (before Linux 6.5)
    ///   the process is found by its number, which may have come to mean another.
    /// - Throws: ``LinuxError`` when the process is gone, or cannot be seen from here.
    package func peer(_ credentials: PeerCredentials) throws(LinuxError) -> (handle: ProcessHandle, isPinned: Bool) {
        guard credentials.pid > 0 else { throw LinuxError("SO_PEERCRED", code: ESRCH) }
        let pidfd = mintmark_peer_pidfd(descriptor)
        if pidfd >= 0 { return (try ProcessHandle(owning: pidfd, pid: credentials.pid), true) }
        guard errno == ENOPROTOOPT else { throw LinuxError("SO_PEERPIDFD") }
        return (try ProcessHandle(pid: credentials.pid), false)
    }
}
