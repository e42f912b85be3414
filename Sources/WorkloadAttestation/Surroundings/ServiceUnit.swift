package import LinuxKernel

/// The unit of the service manager that a process belongs to.
package struct ServiceUnit: Hashable, Sendable {
    /// Such as `triage.service`.
    package var id: String
    /// The unit's file.
    package var fragmentPath: Fact<String>
    /// The unit of the user's own service manager within it, such as `agent.service`; that user's word alone.
    package var userUnit: String?

    package init(id: String, fragmentPath: Fact<String>, userUnit: String?) {
        (self.id, self.fragmentPath, self.userUnit) = (id, fragmentPath, userUnit)
    }
}

/// Finds units by control groups and the files that define them.
package struct ServiceLocator: Sendable {
    /// Where unit files are looked for, first match first (systemd.unit(5)).
    private static let folders = [
        "/etc/systemd/system.control", "/run/systemd/system.control", "/run/systemd/transient",
        "/run/systemd/generator.early", "/etc/systemd/system", "/etc/systemd/system.attached", "/run/systemd/system",
        "/run/systemd/system.attached", "/run/systemd/generator", "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/generator.late",
    ]

    private let root: String
    private let cgroupFolders: [String]

    /// Creates a locator.
    ///
    /// - Parameters:
    ///   - root: What stands before every path; empty for the machine itself.
    ///   - cgroupFolders: Where the managed hierarchy may be mounted; the first that has the path counts.
    package init(
        root: String = "",
        cgroupFolders: [String] = [
            "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup",
        ]
    ) {
        (self.root, self.cgroupFolders) = (root, cgroupFolders.map { root + $0 })
    }

    /// The unit that a control group is of.
    ///
    /// - Parameters:
    ///   - cgroups: The process's.
    ///   - uid: Its effective user; a user's own units are that user's to name.
    /// - Returns: The unit; unknown where systemd does not run, or others than root could have named the group.
    package func unit(of cgroups: CgroupMembership, uid: UInt32) -> Fact<ServiceUnit> {
        guard isRunning else { return .unknown(Gap("systemd does not run here")) }
        guard let path = cgroups.managed else { return .unknown(Gap("it is in no control group of systemd's")) }
        guard let (id, depth) = Self.unit(in: path) else { return .unknown(Gap("its control group is no unit's")) }
        if let gap = rootOwns(path, components: depth - 1) { return .unknown(gap) }
        var userUnit: String?
        if id.utf8.elementsEqual("user@\(uid).service".utf8) {
            let rest = path.split(separator: "/").dropFirst(depth).joined(separator: "/")
            userUnit = Self.unit(in: "/\(rest)")?.id
        }
        return .known(ServiceUnit(id: id, fragmentPath: fragment(of: id), userUnit: userUnit), .cgroup)
    }

    /// As sd_booted(3) has it.
    private var isRunning: Bool { (try? KernelFile.state(of: "\(root)/run/systemd/system")) != nil }

    /// The first component that is a unit and no slice, and how deep it is.
    static func unit(in path: String) -> (id: String, depth: Int)? {
        for (index, component) in path.split(separator: "/").enumerated() {
            if component.hasSuffix(".slice") { continue }
            guard component.hasSuffix(".service") || component.hasSuffix(".scope") else { return nil }
            return (String(component), index + 1)
        }
        return nil
    }

    /// Whether every directory down to a unit's parent is root's, so that nobody else can have made the unit's.
    ///
    /// - Returns: The objection, or nil.
    package func rootOwns(_ path: String, components: Int) -> Gap? {
        let names = path.split(separator: "/")
        guard names.count >= components else { return Gap("its control group is no unit's") }
        for folder in cgroupFolders {
            guard (try? KernelFile.state(of: folder + path)) != nil else { continue }
            for depth in 0...max(0, components) {
                let parent = ([folder] + names.prefix(depth).map(String.init)).joined(separator: "/")
                guard let state = try? KernelFile.state(of: parent) else { return Gap("cannot examine \(parent)") }
                guard state.owner == 0, state.mode & 0o022 == 0 else {
                    return Gap("\(parent) is not root's alone, so its control groups are anybody's to name")
                }
            }
            return nil
        }
        return Gap("its control group is not mounted")
    }

    private func fragment(of id: String) -> Fact<String> {
        var names = [id]
        // foo@bar.service is made from foo@.service.
        if let at = id.firstIndex(of: "@"), let dot = id.lastIndex(of: "."), at < dot {
            names.append(String(id[...at]) + String(id[dot...]))
        }
        for name in names where !name.contains("/") {
            for folder in Self.folders where (try? KernelFile.state(of: "\(root)\(folder)/\(name)")) != nil {
                return .known("\(folder)/\(name)", .file)
            }
        }
        return .unknown(Gap("no file defines \(id)"))
    }
}
