import AgentDomain
import Foundation
import LinuxKernel
import SPIFFE
import Testing
import WorkloadAttestation

/// One thing that is not in order, and what it must come to.
struct Flaw: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let level: AssuranceLevel
    let admittingJIT: AssuranceLevel
    let proof: MissingProof.Proof
    /// Words that the reason must hold.
    let reason: String
    let change: @Sendable (inout Evidence) -> Void

    init(
        _ name: String, _ level: AssuranceLevel, jit: AssuranceLevel? = nil, _ proof: MissingProof.Proof,
        _ reason: String, _ change: @escaping @Sendable (inout Evidence) -> Void
    ) {
        (testDescription, self.level, admittingJIT, self.proof) = (name, level, jit ?? level, proof)
        (self.reason, self.change) = (reason, change)
    }

    private static let dark = Gap("nobody told")

    static let all: [Flaw] = [
        Flaw("foreign PID namespace", .account, .ownNumber, "numbers can be forged") {
            $0.namespaces.pidOwner = .known(99, .proc)
        },
        Flaw("unknown owner of the PID namespace", .account, .ownNumber, "nobody told") {
            $0.namespaces.pidOwner = .unknown(dark)
        },
        Flaw("unknown executable", .account, .executableDigest, "nobody told") { $0.executable = .unknown(dark) },
        Flaw("unknown digest", .account, .executableDigest, "nobody told") {
            $0.executable.change { $0.digest = .unknown(dark) }
        },
        Flaw("unprivileged agent", .executableLink, .privilegedAgent, "rights of root") {
            $0.host.canLookAtAll = false
        },
        Flaw("no liveness", .executableLink, .liveConnection, "challenge") { $0.connection.isLive = false },
        Flaw("another image", .executableLink, .sameImage, "another program") {
            $0.isSameImage = .known(false, .journal)
        },
        Flaw("unknown image", .executableLink, .sameImage, "nobody told") { $0.isSameImage = .unknown(dark) },
        Flaw("not pinned, and no journal", .executableLink, .pinnedConnection, "SO_PEERPIDFD") {
            $0.connection.isPinned = false
            $0.record = .unknown(dark)
        },
        Flaw("unknown user namespace", .executableLink, .namespaces, "user namespace: nobody told") {
            $0.namespaces.user = .unknown(dark)
        },
        Flaw("unknown mount namespace", .executableLink, .namespaces, "mount namespace") {
            $0.namespaces.mount = .unknown(dark)
        },
        Flaw("traced", .executableLink, .notTraced, "process 17 traces it") {
            $0.confinement.tracer = .known(17, .proc)
        },
        Flaw("unknown tracer", .executableLink, .notTraced, "nobody told") { $0.confinement.tracer = .unknown(dark) },
        Flaw("memfd", .executableLink, .fileSystem, "memory without a name") {
            $0.executable.change { $0.isMemory = true }
        },
        Flaw("FUSE", .executableLink, .fileSystem, "fuse") {
            $0.executable.change { $0.fileSystem = FileSystemKind(number: 0x6573_5546) }
        },
        Flaw("file system without a name", .executableLink, .fileSystem, "0x1234") {
            $0.executable.change { $0.fileSystem = FileSystemKind(number: 0x1234) }
        },
        Flaw("overlay of somebody's", .executableLink, .fileSystem, "overlay") {
            $0.executable.change {
                $0.fileSystem = FileSystemKind(number: 0x794C_7630)
                $0.isOnTrustedMount = .known(false, .proc)
            }
        },
        Flaw("entry elsewhere", .executableLink, .entryPoint, "entry point") {
            $0.entersExecutable = .known(false, .proc)
        },
        Flaw("unknown entry", .executableLink, .entryPoint, "nobody told") { $0.entersExecutable = .unknown(dark) },
        Flaw("JIT", .executableLink, jit: .measuredExec, .noAnonymousCode, "at 0x1000") {
            $0.code.change { $0.anonymous = "executable memory at 0x1000 has no file behind it" }
        },
        Flaw("patched text", .executableLink, .unchangedCode, "was changed") {
            $0.code.change { $0.changed = .known("code was changed in memory", .proc) }
        },
        Flaw("pages that cannot be read", .executableLink, .unchangedCode, "nobody told") {
            $0.code.change { $0.changed = .unknown(dark) }
        },
        Flaw("unknown memory", .executableLink, .unchangedCode, "nobody told") { $0.code = .unknown(dark) },
        Flaw("was traced", .executableLink, .untainted, "traced since") { $0.record.change { $0.taints = [.traced] } },
        Flaw("had other ids", .executableLink, .untainted, "ids-changed") {
            $0.record.change { $0.taints = [.idsChanged] }
        },
        Flaw("script written", .executableLink, .untainted, "script-written") {
            $0.record.change { $0.taints = [.scriptWritten] }
        },
        Flaw("no journal", .boundImage, .measuredExec, "nobody told") { $0.record = .unknown(dark) },
        Flaw("no exec seen", .boundImage, .measuredExec, "nobody told") {
            $0.record.change { $0.image = .unknown(dark) }
        },
        Flaw("not measured in time", .boundImage, .measuredExec, "nobody told") {
            $0.record.change { $0.image.change { $0.program.digest = .unmeasured(dark) } }
        },
        Flaw("another file than executed", .executableLink, .executedFile, "another file") {
            $0.record.change { $0.image.change { $0.program.identity = identity(8) } }
        },
        Flaw("another content than executed", .executableLink, .executedFile, "has changed") {
            $0.record.change { $0.image.change { $0.program.digest = .measured(digest("c")) } }
        },
        Flaw("pending, and changed since", .boundImage, .measuredExec, "before it was measured") {
            $0.record.change {
                $0.image.change {
                    $0.program.digest = .pending
                    $0.program.identity = identity(5, changed: 9)
                }
            }
        },
        Flaw("unmeasured script", .boundImage, .measuredScripts, "nobody told") { $0.scripts = [.unknown(dark)] },
        Flaw("unknown library", .boundImage, .knownLibraries, "/lib/libc.so: nobody told") {
            $0.code.change { $0.files[1].digest = .unknown(dark) }
        },
        Flaw("library that others can change", .boundImage, .vouchedLibraries, "/lib/libc.so can be changed") {
            $0.code.change { $0.files[1].isImmutable = false }
        },
    ]
}

