import Foundation
import IssuerDomain
import StoreContract
import Testing

@Suite("Budgets of callers")
struct CallBudgetsTests {
    static func budgets(rate: Double = 1, burst: Double = 3, tracked: Int = 10) -> CallBudgets {
        CallBudgets(
            CallLimits(
                rates: [.signing: CallLimits.Rate(perSecond: rate, burst: burst)].compactMapValues { $0 },
                trackedCallers: tracked))
    }

    /// How many of so many calls are admitted.
    static func admitted(_ count: Int, _ budgets: CallBudgets, of caller: String, at now: Date) -> Int {
        (0..<count).count { _ in (try? budgets.charge(1, to: .signing, of: caller, now: now)) != nil }
    }

    @Test("A burst is admitted, then what the rate gives")
    func burst() {
        let budgets = Self.budgets()
        #expect(Self.admitted(10, budgets, of: "a", at: Sample.start) == 3)
        #expect(Self.admitted(10, budgets, of: "a", at: Sample.start + 2) == 2)
        #expect(Self.admitted(10, budgets, of: "a", at: Sample.start + 1000) == 3)
    }

    @Test("Whoever is refused learns when to come again, and is admitted then and not before")
    func retryAfter() throws {
        let budgets = Self.budgets(rate: 0.5)
        #expect(Self.admitted(3, budgets, of: "a", at: Sample.start) == 3)
        let error = #expect(throws: CallBudgets.Exhausted.self) {
            try budgets.charge(1, to: .signing, of: "a", now: Sample.start)
        }
        #expect(error?.retryAfter == .seconds(2))
        #expect(Self.admitted(1, budgets, of: "a", at: Sample.start + 1.9) == 0)
        #expect(Self.admitted(1, budgets, of: "a", at: Sample.start + 2) == 1)
    }

    @Test("Nobody uses up what is another's")
    func apart() {
        let budgets = Self.budgets()
        #expect(Self.admitted(1000, budgets, of: "hostile", at: Sample.start) == 3)
        #expect(Self.admitted(3, budgets, of: "honest", at: Sample.start) == 3)
        #expect(budgets.counters[.signing]?.refused == 997)
        #expect(budgets.counters[.signing]?.admitted == 6)
    }

    @Test("A cost above the burst needs a full bucket, and is owed afterwards")
    func largeCost() throws {
        let budgets = Self.budgets()
        try budgets.charge(10, to: .signing, of: "a", now: Sample.start)
        #expect(Self.admitted(1, budgets, of: "a", at: Sample.start + 7) == 0)
        #expect(Self.admitted(1, budgets, of: "a", at: Sample.start + 8) == 1)
    }

    @Test("A clock that goes back gives nothing and takes nothing for ever")
    func clockSteps() {
        let budgets = Self.budgets()
        #expect(Self.admitted(3, budgets, of: "a", at: Sample.start) == 3)
        #expect(Self.admitted(1, budgets, of: "a", at: Sample.start - 3600) == 0)
        #expect(Self.admitted(1, budgets, of: "a", at: Sample.start - 3599) == 1)
    }

    @Test("A flood of names neither grows without bound nor gives a spent budget back")
    func manyNames() {
        let budgets = Self.budgets(tracked: 10)
        #expect(Self.admitted(3, budgets, of: "spent", at: Sample.start) == 3)
        for number in 0..<1000 { _ = Self.admitted(1, budgets, of: "name-\(number)", at: Sample.start) }
        #expect(budgets.counters[.signing]?.trackedCallers == 10)
        #expect(Self.admitted(1, budgets, of: "spent", at: Sample.start) == 0)
        // Those that are not told apart share one bucket.
        #expect(budgets.counters[.signing]?.shared == 991)
        // Once the others have their whole budget again, there is room for new ones.
        #expect(Self.admitted(3, budgets, of: "late", at: Sample.start + 60) == 3)
        #expect(budgets.counters[.signing]?.trackedCallers == 1)
    }

    @Test("Counts are kept apart by what callers are, and add up")
    func classes() throws {
        let budgets = Self.budgets(burst: 1)
        for callerClass in [CallerClass.agent, .agent, .any] {
            try? budgets.charge(1, to: .signing, of: "\(callerClass)", as: callerClass, now: Sample.start)
        }
        let classes = try #require(budgets.countersByClass[.signing])
        #expect(classes[.agent]?.admitted == 1 && classes[.agent]?.refused == 1)
        #expect(classes[.any]?.admitted == 1 && classes[.any]?.refused == 0)
        #expect(budgets.counters[.signing]?.admitted == 2 && budgets.counters[.signing]?.refused == 1)
    }

    @Test("What has no rate is not limited")
    func unlimited() {
        let budgets = Self.budgets()
        for _ in 0..<100 {
            #expect(throws: Never.self) { try budgets.charge(9, to: .attestation, of: "a", now: Sample.start) }
        }
    }

    @Test("A rate is finite and positive", arguments: [(0, 1), (1, 0), (-1, 1), (.infinity, 1), (1, .nan)])
    func rates(perSecond: Double, burst: Double) {
        #expect(CallLimits.Rate(perSecond: perSecond, burst: burst) == nil)
    }
}
