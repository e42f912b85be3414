internal import Foundation
internal import LinuxKernel
internal import Logging
internal import Platform
internal import WorkloadAttestation

/// What attestation works with on this machine: probed, started, and said in the log.
struct AttestationParts: Sendable {
    let sources: EvidenceSources
    let hashing: HashingBudget
    private let host: HostAbilities
    private let journal: Result<ExecJournal, Gap>

    init(_ configuration: AgentConfiguration, clock: any WallClock, logger: Logger) {
        do { host = try HostAbilities.probe() } catch {
            logger.warning("this process cannot look at itself", metadata: ["error": "\(error)"])
            host = .none
        }
        journal = Self.journal(configuration.journal, host: host)
        switch journal {
        case .success: logger.info("exec journal runs")
        case .failure(let gap):
            logger.notice(
                "exec journal does not run; processes reach AL2 at most", metadata: ["reason": "\(gap)"])
        }
        if !host.canLookAtAll {
            logger.notice(
                "node agent does not run as root; processes reach AL1 at most",
                metadata: ["hint": "see 'mintmark doctor'"])
        }
        let digests = DigestCache(host: host)
        sources = EvidenceSources(host: host, history: try? journal.get(), digests: digests, clock: clock)
        hashing = HashingBudget(sizeLimit: configuration.executableSizeLimit, cache: digests, clock: clock)
    }

    private static func journal(
        _ configuration: ExecJournalConfiguration?, host: HostAbilities
    ) -> Result<ExecJournal, Gap> {
        guard let configuration else { return .failure(Gap("turned off in the configuration")) }
        do throws(JournalUnavailable) { return .success(try ExecJournal(configuration)) } catch {
            return .failure(Gap("\(error)"))
        }
    }

    /// How long a call waits for a program to be measured.
    private static let patience = Duration.seconds(20)

    /// Waits until the program of a process has been measured, or cannot be.
    func settle(_ instance: ProcessInstance, pid: Int32) async {
        guard case .success(let journal) = journal else { return }
        _ = try? await journal.settled(instance, pid: pid, within: Self.patience)
    }

    /// Says what this machine can prove now.
    ///
    /// - Parameter others: What else is to be said of the agent.
    /// - Returns: All of it.
    func hostReport(_ others: [HostReport.Check]) -> HostReport {
        let status: JournalStatus
        switch journal {
        case .success(let journal): status = journal.status
        case .failure(let gap): status = JournalStatus(unavailable: "\(gap)")
        }
        return HostReport(
            host: host, journal: status, settings: HostSettings.read(), digests: sources.digests.counts,
            others: others)
    }
}
