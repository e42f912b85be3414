import Foundation
import IssuerDomain
import StoreContract
import Testing

@Suite("Refusals on record")
struct DenialSummaryTests {
    static func denied(
        _ seconds: TimeInterval = 0, by principal: String = "a", method: String = "service/Method",
        _ change: (inout IssuanceFact) -> Void = { _ in }
    ) -> IssuanceRecord {
        var fact = IssuanceFact.denied("not today")
        change(&fact)
        return IssuanceRecord(
            call: IssuanceRecord.Call(
                time: Sample.start + seconds, requestID: "r", callerClass: .agent, principal: principal,
                address: "192.0.2.1", method: method), fact: fact)
    }

    static func admitted(_ count: Int, _ summary: DenialSummary, by principal: String = "a") -> Int {
        (0..<count).count { _ in summary.admits(denied(by: principal), from: principal, isStranger: false) }
    }

    @Test("The first refusals of each are written down one by one, the rest as one count with its beginning and end")
    func counts() throws {
        let summary = DenialSummary()
        #expect(Self.admitted(1000, summary) == 20)
        #expect(Self.admitted(5, summary, by: "b") == 5, "what one does costs no other their records")
        #expect(!summary.admits(Self.denied(9), from: "a", isStranger: false))
        #expect(summary.take(now: Sample.start + 59).isEmpty)
        let record = try #require(summary.take(now: Sample.start + 60).first)
        #expect(record.fact.repetition == .init(count: 981, first: Sample.start))
        #expect(record.call.time == Sample.start + 9)
        #expect(record.call.principal == "a" && record.call.method == "service/Method")
        #expect(record.fact.outcome == .denied && record.fact.reason == "not today")
        #expect(summary.take(now: Sample.start + 120).isEmpty, "told once")
    }

    @Test("What was signed is always written down")
    func signed() {
        let summary = DenialSummary()
        _ = Self.admitted(1000, summary)
        #expect(summary.admits(Self.denied { $0.serial = "40dd" }, from: "a", isStranger: false))
        #expect(summary.admits(Self.denied { $0.tokenID = "jti" }, from: "a", isStranger: false))
        let issued = IssuanceRecord(call: Self.denied().call, fact: .issued())
        for _ in 0..<1000 { #expect(summary.admits(issued, from: "a", isStranger: false)) }
    }

    @Test("Strangers from everywhere have one limit more, and nothing of them vanishes")
    func strangers() {
        let summary = DenialSummary()
        var written: Int64 = 0
        for number in 0..<3000 {
            let name = "from:\(number)"
            if summary.admits(Self.denied(by: name), from: name, isStranger: true) { written += 1 }
        }
        let counted = summary.take(now: Sample.start, isEnding: true)
        #expect(written == 200)
        #expect(counted.count <= DenialSummary.maximumCounts + 1)
        #expect(counted.reduce(written) { $0 + ($1.fact.repetition?.count ?? 0) } == 3000)
        #expect(counted.contains { $0.call.principal == DenialSummary.others && $0.call.address.isEmpty })
    }
}
