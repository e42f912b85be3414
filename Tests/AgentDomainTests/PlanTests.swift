import AgentDomain
import Foundation
import Platform
import TestSupport
import Testing

@Suite("Renewal")
struct RenewalPlanTests {
    @Test("lies around half of the lifetime, whatever was drawn", arguments: [10.0, 60, 3600, 86_400, 31_536_000])
    func bounds(_ lifetime: TimeInterval) {
        var (earliest, latest) = (1.0, 0.0)
        for seed in UInt64(0)..<1000 {
            var entropy = SeededEntropy(seed)
            let share =
                RenewalPlan(arrived: now, end: now + lifetime, using: &entropy).due.timeIntervalSince(now) / lifetime
            (earliest, latest) = (min(earliest, share), max(latest, share))
        }
        // The spread is used, and not left: renewals of a fleet must not fall on one instant.
        #expect(earliest >= 0.4499 && earliest < 0.452)
        #expect(latest <= 0.5501 && latest > 0.548)
    }

    @Test("stays within bounds at the ends of the generator", arguments: [0, UInt64.max << 16])
    func ends(_ value: UInt64) {
        var entropy = ConstantEntropy(value: value)
        let due = RenewalPlan(arrived: now, end: now + 1000, using: &entropy).due
        #expect(due >= now + 449.9 && due < now + 550.1)
    }

    @Test("draws once, on arrival; reading it again draws nothing")
    func drawsOnce() {
        var entropy = CountingEntropy()
        let plan = RenewalPlan(arrived: now, end: now + 1000, using: &entropy)
        #expect(entropy.count == 1)
        let due = plan.due
        for _ in 0..<100 { #expect(plan.due == due) }
        #expect(entropy.count == 1)
    }

    @Test("is due a second after arrival at the earliest, so that one that had ended makes no spin")
    func endedOnArrival() {
        var entropy = SeededEntropy()
        #expect(RenewalPlan(arrived: now, end: now - 10, using: &entropy).due == now + 1)
        #expect(RenewalPlan(arrived: now, end: now + 0.1, using: &entropy).due == now + 1)
    }

    @Test("is brought forward to a drawn moment within the spread, and never put off")
    func hastens() {
        var entropy = SeededEntropy(5)
        var (earliest, latest) = (5.0, 0.0)
        for _ in 0..<1000 {
            var plan = RenewalPlan(arrived: now, end: now + 1000, using: &entropy)
            plan.hasten(now: now + 10, within: 5, using: &entropy)
            let wait = plan.due.timeIntervalSince(now + 10)
            (earliest, latest) = (min(earliest, wait), max(latest, wait))
        }
        #expect(earliest >= 0 && earliest < 0.1, "all of the spread is used")
        #expect(latest < 5 && latest > 4.9)
        var plan = RenewalPlan(arrived: now, end: now + 1000, using: &entropy)
        let due = plan.due
        plan.hasten(now: now + 600, within: 5, using: &entropy)
        #expect(plan.due == due, "it was due before")
        plan.hasten(now: now, within: 0, using: &entropy)
        #expect(plan.due == now)
    }

    @Test("follows from arrival, end and generator alone")
    func deterministic() {
        var (one, other) = (SeededEntropy(3), SeededEntropy(3))
        let end = now + 1000
        #expect(
            RenewalPlan(arrived: now, end: end, using: &one) == RenewalPlan(arrived: now, end: end, using: &other))
    }
}

@Suite("Issuance")
struct IssuancePlanTests {
    private func due(_ entries: [AuthorizedEntry], held: [String: HeldX509SVID] = [:], now: Date = now) -> [String] {
        let slots = Dictionary(uniqueKeysWithValues: held.map { (SVIDSlot(entryID: $0.key), $0.value) })
        return IssuancePlan.due(entries, held: slots, now: now).map(\.id)
    }

