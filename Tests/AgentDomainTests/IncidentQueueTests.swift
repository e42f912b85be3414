import AgentDomain
import Foundation
import Testing

@Suite("Incidents that wait for the issuer")
struct IncidentQueueTests {
    private static func incident(_ kind: String = "executed") -> Incident {
        Incident(
            at: Date(timeIntervalSince1970: 0), kind: kind, detail: "", instance: "boot/1", pid: 1, uid: 0, entryIDs: []
        )
    }

    @Test("Each has a number, and stays until it is recorded")
    func order() throws {
        let queue = IncidentQueue()
        #expect(queue.next(limit: 10) == nil)
        for kind in ["a", "b", "c"] { queue.report(Self.incident(kind)) }
        let first = try #require(queue.next(limit: 2))
        #expect(first.incidents.map(\.number) == [1, 2])
        #expect(queue.next(limit: 2) == first)
        queue.recorded(upTo: 2)
        #expect(try #require(queue.next(limit: 2)).incidents.map(\.incident.kind) == ["c"])
        queue.recorded(upTo: 3)
        #expect(queue.next(limit: 2) == nil)
    }

    @Test("The oldest are dropped for the newest, and counted")
    func bounded() throws {
        let queue = IncidentQueue(capacity: 3)
        for _ in 0..<10 { queue.report(Self.incident()) }
        let batch = try #require(queue.next(limit: 100))
        #expect(batch.incidents.map(\.number) == [8, 9, 10])
        #expect(batch.dropped == 7)
    }

    @Test("A reader is woken, also for what came before it listened")
    func wakes() async {
        let queue = IncidentQueue()
        queue.report(Self.incident())
        var arrivals = queue.arrivals.makeAsyncIterator()
        await #expect(arrivals.next() != nil)
    }
}
