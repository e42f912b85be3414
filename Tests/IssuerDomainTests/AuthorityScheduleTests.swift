import Foundation
import IssuerDomain
import StoreContract
import TestSupport
import Testing

@Suite("The schedule of authorities")
struct AuthorityScheduleTests {
    private typealias Step = AuthoritySchedule.Step

    private let schedule = AuthoritySchedule()

    @Test(
        "Whoever looks again as often as the bundle says knows a successor long before it signs",
        arguments: [(24.0, 300), (1, 300), (0.5, 150), (0.01, 3), (0.0001, 1)])
    func refreshes(hours: Double, seconds: Int) {
        #expect(AuthoritySchedule.refreshInterval(under: .seconds(hours * 3600)) == .seconds(seconds))
    }

    @Test("Where there is no authority, one is made that signs at once")
    func first() {
        #expect(schedule.decide([], now: Given.start) == [.create(.active)])
    }

    @Test(
        "The next one is prepared when half of the life is left, and not before",
        arguments: [(0, false), (11.99, false), (12, true), (12.01, true), (19, true), (23.99, true)])
    func prepares(hours: Double, isDue: Bool) {
        let steps = schedule.decide([record("a", .active)], now: at(hours))
        #expect(steps == (isDue ? [.create(.prepared)] : []))
    }

    @Test(
        "The prepared one takes over when a sixth is left, and not before",
        arguments: [(12.01, false), (19.99, false), (20, true), (23.99, true)])
    func activates(hours: Double, isDue: Bool) {
        let records = [record("a", .active), record("b", .prepared, from: 12)]
        let steps = schedule.decide(records, now: at(hours))
        #expect(steps == (isDue ? [.retire(id: "a"), .activate(id: "b")] : []))
    }

    @Test(
        "However long one lives, the next is prepared thirty days before its end and takes over seven days before",
        arguments: [(334.9, false), (335, true)])
    func longLives(days: Double, isDue: Bool) {
        let year = Sample.authority("a", .x509, .active, notBefore: Given.start, lifetime: 365 * Given.day)
        let next = Sample.authority("b", .x509, .prepared, notBefore: at(335 * 24), lifetime: 365 * Given.day)
        #expect(schedule.decide([year], now: at(days * 24)) == (isDue ? [.create(.prepared)] : []))
        #expect(schedule.decide([year, next], now: at(357.9 * 24)).isEmpty)
        #expect(schedule.decide([year, next], now: at(358 * 24)) == [.retire(id: "a"), .activate(id: "b")])
    }

