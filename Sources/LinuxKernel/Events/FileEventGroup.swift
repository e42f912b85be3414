internal import CLinuxKernel
internal import Glibc

/// A fanotify group that reports which files are opened to be executed, by handle and without holding anyone up.
///
/// The kernel joins an event with an equal one that has not been read yet, so the order of two events says something
/// only when the queue held neither before.
package final class FileEventGroup {
    private let descriptor: Int32
    private var buffer = [UInt8](repeating: 0, count: 64 << 10)
    /// A directory of each marked file system, to open files by handle.
    private var mounts: [UInt64: MountDirectory] = [:]
    /// An instant before which the queue had been read to its end.
    private var emptied: UInt64

    /// - Throws: ``LinuxError``.
    package init() throws(LinuxError) {
        emptied = mintmark_monotonic()
        descriptor = mintmark_fanotify_open(0)
        guard descriptor >= 0 else { throw LinuxError("fanotify_init") }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Has every exec of a file on the file system that holds a path reported.
    ///
    /// - Parameters:
    ///   - path: A directory.
    ///   - isMountOnly: Whether only execs through the mount that holds it are.
    /// - Throws: ``LinuxError``.
    package func markFileSystem(of path: String, isMountOnly: Bool = false) throws(LinuxError) {
        let directory = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw LinuxError("open \(path)") }
        guard
            mintmark_fanotify_mark(
                descriptor, isMountOnly ? MINTMARK_MARK_MOUNT : MINTMARK_MARK_FILESYSTEM, path) == 0
        else {
            let error = LinuxError("fanotify_mark \(path)")
            close(directory)
            throw error
        }
        guard let handle = try? Self.handle(of: directory), mounts[handle.fileSystem] == nil else {
            close(directory)
            return
        }
        mounts[handle.fileSystem] = MountDirectory(owning: directory)
    }

    /// What was read until nothing waited.
    package struct Batch: Sendable {
        package var events: [FileEvent] = []
        /// Some of what happened after this instant of CLOCK_MONOTONIC is missing.
        package var lostAfter: UInt64?
    }

    /// For poll(2).
    package var pollDescriptor: Int32 { descriptor }

    /// Takes what waits, without waiting for more.
    package func drain() -> Batch {
        var batch = Batch()
        let before = emptied
        while true {
            let now = mintmark_monotonic()
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                emptied = now
                return batch
            }
            let part = FileEvent.read(buffer[..<count])
            batch.events += part.events
            if part.lost { batch.lostAfter = before }
        }
    }

    /// Where a file is opened by its handle; nil when its file system is not marked.
    package func mount(of handle: KernelFileHandle) -> MountDirectory? { mounts[handle.fileSystem] }

    static func handle(of descriptor: Int32) throws(LinuxError) -> KernelFileHandle {
        var bytes = [UInt8](repeating: 0, count: KernelFileHandle.longest)
        var (type, count, fileSystem) = (Int32(0), UInt32(0), UInt64(0))
        guard mintmark_file_handle(descriptor, &type, &bytes, &count, &fileSystem) == 0 else {
            throw LinuxError("name_to_handle_at")
        }
        return KernelFileHandle(
            fileSystem: fileSystem, type: UInt32(bitPattern: type), bytes: Array(bytes.prefix(Int(count))))
    }

    /// Reports also when a file that a guard holds is closed, and leaves its openings to the guard.
    ///
    /// - Throws: ``LinuxError``.
    package func watchClosing(of script: ExecutedScript) throws(LinuxError) {
        guard mintmark_fanotify_mark_descriptor(descriptor, MINTMARK_MARK_CLOSING, script.descriptor) == 0 else {
            throw LinuxError("fanotify_mark script")
        }
    }

    /// Ends that, and leaves its openings to the file system's mark again.
    package func stopWatchingClosing(of handle: KernelFileHandle) {
        guard let script = try? mount(of: handle)?.open(handle) else { return }
        _ = mintmark_fanotify_mark_descriptor(descriptor, MINTMARK_MARK_NOT_CLOSING, script.descriptor)
    }
}

/// A directory of a file system, through which its files are opened by handle.
package final class MountDirectory: Sendable {
    private let descriptor: Int32

    init(owning descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Opens a file.
    ///
    /// - Throws: ``LinuxError``; `ESTALE` when it is no more.
    package func open(_ handle: KernelFileHandle) throws(LinuxError) -> ExecutedScript {
        let file = mintmark_open_by_handle(
            descriptor, Int32(bitPattern: handle.type), handle.bytes, UInt32(handle.bytes.count))
        guard file >= 0 else { throw LinuxError("open_by_handle_at") }
        return try ExecutedScript(owning: file)
    }
}

/// A file that was opened to be executed and may be a script.
package final class ExecutedScript: Sendable {
    let descriptor: Int32
    package let facts: FileFacts
    package let identity: FileIdentity
    package let handle: KernelFileHandle?

    /// Takes over a descriptor.
    ///
    /// - Throws: ``LinuxError``; the descriptor is closed then, too.
    init(owning descriptor: Int32) throws(LinuxError) {
        self.descriptor = descriptor
        var status = stat()
        handle = try? FileEventGroup.handle(of: descriptor)
        guard fstat(descriptor, &status) == 0 else {
            let error = LinuxError("fstat script")
            close(descriptor)
            throw error
        }
        identity = FileIdentity(status)
        do { facts = try FileFacts(descriptor: descriptor) } catch {
            close(descriptor)
            throw error
        }
    }

    deinit { close(descriptor) }

    /// Which inode it is now, in which state; nil when it cannot be asked.
    package var identityNow: FileIdentity? {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? FileIdentity(status) : nil
    }

    /// Where it is.
    package var path: String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink("/proc/self/fd/\(descriptor)", &buffer, buffer.count)
        guard length > 0, length < buffer.count else { return nil }
        return String(validating: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Reads from its start.
    ///
    /// - Parameter limit: The most bytes read.
    /// - Returns: All of them.
    /// - Throws: ``LinuxError``; `EFBIG` when there are more.
    package func contents(limit: Int) throws(LinuxError) -> [UInt8] {
        var contents: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while contents.count <= limit {
            let count = pread(descriptor, &piece, piece.count, off_t(contents.count))
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw LinuxError("read script") }
            if count == 0 { return contents }
            contents += piece[..<count]
        }
        throw LinuxError("read script", code: EFBIG)
    }

    /// Whether it starts with `#!`; nil when it cannot be read.
    package var isScript: Bool? {
        var head: [UInt8] = [0, 0]
        guard pread(descriptor, &head, 2, 0) >= 0 else { return nil }
        return head == [0x23, 0x21]
    }

    /// Refuses writers from now on, or fails because there is one.
    ///
    /// - Throws: ``LinuxError``; `EAGAIN` when someone has it open for writing.
    package func takeLease() throws(LinuxError) {
        guard mintmark_lease_take(descriptor) == 0 else { throw LinuxError("lease") }
    }

    /// Whether nobody has opened it for writing since the lease was taken.
    package var leaseStands: Bool { mintmark_lease_stands(descriptor) == 1 }

    package func releaseLease() { mintmark_lease_release(descriptor) }
}
