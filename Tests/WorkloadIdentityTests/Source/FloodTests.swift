import Foundation
import SPIFFE
import TestSupport
import Testing
import WorkloadAPIProtos
import WorkloadIdentity

@Suite("A flood of updates", .serialized, .timeLimit(.minutes(30)))
struct FloodTests {
    /// A million in the long run; enough to see growth in any other.
    private static let count = ProcessInfo.processInfo.environment["MINTMARK_LONG"] == "1" ? 1_000_000 : 20_000

    /// What this process may grow by while a flood goes through it, in bytes.
    ///
    /// One message of the flood takes about 2 KiB, and several times that when parsed, so keeping 20,000 of them would take
    /// hundreds of megabytes. Other tests run in this process at the same time and take their share.
    private static let bound = 96 << 20

    /// The memory of this process that is in use, in bytes.
    private static func resident() throws -> Int {
        let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
        return try #require(text.split(separator: " ").dropFirst().first.flatMap { Int($0) }) * 4096
    }

    @Test("costs no memory though a listener is stuck, and its last state is the one that is held")
    func bounded() async throws {
        try await FakeAgent.run(timeout: .seconds(120)) { agent, options in
            let (ca, begin, finish) = (try TestCA.current(), Signal(), Signal())
            let messages = try ["/1", "/2"].map { try WorkloadX509SVIDResponse(ca.wire($0)).bytes }
            let last = try WorkloadX509SVIDResponse(ca.wire("/last")).bytes
            agent.play(
                .x509SVID,
                [
                    .flood(messages, count: 1000), .wait(begin), .flood(messages, count: Self.count), .wait(finish),
                    .send(last), .hang,
                ])
            let source = try await X509Source.start(options: options)
            var stuck = source.updates.makeAsyncIterator()
            _ = await stuck.next()
            let before = try Self.resident()
            begin.fire()
            finish.fire()
            // Nobody takes anything until the flood is over.
            for await update in source.updates {
                if try update.get().svids[0].id.path == "/last" { break }
            }
            let growth = try Self.resident() - before
            #expect(growth < Self.bound, "grew by \(growth) bytes over \(Self.count) updates")
            #expect(try await stuck.next()?.get().svids[0].id.path == "/last", "it sees the newest and none before")
            #expect(agent.calls.count(.x509SVID) == 1)
            await source.close()
        }
    }
}
