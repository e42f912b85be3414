internal import Foundation
internal import GRPCCore
internal import IssuerAPIProtos
internal import IssuerDomain
internal import Logging
internal import Platform
internal import SPIFFE
internal import SwiftProtobuf
internal import Synchronization

/// `mintmark.v1.Incidents`: what agents say of workloads that stopped being what they were attested as, in the log.
struct IncidentService: Mintmark_V1_Incidents.SimpleServiceProtocol {
    private static let longestReport = 256
    private static let longestText = 512
    /// 1970 to 9999, in milliseconds.
    private static let years: Range<Int64> = 0..<253_402_300_800_000

    let access: AccessControl
    let recorded: RecordedIncidents
    let logger: Logger

    func report(
        request: Mintmark_V1_ReportIncidentsRequest, context: ServerContext
    ) async throws -> Mintmark_V1_ReportIncidentsResponse {
        let agent = try await access.requireAgent(context)
        guard (1...128).contains(request.runID.utf8.count) else {
            throw RPCError(code: .invalidArgument, message: "run_id must have 1 to 128 bytes")
        }
        guard request.incidents.count <= Self.longestReport else {
            throw RPCError(
                code: .invalidArgument, message: "a report may hold at most \(Self.longestReport) incidents")
        }
        let (new, last) = recorded.take(
            request.incidents.map(\.number), of: agent.id, run: request.runID)
        for incident in request.incidents where new.contains(incident.number) { log(incident, of: agent.id) }
        if request.dropped > 0 {
            logger.warning(
                "agent had to drop incidents", metadata: ["agent.id": "\(agent.id)", "count": "\(request.dropped)"])
        }
        return .with { $0.recordedNumber = last }
    }

    private func log(_ incident: Mintmark_V1_Incident, of agent: SPIFFEID) {
        // An agent's clock may say anything; what no calendar has is logged as nothing.
        let at =
            Self.years.contains(incident.atMs)
            ? Date(timeIntervalSince1970: TimeInterval(incident.atMs) / 1000).formatted(.iso8601) : ""
        logger.notice(
            "workload is no longer what was attested",
            metadata: [
                "agent.id": "\(agent)", "incident.number": "\(incident.number)",
                "incident.at": "\(at)", "incident.kind": "\(Self.bounded(incident.kind))",
                "incident.detail": "\(Self.bounded(incident.detail))",
                "workload.instance": "\(Self.bounded(incident.instance))", "workload.pid": "\(incident.pid)",
                "workload.uid": "\(incident.uid)",
                "entry.ids": "\(Self.bounded(incident.entryIds.prefix(20).joined(separator: " ")))",
            ])
    }

    private static func bounded(_ text: String) -> String { String(text.prefix(longestText)) }
}

/// Which incidents are in the record already, so that one that is sent again is not recorded again.
final class RecordedIncidents: Sendable {
    private struct Run {
        var id: String
        var last: UInt64
    }

    private let runs = Mutex<[SPIFFEID: Run]>([:])

    /// Notes incidents.
    ///
    /// - Parameters:
    ///   - numbers: Theirs.
    ///   - agent: Who reports them.
    ///   - run: The agent's run; a new one counts from the start.
    /// - Returns: Those that are new, and the number up to which everything is recorded.
    func take(_ numbers: [UInt64], of agent: SPIFFEID, run: String) -> (new: Set<UInt64>, last: UInt64) {
        runs.withLock { runs in
            var known = runs[agent] ?? Run(id: run, last: 0)
            if known.id != run { known = Run(id: run, last: 0) }
            let new = Set(numbers.filter { $0 > known.last })
            known.last = max(known.last, new.max() ?? 0)
            runs[agent] = known
            return (new, known.last)
        }
    }
}
