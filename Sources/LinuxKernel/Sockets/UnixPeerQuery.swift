internal import Glibc

/// Asks the kernel which Unix socket is connected to which (sock_diag(7)).
package enum UnixPeerQuery {
    // linux/netlink.h, linux/sock_diag.h and linux/unix_diag.h.
    private static let sockDiag: Int32 = 4
    private static let byFamily: UInt16 = 20
    private static let request: UInt16 = 1
    private static let showPeer: UInt32 = 4
    private static let peerAttribute: UInt16 = 2
    private static let errorMessage: UInt16 = 2
    private static let headerLength = 16
    private static let messageLength = 16

    /// The inode of the socket at the other end.
    ///
    /// - Parameter inode: One end, in this process's network namespace.
    /// - Returns: nil when there is no such socket, it is not connected, or the kernel does not say.
    /// - Throws: ``LinuxError``.
    package static func peer(of inode: UInt64) throws(LinuxError) -> UInt64? {
        // The protocol has room for 32 bits only.
        guard let inode = UInt32(exactly: inode) else { return nil }
        let descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), sockDiag)
        guard descriptor >= 0 else { throw LinuxError("socket netlink") }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let question = question(inode)
        guard send(descriptor, question, question.count, 0) == question.count else { throw LinuxError("send netlink") }
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw LinuxError("recv netlink") }
        return answer(buffer[..<count])
    }

    private static func question(_ inode: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(native: UInt32(headerLength + 24))
        bytes.append(native: byFamily)
        bytes.append(native: request)
        bytes.append(native: UInt32(1))
        bytes.append(native: UInt32(0))
        bytes += [UInt8(AF_UNIX), 0, 0, 0]
        bytes.append(native: UInt32.max)
        bytes.append(native: inode)
        bytes.append(native: showPeer)
        // No cookie: any socket with that inode.
        bytes.append(native: UInt32.max)
        bytes.append(native: UInt32.max)
        return bytes
    }

    /// Finds the peer's inode in an answer.
    ///
    /// - Parameter bytes: What the kernel sent.
    /// - Returns: nil when it does not say.
    package static func answer(_ bytes: some RandomAccessCollection<UInt8>) -> UInt64? {
        let bytes = Array(bytes)
        guard let length = bytes.native(at: 0, as: UInt32.self), let type = bytes.native(at: 4, as: UInt16.self),
            type != errorMessage, Int(length) <= bytes.count
        else { return nil }
        var offset = headerLength + messageLength
        while let size = bytes.native(at: offset, as: UInt16.self), size >= 4, offset + Int(size) <= Int(length) {
            if bytes.native(at: offset + 2, as: UInt16.self) == peerAttribute, size >= 8,
                let inode = bytes.native(at: offset + 4, as: UInt32.self)
            {
                return UInt64(inode)
            }
            offset += (Int(size) + 3) & ~3
        }
        return nil
    }
}

extension [UInt8] {
    /// Appends an integer in the machine's byte order.
    fileprivate mutating func append(native value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value) { append(contentsOf: $0) }
    }

    /// An integer in the machine's byte order, if it is all there.
    fileprivate func native<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type) -> Value? {
        guard offset >= 0, offset <= count - MemoryLayout<Value>.size else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
}
