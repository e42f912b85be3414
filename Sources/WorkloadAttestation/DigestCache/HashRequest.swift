package import LinuxKernel

/// A file whose digest is needed, as it was found.
package struct HashRequest: Sendable {
    package let file: ExecutableFile
    package let state: FileState
}

/// Digests taken for one gathering of evidence: true of their files' states, and kept no longer.
package struct FreshDigests: Sendable {
    private var found: [DigestCache.Key: Result<String, Gap>] = [:]

    package init() {}

    mutating func add(_ result: Result<String, Gap>, for request: HashRequest) {
        found[DigestCache.Key(request.file, request.state)] = result
    }

    /// What was found for a file in this very state.
    func result(of file: ExecutableFile, in state: FileState) -> Result<String, Gap>? {
        found.isEmpty ? nil : found[DigestCache.Key(file, state)]
    }
}
