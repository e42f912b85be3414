import Foundation
import IssuerDomain
import StoreContract
import Testing

@Suite("The issuance journal")
struct IssuanceJournalTests {
    static func record(_ name: String) -> IssuanceRecord {
        IssuanceRecord(
            call: .init(
                time: Sample.start, requestID: name, callerClass: .agent, principal: "p", address: "a", method: "m"),
            fact: .denied("x"))
    }

    @Test("Records of many calls are all kept, in fewer writes than calls, and each call waits for its own")
    func groups() async throws {
        let store = MemoryStore()
        let journal = IssuanceJournal(store)
        store.gate.shut()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await journal.append([Self.record("first")]) }
            await store.gate.waitUntilHeld()
            for number in 0..<50 { group.addTask { try await journal.append([Self.record("\(number)")]) } }
            store.gate.open()
            try await group.waitForAll()
        }
        let kept = try await store.issuances(IssuanceQuery())
        #expect(Set(kept.map(\.call.requestID)).count == 51)
        #expect(kept.count == 51)
        #expect(kept.last?.call.requestID == "first")
    }

    @Test("Whose records cannot be kept is told, and the next ones are tried again")
    func failure() async throws {
        let store = MemoryStore()
        let journal = IssuanceJournal(store)
        store.failWrites(with: .full(detail: "x"))
        await #expect(throws: StoreError.full(detail: "x")) { try await journal.append([Self.record("a")]) }
        store.failWrites(with: nil)
        try await journal.append([Self.record("b")])
        #expect(try await store.issuances(IssuanceQuery()).map(\.call.requestID) == ["b"])
    }

    @Test("What a caller chose is cut to a bounded length")
    func cut() {
        let fact = IssuanceFact.denied(String(repeating: "ä", count: 1000))
        #expect((fact.reason?.utf8.count ?? 0) <= IssuanceFact.maximumText + 3)
    }
}
