import LinuxKernel
import SPIFFE
import Testing
import WorkloadAttestation

/// Something that a machine lacks, and what is said of it.
struct HostFlaw: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let check: String
    let standing: HostReport.Check.Standing
    let level: AssuranceLevel
    let words: [String]
    let change: @Sendable (inout HostAbilities, inout JournalStatus, inout HostSettings) -> Void

    init(
        _ name: String, _ check: String, _ standing: HostReport.Check.Standing,
        _ level: AssuranceLevel = .measuredExec, saying words: String...,
        change: @escaping @Sendable (inout HostAbilities, inout JournalStatus, inout HostSettings) -> Void
    ) {
        (testDescription, self.check, self.standing, self.level) = (name, check, standing, level)
        (self.words, self.change) = (words, change)
    }

    static let all: [HostFlaw] = [
        HostFlaw("no rights", "rights", .missing, .executableLink, saying: "AL1", "root", "CAP_SYS_PTRACE") {
            host, _, _ in host.canLookAtAll = false
        },
        HostFlaw("no journal", "exec journal", .missing, .boundImage, saying: "not allowed", "AL3", "CAP_NET_ADMIN") {
            _, journal, _ in journal = JournalStatus(unavailable: "not allowed")
        },
        HostFlaw("no pinning", "SO_PEERPIDFD", .limited, saying: "Linux 6.5") { _, _, settings in
            settings.hasPeerPidfd = false
        },
        HostFlaw("no pidfs", "pidfs", .missing, saying: "AL3", "Linux 6.9") { host, _, _ in host.hasPidfs = false },
        HostFlaw("running files are written to", "running files", .limited, saying: "lets", "6.11") { host, _, _ in
            host.protectsRunningFiles = false
        },
        HostFlaw("running files not tried", "running files", .limited, saying: "could not be tried") { host, _, _ in
            host.protectsRunningFiles = nil
        },
        HostFlaw("coarse times", "file times", .limited, saying: "same time", "6.13") { host, _, _ in
            host.hasFineTimes = false
        },
        HostFlaw("user namespaces", "user namespaces", .limited, saying: "can make", "max_user_namespaces") {
            _, _, settings in settings.hasUnprivilegedUserNamespaces = true
        },
        HostFlaw("user namespaces unknown", "user namespaces", .limited, saying: "cannot be told") {
            _, _, settings in settings.hasUnprivilegedUserNamespaces = nil
        },
        HostFlaw("no Yama", "ptrace", .limited, saying: "trace each other", "ptrace_scope") { _, _, settings in
            settings.ptraceScope = nil
        },
        HostFlaw("Yama off", "ptrace", .limited, saying: "trace each other") { _, _, settings in
            settings.ptraceScope = 0
        },
        HostFlaw("events lost", "exec journal", .limited, saying: "lost events 3 times", "AL2") { _, journal, _ in
            journal.counts.eventLosses = 1
            journal.counts.mappingLosses = 1
            journal.counts.fileLosses = 1
        },
        HostFlaw("a mount unmarked", "scripts", .limited, saying: "/srv: no", "interpreters") { _, journal, _ in
            journal.unmarked = ["/srv": "no"]
        },
        HostFlaw("nothing marked", "scripts", .limited, saying: "no file system reports execs") { _, journal, _ in
            journal.fileSystems = []
        },
        HostFlaw("execs let go", "guard", .limited, saying: "2 of 9", "AL2") { _, journal, _ in
            (journal.guardState, journal.held, journal.letGo) = ("watches", 9, 2)
        },
        HostFlaw("no systemd", "systemd", .missing, saying: "systemd:") { _, _, settings in
            settings.hasSystemd = false
        },
        HostFlaw("no packages", "packages", .missing, saying: "exe:pkg:") { _, _, settings in
            settings.hasPackageRecords = false
        },
        HostFlaw("no containers", "containers", .missing, saying: "container:") { _, _, settings in
            settings.containerRuntimes = []
        },
    ]
}

@Suite("What a machine can prove")
struct HostReportTests {
    private static func report(
        _ change: (inout HostAbilities, inout JournalStatus, inout HostSettings) -> Void = { _, _, _ in }
    ) -> HostReport {
        var host = HostAbilities.sound
        var journal = JournalStatus()
        journal.fileSystems = ["/"]
        var settings = HostSettings(
            ptraceScope: 1, hasUnprivilegedUserNamespaces: false, hasPeerPidfd: true, hasSystemd: true,
            hasPackageRecords: true, containerRuntimes: ["/run/docker.sock"])
        change(&host, &journal, &settings)
        return HostReport(host: host, journal: journal, settings: settings)
    }

    @Test("Where nothing is wanting everything is good, and nothing is to be done")
    func sound() {
        let report = Self.report()
        #expect(report.highestLevel == .measuredExec)
        for check in report.checks {
            #expect(check.standing == .good, "\(check)")
            #expect(check.consequence.isEmpty && check.remedy.isEmpty)
        }
        #expect(Set(report.checks.map(\.name)).count == report.checks.count)
    }

    @Test("What is wanting is named, with what it costs and what would mend it", arguments: HostFlaw.all)
    func flawed(_ flaw: HostFlaw) throws {
        let report = Self.report(flaw.change)
        #expect(report.highestLevel == flaw.level)
        let check = try #require(report.checks.first { $0.name == flaw.check })
        #expect(check.standing == flaw.standing)
        let text = "\(check.detail) \(check.consequence) \(check.remedy)"
        for word in flaw.words { #expect(text.contains(word), "\(text)") }
        #expect(!check.consequence.isEmpty && !check.remedy.isEmpty)
        #expect(report.checks.filter { $0.standing != .good }.map(\.name) == [flaw.check])
    }

    @Test("Without rights a journal that runs makes nothing better")
    func rightsFirst() {
        let report = Self.report { host, journal, _ in
            host = .none
            journal = JournalStatus(unavailable: "no")
        }
        #expect(report.highestLevel == .executableLink)
    }

    @Test("The settings of this machine can be read, whatever they are")
    func readable() {
        let report = HostReport(host: .none, journal: JournalStatus(unavailable: "no"), settings: .read())
        #expect(report.checks.allSatisfy { !$0.detail.isEmpty })
    }
}
