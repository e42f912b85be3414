internal import AgentDomain
internal import LinuxKernel
internal import Platform

/// One look at a process.
struct Gathering {
    let handle: ProcessHandle
    let directory: ProcessDirectory
    let instance: ProcessInstance
    let credentials: PeerCredentials
    let needs: EvidenceNeeds
    let sources: EvidenceSources
    let record: Fact<ExecRecord>
    let fresh: FreshDigests
    /// The most files whose code one process may have mapped; Node with many add-ons has some dozens.
    private static let mostFiles = 512

    /// Files whose digests are needed and not known.
    private(set) var requests: [HashRequest] = []

    init(
        handle: ProcessHandle, directory: ProcessDirectory, instance: ProcessInstance, credentials: PeerCredentials,
        needs: EvidenceNeeds, sources: EvidenceSources, record: Fact<ExecRecord>, fresh: FreshDigests
    ) {
        (self.handle, self.directory, self.instance) = (handle, directory, instance)
        (self.credentials, self.needs) = (credentials, needs)
        (self.sources, self.record, self.fresh) = (sources, record, fresh)
    }

    mutating func run(_ state: inout SessionState, _ connection: ConnectionFacts) throws(Gap) -> Evidence {
        let status = try Gap.wrap { () throws(LinuxError) in try directory.status(using: &state.buffer) }
        let account = account(status)
        if let account = account.value {
            // A process that has changed its ids since it connected is another principal.
            guard account.users.effective == credentials.uid, account.groups.effective == credentials.gid else {
                throw Gap("its ids have changed since it connected")
            }
        } else {
            throw Gap("its ids cannot be read")
        }
        let confinement = confinement(status)
        let info = needs.contains(.surroundings) ? handle.info : nil
        let cgroups = cgroups(&state)
        var executable = self.executable(&state, account.value, confinement)
        let auxiliary = auxiliary(&state)
        let (code, enters) = code(&state, executable.value, entry: auxiliary?.entry)
        if let program = state.program, var facts = executable.value {
            facts.digest = programDigest(program)
            executable = .known(facts, .file)
        }
        return Evidence(
            instance: instance, pid: handle.pid, credentials: credentials, connection: connection, host: sources.host,
            account: account,
            accountNames: needs.contains(.names)
                ? account.map { sources.names.names(of: $0) } : .unknown(.notAsked),
            login: login(&state), confinement: confinement, namespaces: namespaces(&state), cgroups: cgroups,
            cgroupID: cgroupID(info),
            executable: executable, code: code, entersExecutable: enters, record: record,
            isSameImage: isSameImage(&state, auxiliary), scripts: scripts(), lineage: lineage(status),
            package: package(&state, executable.value), service: service(cgroups),
            container: container(cgroups))
    }

    // MARK: Whose it is and what holds it

    private func account(_ status: ProcessStatus) -> Fact<ProcessAccount> {
        guard let users = status.users, let groups = status.groups, let others = status.supplementaryGroups else {
            return .unknown(.malformed("status"))
        }
        return .known(ProcessAccount(users: users, groups: groups, supplementaryGroups: others), .proc)
    }

    private func confinement(_ status: ProcessStatus) -> Confinement {
        func fact<Value>(_ value: Value?) -> Fact<Value> {
            value.map { .known($0, .proc) } ?? .unknown(.malformed("status"))
        }
        return Confinement(
            tracer: fact(status.tracer), noNewPrivileges: fact(status.noNewPrivileges), seccomp: fact(status.seccomp),
            capabilities: fact(status.capabilities))
    }

    private func login(_ state: inout SessionState) -> Fact<LoginSession> {
        guard needs.contains(.surroundings) else { return .unknown(.notAsked) }
        do {
            let user = try directory.login("loginuid", using: &state.buffer)
            let session = try directory.login("sessionid", using: &state.buffer)
            return .known(LoginSession(user: user, session: session), .proc)
        } catch { return .unknown(Gap("\(error)")) }
    }

