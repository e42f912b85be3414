internal import Glibc
internal import IssuerDomain
internal import Platform

/// The database file itself.
enum StoreFile {
    /// Creates an empty file readable by its owner alone; SQLite gives its journal files the same mode.
    ///
    /// - Throws: `readOnly`, also for a file that others may have written to: what it says of who may have what is worth
    ///   nothing then.
    static func createPrivate(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            if errno == ELOOP { throw .readOnly(detail: "\(path): it is a symbolic link; name the file itself") }
            let reason = String(cString: strerror(errno)).lowercased()
            throw .readOnly(detail: "\(path): \(reason)")
        }
        defer { close(descriptor) }
        guard let status = LocalFileSystem.status(ofDescriptor: descriptor), status.kind == .file else {
            throw .readOnly(detail: "\(path): it is no regular file")
        }
        switch status.owner {
        case .thisUser: break
        case .root: throw Self.foreign(path, uid: 0)
        case .another(let uid): throw Self.foreign(path, uid: uid)
        }
        guard status.mode & 0o022 == 0 else {
            throw .readOnly(
                detail: """
                    \(path): others could write to it; once you know that nobody did, run 'chmod 600 \(path)'
                    """)
        }
        // The mode is also mended on a file that is already there.
        guard fchmod(descriptor, 0o600) == 0 else { throw .readOnly(detail: "\(path): cannot set its mode") }
    }

    private static func foreign(_ path: String, uid: UInt32) -> StoreError {
        .readOnly(detail: "\(path): it belongs to uid \(uid); run as that user, or change its owner")
    }

    /// Whether nothing was ever written to the file or its journal.
    static func isEmpty(_ path: String) -> Bool {
        for name in [path, "\(path)-wal"] {
            let descriptor = open(name, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            if lseek(descriptor, 0, SEEK_END) > 0 { return false }
        }
        return true
    }
}
