internal import Glibc

/// A place in the file system where a Unix socket will listen.
package struct UnixSocketPath: Hashable, Sendable, CustomStringConvertible {
    /// The longest path; one byte less than the kernel's, for the name used while the socket is being made.
    package static let maximumLength = 106

    package let path: String

    /// Takes an absolute or relative path.
    ///
    /// - Parameter path: Where to listen.
    /// - Throws: ``Failure`` with status `configuration` when the kernel could not take it.
    package init(_ path: String) throws(Failure) {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw Failure(.configuration, "socket path is empty", hint: "give the path of a file to create")
        }
        guard path.utf8.count <= Self.maximumLength else {
            throw Failure(
                .cannotCreate, "socket path is longer than \(Self.maximumLength) bytes: \(path)",
                hint: "use a shorter state folder")
        }
        self.path = path
    }

    package var description: String { path }

    /// The name under which the socket is made, before it is moved into place with its final mode.
    package var staging: String { path + "~" }

    /// Refuses to take the place of a socket that somebody listens on; a stale one is fine.
    ///
    /// - Throws: ``Failure`` with status `cannotCreate`.
    package func refuseIfTaken() throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Failure(
                .cannotCreate, "\(path) exists and is not a socket", hint: "move it away, or use another path")
        }
        guard answers else { return }
        throw Failure(
            .cannotCreate, "another process listens on \(path)", hint: "stop it, or use another socket path")
    }

    /// Moves the staged socket into place.
    ///
    /// - Parameters:
    ///   - mode: Permission bits; connecting needs write permission.
    ///   - group: Whose group bits they are; nil for the process's own.
    /// - Throws: ``Failure`` with status `cannotCreate`.
    package func publish(mode: UInt32, group: UInt32? = nil) throws(Failure) {
        let isGiven = group.map { chown(staging, .max, $0) == 0 } ?? true
        guard isGiven, chmod(staging, mode_t(mode)) == 0, rename(staging, path) == 0 else {
            let reason = String(cString: strerror(errno)).lowercased()
            throw Failure(.cannotCreate, "cannot create socket \(path): \(reason)", hint: "use another socket path")
        }
    }

    /// Removes the socket; one that is not there is fine.
    package func remove() { unlink(path) }

    /// Whether somebody accepts connections there.
    private var answers: Bool {
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // A full backlog (EAGAIN) means a listener that is busy; anything else but refusal is taken as one, too.
        return result == 0 || errno != ECONNREFUSED && errno != ENOENT
    }
}