@Suite("Assurance levels")
struct AssuranceJudgeTests {
    @Test("What is in order in every way is measured, and nothing is missing")
    func sound() {
        let judgement = AssuranceJudge.judge(.sound)
        #expect(judgement.missing.isEmpty)
        #expect(judgement.attestation.level == .measuredExec)
        #expect(
            judgement.attestation.methods
                == ["code-map", "credentials", "exec-journal", "link-digest", "liveness", "pidfd"])
    }

    @Test("Each flaw lowers the level to what is still proven, and is named", arguments: Flaw.all)
    func flawed(_ flaw: Flaw) throws {
        let judgement = AssuranceJudge.judge(Evidence.sound.with(flaw.change))
        #expect(judgement.attestation.level == flaw.level)
        #expect(judgement.attestation.levelAdmittingJIT == flaw.admittingJIT)
        let proof = try #require(judgement.missing.first { $0.proof == flaw.proof })
        #expect(proof.reason.contains(flaw.reason), "\(proof)")
        #expect(judgement.missing == judgement.missing.sorted { $0.level < $1.level })
    }

    @Test("Every proof is missing from something, so none is asked for in vain")
    func complete() { #expect(Set(Flaw.all.map(\.proof)) == Set(MissingProof.Proof.allCases)) }

    @Test("The journal's word stands in for a pinned connection")
    func unpinned() {
        let judgement = AssuranceJudge.judge(Evidence.sound.with { $0.connection.isPinned = false })
        #expect(judgement.attestation.level == .measuredExec)
        #expect(!judgement.attestation.methods.contains("pidfd"))
    }

    @Test("A file that could not change is as good as measured when it was executed")
    func pending() {
        let judgement = AssuranceJudge.judge(
            Evidence.sound.with { $0.record.change { $0.image.change { $0.program.digest = .pending } } })
        #expect(judgement.attestation.level == .measuredExec)
    }

    @Test("An overlay that root made is as good as another file system")
    func overlay() {
        let judgement = AssuranceJudge.judge(
            Evidence.sound.with {
                $0.executable.change {
                    $0.fileSystem = FileSystemKind(number: 0x794C_7630)
                    $0.isOnTrustedMount = .known(true, .proc)
                }
            })
        #expect(judgement.attestation.level == .measuredExec)
    }

    @Test("Patched text is not admitted with JIT")
    func patchedJIT() {
        let judgement = AssuranceJudge.judge(
            Evidence.sound.with {
                $0.code.change {
                    $0.anonymous = "some"
                    $0.changed = .known("code was changed in memory", .proc)
                }
            })
        #expect(judgement.attestation.levelAdmittingJIT == .executableLink)
    }
}

