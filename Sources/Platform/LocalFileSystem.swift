internal import Foundation
internal import Glibc
internal import Synchronization

/// The machine's file system.
package struct LocalFileSystem: FileSystem {
    private static let replacing = Mutex(())

    package init() {}

    package func read(_ path: String, limit: Int) throws(FileSystemError) -> [UInt8]? {
        try read(path, limit: limit, flags: 0) { _ throws(FileSystemError) in }
    }

    package func readSecret(
        _ path: String, limit: Int, privacy: FilePrivacy
    ) throws(FileSystemError) -> [UInt8]? {
        // A link would be refused below as well, but by then something was opened that nobody meant.
        if privacy == .own { try requireOwn(path) }
        return try read(path, limit: limit, flags: privacy == .own ? O_NOFOLLOW : 0) {
            status throws(FileSystemError) in
            try privacy.judge(Self.status(status), path: path)
        }
    }

    package func status(_ path: String) throws(FileSystemError) -> FileStatus? {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw failure("look at", path)
        }
        return Self.status(status)
    }

    /// Looks at what a descriptor is open on.
    ///
    /// - Returns: nil when that cannot be told.
    package static func status(ofDescriptor descriptor: Int32) -> FileStatus? {
        var found = stat()
        return fstat(descriptor, &found) == 0 ? status(found) : nil
    }

    private static func status(_ status: stat) -> FileStatus {
        let kind: FileStatus.Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        let owner: FileStatus.Owner =
            status.st_uid == geteuid() ? .thisUser : status.st_uid == 0 ? .root : .another(status.st_uid)
        return FileStatus(kind: kind, mode: UInt32(status.st_mode) & 0o7777, owner: owner)
    }

    private func read(
        _ path: String, limit: Int, flags: Int32, judging: (stat) throws(FileSystemError) -> Void
    ) throws(FileSystemError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("read", path)
        }
        defer { close(descriptor) }
        var found = stat()
        guard fstat(descriptor, &found) == 0 else { throw failure("look at", path) }
        try judging(found)
        var contents: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("read", path)
            }
            if count == 0 { return contents }
            guard contents.count + count <= limit else { throw failure("read", path, code: EFBIG) }
            contents.append(contentsOf: buffer[..<count])
        }
    }

    package func replace(_ path: String, with bytes: [UInt8], mode: UInt32) throws(FileSystemError) {
        // One name, so that what a crash left behind is removed by the next attempt; and one at a time, so that two at
        // once do not write into each other's file.
        let temporary = "\(path).new"
        try Self.replacing.withLock { _ throws(FileSystemError) in
            try write(bytes, to: temporary, mode: mode)
            guard rename(temporary, path) == 0 else {
                let error = failure("replace", path)
                unlink(temporary)
                throw error
            }
        }
        try flushDirectory(holding: path)
    }

    private func write(_ bytes: [UInt8], to temporary: String, mode: UInt32) throws(FileSystemError) {
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode_t(mode))
        guard descriptor >= 0 else { throw failure("create", temporary) }
        do throws(FileSystemError) {
            // Whatever the umask says, the mode is the one asked for.
            guard fchmod(descriptor, mode_t(mode)) == 0 else { throw failure("set the mode of", temporary) }
            try write(bytes, to: descriptor, path: temporary)
            guard fsync(descriptor) == 0 else { throw failure("flush", temporary) }
        } catch {
            close(descriptor)
            unlink(temporary)
            throw error
        }
        close(descriptor)
    }

    package func remove(_ path: String) throws(FileSystemError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw failure("remove", path) }
    }

    package func createDirectory(_ path: String, mode: UInt32) throws(FileSystemError) {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFDIR else { throw failure("create directory", path, code: ENOTDIR) }
            return
        }
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        if parent != path, parent != "/" { try createDirectory(parent, mode: mode) }
        guard mkdir(path, mode_t(mode)) == 0 else {
            if errno == EEXIST { return }
            throw failure("create directory", path)
        }
        // Whatever the umask says, the mode is the one asked for.
        guard chmod(path, mode_t(mode)) == 0 else { throw failure("set the mode of", path) }
    }

    package func names(in path: String) throws(FileSystemError) -> [String] {
        guard let directory = opendir(path) else {
            if errno == ENOENT { return [] }
            throw failure("list", path)
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    private func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(FileSystemError) {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write", path)
            }
            written += count
        }
    }

    private func flushDirectory(holding path: String) throws(FileSystemError) {
        let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
        let descriptor = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("flush directory", parent) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("flush directory", parent) }
    }

    private func failure(_ operation: String, _ path: String, code: Int32 = errno) -> FileSystemError {
        FileSystemError(operation, path, code: code, reason: String(cString: strerror(code)).lowercased())
    }
}
