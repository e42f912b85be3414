extension SelectorFamily {
    /// Every family that an attestor of this system produces: the one table that checks, defaults, help and
    /// suggestions read.
    package static let known: [SelectorFamily] = accounts + program + code + circumstances + places + files

    /// Who runs it, in SPIRE's spellings.
    private static let accounts: [SelectorFamily] = [
        .init("unix:uid", id, from: .account, namesProgram: false, strength: 20, "effective user, by number"),
        .init("unix:user", .text, from: .account, namesProgram: false, strength: 20, "effective user, by name"),
        .init("unix:gid", id, from: .account, namesProgram: false, strength: 10, "effective group, by number"),
        .init("unix:group", .text, from: .account, namesProgram: false, strength: 10, "effective group, by name"),
        .init(
            "unix:supplementary_gid", id, from: .account, namesProgram: false, strength: 5,
            "one of its other groups, by number"),
        .init(
            "unix:supplementary_group", .text, from: .account, namesProgram: false, strength: 5,
            "one of its other groups, by name"),
    ]

    /// What was executed: read from the link (SPIRE's spellings), or measured as it happened.
    private static let program: [SelectorFamily] = [
        .init("unix:path", .absolutePath, from: .executableLink, strength: 30, "path of the executable"),
        .init("unix:sha256", .digest, from: .executableLink, strength: 50, "SHA-256 of the executable"),
        .init("exec:path", .absolutePath, from: .measuredExec, strength: 60, "path that was executed"),
        .init("exec:sha256", .digest, from: .measuredExec, strength: 80, "SHA-256 of the executable, at exec"),
        .init(
            "exec:script:sha256", .digest, from: .measuredExec, strength: 85, "SHA-256 of the script of a #! exec"),
        .init(
            "exec:chain", .digest, from: .measuredExec, strength: 90,
            "digest of script, interpreter, loader"),
    ]

    /// What is mapped as code.
    private static let code: [SelectorFamily] = [
        .init("code:set", .digest, from: .measuredExec, strength: 100, "digest over all executable mappings"),
        .init("code:lib:sha256", .digest, from: .measuredExec, strength: 40, "SHA-256 of one mapped library"),
        .init(
            "code:anon-exec", .choice(["none", "jit"]), from: .measuredExec, strength: 15,
            "executable memory without a file"),
        .init("code:text", .choice(["clean"]), from: .boundImage, strength: 15, "no page of its code was changed"),
    ]

    /// How the process stands.
    private static let circumstances: [SelectorFamily] = [
        .init("proc:traced", .choice(["false"]), from: .boundImage, strength: 5, "no debugger is attached"),
        // Of one process alone: an entry with it is of no use after the next start.
        .init("proc:instance", .text, from: .boundImage, strength: 0, "this one process: BOOT-ID/INODE"),
        .init("proc:gen", .decimal(maximum: .max), from: .boundImage, strength: 0, "how often it has executed"),
        .init(
            "proc:parent:exec:sha256", .digest, from: .measuredExec, strength: 35,
            "SHA-256 of its parent, at exec"),
        .init(
            "proc:ancestor:exec:sha256", .digest, from: .measuredExec, strength: 25,
            "SHA-256 of some ancestor, at exec"),
        .init("proc:depth", .decimal(maximum: .max), from: .measuredExec, strength: 2, "how many ancestors are known"),
        .init("proc:nnp", .choice(["true", "false"]), from: .boundImage, strength: 8, "whether no_new_privs is set"),
        .init(
            "proc:seccomp", .choice(["none", "strict", "filter"]), from: .boundImage, strength: 8,
            "which system call filter is in force"),
        .init("proc:caps", .choice(["none"]), from: .boundImage, strength: 5, "it holds no capability"),
    ]

    /// Where the process runs.
    private static let places: [SelectorFamily] = [
        .init("ns:user", .choice(["init"]), from: .boundImage, strength: 8, "in the initial user namespace"),
        .init("ns:mnt", .choiceOrInode(["host"]), from: .boundImage, strength: 8, "mount namespace"),
        .init("ns:pid", .choiceOrInode(["host"]), from: .boundImage, strength: 8, "PID namespace"),
        .init("cgroup:path", .absolutePath, from: .boundImage, strength: 25, "control group, by path"),
        .init("cgroup:id", .decimal(maximum: .max), from: .boundImage, strength: 0, "control group, by inode"),
        // SPIRE's spellings, which its agent finds as well as it can.
        .init("systemd:id", .text, from: .executableLink, strength: 35, "systemd unit"),
        .init(
            "systemd:fragment_path", .absolutePath, from: .executableLink, strength: 35, "file of the systemd unit"),
        .init("systemd:user_unit", .text, from: .boundImage, strength: 20, "unit of the user's own systemd"),
        .init("container:id", .text, from: .boundImage, strength: 0, "container, by ID"),
        .init("container:image-digest:sha256", .digest, from: .boundImage, strength: 45, "digest of the image"),
        .init("container:name", .text, from: .boundImage, strength: 20, "container, by name"),
        .init("container:label", .pair, from: .boundImage, strength: 20, "a label of the container"),
        .init("docker:label", .text, from: .executableLink, strength: 20, "a label of the container, NAME:VALUE"),
        .init("docker:image_id", .text, from: .executableLink, strength: 40, "image of the container"),
    ]

    /// What the executable is, as a file.
    private static let files: [SelectorFamily] = [
        .init("exe:fs", .text, from: .boundImage, strength: 5, "filesystem that holds the executable"),
        .init("exe:owner", id, from: .boundImage, strength: 10, "owner of the executable"),
        .init(
            "exe:writable-by-caller", .choice(["true", "false"]), from: .boundImage, strength: 10,
            "whether it could change its executable"),
        .init("exe:pkg:deb", .pair, from: .boundImage, strength: 30, "package that owns it, and its version"),
    ]

    private static let id = ValueRule.decimal(maximum: UInt64(UInt32.max))
}