@Suite("Libraries that others than root could have made")
struct VouchedLibrariesTests {
    private func judge(_ change: (inout Evidence) -> Void = { _ in }) -> Attestation {
        AssuranceJudge.judge(
            Evidence.sound.with {
                $0.code.change { $0.files[1].isImmutable = false }
                change(&$0)
            }
        ).attestation
    }

    private func level(_ attestation: Attestation, jit: Bool = false, naming texts: String...) throws -> AssuranceLevel
    {
        attestation.level(admittingJIT: jit, naming: Set(try texts.map { try Selector(parsing: $0) }))
    }

    @Test("An entry that names each of them reaches the highest level, and no other")
    func named() throws {
        let attestation = judge()
        #expect(attestation.unvouched.map(\.description) == ["code:lib:sha256:\(digest("b"))"])
        #expect(try level(attestation) == .boundImage)
        #expect(try level(attestation, naming: "unix:uid:1000") == .boundImage)
        #expect(try level(attestation, naming: "code:lib:sha256:\(digest("c"))") == .boundImage)
        #expect(try level(attestation, naming: "code:lib:sha256:\(digest("b"))", "unix:uid:1") == .measuredExec)
        #expect(try level(attestation, naming: "code:set:\(digest("d"))") == .measuredExec)
        // What names them must be there to be matched.
        let found = Set(attestation.selectors.map(\.description))
        #expect(found.contains("code:lib:sha256:\(digest("b"))"))
        #expect(found.contains("exec:sha256:\(digest("a"))"))
    }

    @Test("Two of them need two names")
    func two() throws {
        let attestation = judge {
            $0.code.change {
                $0.files.append(
                    MappedCode(
                        identity: identity(9), path: "/opt/b/lib.so", isExecutable: false, isImmutable: false,
                        digest: .known(digest("e"), .file)))
            }
        }
        let (one, other) = ("code:lib:sha256:\(digest("b"))", "code:lib:sha256:\(digest("e"))")
        #expect(try level(attestation, naming: one) == .boundImage)
        #expect(try level(attestation, naming: other) == .boundImage)
        #expect(try level(attestation, naming: one, other) == .measuredExec)
    }

    @Test("The second level asks for one where nobody saw what was executed, and only there")
    func secondLevel() {
        let seen = judge { $0.record.change { $0.image.change { $0.program.digest = .unmeasured(Gap("busy")) } } }
        #expect(seen.level == .boundImage)
        let unseen = judge { $0.record = .unknown(Gap("no journal")) }
        #expect(unseen.level == .executableLink)
        #expect(unseen.levelVouched == .boundImage)
    }

    @Test("The executable itself is measured, and needs no voucher")
    func executable() {
        let judgement = AssuranceJudge.judge(
            Evidence.sound.with { $0.code.change { $0.files[0].isImmutable = false } })
        #expect(judgement.attestation.unvouched.isEmpty)
        #expect(judgement.attestation.level == .measuredExec)
    }

