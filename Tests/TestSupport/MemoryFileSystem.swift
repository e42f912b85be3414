internal import Glibc
package import Platform
internal import Synchronization

/// Files that are gone when the test ends, on a disk that fails when told to.
package final class MemoryFileSystem: FileSystem {
    /// What can be made to fail.
    package enum Operation: Hashable, Sendable, CaseIterable {
        case read
        case replace
        case remove
        case createDirectory
        case names
    }

    /// A file as it lies there.
    package struct File: Hashable, Sendable {
        package var bytes: [UInt8]
        package var mode: UInt32
        package var owner: FileStatus.Owner

        package init(bytes: [UInt8], mode: UInt32, owner: FileStatus.Owner = .thisUser) {
            (self.bytes, self.mode, self.owner) = (bytes, mode, owner)
        }
    }

    private struct Fault {
        let path: String?
        let code: Int32
        /// nil lasts for ever.
        var remaining: Int?
    }

    private struct State {
        var files: [String: File] = [:]
        var folders: [String: UInt32] = ["/": 0o755]
        var faults: [Operation: Fault] = [:]
    }

    private let state = Mutex(State())

    /// Starts empty but for `/` and the folders named.
    package init(folders: [String] = []) {
        for folder in folders { state.withLock { Self.makeFolders(folder, mode: 0o755, in: &$0) } }
    }

    /// Every file by path.
    package var files: [String: File] { state.withLock { $0.files } }

    /// The mode of every folder by path.
    package var folders: [String: UInt32] { state.withLock { $0.folders } }

    /// Puts a file in place without regard to faults.
    package func place(
        _ path: String, _ bytes: some Sequence<UInt8>, mode: UInt32 = 0o600, owner: FileStatus.Owner = .thisUser
    ) {
        state.withLock {
            Self.makeFolders(Self.parent(of: path), mode: 0o755, in: &$0)
            $0.files[path] = File(bytes: Array(bytes), mode: mode, owner: owner)
        }
    }

    /// Makes an operation fail from now on.
    ///
    /// - Parameters:
    ///   - operation: What fails.
    ///   - path: Only there; everywhere when left out.
    ///   - code: The `errno` value; a full disk when left out.
    ///   - times: How often; always when left out.
    package func fail(_ operation: Operation, at path: String? = nil, code: Int32 = ENOSPC, times: Int? = nil) {
        state.withLock { $0.faults[operation] = Fault(path: path, code: code, remaining: times) }
    }

    /// Makes an operation work again.
    package func heal(_ operation: Operation) { state.withLock { $0.faults[operation] = nil } }

    package func read(_ path: String, limit: Int) throws(FileSystemError) -> [UInt8]? {
        try perform(.read, "read", path) { state in
            guard let file = state.files[path] else {
                return state.folders[path] == nil ? .success(nil) : .failure(.init(code: EISDIR))
            }
            return file.bytes.count <= limit ? .success(file.bytes) : .failure(.init(code: EFBIG))
        }
    }

    package func readSecret(
        _ path: String, limit: Int, privacy: FilePrivacy
    ) throws(FileSystemError) -> [UInt8]? {
        let contents = try read(path, limit: limit)
        if let status = try status(path) { try privacy.judge(status, path: path) }
        return contents
    }

    package func status(_ path: String) throws(FileSystemError) -> FileStatus? {
        state.withLock { state in
            if let file = state.files[path] { return FileStatus(kind: .file, mode: file.mode, owner: file.owner) }
            return state.folders[path].map { FileStatus(kind: .directory, mode: $0, owner: .thisUser) }
        }
    }

    package func replace(_ path: String, with bytes: [UInt8], mode: UInt32) throws(FileSystemError) {
        try perform(.replace, "replace", path) { state -> Result<Void, Refusal> in
            guard state.folders[Self.parent(of: path)] != nil else { return .failure(.init(code: ENOENT)) }
            guard state.folders[path] == nil else { return .failure(.init(code: EISDIR)) }
            state.files[path] = File(bytes: bytes, mode: mode)
            return .success(())
        }
    }

    package func remove(_ path: String) throws(FileSystemError) {
        try perform(.remove, "remove", path) { state -> Result<Void, Refusal> in
            state.files[path] = nil
            return .success(())
        }
    }

    package func createDirectory(_ path: String, mode: UInt32) throws(FileSystemError) {
        try perform(.createDirectory, "create directory", path) { state -> Result<Void, Refusal> in
            guard !Self.ancestry(of: path).contains(where: { state.files[$0] != nil }) else {
                return .failure(.init(code: ENOTDIR))
            }
            Self.makeFolders(path, mode: mode, in: &state)
            return .success(())
        }
    }

    package func names(in path: String) throws(FileSystemError) -> [String] {
        try perform(.names, "list", path) { state in
            let paths = Array(state.files.keys) + Array(state.folders.keys)
            return .success(
                paths.filter { $0 != "/" && Self.parent(of: $0) == path }
                    .map { String($0.split(separator: "/").last ?? "") }.sorted())
        }
    }

    private struct Refusal: Error {
        let code: Int32
    }

    private func perform<Value: Sendable>(
        _ operation: Operation, _ verb: String, _ path: String, _ body: (inout State) -> Result<Value, Refusal>
    ) throws(FileSystemError) -> Value {
        let result: Result<Value, Refusal> = state.withLock { state in
            if let code = Self.fault(operation, path, in: &state) { return .failure(Refusal(code: code)) }
            return body(&state)
        }
        switch result {
        case .success(let value): return value
        case .failure(let refusal):
            throw FileSystemError(
                verb, path, code: refusal.code, reason: String(cString: strerror(refusal.code)).lowercased())
        }
    }

    private static func fault(_ operation: Operation, _ path: String, in state: inout State) -> Int32? {
        guard let fault = state.faults[operation], fault.path == nil || fault.path == path else { return nil }
        if let remaining = fault.remaining {
            guard remaining > 0 else { return nil }
            state.faults[operation]?.remaining = remaining - 1
        }
        return fault.code
    }

    private static func makeFolders(_ path: String, mode: UInt32, in state: inout State) {
        for folder in ancestry(of: path) where state.folders[folder] == nil { state.folders[folder] = mode }
    }

    /// The path and every folder above it but the root.
    private static func ancestry(of path: String) -> [String] {
        var folders: [String] = []
        var prefix = ""
        for part in path.split(separator: "/") {
            prefix += "/" + part
            folders.append(prefix)
        }
        return folders
    }

    private static func parent(of path: String) -> String {
        let parts = path.split(separator: "/").dropLast()
        return "/" + parts.joined(separator: "/")
    }
}
