internal import LinuxKernel
internal import Platform
internal import Synchronization

/// Which package of dpkg's owns a file, and in which version.
///
/// Read when first asked for, and again when dpkg has written since. Says that a package claims the path, not that the
/// file is as the package brought it; so it is asked only of files that none but root can change.
package final class PackageIndex: Sendable {
    private struct Index {
        var stamp: [FileIdentity]
        /// Packages by the hashes of their paths; a hash alone proves nothing, so a hit is looked up in the list.
        var owners: [Int: UInt32]
        var packages: [String]
        var versions: [String: String]
    }

    /// Files that are worth a look: what is executed from where.
    private static let roots = ["/bin/", "/sbin/", "/lib/", "/lib64/", "/usr/", "/opt/"]

    private struct Known {
        var index: Index?
        /// What was said of paths, by their bytes, since the index was read.
        var answers: [[UInt8]: Fact<String>] = [:]
    }

    private static let mostAnswers = 4096

    private let folder: String
    private let known = Mutex(Known())
    /// Held by the one who reads the records, while the others wait for them.
    private let reading = Mutex(())

    /// Creates an index.
    ///
    /// - Parameter folder: dpkg's.
    package init(folder: String = "/var/lib/dpkg") { self.folder = folder }

    /// The package that owns a path.
    ///
    /// - Returns: `NAME=VERSION`.
    package func owner(of path: String) -> Fact<String> {
        guard Self.roots.contains(where: { path.utf8.starts(with: $0.utf8) }) else {
            return .unknown(Gap("no package installs files there"))
        }
        guard let stamp = stamp() else { return .unknown(Gap("dpkg has no records here")) }
        let key = Array(path.utf8)
        if let answer = known.withLock({ $0.index?.stamp == stamp ? $0.answers[key] : nil }) { return answer }
        guard let index = index(stamp) else { return .unknown(Gap("dpkg's records cannot be read")) }
        let answer = owner(of: path, in: index)
        known.withLock { known in
            guard known.index?.stamp == stamp else { return }
            if known.answers.count >= Self.mostAnswers { known.answers = [:] }
            known.answers[key] = answer
        }
        return answer
    }

    private func owner(of path: String, in index: Index) -> Fact<String> {
        // /bin may be a link to /usr/bin, and the lists name either.
        let names = path.utf8.starts(with: "/usr/".utf8) ? [path, String(path.dropFirst(4))] : [path]
        for name in names {
            guard let number = index.owners[name.hashValue], Int(number) < index.packages.count else { continue }
            let list = index.packages[Int(number)]
            guard lists(list, name) else { continue }
            let package = list.split(separator: ":").first.map(String.init) ?? list
            guard let version = index.versions[package] else { continue }
            return .known("\(package)=\(version)", .packageRecords)
        }
        return .unknown(Gap("no package owns it"))
    }

    /// The index of those records, read by the first who asks.
    private func index(_ stamp: [FileIdentity]) -> Index? {
        if let index = known.withLock({ $0.index }), index.stamp == stamp { return index }
        return reading.withLock { _ in
            if let index = known.withLock({ $0.index }), index.stamp == stamp { return index }
            let index = read(stamp)
            known.withLock { $0 = Known(index: index) }
            return index
        }
    }

    private func stamp() -> [FileIdentity]? {
        guard let info = try? KernelFile.state(of: "\(folder)/info"),
            let status = try? KernelFile.state(of: "\(folder)/status")
        else { return nil }
        return [info.identity, status.identity]
    }

    private func read(_ stamp: [FileIdentity]) -> Index? {
        guard let status = try? KernelFile.read("\(folder)/status", limit: 64 << 20),
            let names = try? LocalFileSystem().names(in: "\(folder)/info")
        else { return nil }
        var index = Index(stamp: stamp, owners: [:], packages: [], versions: Self.versions(status[...]))
        for name in names where name.hasSuffix(".list") {
            guard let bytes = try? KernelFile.read("\(folder)/info/\(name)", limit: 16 << 20) else { continue }
            let number = UInt32(clamping: index.packages.count)
            index.packages.append(String(name.dropLast(5)))
            for line in bytes.split(separator: UInt8(ascii: "\n")) {
                let path = String(decoding: line, as: UTF8.self)
                if Self.roots.contains(where: { path.utf8.starts(with: $0.utf8) }) {
                    index.owners[path.hashValue] = number
                }
            }
        }
        return index
    }

    private func lists(_ package: String, _ path: String) -> Bool {
        guard let bytes = try? KernelFile.read("\(folder)/info/\(package).list", limit: 16 << 20) else { return false }
        return bytes.split(separator: UInt8(ascii: "\n")).contains { $0.elementsEqual(path.utf8) }
    }

    /// Versions by name; a package that is installed for several architectures has the same for each.
    private static func versions(_ status: ArraySlice<UInt8>) -> [String: String] {
        var versions: [String: String] = [:]
        var package: String?
        for line in status.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if line.isEmpty {
                package = nil
            } else if line.starts(with: "Package: ".utf8) {
                package = String(decoding: line.dropFirst(9), as: UTF8.self)
            } else if line.starts(with: "Version: ".utf8), let name = package {
                versions[name] = String(decoding: line.dropFirst(9), as: UTF8.self)
            }
        }
        return versions
    }
}
