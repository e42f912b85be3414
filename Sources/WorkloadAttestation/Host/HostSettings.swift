internal import LinuxKernel

/// Settings of this machine that attestation does not need, but whose values decide what an attacker can try.
package struct HostSettings: Hashable, Sendable {
    /// `kernel.yama.ptrace_scope`; nil where the kernel has no Yama.
    package var ptraceScope: Int?
    /// Whether an ordinary user can make a user namespace; nil when that cannot be told.
    package var hasUnprivilegedUserNamespaces: Bool?
    /// Whether the workload of a Unix socket can be pinned by the kernel (SO_PEERPIDFD).
    package var hasPeerPidfd: Bool
    /// Whether systemd manages the services of this machine.
    package var hasSystemd: Bool
    /// Whether Debian's package records are there.
    package var hasPackageRecords: Bool
    /// Sockets of container runtimes that are there.
    package var containerRuntimes: [String]

    package init(
        ptraceScope: Int?, hasUnprivilegedUserNamespaces: Bool?, hasPeerPidfd: Bool, hasSystemd: Bool,
        hasPackageRecords: Bool, containerRuntimes: [String]
    ) {
        self.ptraceScope = ptraceScope
        self.hasUnprivilegedUserNamespaces = hasUnprivilegedUserNamespaces
        self.hasPeerPidfd = hasPeerPidfd
        self.hasSystemd = hasSystemd
        self.hasPackageRecords = hasPackageRecords
        self.containerRuntimes = containerRuntimes
    }

    /// Reads them as they are now.
    package static func read() -> HostSettings {
        let limit = SystemSetting.number("/proc/sys/user/max_user_namespaces")
        // Debian's own switch; missing means that users may.
        let allowed = SystemSetting.number("/proc/sys/kernel/unprivileged_userns_clone") ?? 1
        return HostSettings(
            ptraceScope: SystemSetting.number("/proc/sys/kernel/yama/ptrace_scope"),
            hasUnprivilegedUserNamespaces: limit.map { $0 > 0 && allowed > 0 },
            hasPeerPidfd: SystemSetting.hasPeerPidfd, hasSystemd: SystemSetting.exists("/run/systemd/system"),
            hasPackageRecords: SystemSetting.exists("/var/lib/dpkg/info"),
            containerRuntimes: ["/run/docker.sock", "/run/podman/podman.sock"].filter(SystemSetting.exists))
    }
}
