import Foundation
import IssuerDomain
import Logging
import Platform
import StoreContract
import Synchronization
import TestSupport
import Testing

/// Waits for nothing.
private struct ImpatientClock: WallClock {
    var now: Date { Sample.start }

    func sleep(until deadline: Date) async throws { try await sleep(for: .zero) }

    func sleep(for duration: Duration) async throws {
        await Task.yield()
        try Task.checkCancellation()
    }
}

@Suite("The book of issuance")
struct IssuanceBookTests {
    private let spool = MemorySpool()
    private let store = MemoryStore()

    private var book: IssuanceBook { IssuanceBook(spool: spool, records: store, server: "a") }

    private static func record(_ name: String) -> IssuanceRecord {
        IssuanceRecord(
            call: .init(
                time: Sample.start, requestID: name, callerClass: .agent, principal: "p", address: "a", method: "m"),
            fact: .issued())
    }

    private var kept: [String] {
        get async throws { try await store.issuances(IssuanceQuery()).reversed().map(\.call.requestID) }
    }

    @Test("What was written down reaches the store in order, once")
    func order() async throws {
        let book = book
        for name in ["a", "b"] { try book.append([Self.record(name)], from: "p", isStranger: false) }
        #expect(try await kept.isEmpty)
        try await book.deliver()
        try await book.deliver()
        try book.append([Self.record("c")], from: "p", isStranger: false)
        try await book.deliver()
        #expect(try await kept == ["a", "b", "c"])
        #expect(spool.waiting == 0)
    }

    @Test("What the store did not take waits, and is taken later, in order")
    func failingStore() async throws {
        let book = book
        try book.append([Self.record("a")], from: "p", isStranger: false)
        store.failWrites(with: .full(detail: "x"))
        await #expect(throws: StoreError.full(detail: "x")) { try await book.deliver() }
        try book.append([Self.record("b")], from: "p", isStranger: false)
        #expect(spool.waiting == 1)
        store.failWrites(with: nil)
        try await book.deliver()
        #expect(try await kept == ["a", "b"])
    }

    @Test("A process that ended after the store took a segment, and before it was forgotten, doubles nothing")
    func taken() async throws {
        try book.append([Self.record("a")], from: "p", isStranger: false)
        let number = try #require(spool.seal().first)
        try await store.append(spool.records(in: number), of: IssuanceSegment(server: "a", number: number))
        try await book.deliver()
        #expect(try await kept == ["a"])
        #expect(spool.waiting == 0)
    }

    @Test("Two who deliver at once hand over everything, once")
    func together() async throws {
        let book = book
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<50 {
                group.addTask {
                    try book.append([Self.record("\(number)")], from: "p", isStranger: false)
                    try await book.deliver()
                }
            }
            try await group.waitForAll()
        }
        #expect(try await Set(kept).count == 50)
        #expect(try await kept.count == 50)
    }

    @Test("Nothing is delivered that the spool did not take")
    func failingSpool() async throws {
        let book = book
        spool.fail(with: .full(detail: "x"))
        #expect(throws: StoreError.full(detail: "x")) {
            try book.append([Self.record("a")], from: "p", isStranger: false)
        }
        spool.fail(with: nil)
        try await book.deliver()
        #expect(try await kept.isEmpty)
    }

    @Test("Left alone, it delivers; while the store fails it makes what waits durable, says so once, and goes on")
    func follow() async throws {
        let (book, log) = (book, LogCollector())
        store.failWrites(with: .full(detail: "x"))
        try book.append([Self.record("a")], from: "p", isStranger: false)
        let following = Task { try await book.follow(clock: ImpatientClock(), logger: log.logger()) }
        while spool.flushes < 3 { await Task.yield() }
        store.failWrites(with: nil)
        while try await kept.isEmpty { await Task.yield() }
        try book.append([Self.record("b")], from: "p", isStranger: false)
        while try await kept.count < 2 { await Task.yield() }
        following.cancel()
        await #expect(throws: CancellationError.self) { try await following.value }
        #expect(log.messages().filter { $0.contains("wait for the store") }.count == 1)
        #expect(log.messages().contains { $0.contains("reach the store again") })
    }

    @Test("What could not be counted out is told the next time")
    func summaries() async throws {
        let book = book
        let denied = IssuanceRecord(call: Self.record("a").call, fact: .denied("x"))
        try book.append((0..<50).map { _ in denied }, from: "a", isStranger: false)
        spool.fail(with: .full(detail: ""))
        #expect(throws: StoreError.full(detail: "")) { try book.settle(now: Sample.start + 60) }
        spool.fail(with: nil)
        try book.settle(now: Sample.start + 60)
        try await book.deliver()
        let found = try await store.issuances(IssuanceQuery())
        #expect(found.count == 21)
        #expect(found.first?.fact.repetition?.count == 30)
    }

    @Test("What a caller chose is cut to a bounded length")
    func cut() {
        let fact = IssuanceFact.denied(String(repeating: "ä", count: 1000))
        #expect((fact.reason?.utf8.count ?? 0) <= IssuanceFact.maximumText + 3)
    }
}
