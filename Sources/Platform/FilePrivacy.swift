internal import Glibc

/// Who may come near a secret in a file, so that it still is one.
package enum FilePrivacy: Hashable, Sendable {
    /// Made by this system: its own user alone, and no link in its place.
    case own
    /// Handed over by an admin: this user's alone, or root's, and then a group may read it as well. That is how service
    /// managers and orchestrators hand secrets over, often through a link, which is followed.
    case handedOver

    private static let groupAndOthers: UInt32 = 0o077
    private static let allButReadingGroup: UInt32 = 0o037

    /// Judges what was found.
    ///
    /// - Parameters:
    ///   - status: Of the file or directory.
    ///   - path: Where it is.
    /// - Throws: ``FileSystemError``, with the command that mends it.
    package func judge(_ status: FileStatus, path: String) throws(FileSystemError) {
        guard status.kind != .symbolicLink else {
            throw refusal(
                path, code: ELOOP, "it is a symbolic link, and whoever can change it chooses what is used",
                remedy: "put the file or folder itself there, not a link")
        }
        let isFolder = status.kind == .directory
        guard isFolder || status.kind == .file else {
            throw refusal(path, code: EINVAL, "it is no regular file", remedy: "put a regular file there")
        }
        let forbidden: UInt32
        switch (status.owner, self) {
        case (.thisUser, _): forbidden = Self.groupAndOthers
        case (.root, .handedOver): forbidden = Self.allButReadingGroup
        case (.root, .own):
            throw refusal(path, code: EPERM, "it belongs to root", remedy: Self.ownershipRemedy(path))
        case (.another(let user), _):
            throw refusal(path, code: EPERM, "it belongs to uid \(user)", remedy: Self.ownershipRemedy(path))
        }
        let excess = status.mode & forbidden
        guard excess == 0 else {
            let mode = "0" + String(status.mode & 0o777, radix: 8)
            throw refusal(
                path, code: EPERM,
                "its mode \(mode) lets others \(excess & 0o022 == 0 ? "read" : "change") it",
                remedy:
                    "run 'chmod \(isFolder ? "700" : "600") \(path)'; if others could use this machine, replace the key"
            )
        }
    }

    private static func ownershipRemedy(_ path: String) -> String {
        "run as its owner, or run 'chown' on \(path) once you know what it holds"
    }

    private func refusal(_ path: String, code: Int32, _ reason: String, remedy: String) -> FileSystemError {
        FileSystemError("use", path, code: code, reason: reason, remedy: remedy)
    }
}

extension FileSystem {
    /// Judges a file or directory that this system made itself.
    ///
    /// - Parameter path: What to judge; nothing there is fine.
    /// - Throws: ``FileSystemError``, with the command that mends it.
    package func requireOwn(_ path: String) throws(FileSystemError) {
        if let status = try status(path) { try FilePrivacy.own.judge(status, path: path) }
    }
}