    private func namespaces(_ state: inout SessionState) -> NamespaceFacts {
        let pid: (inode: Fact<UInt64>, owner: Fact<UInt64>)
        if let kept = state.pidNamespace {
            pid = kept
        } else {
            let inode = namespace("pid", &state)
            pid = (inode, pidOwner(inode.value, directory))
            if inode.value != nil, pid.owner.value != nil { state.pidNamespace = pid }
        }
        return NamespaceFacts(
            user: namespace("user", &state), mount: namespace("mnt", &state), pid: pid.inode,
            network: namespace("net", &state), pidOwner: pid.owner)
    }

    private func namespace(_ kind: String, _ state: inout SessionState) -> Fact<UInt64> {
        do { return .known(try directory.namespace(kind, using: &state.buffer), .proc) } catch {
            return .unknown(Gap("\(error)"))
        }
    }

    private func pidOwner(_ inode: UInt64?, _ directory: ProcessDirectory) -> Fact<UInt64> {
        if inode == HostAbilities.initialPIDNamespace { return .known(HostAbilities.initialUserNamespace, .proc) }
        do { return .known(try directory.ownerOfNamespace("pid"), .proc) } catch {
            return .unknown(Gap("owner of its PID namespace: \(error)"))
        }
    }

    // MARK: Where it runs

    private func cgroups(_ state: inout SessionState) -> Fact<CgroupMembership> {
        guard needs.contains(.surroundings) else { return .unknown(.notAsked) }
        do { return .known(try directory.cgroups(using: &state.buffer), .proc) } catch {
            return .unknown(Gap("\(error)"))
        }
    }

    private func cgroupID(_ info: PidfdInfo?) -> Fact<UInt64> {
        guard needs.contains(.surroundings) else { return .unknown(.notAsked) }
        guard let id = info?.cgroupID else { return .unknown(Gap("the kernel does not tell it (Linux 6.13)")) }
        return .known(id, .pidfd)
    }

    private func service(_ cgroups: Fact<CgroupMembership>) -> Fact<ServiceUnit> {
        guard needs.contains(.service) else { return .unknown(.notAsked) }
        switch cgroups {
        case .known(let cgroups, _): return sources.services.unit(of: cgroups, uid: credentials.uid)
        case .unknown(let gap): return .unknown(gap)
        }
    }

    private func container(_ cgroups: Fact<CgroupMembership>) -> Fact<ContainerFacts> {
        guard needs.contains(.container) else { return .unknown(.notAsked) }
        guard let membership = cgroups.value else { return .unknown(cgroups.gap ?? .notAsked) }
        let paths = [membership.managed, membership.unified].compactMap { $0 }
        for path in paths {
            guard let found = ContainerFacts.find(in: path) else { continue }
            if let gap = sources.services.rootOwns(path, components: found.depth - 1) { return .unknown(gap) }
            let details = sources.containers.details(of: found.id, runtime: found.runtime)
            return .known(ContainerFacts(id: found.id, runtime: found.runtime, details: details), .cgroup)
        }
        return .unknown(Gap("its control group is no container's"))
    }

    private func package(_ state: inout SessionState, _ executable: ExecutableFacts?) -> Fact<String> {
        guard needs.contains(.package) else { return .unknown(.notAsked) }
        guard let executable else { return .unknown(Gap("its executable is unknown")) }
        guard executable.isImmutable else { return .unknown(Gap("others than root can change its executable")) }
        switch executable.path {
        case .known(let path, _): return sources.packages.owner(of: path)
        case .unknown(let gap): return .unknown(gap)
        }
    }

    // MARK: What it runs

    private func auxiliary(_ state: inout SessionState) -> AuxiliaryVector? {
        guard let count = try? directory.contents(of: "auxv", into: &state.buffer, limit: 4096) else {
            return nil
        }
        return AuxiliaryVector(parsing: state.buffer[..<count])
    }

    private func isSameImage(_ state: inout SessionState, _ auxiliary: AuxiliaryVector?) -> Fact<Bool> {
        if let first = state.firstGeneration, let record = record.value {
            return .known(record.generation == first, .journal)
        }
        // Drawn by the kernel at each exec, so two images have the same only if one was made to look like the other.
        guard let first = state.firstMark else { return .unknown(Gap("nothing tells its images apart")) }
        guard auxiliary != nil, let mark = state.imageMark(of: handle) else {
            return .unknown(Gap("what the kernel laid out for it cannot be read"))
        }
        return .known(mark == first, .proc)
    }

