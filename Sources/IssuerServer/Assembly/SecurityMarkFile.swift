internal import IssuerDomain
internal import Platform

/// The security mark as a file: one decimal number.
struct SecurityMarkFile: SecurityMark {
    private static let maximumLength = 32

    private let path: String
    private let files: any FileSystem

    init(path: String, files: any FileSystem) { (self.path, self.files) = (path, files) }

    func read() throws(SecurityMarkError) -> UInt64? {
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(path, limit: Self.maximumLength) } catch {
            throw SecurityMarkError("\(error)")
        }
        guard let contents else { return nil }
        // A mark that cannot be read says nothing, and so cannot say that all is well.
        guard let text = String(validating: contents, as: UTF8.self),
            let revision = UInt64(text.split(whereSeparator: \.isNewline).first ?? ""), revision < UInt64(Int64.max)
        else { throw SecurityMarkError("\(path) does not hold a number") }
        return revision
    }

    func raise(to revision: UInt64) throws(SecurityMarkError) {
        if let marked = try read(), marked >= revision { return }
        do throws(FileSystemError) {
            try files.replace(path, with: Array("\(revision)\n".utf8), mode: 0o600)
        } catch { throw SecurityMarkError("\(error)") }
    }
}