    @Test("Made code is admitted or not on its own")
    func jit() throws {
        let attestation = judge { $0.code.change { $0.anonymous = "some" } }
        let name = "code:lib:sha256:\(digest("b"))"
        #expect(try level(attestation) == .executableLink)
        #expect(try level(attestation, jit: true) == .boundImage)
        #expect(try level(attestation, naming: name) == .executableLink)
        #expect(try level(attestation, jit: true, naming: name) == .measuredExec)
    }

    @Test("One that is not hashed is vouched for by no name")
    func unhashed() throws {
        let attestation = judge { $0.code.change { $0.files[1].digest = .unknown(Gap("too large")) } }
        #expect(attestation.levelVouched == .boundImage)
        #expect(try level(attestation, naming: "code:lib:sha256:unknown") == .boundImage)
        #expect(!attestation.selectors.contains { $0.value.hasSuffix("unknown") })
    }
}

@Suite("Selectors of evidence")
struct SelectorMakerTests {
    private func selectors(_ change: (inout Evidence) -> Void = { _ in }) -> Set<String> {
        Set(AssuranceJudge.judge(Evidence.sound.with(change)).attestation.selectors.map(\.description))
    }

    @Test("A measured process has the selectors of every level")
    func measured() {
        let set = SelectorMaker.digest(of: [digest("a"), digest("b")])
        let chain = SelectorMaker.digest(of: [digest("a")])
        #expect(
            selectors() == [
                "unix:uid:1000", "unix:gid:1000", "unix:supplementary_gid:27", "unix:path:/opt/agent",
                "unix:sha256:\(digest("a"))", "exec:sha256:\(digest("a"))", "exec:path:/opt/agent",
                "exec:chain:\(chain)", "code:set:\(set)", "code:lib:sha256:\(digest("b"))", "code:anon-exec:none",
                "code:text:clean", "proc:traced:false", "proc:instance:b/7", "proc:gen:3", "proc:nnp:true",
                "proc:seccomp:filter", "proc:caps:none", "ns:user:init", "ns:mnt:host", "ns:mnt:11", "ns:pid:host",
                "ns:pid:\(HostAbilities.initialPIDNamespace)", "cgroup:path:/agents.slice/t1", "cgroup:id:8412",
                "exe:fs:ext4", "exe:owner:0", "exe:writable-by-caller:false",
            ])
    }

    @Test("Below a level, what it stands for is not claimed")
    func lowered() {
        let bound = selectors { $0.record = .unknown(Gap("no")) }
        #expect(bound.allSatisfy { !$0.hasPrefix("exec:") })
        #expect(bound.filter { $0.hasPrefix("code:") } == ["code:text:clean"])
        #expect(bound.contains("proc:traced:false"))
        let linked = selectors { $0.confinement.tracer = .known(1, .proc) }
        #expect(linked.allSatisfy { $0.hasPrefix("unix:") })
        #expect(linked.contains("unix:path:/opt/agent"))
        let account = selectors { $0.namespaces.pidOwner = .known(1, .proc) }
        #expect(account == ["unix:uid:1000", "unix:gid:1000", "unix:supplementary_gid:27"])
    }

    @Test("A JIT compiler is named, and keeps the rest")
    func jit() {
        let found = selectors { $0.code.change { $0.anonymous = "some" } }
        #expect(found.contains("code:anon-exec:jit"))
        #expect(found.contains("exec:sha256:\(digest("a"))"))
    }

    @Test("One unknown library leaves no claim about the whole")
    func unknownLibrary() {
        let found = selectors { $0.code.change { $0.files[1].digest = .unknown(Gap("no")) } }
        #expect(found.allSatisfy { !$0.hasPrefix("code:set") && !$0.hasPrefix("exec:") })
    }

    @Test("Scripts, in the order of their execution, before the program")
    func scripts() {
        let found = selectors {
            $0.scripts = [.known(digest("d"), .journal)]
            $0.record.change {
                $0.image.change {
                    $0.scripts = [
                        ExecutedFile(
                            identity: identity(9), path: .known("/opt/run", .journal), digest: .measured(digest("d")))
                    ]
                }
            }
        }
        #expect(found.contains("exec:script:sha256:\(digest("d"))"))
        #expect(found.contains("exec:path:/opt/run"))
        #expect(found.contains("exec:chain:\(SelectorMaker.digest(of: [digest("d"), digest("a")]))"))
    }

    @Test("Names, units, containers, packages and ancestors")
    func surroundings() {
        let found = selectors {
            $0.accountNames = .known(AccountNaming(user: "ann", group: "dev", supplementaryGroups: ["sudo"]), .proc)
            $0.service = .known(
                ServiceUnit(
                    id: "user@1000.service", fragmentPath: .known("/lib/u", .file), userUnit: "agent.service"), .cgroup)
            $0.container = .known(
                ContainerFacts(
                    id: digest("c"), runtime: .docker,
                    details: .known(
                        .init(name: "web", image: "agent:1", imageDigests: [digest("9")], labels: ["a.b": "x=y"]),
                        .runtime)), .cgroup)
            $0.package = .known("python3=3.11", .packageRecords)
            let one = ProcessInstance(bootID: "b", mark: .pidfs(inode: 1))
            $0.lineage = .known(
                Lineage(ancestors: [
                    .init(instance: one, pid: 2, digest: .known(digest("1"), .journal)),
                    .init(instance: one, pid: 1, digest: .known(digest("2"), .journal)),
                ]), .journal)
        }
        let expected = [
            "unix:user:ann", "unix:group:dev", "unix:supplementary_group:sudo", "systemd:id:user@1000.service",
            "systemd:fragment_path:/lib/u", "systemd:user_unit:agent.service", "container:id:\(digest("c"))",
            "container:name:web", "container:image-digest:sha256:\(digest("9"))", "container:label:a.b=x=y",
            "docker:label:a.b:x=y", "docker:image_id:agent:1", "exe:pkg:deb:python3=3.11", "proc:depth:2",
            "proc:parent:exec:sha256:\(digest("1"))", "proc:ancestor:exec:sha256:\(digest("1"))",
            "proc:ancestor:exec:sha256:\(digest("2"))",
        ]
        for selector in expected { #expect(found.contains(selector), "\(selector)") }
        for selector in found {
            #expect(SelectorMaker.producedKinds.contains { selector.hasPrefix("\($0):") }, "\(selector)")
        }
    }

    @Test("A name with a control character is left out")
    func controlCharacter() {
        let found = selectors { $0.executable.change { $0.path = .known("/opt/a\nb", .file) } }
        #expect(found.allSatisfy { !$0.hasPrefix("unix:path") })
    }

    @Test(
        "Only what an entry asks for is gathered",
        arguments: [
            ("unix:uid:0", AssuranceLevel.account, EvidenceNeeds()), ("unix:uid:0", .boundImage, .program),
            ("unix:uid:0", .measuredExec, [.program, .libraries]), ("unix:user:ann", .account, .names),
            ("unix:sha256:aa", .account, .program), ("exec:sha256:aa", .account, [.program, .libraries]),
            ("code:text:clean", .account, .program), ("proc:depth:2", .account, [.program, .libraries, .lineage]),
            ("exe:pkg:deb:a=1", .account, [.program, .package]), ("exe:owner:0", .account, .program),
            ("systemd:id:x", .account, [.program, .surroundings, .service]),
            ("docker:label:a:b", .account, [.program, .surroundings, .container]),
            ("cgroup:id:1", .account, [.program, .surroundings]), ("k8s:ns:x", .account, []),
        ] as [(String, AssuranceLevel, EvidenceNeeds)])
    func needs(text: String, level: AssuranceLevel, expected: EvidenceNeeds) throws {
        #expect(EvidenceNeeds(selectors: [try Selector(parsing: text)], minimum: level) == expected)
    }

    @Test("The vocabulary knows each family that is made, and none that is not")
    func vocabulary() {
        #expect(Set(SelectorMaker.producedKinds) == Set(SelectorFamily.known.map(\.prefix)))
        #expect(SelectorMaker.producedKinds.count == SelectorFamily.known.count)
    }
}
