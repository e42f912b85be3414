internal import LinuxKernel
package import SPIFFE
internal import Crypto
internal import Platform

/// Spells facts as selectors, each only from the level at which something stands behind it.
package enum SelectorMaker {
    /// Every family that can be produced, as it is written before the value.
    package static let producedKinds = [
        "unix:uid", "unix:user", "unix:gid", "unix:group", "unix:supplementary_gid", "unix:supplementary_group",
        "unix:path", "unix:sha256",
        "exec:sha256", "exec:chain", "exec:script:sha256", "exec:path",
        "code:set", "code:lib:sha256", "code:anon-exec", "code:text",
        "proc:traced", "proc:instance", "proc:gen", "proc:parent:exec:sha256", "proc:ancestor:exec:sha256",
        "proc:depth", "proc:nnp", "proc:seccomp", "proc:caps",
        "ns:user", "ns:mnt", "ns:pid", "cgroup:path", "cgroup:id",
        "systemd:id", "systemd:fragment_path", "systemd:user_unit",
        "container:id", "container:image-digest:sha256", "container:name", "container:label",
        "docker:label", "docker:image_id",
        "exe:fs", "exe:owner", "exe:writable-by-caller", "exe:pkg:deb",
    ]

    /// The selectors that are true of the evidence.
    ///
    /// - Parameters:
    ///   - evidence: What was found.
    ///   - level: What it proves.
    ///   - admittingJIT: What it proves where anonymous code is admitted. Selectors stand from this one, because an
    ///     entry that does not admit it is refused by the level itself.
    /// - Returns: Each once.
    package static func selectors(
        of evidence: Evidence, level: AssuranceLevel, admittingJIT: AssuranceLevel
    ) -> Set<Selector> {
        var list = SelectorList()
        let level = max(level, admittingJIT)
        account(evidence, &list)
        if level >= .executableLink {
            file(evidence, &list)
            surroundings(evidence, &list)
        }
        if level >= .boundImage {
            process(evidence, &list)
            place(evidence, &list)
            executable(evidence, &list)
        }
        if level >= .measuredExec {
            executed(evidence, &list)
            code(evidence, &list)
            lineage(evidence, &list)
        }
        return list.selectors
    }

    private static func account(_ evidence: Evidence, _ list: inout SelectorList) {
        guard let account = evidence.account.value else { return }
        list.add("unix", "uid", account.users.effective)
        list.add("unix", "gid", account.groups.effective)
        for group in account.supplementaryGroups { list.add("unix", "supplementary_gid", group) }
        guard let names = evidence.accountNames.value else { return }
        if let user = names.user { list.add("unix", "user", user) }
        if let group = names.group { list.add("unix", "group", group) }
        for group in names.supplementaryGroups { list.add("unix", "supplementary_group", group) }
    }

    private static func file(_ evidence: Evidence, _ list: inout SelectorList) {
        guard let executable = evidence.executable.value else { return }
        if let path = executable.path.value { list.add("unix", "path", path) }
        if let digest = executable.digest.value { list.add("unix", "sha256", digest) }
    }

    private static func surroundings(_ evidence: Evidence, _ list: inout SelectorList) {
        if let service = evidence.service.value {
            list.add("systemd", "id", service.id)
            if let path = service.fragmentPath.value { list.add("systemd", "fragment_path", path) }
        }
        if let container = evidence.container.value, let details = container.details.value {
            if let image = details.image { list.add("docker", "image_id", image) }
            for (name, value) in details.labels { list.add("docker", "label", "\(name):\(value)") }
        }
    }

    private static func process(_ evidence: Evidence, _ list: inout SelectorList) {
        list.add("proc", "instance", evidence.instance.description)
        if let record = evidence.record.value { list.add("proc", "gen", record.generation) }
        let confinement = evidence.confinement
        if confinement.tracer.value == 0 { list.add("proc", "traced", "false") }
        if let isSet = confinement.noNewPrivileges.value { list.add("proc", "nnp", isSet) }
        switch confinement.seccomp.value {
        case .some(.none): list.add("proc", "seccomp", "none")
        case .some(.strict): list.add("proc", "seccomp", "strict")
        case .some(.filter): list.add("proc", "seccomp", "filter")
        case nil: break
        }
        if confinement.capabilities.value?.isEmpty == true { list.add("proc", "caps", "none") }
        if case .known(.some(.none), _) = evidence.code.map({ $0.changed.value }) { list.add("code", "text", "clean") }
    }

    private static func place(_ evidence: Evidence, _ list: inout SelectorList) {
        let (places, host) = (evidence.namespaces, evidence.host)
        if places.user.value == HostAbilities.initialUserNamespace { list.add("ns", "user", "init") }
        if let mount = places.mount.value {
            list.add("ns", "mnt", mount)
            if mount == host.mountNamespace { list.add("ns", "mnt", "host") }
        }
        if let pid = places.pid.value {
            list.add("ns", "pid", pid)
            if pid == host.pidNamespace { list.add("ns", "pid", "host") }
        }
        if let path = evidence.cgroups.value?.managed { list.add("cgroup", "path", path) }
        if let id = evidence.cgroupID.value { list.add("cgroup", "id", id) }
        if let unit = evidence.service.value?.userUnit { list.add("systemd", "user_unit", unit) }
        if let container = evidence.container.value {
            list.add("container", "id", container.id)
            if let details = container.details.value {
                if let name = details.name { list.add("container", "name", name) }
                for digest in details.imageDigests { list.add("container", "image-digest:sha256", digest) }
                for (name, value) in details.labels { list.add("container", "label", "\(name)=\(value)") }
            }
        }
    }

    private static func executable(_ evidence: Evidence, _ list: inout SelectorList) {
        guard let executable = evidence.executable.value else { return }
        list.add("exe", "fs", executable.fileSystem)
        list.add("exe", "owner", executable.state.owner)
        list.add("exe", "writable-by-caller", executable.writableByCaller)
        if let package = evidence.package.value { list.add("exe", "pkg:deb", package) }
    }

    private static func executed(_ evidence: Evidence, _ list: inout SelectorList) {
        guard let image = evidence.record.value?.image.value, let program = evidence.executable.value?.digest.value
        else { return }
        list.add("exec", "sha256", program)
        // What was asked for is the script, if there is one, and the program otherwise.
        if let path = (image.scripts.first ?? image.program).path.value { list.add("exec", "path", path) }
        let scripts = evidence.scripts.compactMap(\.value)
        guard scripts.count == image.scripts.count else { return }
        for script in scripts { list.add("exec", "script:sha256", script) }
        list.add("exec", "chain", digest(of: scripts + [program]))
    }

    private static func code(_ evidence: Evidence, _ list: inout SelectorList) {
        guard let code = evidence.code.value else { return }
        list.add("code", "anon-exec", code.anonymous == nil ? "none" : "jit")
        var digests: Set<String> = []
        for file in code.files {
            guard let digest = file.digest.value else { return }
            digests.insert(digest)
            if !file.isExecutable { list.add("code", "lib:sha256", digest) }
        }
        list.add("code", "set", digest(of: digests.sorted()))
    }

    /// The selectors by which an entry names libraries; those that are not hashed have none.
    static func libraries(_ files: [MappedCode]) -> Set<Selector> {
        var list = SelectorList()
        for file in files { list.add("code", "lib:sha256", file.digest.value ?? "unknown") }
        return list.selectors
    }

    private static func lineage(_ evidence: Evidence, _ list: inout SelectorList) {
        guard let ancestors = evidence.lineage.value?.ancestors else { return }
        list.add("proc", "depth", ancestors.count)
        for (index, ancestor) in ancestors.enumerated() {
            guard let digest = ancestor.digest.value else { continue }
            if index == 0 { list.add("proc", "parent:exec:sha256", digest) }
            list.add("proc", "ancestor:exec:sha256", digest)
        }
    }

    /// SHA-256 over digests, each as 64 hex digits and a newline.
    package static func digest(of digests: [String]) -> String {
        var hash = SHA256()
        for digest in digests { hash.update(data: Array("\(digest)\n".utf8)) }
        return Hex.encode(hash.finalize())
    }
}

/// Selectors found so far.
///
/// What cannot be one, such as a name with a control character in it, is left out: it could
/// pass for another selector in a log.
private struct SelectorList {
    private(set) var selectors: Set<Selector> = []

    mutating func add(_ kind: String, _ key: String, _ value: some CustomStringConvertible) {
        guard let selector = try? Selector(kind: kind, value: "\(key):\(value)") else { return }
        selectors.insert(selector)
    }
}
