internal import Bootstrap
internal import IssuerDomain
internal import Platform

/// Where a server keeps who it is: with its keys, not in the database that it may share.
struct ServerIDFile {
    let path: String
    let files: any FileSystem

    /// Reads the ID, or draws and keeps one at the first start.
    ///
    /// - Throws: ``Failure`` when the file is there but does not hold an ID; `FileSystemError`.
    func load(using entropy: inout some Entropy) throws -> ServerID {
        if let contents = try files.read(path, limit: 64) {
            let text = String(decoding: contents, as: UTF8.self)
            guard let id = ServerID(text.hasSuffix("\n") ? String(text.dropLast()) : text) else {
                throw Failure(
                    .refused, "\(path) does not hold a server ID",
                    hint: "restore it from a backup; or remove it, and the server makes new signing authorities")
            }
            return id
        }
        let id = ServerID(using: &entropy)
        try files.replace(path, with: Array("\(id)\n".utf8), mode: 0o600)
        return id
    }
}
