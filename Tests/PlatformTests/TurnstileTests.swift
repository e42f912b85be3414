import Platform
import Synchronization
import Testing

@Suite("The turnstile")
struct TurnstileTests {
    /// Notes what happened, in order.
    private final class Journal<Entry: Sendable>: Sendable {
        private let guarded = Mutex<[Entry]>([])
        var entries: [Entry] { guarded.withLock { $0 } }
        func note(_ entry: Entry) { guarded.withLock { $0.append(entry) } }
    }

    /// Counts who is inside.
    private final class Room: Sendable {
        private let guarded = Mutex((inside: 0, most: 0))
        var count: (inside: Int, most: Int) { guarded.withLock { $0 } }
        func enter() {
            guarded.withLock { count in
                count.inside += 1
                count.most = max(count.most, count.inside)
            }
        }
        func leave() { guarded.withLock { $0.inside -= 1 } }
    }

    @Test("lets one at a time through, also across suspensions")
    func exclusion() async {
        let turnstile = Turnstile()
        let room = Room()
        await withTaskGroup { group in
            for _ in 0..<100 {
                group.addTask {
                    await turnstile.pass {
                        room.enter()
                        for _ in 0..<5 { await Task.yield() }
                        room.leave()
                    }
                }
            }
        }
        #expect(room.count.most == 1)
        #expect(room.count.inside == 0)
    }

    @Test("lets those who wait through in order of arrival")
    func order() async {
        let turnstile = Turnstile()
        let journal = Journal<Int>()
        let (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        await withTaskGroup { group in
            group.addTask {
                await turnstile.pass {
                    arrived.finish()
                    for await _ in gate {}
                    journal.note(0)
                }
            }
            for await _ in arrivals {}
            // Started at once, each reaches the turnstile before the next is created.
            for number in 1...20 {
                group.addImmediateTask { await turnstile.pass { journal.note(number) } }
            }
            opener.finish()
        }
        #expect(journal.entries == Array(0...20))
    }

    private struct Refusal: Error, Hashable {}

    @Test("gives back what the body returns, and throws what it throws")
    func outcome() async throws {
        let turnstile = Turnstile()
        #expect(await turnstile.pass { 7 } == 7)
        await #expect(throws: Refusal()) { try await turnstile.pass { throw Refusal() } }
    }

    @Test("lets the next through after a body that threw")
    func afterThrowing() async {
        let turnstile = Turnstile()
        let journal = Journal<Int>()
        await withTaskGroup { group in
            for number in 0..<20 {
                group.addTask {
                    try? await turnstile.pass {
                        await Task.yield()
                        journal.note(number)
                        throw Refusal()
                    }
                }
            }
        }
        #expect(journal.entries.sorted() == Array(0..<20))
    }

    @Test("lets a cancelled caller through in its turn, and its body sees the cancellation")
    func cancelled() async {
        let turnstile = Turnstile()
        let sawCancellation = await withTaskGroup(of: Bool.self) { group in
            group.cancelAll()
            group.addTask { await turnstile.pass { Task.isCancelled } }
            return await group.next()
        }
        #expect(sawCancellation == true)
        #expect(await turnstile.pass { true })
    }
}
