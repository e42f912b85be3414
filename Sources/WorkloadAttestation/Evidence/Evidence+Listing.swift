internal import LinuxKernel

/// A fact as people read it.
package struct NamedFact: Hashable, Sendable {
    package let name: String
    package let fact: Fact<String>
}

extension Evidence {
    /// Every fact in words, in the order in which one would ask; for explanations, not for decisions.
    package var listing: [NamedFact] {
        identity + place + program + memory + history + surroundings
    }

    private var identity: [NamedFact] {
        [
            NamedFact("uid", account) {
                let ids = $0.users
                return ids.real == ids.effective ? "\(ids.effective)" : "\(ids.effective) (real \(ids.real))"
            },
            NamedFact("gid", account) { "\($0.groups.effective)" },
            NamedFact("groups", account) { Self.list($0.supplementaryGroups.map { "\($0)" }) },
            NamedFact("user", accountNames) { $0.user ?? "none" },
            NamedFact("login", login) { login in
                guard let user = login.user else { return "none" }
                return "uid \(user)" + (login.session.map { ", session \($0)" } ?? "")
            },
            NamedFact("tracer", confinement.tracer) { $0 == 0 ? "none" : "process \($0)" },
            NamedFact("no-new-privileges", confinement.noNewPrivileges) { $0 ? "yes" : "no" },
            NamedFact("seccomp", confinement.seccomp) { "\($0)" },
            NamedFact("capabilities", confinement.capabilities) {
                $0.effective == 0 ? "none" : "0x" + String($0.effective, radix: 16)
            },
        ]
    }

    private var place: [NamedFact] {
        [
            NamedFact("user namespace", namespaces.user) { inode in
                inode == HostAbilities.initialUserNamespace ? "initial" : "\(inode)"
            },
            NamedFact("pid namespace", namespaces.pid) { [host] in $0 == host.pidNamespace ? "host" : "\($0)" },
            NamedFact("mount namespace", namespaces.mount) { [host] in $0 == host.mountNamespace ? "host" : "\($0)" },
            NamedFact("network namespace", namespaces.network) { "\($0)" },
        ]
    }

    private var program: [NamedFact] {
        [
            NamedFact("executable", executable.flatMap(\.path)) { $0 },
            NamedFact("executable digest", executable.flatMap(\.digest)) { "sha256:\($0)" },
            NamedFact("executable file system", executable) { $0.isMemory ? "memory" : "\($0.fileSystem)" },
            NamedFact("executable owner", executable) { "uid \($0.state.owner)" },
            NamedFact("executable writable by caller", executable) { $0.writableByCaller ? "yes" : "no" },
            NamedFact("executable deleted", executable) { $0.isDeleted ? "yes" : "no" },
            NamedFact("package", package) { $0 },
        ]
    }

    private var memory: [NamedFact] {
        [
            NamedFact("entry point", entersExecutable) { $0 ? "in the executable" : "elsewhere" },
            NamedFact("anonymous executable memory", code) { $0.anonymous ?? "none" },
            NamedFact("changed code pages", code.flatMap(\.changed)) { $0 ?? "none" },
            NamedFact("mapped code", code) { code in
                Self.list(code.files.map { $0.path + ($0.digest.value.map { " sha256:\($0.prefix(12))…" } ?? "") })
            },
        ]
    }

    private var history: [NamedFact] {
        [
            NamedFact("same image since connect", isSameImage) { $0 ? "yes" : "no" },
            NamedFact("executed", record.flatMap(\.image)) { $0.program.path.value ?? "a file without a path" },
            NamedFact("executed digest", record.flatMap(\.image)) { image in
                switch image.program.digest {
                case .measured(let digest): "sha256:\(digest)"
                case .pending: "as the file's, which no unprivileged user can change"
                case .unmeasured(let gap): "not measured: \(gap)"
                }
            },
            NamedFact("scripts", record.flatMap(\.image)) { [scripts] image in
                Self.list(
                    zip(image.scripts, scripts).map { file, digest in
                        (file.path.value ?? "a file without a path")
                            + (digest.value.map { " sha256:\($0)" } ?? " (\(digest.gap?.description ?? ""))")
                    })
            },
            NamedFact("generation", record) { "\($0.generation)" },
            NamedFact("taints", record) { Self.list($0.taints.map(\.rawValue).sorted()) },
            NamedFact("ancestors", lineage) { lineage in
                Self.list(
                    lineage.ancestors.map { "\($0.pid)" + ($0.digest.value.map { " sha256:\($0.prefix(12))…" } ?? "") })
            },
        ]
    }

    private var surroundings: [NamedFact] {
        [
            NamedFact("cgroup", cgroups) { $0.unified ?? $0.systemd ?? "none" },
            NamedFact("unit", service) { $0.id },
            NamedFact("container", container) { $0.id },
        ]
    }

    private static func list(_ words: [String]) -> String { words.isEmpty ? "none" : words.joined(separator: ", ") }
}

extension NamedFact {
    fileprivate init<Value>(_ name: String, _ fact: Fact<Value>, _ words: (Value) -> String) {
        self.init(name: name, fact: fact.map(words))
    }
}

extension Fact {
    /// A fact within this one; unknown when either is.
    fileprivate func flatMap<Inner>(_ inner: (Value) -> Fact<Inner>) -> Fact<Inner> {
        switch self {
        case .known(let value, _): inner(value)
        case .unknown(let gap): .unknown(gap)
        }
    }
}
