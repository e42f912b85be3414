package import WorkloadAttestation
package import WorkloadSocket
internal import Synchronization

/// How the agent's own sockets have done, for who asks about the machine.
package final class SocketReport: Sendable {
    private struct Socket: Sendable {
        let name: String
        let counters: @Sendable () -> SocketCounters?
    }

    private let sockets = Mutex<[Socket]>([])

    package init() {}

    /// Takes in a socket.
    ///
    /// - Parameters:
    ///   - name: What it is for.
    ///   - counters: What it has counted; nil as long as it is not open.
    package func add(_ name: String, _ counters: @escaping @Sendable () -> SocketCounters?) {
        sockets.withLock { $0.append(Socket(name: name, counters: counters)) }
    }

    /// Each socket's counters in words.
    package var checks: [HostReport.Check] {
        sockets.withLock { $0 }.compactMap { socket in
            socket.counters().map {
                HostReport.Check(
                    name: socket.name, standing: .good, detail: Self.words($0), consequence: "", remedy: "")
            }
        }
    }

    private static func words(_ counters: SocketCounters) -> String {
        var parts = ["\(counters.open) connections open, \(counters.accepted) accepted, on \(counters.workers) threads"]
        if !counters.refused.isEmpty {
            parts.append("refused: " + list(counters.refused.map { ($0.key.rawValue, $0.value) }))
        }
        if !counters.ended.isEmpty { parts.append("ended: " + list(counters.ended.map { ($0.key, $0.value) })) }
        if counters.acceptPauses > 0 { parts.append("accepting paused \(counters.acceptPauses) times") }
        if !counters.calls.isEmpty {
            let calls = counters.calls.map { call, count in
                let method = call.method.map { ServedMethod.name($0).split(separator: "/").last.map(String.init) ?? "" }
                return ("\(method ?? "unknown method") \(call.code)", count)
            }
            parts.append("calls: " + list(calls))
        }
        return parts.joined(separator: "; ")
    }

    private static func list(_ counts: [(String, Int)]) -> String {
        counts.sorted { $0.0 < $1.0 }.map { "\($0.1) \($0.0)" }.joined(separator: ", ")
    }
}
