internal import Foundation
internal import IssuerDomain
internal import SPIFFE
internal import Testing

/// What every store of records and approvals must show.
package enum LedgerContract {
    package static let behaviours = records + approvals

    private static func call(_ seconds: TimeInterval, principal: String = "uid:0") -> IssuanceRecord.Call {
        IssuanceRecord.Call(
            time: Sample.start + seconds, requestID: "r\(Int(seconds))", callerClass: .agent, principal: principal,
            address: "192.0.2.1", method: "service/Method")
    }

    private static func segment(_ number: UInt64, of server: String = "a") -> IssuanceSegment {
        IssuanceSegment(server: server, number: number)
    }

    private static func issued(_ seconds: TimeInterval, _ path: String = "/web") throws -> IssuanceRecord {
        var fact = IssuanceFact.issued(
            try Sample.id(path), expiresAt: Sample.start + 3600, limit: .entryExpiry)
        (fact.entryID, fact.entryRevision) = ("entry-1", 7)
        (fact.serial, fact.tokenID, fact.audience) = ("40dd", "jti-1", ["db", "a \"quoted\" one"])
        fact.asked = "x509pop"
        fact.lifetime = GrantedLifetime(asked: 7200, granted: 3600)
        return IssuanceRecord(call: call(seconds), fact: fact)
    }

    private static func denied(_ seconds: TimeInterval, principal: String = "uid:1000") -> IssuanceRecord {
        var fact = IssuanceFact.denied("not authorized")
        fact.repetition = .init(count: 7, first: Sample.start - 1.5)
        return IssuanceRecord(call: call(seconds, principal: principal), fact: fact)
    }

    private static let records = [
        StoreBehaviour("records come back newest first, with every field, also after reopening") { open in
            let (first, second) = (try issued(0.25), denied(1))
            let store = try await open()
            try await store.append([first], of: segment(1))
            try await store.append([second], of: segment(2))
            let found = try await open().issuances(IssuanceQuery())
            #expect(found.map(\.call) == [second.call, first.call])
            #expect(found.map(\.fact) == [second.fact, first.fact])
            #expect(found.map(\.number) == [2, 1])
        },
        StoreBehaviour("a segment is taken once, however often it is offered, and each server counts its own") { open in
            let store = try await open()
            #expect(try await store.lastSegment(of: "a") == 0)
            try await store.append([denied(1), denied(2)], of: segment(7))
            try await store.append([denied(1), denied(2)], of: segment(7))
            try await store.append([denied(3)], of: segment(6))
            try await store.append([denied(4)], of: segment(7, of: "b"))
            try await store.append([], of: segment(9))
            let reopened = try await open()
            #expect(try await reopened.issuances(IssuanceQuery()).map(\.call.requestID) == ["r4", "r2", "r1"])
            #expect(try await reopened.lastSegment(of: "a") == 9)
            #expect(try await reopened.lastSegment(of: "b") == 7)
        },
        StoreBehaviour("every filter narrows, alone and together") { open in
            let store = try await open()
            try await store.append(
                [try issued(0), try issued(10, "/db"), denied(20), denied(30, principal: "uid:7")],
                of: segment(1))
            func numbers(_ narrow: (inout IssuanceQuery) throws -> Void) async throws -> [Int64] {
                var query = IssuanceQuery()
                try narrow(&query)
                return try await store.issuances(query).map(\.number)
            }
            #expect(try await numbers { _ in } == [4, 3, 2, 1])
            #expect(try await numbers { $0.since = Sample.start + 10 } == [4, 3, 2])
            #expect(try await numbers { $0.until = Sample.start + 20 } == [2, 1])
            #expect(try await numbers { $0.spiffeID = "\(try Sample.id("/db"))" } == [2])
            #expect(try await numbers { $0.principal = "uid:7" } == [4])
            #expect(try await numbers { $0.outcome = .denied } == [4, 3])
            #expect(try await numbers { $0.credential = "40dd" } == [2, 1])
            #expect(try await numbers { $0.credential = "jti-1" } == [2, 1])
            #expect(try await numbers { $0.before = 3 } == [2, 1])
            #expect(try await numbers { $0.limit = 2 } == [4, 3])
            #expect(try await numbers { ($0.outcome, $0.before) = (.issued, 2) } == [1])
            #expect(try await numbers { $0.spiffeID = "' OR 1=1 --" }.isEmpty)
        },
        StoreBehaviour("old records are dropped from the old end alone, so many at once") { open in
            let store = try await open()
            // The clock was set back before the third.
            try await store.append([denied(100), denied(200), denied(50), denied(300)], of: segment(1))
            #expect(try await store.dropIssuances(before: Sample.start + 150, limit: 10) == 1)
            #expect(try await store.issuances(IssuanceQuery()).map(\.number) == [4, 3, 2])
            #expect(try await store.dropIssuances(before: Sample.start + 1000, limit: 2) == 2)
            #expect(try await store.dropIssuances(before: Sample.start + 1000, limit: 2) == 1)
            #expect(try await store.dropIssuances(before: Sample.start + 1000, limit: 2) == 0)
            try await store.append([denied(400)], of: segment(2))
            #expect(try await open().issuances(IssuanceQuery()).map(\.number) == [5], "numbers are never used twice")
        },
    ]

    private static func approval(_ id: String, until end: TimeInterval = 3600) -> PendingApproval {
        PendingApproval(
            id: id, method: "service/Taint", requestDigest: [1, 2, 3], summary: "authority_id: \"a\"",
            requester: "uid:1000", requestedAt: Sample.start, expiresAt: Sample.start + end)
    }

    private static let approvals = [
        StoreBehaviour("an approval comes back until it ends, also after reopening") { open in
            let store = try await open()
            try await store.put(approval("a"))
            #expect(try await open().approvals(now: Sample.start) == [approval("a")])
            #expect(try await store.approvals(now: Sample.start + 3600).isEmpty)
        },
        StoreBehaviour("who agreed is kept") { open in
            let store = try await open()
            var agreed = approval("a")
            try await store.put(agreed)
            agreed.approver = "uid:2000"
            try await store.put(agreed)
            #expect(try await open().approvals(now: Sample.start) == [agreed])
        },
        StoreBehaviour("an approval is used once") { open in
            let store = try await open()
            try await store.put(approval("a"))
            #expect(try await store.takeApproval("a"))
            #expect(try await !store.takeApproval("a"))
            #expect(try await store.approvals(now: Sample.start).isEmpty)
        },
        StoreBehaviour("approvals that ended are dropped, and no others") { open in
            let store = try await open()
            try await store.put(approval("early", until: 10))
            try await store.put(approval("late", until: 20))
            try await store.dropApprovals(endedBefore: Sample.start + 10)
            #expect(try await store.approvals(now: Sample.start).map(\.id) == ["late"])
        },
    ]
}
