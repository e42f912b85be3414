package import LinuxKernel
package import SPIFFE

/// What this machine can prove, why not more, and which setting changes it.
package struct HostReport: Hashable, Sendable {
    package struct Check: Hashable, Sendable {
        package enum Standing: Hashable, Sendable {
            case good, limited, missing
        }

        package let name: String
        package let standing: Standing
        package let detail: String
        /// What cannot be proven for want of it; empty when nothing is wanting.
        package let consequence: String
        package let remedy: String

        package init(name: String, standing: Standing, detail: String, consequence: String, remedy: String) {
            (self.name, self.standing, self.detail) = (name, standing, detail)
            (self.consequence, self.remedy) = (consequence, remedy)
        }
    }

    package let checks: [Check]
    /// The highest level that a process can reach.
    package let highestLevel: AssuranceLevel

    /// Judges a machine.
    ///
    /// Pure: the same findings always make the same report.
    ///
    /// - Parameters:
    ///   - host: What the kernel and this process's rights allow.
    ///   - journal: What the exec journal is doing.
    ///   - settings: Settings that decide what an attacker can try.
    ///   - digests: How the digest cache has done; nil leaves it out.
    ///   - others: What others have to say of the agent.
    package init(
        host: HostAbilities, journal: JournalStatus, settings: HostSettings, digests: DigestCache.Counts? = nil,
        others: [Check] = []
    ) {
        checks =
            Self.rights(host) + Self.kernel(host, settings) + Self.journal(journal) + Self.surroundings(settings)
            + (digests.map { [Self.cache($0)] } ?? []) + others
        if !host.canLookAtAll {
            highestLevel = .executableLink
        } else {
            highestLevel = journal.unavailable == nil ? .measuredExec : .boundImage
        }
    }

    private static func rights(_ host: HostAbilities) -> [Check] {
        [
            check(
                "rights", host.canLookAtAll, "the agent may look at every process",
                else: .missing, "the agent may not look at every process",
                "no process reaches more than AL1",
                "run the agent as root in the initial user namespace, with CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN"
            )
        ]
    }

    private static func kernel(_ host: HostAbilities, _ settings: HostSettings) -> [Check] {
        [
            check(
                "SO_PEERPIDFD", settings.hasPeerPidfd, "the kernel pins who connects",
                else: .limited, "the kernel does not pin who connects",
                "AL2 rests on the exec journal's word that a number was not used again", "Linux 6.5 or newer"),
            check(
                "pidfs", host.hasPidfs, "process instances have keys that are never used again",
                else: .missing, "process instances have no keys of their own",
                "the exec journal does not run, so no process reaches AL3", "Linux 6.9 or newer"),
            check(
                "running files", host.protectsRunningFiles == true, "the kernel refuses to write to what runs",
                else: .limited,
                host.protectsRunningFiles == nil
                    ? "it could not be tried whether the kernel refuses to write to what runs"
                    : "the kernel lets running programs be written to",
                "digests of programs that their user can write are taken anew for each request",
                "any Linux but 6.11"),
            check(
                "file times", host.hasFineTimes, "two changes of a file always differ in time",
                else: .limited, "two changes of a file can have the same time",
                "digests of files that changed within two seconds are not kept", "Linux 6.13 or newer"),
            check(
                "user namespaces", settings.hasUnprivilegedUserNamespaces == false,
                "ordinary users cannot make user namespaces",
                else: .limited,
                settings.hasUnprivilegedUserNamespaces == nil
                    ? "it cannot be told whether ordinary users can make user namespaces"
                    : "ordinary users can make user namespaces",
                "processes in PID namespaces of such get AL0, and the exe link can be forged, which AL2 and AL3 refuse",
                "sysctl user.max_user_namespaces=0, where no container runtime needs them"),
            check(
                "ptrace", settings.ptraceScope.map { $0 > 0 } ?? false,
                "Yama restricts ptrace to children (scope \(settings.ptraceScope ?? 0))",
                else: .limited, "a user's processes may trace each other",
                "a process of the same user can take over one that holds an identity; it is noticed, and ends it",
                "sysctl kernel.yama.ptrace_scope=1, with Yama in the kernel"),
        ]
    }

    private static func journal(_ journal: JournalStatus) -> [Check] {
        guard journal.unavailable == nil else {
            return [
                Check(
                    name: "exec journal", standing: .missing, detail: journal.unavailable ?? "",
                    consequence: "no process reaches AL3",
                    remedy:
                        "run the agent as root with CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN, in the initial namespaces"
                )
            ]
        }
        let lost = journal.counts.eventLosses + journal.counts.mappingLosses + journal.counts.fileLosses
        var checks = [
            check(
                "exec journal", lost == 0, "runs: \(journal.processes) processes, \(journal.counts.execs) execs seen",
                else: .limited, "runs, and has lost events \(lost) times",
                "processes that ran then reach AL2 until they are started again", "fewer processes started at once")
        ]
        checks.append(
            check(
                "scripts", journal.unmarked.isEmpty && !journal.fileSystems.isEmpty,
                "execs are reported on \(journal.fileSystems.joined(separator: ", "))",
                else: .limited,
                journal.unmarked.isEmpty
                    ? "no file system reports execs"
                    : journal.unmarked.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
                        .joined(separator: "; "),
                "scripts that are started there are not told from their interpreters", "CAP_SYS_ADMIN for fanotify"))
        if let guardState = journal.guardState {
            checks.append(
                check(
                    "guard", journal.letGo == 0, "\(guardState); \(journal.held) execs held",
                    else: .limited, "\(guardState); \(journal.letGo) of \(journal.held) execs let go unmeasured",
                    "those processes reach AL2", "see the agent's log for what kept it"))
        }
        return checks
    }

    private static func cache(_ counts: DigestCache.Counts) -> Check {
        Check(
            name: "digest cache", standing: .good,
            detail: "\(counts.entries) digests kept, \(counts.hits) found, \(counts.misses) not found, "
                + "\(counts.refused) asked for of files that are never kept",
            consequence: "", remedy: "")
    }

    private static func surroundings(_ settings: HostSettings) -> [Check] {
        [
            check(
                "systemd", settings.hasSystemd, "manages the services of this machine",
                else: .missing, "does not manage this machine", "there are no systemd: selectors",
                "only on machines that systemd runs"),
            check(
                "packages", settings.hasPackageRecords, "Debian's package records are there",
                else: .missing, "there are no package records of Debian's", "there are no exe:pkg: selectors",
                "only on Debian and its kin"),
            check(
                "containers", !settings.containerRuntimes.isEmpty, settings.containerRuntimes.joined(separator: ", "),
                else: .missing, "no container runtime answers",
                "there are no container: selectors", "only where Docker or Podman has a socket in /run"),
        ]
    }

    private static func check(
        _ name: String, _ isGood: Bool, _ good: String, else standing: Check.Standing, _ bad: String,
        _ consequence: String, _ remedy: String
    ) -> Check {
        isGood
            ? Check(name: name, standing: .good, detail: good, consequence: "", remedy: "")
            : Check(name: name, standing: standing, detail: bad, consequence: consequence, remedy: remedy)
    }
}