    @Test("What stands under a tainted root is replaced at once, and never takes over")
    func spoiled() {
        let (active, prepared) = (record("a", .active), record("b", .prepared))
        #expect(schedule.decide([active], spoiled: ["a"], now: at(1)) == [.retire(id: "a"), .create(.active)])
        #expect(
            schedule.decide([active, prepared], spoiled: ["a"], now: at(1))
                == [.retire(id: "a"), .activate(id: "b")])
        #expect(schedule.decide([active, prepared], spoiled: ["b"], now: at(1)) == [.retire(id: "b")])
        #expect(
            schedule.decide([active, prepared], spoiled: ["a", "b"], now: at(1))
                == [.retire(id: "b"), .retire(id: "a"), .create(.active)])
        #expect(schedule.decide([active, record("c", .retired)], spoiled: ["c"], now: at(1)).isEmpty)
    }

    @Test("Of two prepared ones the one that ends first takes over")
    func earliestPrepared() {
        let records = [record("late", .prepared, from: 14), record("a", .active), record("early", .prepared, from: 12)]
        #expect(schedule.decide(records, now: at(21)) == [.retire(id: "a"), .activate(id: "early")])
    }

    @Test("An active one that has ended is retired, and the prepared one takes over at once")
    func expiredWithPrepared() {
        let records = [record("a", .active), record("b", .prepared, from: 12)]
        #expect(schedule.decide(records, now: at(24)) == [.retire(id: "a"), .activate(id: "b")])
    }

    @Test("An active one that has ended without a successor is replaced by a new one")
    func expiredWithoutPrepared() {
        #expect(schedule.decide([record("a", .active)], now: at(24)) == [.retire(id: "a"), .create(.active)])
        #expect(schedule.decide([record("a", .active)], now: at(23.999)) == [.create(.prepared)])
    }

    @Test("A prepared one that has ended is retired and never takes over")
    func expiredPrepared() {
        let records = [record("b", .prepared, from: -24), record("a", .active)]
        #expect(schedule.decide(records, now: at(1)) == [.retire(id: "b")])
        #expect(schedule.decide(records, now: at(21)) == [.retire(id: "b"), .create(.prepared)])
    }

    @Test(
        "A retired one stays for a day after its end, for verifiers with slow clocks, and is then dropped (FED-04)",
        arguments: [(24, false), (47.99, false), (48, true), (60, true)])
    func prunes(hours: Double, isDue: Bool) {
        let records = [record("old", .retired), record("a", .active, from: hours - 1)]
        #expect(schedule.decide(records, now: at(hours)) == (isDue ? [.delete(id: "old")] : []))
    }

    @Test("A clock far ahead drops everything that has long ended and begins anew")
    func farAhead() {
        let records = [record("a", .active), record("b", .prepared, from: 12), record("c", .retired, from: -12)]
        let steps = schedule.decide(records, now: at(24 * 365))
        #expect(Set(steps) == [.delete(id: "a"), .delete(id: "b"), .delete(id: "c"), .create(.active)])
        #expect(steps.count == 4)
        #expect(steps.last == .create(.active))
    }

    @Test("A clock a day ahead retires what has ended and activates what has not")
    func dayAhead() {
        let records = [record("a", .active), record("b", .prepared, from: 20)]
        #expect(schedule.decide(records, now: at(30)) == [.retire(id: "a"), .activate(id: "b")])
    }

    @Test("What has not begun was made by a clock that was ahead: it is retired, and another one signs")
    func before() {
        let (active, prepared) = (record("a", .active), record("b", .prepared))
        #expect(schedule.decide([active], now: at(-1000)) == [.retire(id: "a"), .create(.active)])
        #expect(
            schedule.decide([active, prepared], now: at(-1)) == [.retire(id: "a"), .retire(id: "b"), .create(.active)])
        #expect(
            schedule.decide([record("c", .active, from: -20), prepared], now: at(-1)) == [
                .retire(id: "b"), .create(.prepared),
            ])
        #expect(schedule.decide([active], now: Given.start - 1).isEmpty)
    }

    @Test(
        "Deciding twice at one instant finds nothing more to do",
        arguments: [0, 12, 20, 24, 30, 47, 48, 72, 1000] as [Double])
    func settles(hours: Double) throws {
        var life = Life(lifetime: 86_400)
        for hour in stride(from: 0, to: min(hours, 24), by: 1) { try life.step(at(hour)) }
        try life.step(at(hours))
        #expect(life.schedule.decide(life.records, now: at(hours)).isEmpty)
    }

    @Test(
        "Over sixty days, tended regularly, one authority is active, known before it signs, and outlived by nothing",
        arguments: [(86_400, 600), (86_400, 3600), (3600, 10), (7 * 86_400, 1800)] as [(TimeInterval, TimeInterval)])
    func longRun(lifetime: TimeInterval, interval: TimeInterval) throws {
        var life = Life(lifetime: lifetime)
        let end = Given.start + 60 * lifetime
        var now = Given.start
        var signers: Set<String> = []
        while now < end {
            try life.step(now)
            signers.insert(try #require(life.active?.id))
            try life.checkSVID(issuedAt: now)
            now += interval
        }
        try life.finish(at: now)
        #expect(life.surprises.isEmpty, "signed without having been published: \(life.surprises)")
        // Each is made at half of its predecessor's life and so signs for half of its own.
        #expect((115...121).contains(signers.count), "\(signers.count) signers in sixty lifetimes")
        #expect(life.records.count <= 3 + Int(86_400 / lifetime) * 2, "\(life.records.count) authorities are kept")
    }

    @Test(
        "With outages of any length one authority is active whenever the issuer is up",
        arguments: 1...8 as ClosedRange<UInt64>)
    func outages(seed: UInt64) throws {
        var entropy = SeededEntropy(seed)
        var life = Life(lifetime: 86_400)
        var now = Given.start
        var (steps, outages) = (0, 0)
        while now < Given.start + 200 * Given.day {
            try life.step(now)
            try life.checkSVID(issuedAt: now)
            steps += 1
            let isOutage = Int.random(in: 0..<40, using: &entropy) == 0
            outages += isOutage ? 1 : 0
            now +=
                isOutage ? .random(in: 3600...(6 * Given.day), using: &entropy) : .random(in: 1...3600, using: &entropy)
        }
        try life.finish(at: now)
        #expect(steps > 500)
        #expect(outages > 5)
    }

    private func at(_ hours: Double) -> Date { Given.start + hours * 3600 }

    private func record(_ id: String, _ state: AuthorityRecord.State, from hours: Double = 0) -> AuthorityRecord {
        Sample.authority(id, .x509, state, notBefore: at(hours))
    }
}