    private func executable(
        _ state: inout SessionState, _ account: ProcessAccount?, _ confinement: Confinement
    ) -> Fact<ExecutableFacts> {
        let now: FileState
        do {
            now = try directory.executableState()
            if let held = state.program, held.state.identity.isSameFile(as: now.identity) {
                state.program?.refresh(now)
            } else {
                let file = sources.files.sharing(try directory.openExecutable())
                guard file.identity.isSameFile(as: now.identity) else {
                    return .unknown(Gap("its executable was replaced meanwhile"))
                }
                state.program = HeldFile(file, now)
            }
        } catch {
            state.program = nil
            return .unknown(Gap("\(error)"))
        }
        guard let program = state.program else { return .unknown(Gap("its executable cannot be read")) }
        let fileSystem = program.file.fileSystem
        let isMemory = isMemory(program)
        return .known(
            ExecutableFacts(
                state: now, fileSystem: fileSystem, isMemory: isMemory,
                writableByCaller: FileTrust.isWritable(
                    now, by: account, capabilities: confinement.capabilities.value,
                    hasAccessList: program.hasAccessList,
                    isServedBySomeone: isMemory || !(fileSystem.isLocal || fileSystem.isOverlay)),
                isImmutable: program.isImmutable && !isMemory,
                isOnTrustedMount: isOnTrustedMount(program, directory), path: path(&state, now),
                digest: .unknown(.notAsked)), .file)
    }

    private func isMemory(_ held: HeldFile) -> Bool {
        let device = sources.host.memoryDevice
        return device != 0 && held.state.identity.device == device
    }

    private func isOnTrustedMount(_ program: HeldFile, _ directory: ProcessDirectory) -> Fact<Bool> {
        guard program.file.fileSystem.isOverlay else { return .unknown(.notAsked) }
        do {
            guard try directory.ownerOfNamespace("mnt") == HostAbilities.initialUserNamespace else {
                return .known(false, .proc)
            }
            guard let number = program.file.mountNumber else { return .unknown(Gap("its mount is not known")) }
            return .known(try directory.mounts().contains(number), .proc)
        } catch { return .unknown(Gap("\(error)")) }
    }

    /// A path counts only when it leads to the very file in the agent's own mount namespace.
    private func path(_ state: inout SessionState, _ now: FileState) -> Fact<String> {
        do {
            let link = try directory.executablePath()
            guard link.utf8.first == UInt8(ascii: "/") else { return .unknown(Gap("its executable has no path")) }
            let found = try KernelFile.state(of: link)
            guard found.identity.isSameFile(as: now.identity), found.mountID == now.mountID else {
                return .unknown(Gap("\(link) is another file here"))
            }
            return .known(link, .file)
        } catch { return .unknown(Gap("its path leads nowhere here: \(error)")) }
    }

    private mutating func programDigest(_ program: HeldFile) -> Fact<String> {
        guard needs.contains(.program) else { return .unknown(.notAsked) }
        if let executed = record.value?.image.value?.program, case .measured(let digest) = executed.digest,
            executed.identity == program.state.identity
        {
            return .known(digest, .journal)
        }
        return digest(of: program, as: .runningProgram)
    }

    private mutating func digest(of held: HeldFile, as role: DigestCache.Role) -> Fact<String> {
        switch fresh.result(of: held.file, in: held.state) {
        case .success(let digest)?: return .known(digest, .file)
        case .failure(let gap)?: return .unknown(gap)
        case nil: break
        }
        if let digest = sources.digests.digest(
            of: held.file, in: held.state, as: role, isImmutable: held.isImmutable)
        {
            return .known(digest, .file)
        }
        let isAsked = requests.contains { $0.state == held.state && $0.file.generation == held.file.generation }
        if !isAsked { requests.append(HashRequest(file: held.file, state: held.state)) }
        return .unknown(Gap("it is not hashed yet"))
    }

    // MARK: Executable memory

