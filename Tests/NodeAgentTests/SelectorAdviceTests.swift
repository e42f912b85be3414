import AgentDomain
import Foundation
import LinuxKernel
import NodeAgent
import SPIFFE
import Testing
import WorkloadAPIProtos
import WorkloadAttestation

@Suite("Advice about selectors")
struct SelectorAdviceTests {
    private static let digest = String(repeating: "a", count: 64)
    private static let script = String(repeating: "5", count: 64)

    private static func suggested(
        _ selectors: [String], _ level: AssuranceLevel, jit: AssuranceLevel? = nil, path: String = "/opt/agent"
    ) throws -> Mintmark_V1_SuggestSelectorsResponse {
        SelectorAdvice.suggestions(for: try .of(selectors, level, jit: jit, path: path))
    }

    private static func proposed(_ response: Mintmark_V1_SuggestSelectorsResponse) -> Set<String> {
        Set(response.suggestions.filter(\.proposed).map(\.selector))
    }

    static let proposals: [(found: [String], level: AssuranceLevel, proposed: Set<String>)] = [
        (
            [
                "unix:uid:1", "unix:path:/opt/agent", "unix:sha256:\(digest)", "exec:sha256:\(digest)",
                "exec:chain:\(digest)",
            ],
            .measuredExec, ["unix:uid:1", "exec:sha256:\(digest)"]
        ),
        (
            ["unix:uid:1", "exec:sha256:\(digest)", "exec:script:sha256:\(script)"], .measuredExec,
            ["unix:uid:1", "exec:sha256:\(digest)", "exec:script:sha256:\(script)"]
        ),
        (
            ["unix:uid:1", "unix:path:/opt/agent", "unix:sha256:\(digest)", "proc:traced:false"], .boundImage,
            ["unix:uid:1", "unix:path:/opt/agent", "unix:sha256:\(digest)"]
        ),
        (["unix:uid:1", "unix:gid:1", "unix:user:ann"], .account, ["unix:uid:1"]),
        ([], .account, []),
    ]

    @Test(
        "Proposes who runs it, and the strongest word on the program that the level stands behind", arguments: proposals
    )
    func proposal(row: (found: [String], level: AssuranceLevel, proposed: Set<String>)) throws {
        let response = try Self.suggested(row.found, row.level)
        #expect(Self.proposed(response) == row.proposed)
        #expect(response.minimumAssurance == UInt32(row.level.number))
        #expect(!response.allowJit)
    }

    @Test("Ranks by strength, and leaves out what is true of this one process only")
    func ranking() throws {
        let response = try Self.suggested(
            [
                "unix:gid:1", "code:set:\(Self.digest)", "unix:uid:1", "proc:instance:b/1", "proc:gen:3",
                "exec:sha256:\(Self.digest)", "cgroup:id:7", "container:id:x", "k8s:ns:x",
            ], .measuredExec)
        #expect(
            response.suggestions.map(\.selector) == [
                "code:set:\(Self.digest)", "exec:sha256:\(Self.digest)", "unix:uid:1", "unix:gid:1",
            ])
        #expect(response.suggestions.map(\.strength) == response.suggestions.map(\.strength).sorted(by: >))
        #expect(response.suggestions.allSatisfy { !$0.explanation.isEmpty })
    }

    @Test("Made code is admitted where the process shows more with it, and warned of")
    func jit() throws {
        let response = try Self.suggested(
            ["unix:uid:1", "exec:sha256:\(Self.digest)"], .executableLink, jit: .measuredExec)
        #expect(response.allowJit)
        #expect(response.minimumAssurance == 3)
        #expect(response.warnings.contains { $0.contains("anonymous executable memory") })
    }

    @Test(
        "An interpreter is warned of, unless its script is measured",
        arguments: [
            ("/usr/bin/python3.13", true), ("/opt/node", true), ("/bin/sh", true), ("/opt/agent", false),
            ("/usr/sbin/sshd", false), ("", false), ("/", false), ("python3", true),
        ])
    func interpreter(path: String, warned: Bool) throws {
        func warns(_ found: [String]) throws -> Bool {
            try Self.suggested(found, .measuredExec, path: path).warnings.contains { $0.contains("is an interpreter") }
        }
        let bare = ["unix:uid:1", "exec:sha256:\(Self.digest)", "exec:chain:\(Self.digest)"]
        #expect(try warns(bare) == warned)
        #expect(try !warns(bare + ["exec:script:sha256:\(Self.script)"]))
    }

    @Test("What can be pretended, and what tells too little, is said")
    func weak() throws {
        let account = try Self.suggested(["unix:uid:1"], .account).warnings
        #expect(account.contains { $0.contains("AL0") && $0.contains("pretend") })
        #expect(account.contains { $0.contains("user alone") })
        let link = try Self.suggested(["unix:uid:1", "unix:path:/opt/agent"], .executableLink).warnings
        #expect(link.contains { $0.contains("AL1") })
        #expect(!link.contains { $0.contains("user alone") })
        #expect(try Self.suggested(["unix:uid:1", "unix:path:/opt/agent"], .boundImage).warnings.isEmpty)
    }

    // MARK: Near misses

    private static func miss(
        _ selectors: [String], on found: [String], _ level: AssuranceLevel = .measuredExec,
        asks: AssuranceLevel = .account, missing: [MissingProof] = [], expiresAt: Date? = nil
    ) throws -> Mintmark_V1_NearMiss {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        let entry = AuthorizedEntry(
            id: "e", spiffeID: try SPIFFEID("spiffe://example.org/e"),
            selectors: Set(try selectors.map { try Selector(parsing: $0) }), expiresAt: expiresAt, revision: 1,
            createdAt: now - 100, terms: AssuranceTerms(minimum: asks, allowsJIT: false))
        let examination = try Examination.of(found, level, missing: missing)
        let attestation = try Attestation.of(found, level)
        let miss = try #require(EntryMatcher([entry]).nearMisses(attestation, now: now).first)
        return SelectorAdvice.miss(miss, on: examination)
    }

    @Test("Names what was found of the same family, and that the entry would have to say it")
    func found() throws {
        let miss = try Self.miss(["unix:uid:1", "unix:path:/opt/b"], on: ["unix:uid:1", "unix:path:/opt/a"])
        #expect(miss.entryID == "e" && miss.spiffeID == "spiffe://example.org/e")
        #expect(!miss.assuranceMissing && miss.other.isEmpty)
        #expect(miss.missingSelectors.map(\.selector) == ["unix:path:/opt/b"])
        #expect(miss.missingSelectors.first?.found == ["unix:path:/opt/a"])
        #expect(miss.missingSelectors.first?.remedy.contains("unix:path:/opt/a") == true)
    }

    @Test("Of many it shows a few")
    func bounded() throws {
        let groups = (0..<200).map { "unix:supplementary_gid:\($0)" }
        let miss = try Self.miss(["unix:supplementary_gid:999"], on: groups)
        #expect(miss.missingSelectors.first?.found.count == 8)
        #expect(miss.missingSelectors.first?.remedy.contains("one of those found") == true)
    }

    @Test("Where the level stands between, it says what the level lacks")
    func level() throws {
        let traced = MissingProof(level: .boundImage, proof: .notTraced, reason: "process 17 traces it")
        let miss = try Self.miss(
            ["exec:path:/opt/a"], on: ["unix:uid:1"], .executableLink, asks: .measuredExec, missing: [traced])
        #expect(miss.assuranceMissing)
        #expect(miss.minimumAssurance == 3)
        #expect(miss.missingSelectors.first?.found == [])
        #expect(miss.missingSelectors.first?.remedy.contains("process 17 traces it") == true)
    }

    @Test("A kind of another make, and what is simply not there, have a word as well")
    func absent() throws {
        let foreign = try Self.miss(["k8s:ns:x"], on: ["unix:uid:1"])
        #expect(foreign.missingSelectors.first?.remedy.contains("no attestor") == true)
        let nothing = try Self.miss(["systemd:id:x.service"], on: ["unix:uid:1"])
        #expect(nothing.missingSelectors.first?.remedy.contains("nothing of that sort") == true)
    }

    @Test("An entry whose time is over says so")
    func expired() throws {
        let miss = try Self.miss(
            ["unix:uid:1"], on: ["unix:uid:1"], expiresAt: Date(timeIntervalSince1970: 1_700_000_000))
        #expect(miss.other == ["has expired"])
        #expect(miss.missingSelectors.isEmpty)
    }
}

