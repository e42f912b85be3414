/// The few things this system does with files.
package protocol FileSystem: Sendable {
    /// Reads a whole file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: The most bytes read.
    /// - Returns: The contents, or nil if there is no such file.
    /// - Throws: ``FileSystemError``.
    func read(_ path: String, limit: Int) throws(FileSystemError) -> [UInt8]?

    /// Reads a whole file that holds a secret, if only those can come near it who may; what is judged is what is read.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - limit: The most bytes read.
    ///   - privacy: Who may come near it.
    /// - Returns: The contents, or nil if there is no such file.
    /// - Throws: ``FileSystemError``.
    func readSecret(_ path: String, limit: Int, privacy: FilePrivacy) throws(FileSystemError) -> [UInt8]?

    /// Looks at a file or directory; of a symbolic link at the end of the path, at the link itself.
    ///
    /// - Parameter path: The file or directory.
    /// - Returns: What is there, or nil if nothing is.
    /// - Throws: ``FileSystemError``.
    func status(_ path: String) throws(FileSystemError) -> FileStatus?

    /// Replaces a file so that a crash leaves either the old contents or the new, durable on return.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - bytes: The new contents.
    ///   - mode: Permission bits; in force before the first byte is written.
    /// - Throws: ``FileSystemError``.
    func replace(_ path: String, with bytes: [UInt8], mode: UInt32) throws(FileSystemError)

    /// Removes a file; one that is not there is fine.
    ///
    /// - Parameter path: The file.
    /// - Throws: ``FileSystemError``.
    func remove(_ path: String) throws(FileSystemError)

    /// Creates a directory and its parents where missing; an existing one keeps its mode.
    ///
    /// - Parameters:
    ///   - path: The directory.
    ///   - mode: Permission bits of what is created.
    /// - Throws: ``FileSystemError``.
    func createDirectory(_ path: String, mode: UInt32) throws(FileSystemError)

    /// Lists the names in a directory, in order; none if there is no such directory.
    ///
    /// - Parameter path: The directory.
    /// - Returns: Bare names, without the directory.
    /// - Throws: ``FileSystemError``.
    func names(in path: String) throws(FileSystemError) -> [String]
}

/// Why a file operation failed.
package struct FileSystemError: Error, Hashable, CustomStringConvertible {
    package let operation: String
    package let path: String
    /// The `errno` value.
    package let code: Int32
    private let reason: String
    /// What mends it, for a person; nil when that is not known.
    package let remedy: String?

    /// Creates an error.
    package init(_ operation: String, _ path: String, code: Int32, reason: String, remedy: String? = nil) {
        (self.operation, self.path, self.code, self.reason) = (operation, path, code, reason)
        self.remedy = remedy
    }

    /// The error with what mends it, where only one text can be kept.
    package var advice: String { remedy.map { "\(self); \($0)" } ?? "\(self)" }

    package var description: String { "cannot \(operation) \(path): \(reason)" }
}
