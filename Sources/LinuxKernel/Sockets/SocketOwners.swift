internal import Foundation
internal import Glibc

/// Finds the processes that hold a socket, by looking through the descriptors of every process.
///
/// A snapshot: sockets can be handed on while it is taken, so whoever uses the answer attests the processes found.
package enum SocketOwners {
    /// A process with the inode of a socket that it holds.
    package struct Owner: Hashable, Sendable {
        package let pid: Int32
        package let inode: UInt64
    }

    /// The most descriptors looked at in one process.
    private static let descriptorLimit = 65_536
    /// The longest table read, in bytes; a row takes 150.
    private static let tableLimit = 64 << 20

    /// The processes that hold any of some sockets.
    ///
    /// - Parameter inodes: The sockets.
    /// - Returns: By process id; processes whose descriptors this one may not see are left out.
    package static func holding(_ inodes: Set<UInt64>) -> [Owner] {
        guard !inodes.isEmpty else { return [] }
        let wanted = Dictionary(inodes.map { ("socket:[\($0)]", $0) }) { first, _ in first }
        var owners: Set<Owner> = []
        for pid in names(in: "/proc").compactMap({ Int32($0) }).sorted() {
            let folder = "/proc/\(pid)/fd"
            for name in names(in: folder).prefix(descriptorLimit) {
                guard let link = SymbolicLink.target(of: "\(folder)/\(name)"), let inode = wanted[link] else {
                    continue
                }
                owners.insert(Owner(pid: pid, inode: inode))
            }
        }
        return owners.sorted { ($0.pid, $0.inode) < ($1.pid, $1.inode) }
    }

    /// Reads a file of `/proc/net` of this process's network namespace.
    ///
    /// - Parameter name: Such as `tcp6`.
    /// - Returns: Its text, whole; empty when there is none.
    package static func table(_ name: String) -> String {
        // Not by Foundation, which goes by the size that the kernel gives for such a file, and reads a part of it.
        guard let bytes = try? KernelFile.read("/proc/net/\(name)", limit: tableLimit) else { return "" }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }
}

/// Where links lead.
enum SymbolicLink {
    /// The target of a link, if it is one, shorter than a path may be, and text.
    static func target(of path: String) -> String? {
        withUnsafeTemporaryAllocation(byteCount: Int(PATH_MAX), alignment: 1) { buffer -> String? in
            let length = buffer.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlink(path, $0, text.count) } ?? -1
            }
            guard length > 0, length < buffer.count else { return nil }
            return String(validating: buffer[..<length], as: UTF8.self)
        }
    }
}
