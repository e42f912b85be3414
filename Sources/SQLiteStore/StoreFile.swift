internal import Glibc
internal import IssuerDomain

/// The database file itself.
enum StoreFile {
    /// Creates an empty file readable by its owner alone; SQLite gives its journal files the same mode.
    static func createPrivate(_ path: String) throws(StoreError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let reason = String(cString: strerror(errno)).lowercased()
            throw .readOnly(detail: "\(path): \(reason)")
        }
        defer { close(descriptor) }
        // The mode is also mended on a file that is already there.
        guard fchmod(descriptor, 0o600) == 0 else { throw .readOnly(detail: "\(path): cannot set its mode") }
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