extension Attestation {
    fileprivate static func of(
        _ selectors: [String], _ level: AssuranceLevel, jit: AssuranceLevel? = nil
    ) throws -> Attestation {
        Attestation(
            selectors: Set(try selectors.map { try Selector(parsing: $0) }), level: level,
            levelAdmittingJIT: jit ?? level, methods: [])
    }
}

extension Examination {
    /// Of a process about which hardly more is known than its executable's path.
    fileprivate static func of(
        _ selectors: [String], _ level: AssuranceLevel, jit: AssuranceLevel? = nil, path: String = "/opt/agent",
        missing: [MissingProof] = []
    ) throws -> Examination {
        let state = FileState(
            identity: FileIdentity(
                device: 1, inode: 5, size: 10, modified: .init(seconds: 0, nanoseconds: 0),
                changed: .init(seconds: 0, nanoseconds: 0)), mode: 0o100755,
            owner: 0, group: 0)
        let executable = ExecutableFacts(
            state: state, fileSystem: FileSystemKind(number: 0xEF53), isMemory: false, writableByCaller: false,
            isImmutable: true, isOnTrustedMount: .unknown(.notAsked), path: .known(path, .file),
            digest: .unknown(.notAsked))
        let evidence = Evidence(
            instance: ProcessInstance(bootID: "b", mark: .pidfs(inode: 7)), pid: 70,
            credentials: PeerCredentials(pid: 70, uid: 1, gid: 1),
            connection: ConnectionFacts(isPinned: true, isLive: true), host: .none, account: .unknown(.notAsked),
            accountNames: .unknown(.notAsked), login: .unknown(.notAsked),
            confinement: Confinement(
                tracer: .unknown(.notAsked), noNewPrivileges: .unknown(.notAsked), seccomp: .unknown(.notAsked),
                capabilities: .unknown(.notAsked)),
            namespaces: NamespaceFacts(
                user: .unknown(.notAsked), mount: .unknown(.notAsked), pid: .unknown(.notAsked),
                network: .unknown(.notAsked), pidOwner: .unknown(.notAsked)),
            cgroups: .unknown(.notAsked), cgroupID: .unknown(.notAsked), executable: .known(executable, .file),
            code: .unknown(.notAsked), entersExecutable: .unknown(.notAsked), record: .unknown(.notAsked),
            isSameImage: .unknown(.notAsked), scripts: [], lineage: .unknown(.notAsked), package: .unknown(.notAsked),
            service: .unknown(.notAsked), container: .unknown(.notAsked))
        return Examination(
            pid: 70, evidence: evidence,
            judgement: Judgement(attestation: try .of(selectors, level, jit: jit), missing: missing))
    }
}
