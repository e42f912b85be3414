internal import Crypto
package import Platform
package import SPIFFE

/// Finds out whether an entry goes by an interpreter alone.
///
/// The server sees no files, so it can judge names only; the machine on which the entry is written often has the very
/// interpreter.
package struct InterpreterSearch {
    package struct Finding: Hashable {
        package let selector: Selector
        package let path: String
    }

    /// Looked into whatever the search path says.
    package static let usualFolders = ["/usr/local/bin", "/usr/bin", "/bin"]
    /// The most files hashed, and the most bytes of each.
    private static let (fileLimit, sizeLimit) = (64, 256 << 20)

    private let folders: [String]
    private let files: any FileSystem
    private let resolve: (String) -> String

    /// - Parameters:
    ///   - folders: Where interpreters may be; relative ones are left out.
    ///   - files: The machine's.
    ///   - resolve: Follows symbolic links; a path that leads nowhere stays as it is.
    package init(folders: [String], files: any FileSystem, resolve: @escaping (String) -> String) {
        (self.folders, self.files, self.resolve) = (folders.filter { $0.hasPrefix("/") }, files, resolve)
    }

    /// The selector by which an entry goes by an interpreter, unless another one says what it runs.
    ///
    /// - Returns: nil when none does, as far as can be seen here.
    package func interpreter(in selectors: [Selector]) -> Finding? {
        guard !selectors.contains(where: BareInterpreter.measuresScript) else { return nil }
        for selector in selectors {
            guard let path = Self.value(of: selector, among: BareInterpreter.pathPrefixes) else { continue }
            for candidate in [path, resolve(path)] where BareInterpreter.isNamed(Self.name(of: candidate)) {
                return Finding(selector: selector, path: candidate)
            }
        }
        let digests = selectors.compactMap { selector in
            Self.value(of: selector, among: BareInterpreter.digestPrefixes).map { (selector, $0) }
        }
        guard !digests.isEmpty else { return nil }
        for path in installed() {
            guard let contents = try? files.read(path, limit: Self.sizeLimit) else { continue }
            let digest = Hex.encode(Array(SHA256.hash(data: contents)))
            if let (selector, _) = digests.first(where: { $0.1 == digest }) {
                return Finding(selector: selector, path: path)
            }
        }
        return nil
    }

    private func installed() -> [String] {
        var found: [String] = []
        var seen: Set<String> = []
        for folder in folders where seen.insert("\(folder)/").inserted {
            for name in (try? files.names(in: folder)) ?? [] where BareInterpreter.isNamed(name) {
                let path = resolve("\(folder)/\(name)")
                if found.count < Self.fileLimit, seen.insert(path).inserted { found.append(path) }
            }
        }
        return found
    }

    private static func value(of selector: Selector, among prefixes: [String]) -> String? {
        prefixes.lazy.compactMap { BareInterpreter.value(of: selector, after: $0) }.first
    }

    private static func name(of path: String) -> Substring { path.split(separator: "/").last ?? "" }
}
