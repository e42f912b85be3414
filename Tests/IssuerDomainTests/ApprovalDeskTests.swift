import Foundation
import IssuerDomain
import Platform
import StoreContract
import TestSupport
import Testing

@Suite("Calls of which two people must agree")
struct ApprovalDeskTests {
    static let (alice, bob) = (Principal.account(uid: 1, gid: 1), Principal.account(uid: 2, gid: 2))

    let desk = ApprovalDesk(store: MemoryStore(), lifetime: .seconds(600))

    func ask(
        _ principal: Principal, request: [UInt8] = [1], method: String = "s/Taint", at seconds: TimeInterval = 0
    ) async throws(ApprovalRefusal) -> String {
        try await desk.admit(
            method, request: request, summary: "x", from: principal, now: Sample.start + seconds,
            using: SystemEntropy())
    }

    @Test("The same call by a second person goes ahead, once")
    func second() async throws {
        await #expect(throws: ApprovalRefusal.self) { _ = try await ask(Self.alice) }
        #expect(try await ask(Self.bob) == "uid:1")
        await #expect(throws: ApprovalRefusal.self) { _ = try await ask(Self.bob) }
    }

    @Test("One person is one person, however often and from whatever group")
    func onePerson() async throws {
        for gid: UInt32 in [1, 2, 3] {
            await #expect(throws: ApprovalRefusal.self) { _ = try await ask(.account(uid: 1, gid: gid)) }
        }
        #expect(try await desk.waiting(now: Sample.start).count == 1)
    }

    @Test("What is agreed to is this call and no other")
    func otherCalls() async throws {
        await #expect(throws: ApprovalRefusal.self) { _ = try await ask(Self.alice) }
        await #expect(throws: ApprovalRefusal.self) { _ = try await ask(Self.bob, request: [2]) }
        await #expect(throws: ApprovalRefusal.self) { _ = try await ask(Self.bob, method: "s/Revoke") }
        #expect(try await desk.waiting(now: Sample.start).count == 3)
    }

    @Test("Whoever asked may go ahead when another agreed, and not by their own agreement")
    func approved() async throws {
        await #expect(throws: ApprovalRefusal.self) { _ = try await ask(Self.alice) }
        let id = try #require(try await desk.waiting(now: Sample.start).first).id
        await #expect(throws: ApprovalRefusal.ownRequest) {
            _ = try await desk.approve(id, by: Self.alice, now: Sample.start)
        }
        _ = try await desk.approve(id, by: Self.bob, now: Sample.start)
        #expect(try await ask(Self.alice) == "uid:2")
        #expect(try await desk.waiting(now: Sample.start).isEmpty)
    }

    @Test("A request ends, and can be denied")
    func ends() async throws {
        await #expect(throws: ApprovalRefusal.self) { _ = try await ask(Self.alice) }
        await #expect(throws: ApprovalRefusal.self) { _ = try await ask(Self.bob, at: 600) }
        let id = try #require(try await desk.waiting(now: Sample.start + 600).first).id
        try await desk.deny(id, now: Sample.start + 600)
        await #expect(throws: ApprovalRefusal.missing(id: id)) { try await desk.deny(id, now: Sample.start + 600) }
        #expect(try await desk.waiting(now: Sample.start + 600).isEmpty)
    }

    @Test("Requests that wait are bounded")
    func bounded() async throws {
        for number in 0..<100 {
            await #expect(throws: ApprovalRefusal.self) {
                _ = try await ask(Self.alice, request: [UInt8(number)], at: TimeInterval(number))
            }
        }
        await #expect(throws: ApprovalRefusal.tooMany(limit: 100)) {
            _ = try await ask(Self.alice, request: [200], at: 99)
        }
    }
}
