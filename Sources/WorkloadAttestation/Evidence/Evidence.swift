package import LinuxKernel

/// Everything found out about the process at the other end of a connection, at one moment.
///
/// Facts that nobody asked for are unknown with ``Gap/notAsked``.
package struct Evidence: Hashable, Sendable {
    package var instance: ProcessInstance
    package var pid: Int32
    /// What the kernel noted at connect; that the effective ids are still those is checked before anything else.
    package var credentials: PeerCredentials
    package var connection: ConnectionFacts
    package var host: HostAbilities

    package var account: Fact<ProcessAccount>
    package var accountNames: Fact<AccountNaming>
    package var login: Fact<LoginSession>
    package var confinement: Confinement
    package var namespaces: NamespaceFacts
    package var cgroups: Fact<CgroupMembership>
    /// The inode of its control group in the version 2 hierarchy.
    package var cgroupID: Fact<UInt64>

    package var executable: Fact<ExecutableFacts>
    package var code: Fact<CodeFacts>
    /// Whether the program's entry point lies in an executable mapping of the executable itself.
    package var entersExecutable: Fact<Bool>

    /// The journal's word on the instance, the same before and after everything else was read.
    package var record: Fact<ExecRecord>
    /// Whether the image is the one that was there when the connection was accepted.
    package var isSameImage: Fact<Bool>
    /// The digests of scripts, in the record's order.
    package var scripts: [Fact<String>]
    package var lineage: Fact<Lineage>

    package var package: Fact<String>
    package var service: Fact<ServiceUnit>
    package var container: Fact<ContainerFacts>
}

/// What the socket's server knows of a connection.
package struct ConnectionFacts: Hashable, Sendable {
    /// Whether the kernel pinned the process at connect (SO_PEERPIDFD), rather than the agent by number afterwards.
    package var isPinned: Bool
    /// Whether the connector has answered a challenge since it was accepted, and every byte read so far was its own.
    package var isLive: Bool

    package init(isPinned: Bool, isLive: Bool) { (self.isPinned, self.isLive) = (isPinned, isLive) }
}

/// Whose rights a process has.
package struct ProcessAccount: Hashable, Sendable {
    package var users: ProcessStatus.IDs
    package var groups: ProcessStatus.IDs
    package var supplementaryGroups: [UInt32]

    package init(users: ProcessStatus.IDs, groups: ProcessStatus.IDs, supplementaryGroups: [UInt32]) {
        (self.users, self.groups, self.supplementaryGroups) = (users, groups, supplementaryGroups)
    }
}

/// Names of the effective user and groups, where the system's name service knows any.
package struct AccountNaming: Hashable, Sendable {
    package var user: String?
    package var group: String?
    package var supplementaryGroups: [String]
}

/// The login that a process descends from; it survives a change of user.
package struct LoginSession: Hashable, Sendable {
    /// Nil for a process outside of any login.
    package var user: UInt32?
    package var session: UInt32?
}

/// What holds a process, or holds it back.
package struct Confinement: Hashable, Sendable {
    /// The number of its tracer; 0 for none.
    package var tracer: Fact<Int32>
    package var noNewPrivileges: Fact<Bool>
    package var seccomp: Fact<ProcessStatus.Seccomp>
    package var capabilities: Fact<ProcessStatus.Capabilities>
}

/// The namespaces a process is in, by inode.
package struct NamespaceFacts: Hashable, Sendable {
    package var user: Fact<UInt64>
    package var mount: Fact<UInt64>
    package var pid: Fact<UInt64>
    package var network: Fact<UInt64>
    /// The user namespace that owns its PID namespace; who has rights there chooses whose number a message carries.
    package var pidOwner: Fact<UInt64>
}

/// The file that a process executes.
package struct ExecutableFacts: Hashable, Sendable {
    package var state: FileState
    package var fileSystem: FileSystemKind
    /// Whether it has no name anywhere, such as a memfd.
    package var isMemory: Bool
    package var writableByCaller: Bool
    /// Whether no unprivileged user can change it.
    package var isImmutable: Bool
    /// Whether its mount was made by someone with rights in the initial user namespace; asked of overlays only.
    package var isOnTrustedMount: Fact<Bool>
    /// Where it is in the agent's own mount namespace.
    package var path: Fact<String>
    /// SHA-256, in lower-case hex.
    package var digest: Fact<String>

    package var isDeleted: Bool { state.links == 0 }
}

/// What a process may execute, apart from the file it was started from.
package struct CodeFacts: Hashable, Sendable {
    /// Each file once, in the order of the mappings.
    package var files: [MappedCode]
    /// The first piece of executable memory that no lasting file stands behind, in words; nil when there is none.
    package var anonymous: String?
    /// The first mapping with a page that is not its file's, in words; nil when there is none.
    package var changed: Fact<String?>
    package var mappings: Int
}

/// A file of which a process may execute some part.
package struct MappedCode: Hashable, Sendable {
    package var identity: FileIdentity
    /// As the kernel showed it when the mapping was first seen; for people.
    package var path: String
    package var isExecutable: Bool
    package var isImmutable: Bool
    package var digest: Fact<String>
}

/// The process's ancestors, each pinned and checked from both sides.
package struct Lineage: Hashable, Sendable {
    /// From the parent upwards.
    package var ancestors: [Ancestor]

    package struct Ancestor: Hashable, Sendable {
        package var instance: ProcessInstance
        package var pid: Int32
        /// What it executed last, measured then.
        package var digest: Fact<String>
    }
}

extension Gap {
    /// No entry asks for this fact.
    package static let notAsked = Gap("not asked for")
}