    private mutating func code(
        _ state: inout SessionState, _ executable: ExecutableFacts?, entry: UInt64?
    ) -> (Fact<CodeFacts>, Fact<Bool>) {
        let mappings: [ExecutableMapping]
        do { mappings = try directory.executableMappings(sources.reading) } catch {
            state.code = nil
            return (.unknown(Gap("\(error)")), .unknown(Gap("\(error)")))
        }
        var code = state.code?.mappings == mappings ? state.code : nil
        // Files are held open, so the same numbers mean the same files.
        var held = code ?? open(mappings, directory)
        code = nil
        state.code = nil
        for index in held.files.indices {
            guard let now = try? held.files[index].held.file.state() else { continue }
            held.files[index].held.refresh(now)
        }
        let program = state.program
        var facts = CodeFacts(files: [], anonymous: nil, changed: .unknown(.notAsked), mappings: mappings.count)
        facts.anonymous = firstAnonymous(held, program)
        facts.changed = changed(mappings, directory)
        for (file, path) in held.files {
            let isProgram = program.map { $0.state.identity.isSameFile(as: file.state.identity) } ?? false
            facts.files.append(
                MappedCode(
                    identity: file.state.identity, path: path, isExecutable: isProgram,
                    isImmutable: file.isImmutable, digest: digest(ofMapped: file, isProgram: isProgram)))
        }
        if let gap = held.mapped.first(where: { $0.gap != nil })?.gap {
            facts.files.append(unknownFile(gap))
        }
        let enters = entersProgram(held, program, entry)
        state.code = held
        return (.known(facts, .proc), enters)
    }

    private func unknownFile(_ gap: Gap) -> MappedCode {
        let nothing = FileIdentity.Instant(seconds: 0, nanoseconds: 0)
        return MappedCode(
            identity: FileIdentity(device: 0, inode: 0, size: 0, modified: nothing, changed: nothing),
            path: "a mapped file", isExecutable: false, isImmutable: false, digest: .unknown(gap))
    }

    private mutating func digest(ofMapped file: HeldFile, isProgram: Bool) -> Fact<String> {
        guard needs.contains(.libraries) else { return .unknown(.notAsked) }
        if isProgram, let program = record.value?.image.value?.program, case .measured(let digest) = program.digest,
            program.identity == file.state.identity
        {
            return .known(digest, .journal)
        }
        if isProgram {
            // Asked for once already, as the executable.
            let count = requests.count
            let fact = digest(of: file, as: .runningProgram)
            requests.removeSubrange(min(count, requests.count)...)
            return fact
        }
        return digest(of: file, as: .other)
    }

    private func open(_ mappings: [ExecutableMapping], _ directory: ProcessDirectory) -> HeldCode {
        var code = HeldCode(mapped: [], files: [], mappings: mappings)
        var known: [ExecutableMapping.Backing: Int] = [:]
        for mapping in mappings {
            guard case .file = mapping.backing else {
                code.mapped.append(.init(mapping: mapping, file: nil, gap: nil))
                continue
            }
            if let index = known[mapping.backing] {
                code.mapped.append(.init(mapping: mapping, file: index, gap: nil))
                continue
            }
            guard code.files.count < Self.mostFiles else {
                code.mapped.append(.init(mapping: mapping, file: nil, gap: Gap("it has too many files mapped as code")))
                continue
            }
            do {
                let file = sources.files.sharing(try directory.openFile(behind: mapping))
                let path = (try? directory.path(of: mapping)) ?? "a mapped file"
                code.files.append((HeldFile(file, try file.state()), path))
                known[mapping.backing] = code.files.count - 1
                code.mapped.append(.init(mapping: mapping, file: code.files.count - 1, gap: nil))
            } catch {
                code.mapped.append(.init(mapping: mapping, file: nil, gap: Gap("\(error)")))
            }
        }
        return code
    }

    private func firstAnonymous(_ code: HeldCode, _ program: HeldFile?) -> String? {
        for mapped in code.mapped {
            if let reason = anonymity(mapped, code, program) { return reason }
        }
        return nil
    }

