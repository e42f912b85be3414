package import Platform

/// The files of a folder that can hold entries.
package enum EntryFiles {
    private static let suffixes = [".yaml", ".yml", ".json"]
    /// `ENOTDIR`.
    private static let notAFolder: Int32 = 20

    /// The files below a path, in order.
    ///
    /// - Parameters:
    ///   - path: A file, or a folder: then its files whose names end in `.yaml`, `.yml` or `.json` and do not begin with a
    ///     dot; folders in it are not entered.
    ///   - files: The machine's.
    /// - Returns: The paths; the path itself when it is no folder.
    /// - Throws: ``Failure`` when the folder cannot be read.
    package static func list(_ path: String, files: any FileSystem) throws(Failure) -> [String] {
        let names: [String]
        do throws(FileSystemError) { names = try files.names(in: path) } catch {
            if error.code == notAFolder { return [path] }
            throw Failure(.refused, "\(error)", hint: "name a file or folder that can be read")
        }
        let found = names.filter { name in !name.hasPrefix(".") && suffixes.contains { name.hasSuffix($0) } }
        if names.isEmpty, !isThere(path, files) { return [path] }
        return found.map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
    }

    /// Whether there is something: what cannot be read is there as well, such as a folder without files.
    private static func isThere(_ path: String, _ files: any FileSystem) -> Bool {
        do throws(FileSystemError) { return try files.read(path, limit: 1) != nil } catch { return true }
    }
}