/// The authorities of one kind over time, as the keeper would keep them, with a watch on what must never happen.
private struct Life {
    let schedule = AuthoritySchedule()
    private(set) var records: [AuthorityRecord] = []
    /// Authorities that signed from their first moment, apart from the first and those after an outage.
    private(set) var surprises: [String] = []
    private let lifetime: TimeInterval
    private var made = 0
    private var dropped: [String: Date] = [:]
    private var issued: [(signer: String, end: Date)] = []

    init(lifetime: TimeInterval) {
        self.lifetime = lifetime
    }

    var active: AuthorityRecord? { records.first { $0.state == .active } }

    mutating func step(_ now: Date) throws {
        for step in schedule.decide(records, now: now) {
            switch step {
            case .create(let state):
                if state == .active, made > 0 { surprises.append("\(made) at \(now)") }
                records.append(Sample.authority("\(made)", .x509, state, notBefore: now, lifetime: lifetime))
                made += 1
            case .activate(let id): try move(id, by: .activate)
            case .retire(let id): try move(id, by: .retire)
            case .delete(let id):
                #expect(records.contains { $0.id == id })
                records.removeAll { $0.id == id }
                dropped[id] = now
            }
        }
        #expect(records.count { $0.state == .active } == 1)
        let signer = try #require(active)
        #expect(signer.notBefore <= now)
        #expect(signer.notAfter > now)
    }

    /// Issues an SVID of the longest lifetime that is promised whole: a sixth.
    mutating func checkSVID(issuedAt now: Date) throws {
        let signer = try #require(active)
        let decision = try LifetimeDecision(
            asked: .seconds(lifetime / 6), isDefault: true, entryEnd: nil,
            authority: signer.notBefore..<signer.notAfter,
            now: now)
        #expect(decision.validity.upperBound <= signer.notAfter)
        issued.append((signer.id, decision.validity.upperBound))
    }

    /// Looks back: no SVID was alive when its signer was dropped.
    func finish(at now: Date) throws {
        #expect(!issued.isEmpty)
        for svid in issued {
            #expect(svid.end <= dropped[svid.signer] ?? .distantFuture, "an SVID outlived its authority's publication")
        }
    }

    private mutating func move(_ id: String, by step: AuthorityRecord.Step) throws {
        let position = try #require(records.firstIndex { $0.id == id })
        try records[position].take(step)
    }
}