    /// Why a mapping counts as memory that no lasting file stands behind; nil when one does.
    private func anonymity(_ mapped: HeldCode.Mapped, _ code: HeldCode, _ program: HeldFile?) -> String? {
        let mapping = mapped.mapping
        let place = "0x\(String(mapping.start, radix: 16))"
        switch mapping.backing {
        case .vdso, .vsyscall: return nil
        case .anonymous: return "executable memory at \(place) has no file behind it"
        case .file: break
        }
        if mapping.isWritable { return "memory at \(place) is writable and executable" }
        guard let index = mapped.file, index < code.files.count else {
            return "executable memory at \(place) is of a file that cannot be read: \(mapped.gap ?? .notAsked)"
        }
        let file = code.files[index].held
        if isMemory(file) { return "executable memory at \(place) is of a file without a name" }
        let isProgram = program.map { $0.state.identity.isSameFile(as: file.state.identity) } ?? false
        if file.file.fileSystem.isMemory, !isProgram, !file.isImmutable {
            return "executable memory at \(place) is of a file in memory that others than root can change"
        }
        return nil
    }

    private func changed(_ mappings: [ExecutableMapping], _ directory: ProcessDirectory) -> Fact<String?> {
        // Nameless memory has no file to differ from.
        let backed = mappings.filter { $0.backing != .anonymous }
        do {
            let found = try directory.firstChanged(of: backed, sources.reading)
            return .known(found.map { "code at 0x\(String($0.start, radix: 16)) was changed in memory" }, .proc)
        } catch { return .unknown(Gap("\(error)")) }
    }

    private func entersProgram(_ code: HeldCode, _ program: HeldFile?, _ entry: UInt64?) -> Fact<Bool> {
        guard let entry else { return .unknown(Gap("its entry point cannot be read")) }
        guard let program else { return .unknown(Gap("its executable cannot be read")) }
        guard let mapped = code.mapped.first(where: { $0.mapping.contains(entry) }) else { return .known(false, .proc) }
        if let gap = mapped.gap { return .unknown(gap) }
        guard let index = mapped.file, index < code.files.count else { return .known(false, .proc) }
        return .known(code.files[index].held.state.identity.isSameFile(as: program.state.identity), .proc)
    }

    // MARK: What it was executed as, and by whom

    private mutating func scripts() -> [Fact<String>] {
        guard let image = record.value?.image.value else { return [] }
        return image.scripts.map { script in
            switch script.digest {
            case .measured(let digest): return .known(digest, .journal)
            case .unmeasured(let gap): return .unknown(gap)
            case .pending: return needs.contains(.program) ? pendingScript(script) : .unknown(.notAsked)
            }
        }
    }

    /// A script that only root can change says the same now as when it was executed, if it is still the same.
    private mutating func pendingScript(_ script: ExecutedFile) -> Fact<String> {
        switch script.path {
        case .unknown(let gap): return .unknown(gap)
        case .known(let path, _):
            guard let opened = try? ExecutableFile(path: path), let state = try? opened.state(),
                state.identity == script.identity
            else { return .unknown(Gap("\(path) is no longer the script that was executed")) }
            return digest(of: HeldFile(sources.files.sharing(opened), state), as: .other)
        }
    }

    private mutating func lineage(_ status: ProcessStatus) -> Fact<Lineage> {
        guard needs.contains(.lineage) else { return .unknown(.notAsked) }
        return LineageReader(history: sources.history).ancestors(
            of: handle, record: record.value, parent: status.parent
        ) { program, directory in pendingProgram(program, directory) }
    }

    /// The same of an ancestor's program.
    private mutating func pendingProgram(_ program: ExecutedFile, _ directory: ProcessDirectory) -> Fact<String> {
        guard let opened = try? directory.openExecutable(), let state = try? opened.state(),
            state.identity == program.identity
        else { return .unknown(Gap("its executable is no longer what was executed")) }
        let held = HeldFile(sources.files.sharing(opened), state)
        guard held.isImmutable else { return .unknown(Gap("others than root can change its executable")) }
        return digest(of: held, as: .other)
    }
}

extension Gap {
    static func malformed(_ name: String) -> Gap { Gap("the kernel's \(name) is not as expected") }

    /// Turns an error of the kernel's into a reason.
    static func wrap<Value>(_ body: () throws(LinuxError) -> Value) throws(Gap) -> Value {
        do { return try body() } catch { throw Gap("\(error)") }
    }
}
