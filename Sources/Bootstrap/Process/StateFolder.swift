internal import Glibc
package import Platform

/// A folder that one process owns at a time.
package final class StateFolder: Sendable {
    package let path: String
    private let lock: Int32

    /// Creates the folder where missing and takes its lock, which the kernel lets go when this process ends.
    ///
    /// - Parameters:
    ///   - path: The folder.
    ///   - mode: Permission bits, when it is created.
    ///   - files: How to create it.
    /// - Throws: ``Failure`` with status `cannotCreate`.
    package init(_ path: String, mode: UInt32, files: any FileSystem) throws(Failure) {
        self.path = path
        do { try files.createDirectory(path, mode: mode) } catch {
            throw Failure(
                .cannotCreate, "cannot use state folder \(path): \(error)",
                hint: "choose another folder with --state, or make this one writable")
        }
        let descriptor = open("\(path)/lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno)).lowercased()
            throw Failure(
                .cannotCreate, "cannot write in state folder \(path): \(reason)",
                hint: "choose another folder with --state, or make this one writable")
        }
        lock = descriptor
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw Failure(
                .cannotCreate, "another mintmark process uses state folder \(path)",
                hint: "stop it, or choose another folder with --state")
        }
    }

    deinit { close(lock) }

    /// A path inside the folder.
    package func file(_ name: String) -> String { "\(path)/\(name)" }
}
