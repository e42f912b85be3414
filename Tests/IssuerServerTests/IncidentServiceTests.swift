import GRPCCore
import IssuerAPIProtos
import SwiftProtobuf
import TestSupport
import Testing

@Suite("What agents report", .timeLimit(.minutes(2)))
struct IncidentServiceTests {
    private static func report(
        _ numbers: [UInt64], run: String = "run", change: (inout Mintmark_V1_Incident) -> Void = { _ in }
    ) -> Mintmark_V1_ReportIncidentsRequest {
        .with {
            $0.runID = run
            $0.incidents = numbers.map { number in
                var incident = Mintmark_V1_Incident.with {
                    $0.number = number
                    $0.atMs = 1_800_000_000_000
                    $0.kind = "executed"
                    $0.pid = 42
                    $0.entryIds = ["entry"]
                }
                change(&incident)
                return incident
            }
        }
    }

    private static func recorded(_ server: TestServer) -> Int {
        server.logs.messages().count { $0.contains("no longer what was attested") }
    }

    @Test("Each is recorded once, however often it is sent")
    func once() async throws {
        try await TestServer.run { server in
            _ = try await server.joinAndPresent()
            #expect(try await server.node.incidents.report(Self.report([1, 2])).recordedNumber == 2)
            #expect(try await server.node.incidents.report(Self.report([1, 2, 3])).recordedNumber == 3)
            #expect(Self.recorded(server) == 3)
            // Another run counts from the start.
            #expect(try await server.node.incidents.report(Self.report([1], run: "next")).recordedNumber == 1)
            #expect(Self.recorded(server) == 4)
        }
    }

    @Test("Only an attested agent may report, not an admin and not a stranger")
    func callers() async throws {
        try await TestServer.run { server in
            try await expectCode(.permissionDenied) { _ = try await server.node.incidents.report(Self.report([1])) }
            try await expectCode(.permissionDenied) { _ = try await server.admin.incidents.report(Self.report([1])) }
            #expect(Self.recorded(server) == 0)
        }
    }

    @Test("A report is bounded, and must name its run")
    func bounds() async throws {
        try await TestServer.run { server in
            _ = try await server.joinAndPresent()
            for bad in [
                Self.report([1], run: ""), Self.report([1], run: String(repeating: "x", count: 129)),
                Self.report(Array(1...257)),
            ] {
                try await expectCode(.invalidArgument) { _ = try await server.node.incidents.report(bad) }
            }
            let wild = Self.report([.max]) {
                $0.atMs = .max
                $0.detail = String(repeating: "x", count: 100_000)
            }
            #expect(try await server.node.incidents.report(wild).recordedNumber == .max)
            #expect(Self.recorded(server) == 1)
        }
    }
}
