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

    package init(
        instance: ProcessInstance, pid: Int32, credentials: PeerCredentials, connection: ConnectionFacts,
        host: HostAbilities, account: Fact<ProcessAccount>, accountNames: Fact<AccountNaming>,
        login: Fact<LoginSession>, confinement: Confinement, namespaces: NamespaceFacts,
        cgroups: Fact<CgroupMembership>, cgroupID: Fact<UInt64>, executable: Fact<ExecutableFacts>,
        code: Fact<CodeFacts>, entersExecutable: Fact<Bool>, record: Fact<ExecRecord>, isSameImage: Fact<Bool>,
        scripts: [Fact<String>], lineage: Fact<Lineage>, package: Fact<String>, service: Fact<ServiceUnit>,
        container: Fact<ContainerFacts>
    ) {
        (self.instance, self.pid, self.credentials, self.connection) = (instance, pid, credentials, connection)
        (self.host, self.account, self.accountNames, self.login) = (host, account, accountNames, login)
        (self.confinement, self.namespaces, self.cgroups, self.cgroupID) = (confinement, namespaces, cgroups, cgroupID)
        (self.executable, self.code, self.entersExecutable, self.record) = (executable, code, entersExecutable, record)
        (self.isSameImage, self.scripts, self.lineage, self.package) = (isSameImage, scripts, lineage, package)
        (self.service, self.container) = (service, container)
    }
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

    package init(user: String?, group: String?, supplementaryGroups: [String]) {
        (self.user, self.group, self.supplementaryGroups) = (user, group, supplementaryGroups)
    }
}

/// The login that a process descends from; it survives a change of user.
package struct LoginSession: Hashable, Sendable {
    /// Nil for a process outside of any login.
    package var user: UInt32?
    package var session: UInt32?

    package init(user: UInt32?, session: UInt32?) {
        (self.user, self.session) = (user, session)
    }
}

/// What holds a process, or holds it back.
package struct Confinement: Hashable, Sendable {
    /// The number of its tracer; 0 for none.
    package var tracer: Fact<Int32>
    package var noNewPrivileges: Fact<Bool>
    package var seccomp: Fact<ProcessStatus.Seccomp>
    package var capabilities: Fact<ProcessStatus.Capabilities>

    package init(
        tracer: Fact<Int32>, noNewPrivileges: Fact<Bool>, seccomp: Fact<ProcessStatus.Seccomp>,
        capabilities: Fact<ProcessStatus.Capabilities>
    ) {
        (self.tracer, self.noNewPrivileges, self.seccomp, self.capabilities) = (
            tracer, noNewPrivileges, seccomp, capabilities
        )
    }
}

/// The namespaces a process is in, by inode.
package struct NamespaceFacts: Hashable, Sendable {
    package var user: Fact<UInt64>
    package var mount: Fact<UInt64>
    package var pid: Fact<UInt64>
    package var network: Fact<UInt64>
    /// The user namespace that owns its PID namespace; who has rights there chooses whose number a message carries.
    package var pidOwner: Fact<UInt64>

    package init(
        user: Fact<UInt64>, mount: Fact<UInt64>, pid: Fact<UInt64>, network: Fact<UInt64>, pidOwner: Fact<UInt64>
    ) {
        (self.user, self.mount, self.pid, self.network) = (user, mount, pid, network)
        self.pidOwner = pidOwner
    }
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

    package init(
        state: FileState, fileSystem: FileSystemKind, isMemory: Bool, writableByCaller: Bool, isImmutable: Bool,
        isOnTrustedMount: Fact<Bool>, path: Fact<String>, digest: Fact<String>
    ) {
        (self.state, self.fileSystem, self.isMemory, self.writableByCaller) = (
            state, fileSystem, isMemory, writableByCaller
        )
        (self.isImmutable, self.isOnTrustedMount, self.path, self.digest) = (
            isImmutable, isOnTrustedMount, path, digest
        )
    }
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

    package init(files: [MappedCode], anonymous: String?, changed: Fact<String?>, mappings: Int) {
        (self.files, self.anonymous, self.changed, self.mappings) = (files, anonymous, changed, mappings)
    }
}

/// A file of which a process may execute some part.
package struct MappedCode: Hashable, Sendable {
    package var identity: FileIdentity
    /// As the kernel showed it when the mapping was first seen; for people.
    package var path: String
    package var isExecutable: Bool
    package var isImmutable: Bool
    package var digest: Fact<String>

    package init(identity: FileIdentity, path: String, isExecutable: Bool, isImmutable: Bool, digest: Fact<String>) {
        (self.identity, self.path, self.isExecutable, self.isImmutable) = (identity, path, isExecutable, isImmutable)
        self.digest = digest
    }
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

        package init(instance: ProcessInstance, pid: Int32, digest: Fact<String>) {
            (self.instance, self.pid, self.digest) = (instance, pid, digest)
        }
    }

    package init(ancestors: [Ancestor]) {
        self.ancestors = ancestors
    }
}

extension Gap {
    /// No entry asks for this fact.
    package static let notAsked = Gap("not asked for")
}
