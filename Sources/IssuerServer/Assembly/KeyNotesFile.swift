internal import IssuerDomain
internal import Platform

/// The keys that may be in no record as a file: a name on each line.
struct KeyNotesFile: KeyNotes {
    private static let maximumLength = 1 << 20

    private let path: String
    private let files: any FileSystem

    init(path: String, files: any FileSystem) { (self.path, self.files) = (path, files) }

    func read() throws(KeyStoreError) -> Set<String> {
        let contents: [UInt8]?
        do throws(FileSystemError) { contents = try files.read(path, limit: Self.maximumLength) } catch {
            throw .failed(detail: "\(error)")
        }
        guard let contents else { return [] }
        guard let text = String(validating: contents, as: UTF8.self) else {
            throw .failed(detail: "\(path) is not text; remove it")
        }
        return Set(text.split(whereSeparator: \.isNewline).map { String($0) })
    }

    func write(_ names: Set<String>) throws(KeyStoreError) {
        do throws(FileSystemError) {
            try files.replace(path, with: Array(names.sorted().map { "\($0)\n" }.joined().utf8), mode: 0o600)
        } catch { throw .failed(detail: "\(error)") }
    }
}
