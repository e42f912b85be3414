package import Platform

/// Tells whoever waits that service has begun.
package struct ReadyFile: Sendable {
    private let path: String?
    private let files: any FileSystem

    package init(_ path: String?, files: any FileSystem) { (self.path, self.files) = (path, files) }

    /// Removes what an earlier run left behind.
    package func clear() throws(Failure) {
        guard let path else { return }
        do { try files.remove(path) } catch {
            throw Failure(.cannotCreate, "\(error)", hint: "give --ready-file a path that can be written")
        }
    }

    /// Writes the file, whole or not at all.
    ///
    /// - Parameter contents: One line of JSON.
    /// - Throws: ``Failure`` with status `cannotCreate`.
    package func write(_ contents: String) throws(Failure) {
        guard let path else { return }
        do { try files.replace(path, with: Array((contents + "\n").utf8), mode: 0o644) } catch {
            throw Failure(.cannotCreate, "\(error)", hint: "give --ready-file a path that can be written")
        }
    }
}