    @Test("asks for entries that nothing is held for, the oldest first")
    func new() throws {
        let entries = [
            try AuthorizedEntry.make("young", createdAt: now - 1), try .make("b", createdAt: now - 5),
            try .make("a", createdAt: now - 5), try .make("old", createdAt: now - 9),
        ]
        #expect(due(entries) == ["old", "a", "b", "young"])
        #expect(due([]).isEmpty)
    }

    @Test("renews at the instant planned, and not before")
    func renewal() throws {
        let entries = [try AuthorizedEntry.make("a")]
        let svid = try HeldX509SVID.make("a", due: now + 600)
        let planned = svid.renewal.due
        #expect(abs(planned.timeIntervalSince(now + 600)) < 1)
        #expect(due(entries, held: ["a": svid]).isEmpty)
        #expect(due(entries, held: ["a": svid], now: planned - 0.001).isEmpty)
        #expect(due(entries, held: ["a": svid], now: planned) == ["a"])
    }

    @Test("replaces an SVID that was issued for another revision of its entry, also an older one")
    func revision() throws {
        let entries = [try AuthorizedEntry.make("a", revision: 2)]
        #expect(due(entries, held: ["a": try .make("a", revision: 1)]) == ["a"])
        #expect(due(entries, held: ["a": try .make("a", revision: 3)]) == ["a"])
        #expect(due(entries, held: ["a": try .make("a", revision: 2)]).isEmpty)
    }

    @Test("asks for nothing that has expired or is meant for a store, held or not")
    func expired() throws {
        let entries = [
            try AuthorizedEntry.make("over", expiresAt: now), try .make("soon", expiresAt: now + 1),
            try .make("stored", storesSVID: true),
        ]
        #expect(due(entries) == ["soon"])
        let held = ["over": try HeldX509SVID.make("over", due: now - 1), "stored": try .make("stored", due: now - 1)]
        #expect(due(entries, held: held) == ["soon"])
    }

    @Test("leaves entries that are not minted ahead to demand, but renews what was minted")
    func onDemand() throws {
        let entries = [try AuthorizedEntry.make("lazy", prefetchesX509: false)]
        #expect(due(entries).isEmpty)
        #expect(due(entries, held: ["lazy": try .make("lazy", due: now - 1)]) == ["lazy"])
    }

    @Test("mints no more ahead than the limit, counting what is held")
    func limit() throws {
        let entries = try (0..<IssuancePlan.prefetchLimit + 5).map { number in
            try AuthorizedEntry.make("\(number)", createdAt: now - 10_000 + Double(number))
        }
        let first = due(entries)
        #expect(first == (0..<IssuancePlan.prefetchLimit).map(String.init))
        var held: [String: HeldX509SVID] = [:]
        for id in first.dropLast(2) { held[id] = try .make(id) }
        #expect(due(entries, held: held) == first.suffix(2).map(\.self))
        for id in first { held[id] = try .make(id) }
        #expect(due(entries, held: held).isEmpty)
        // A full house still renews.
        held["7"] = try .make("7", due: now - 1)
        held["\(IssuancePlan.prefetchLimit + 1)"] = try .make("x", due: now - 1)
        #expect(due(entries, held: held) == ["7", "\(IssuancePlan.prefetchLimit + 1)"])
    }

    @Test("looks again when the first of those held is due")
    func next() throws {
        #expect(IssuancePlan.nextDue([:]) == nil)
        let (soon, late) = (try HeldX509SVID.make("a", due: now + 5), try HeldX509SVID.make("b", due: now + 50))
        #expect(IssuancePlan.nextDue([SVIDSlot(entryID: "a"): soon, SVIDSlot(entryID: "b"): late]) == soon.renewal.due)
    }

    @Test("never shows the key of an SVID it holds")
    func redaction() throws {
        let svid = try HeldX509SVID.make("a")
        var dumped = ""
        dump(svid, to: &dumped)
        for text in ["\(svid)", String(reflecting: svid), dumped] {
            #expect(text.contains("<redacted>"))
            #expect(!text.contains("[2]"))
        }
    }
}
