/// The control groups of a process, from `/proc/PID/cgroup`: version 2, version 1, or both at once.
package struct CgroupMembership: Hashable, Sendable {
    /// The path in the version 2 hierarchy, as the reader's cgroup namespace sees it.
    package let unified: String?
    /// The path in the `name=systemd` hierarchy of version 1.
    package let systemd: String?
    /// Paths in other hierarchies of version 1, by controllers, such as `cpu,cpuacct`.
    package let controllers: [String: String]

    package init(unified: String?, systemd: String?, controllers: [String: String] = [:]) {
        (self.unified, self.systemd, self.controllers) = (unified, systemd, controllers)
    }

    /// Where the service manager has put the process: version 2 where it manages that, else its own hierarchy.
    package var managed: String? {
        if let systemd, systemd != "/" { return systemd }
        return unified
    }

    /// Reads the lines `ID:CONTROLLERS:PATH`; the kernel lets no control group have a newline in its name.
    ///
    /// - Parameter bytes: The file, whole; nil comes of a malformed or doubled line, and of a path that is not UTF-8 or
    ///   lies outside of the reader's namespace.
    package init?(parsing bytes: ArraySlice<UInt8>) {
        var unified: String?
        var systemd: String?
        var controllers: [String: String] = [:]
        var scanner = ByteScanner(bytes)
        while !scanner.isAtEnd {
            guard let hierarchy = scanner.decimal(), scanner.take(.colon) else { return nil }
            let line = scanner.through(.newline)
            guard let colon = line.firstIndex(of: .colon), line[colon...].dropFirst().first == UInt8(ascii: "/"),
                let names = String(validating: line[..<colon], as: UTF8.self),
                let path = String(validating: line[(colon + 1)...], as: UTF8.self), !Self.climbs(path)
            else { return nil }
            if hierarchy == 0, names.isEmpty {
                guard unified == nil else { return nil }
                unified = path
            } else if names.utf8.elementsEqual("name=systemd".utf8) {
                guard systemd == nil else { return nil }
                systemd = path
            } else {
                guard controllers.updateValue(path, forKey: names) == nil else { return nil }
            }
            guard controllers.count <= 64 else { return nil }
        }
        self.init(unified: unified, systemd: systemd, controllers: controllers)
    }

    /// Whether a path leads out of the root it is told from (`/../…`), as the kernel writes for other namespaces.
    private static func climbs(_ path: String) -> Bool {
        path.utf8.split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) }
    }
}
