import AgentDomain
import Foundation
import SPIFFE
import Testing

@Suite("The node's state")
struct AgentStateTests {
    @Test("gives back what was put in, as one view")
    func view() throws {
        let state = AgentState()
        #expect(state.view.mark == 0)
        #expect(state.view.bundle == nil)
        let entry = try AuthorizedEntry.make("a")
        let previous = state.update { view in
            defer {
                view.entries = ["a": entry]
                view.matcher = EntryMatcher([entry])
                view.mark = 7
            }
            return view.mark
        }
        #expect(previous == 0)
        #expect(state.view.mark == 7)
        #expect(state.view.entries == ["a": entry])
        #expect(state.view.matcher.matches(.of(entry.selectors), now: now) == [entry])
    }

    @Test("ticks once for each replacement that was waited for")
    func ticks() async {
        let state = AgentState()
        var ticks = state.ticks().makeAsyncIterator()
        for revision in UInt64(1)...5 {
            state.update { $0.mark = revision }
            let tick: Void? = await ticks.next()
            #expect(tick != nil)
            #expect(state.view.mark == revision)
        }
    }

    @Test("keeps one tick for a busy listener, which then sees the newest view")
    func newestKept() async {
        let state = AgentState()
        let stream = state.ticks()
        for revision in UInt64(1)...5 { state.update { $0.mark = revision } }
        #expect(await Self.ticksWaiting(in: stream) == 1)
        #expect(state.view.mark == 5)
    }

    @Test("ticks at once when asked to, and not otherwise", arguments: [true, false])
    func first(_ startingWithOne: Bool) async {
        let state = AgentState()
        #expect(await Self.ticksWaiting(in: state.ticks(startingWithOne: startingWithOne)) == (startingWithOne ? 1 : 0))
    }

    @Test("tells every listener, and none about what happened before it came")
    func listeners() async {
        let state = AgentState()
        let early = [state.ticks(), state.ticks(), state.ticks()]
        state.update { $0.mark = 1 }
        let late = state.ticks()
        for stream in early { #expect(await Self.ticksWaiting(in: stream) == 1) }
        #expect(await Self.ticksWaiting(in: late) == 0)
    }

    @Test("wakes nobody when the issuer was merely heard")
    func noteSync() async {
        let state = AgentState()
        let stream = state.ticks()
        state.noteSync(at: now)
        #expect(state.view.lastSync == now)
        #expect(await Self.ticksWaiting(in: stream) == 0)
    }

    @Test("ends the ticks of a listener that is cancelled, and goes on with the others")
    func cancellation() async {
        let state = AgentState()
        let (cancelled, other) = (state.ticks(), state.ticks())
        await withTaskGroup { group in
            group.addTask { for await _ in cancelled {} }
            group.cancelAll()
            await group.waitForAll()
        }
        state.update { $0.mark = 1 }
        var after = cancelled.makeAsyncIterator()
        let tick: Void? = await after.next()
        #expect(tick == nil)
        #expect(await Self.ticksWaiting(in: other) == 1)
    }

    @Test("keeps nothing alive for a listener that went away")
    func released() {
        weak var state: AgentState?
        do {
            let own = AgentState()
            state = own
            _ = own.ticks(startingWithOne: true)
            own.update { $0.mark = 1 }
        }
        #expect(state == nil)
    }

    @Test("works on the token cache under the same lock, without a tick")
    func jwts() async throws {
        let state = AgentState()
        let stream = state.ticks()
        #expect(state.withJWTs { $0.count } == 0)
        #expect(await Self.ticksWaiting(in: stream) == 0)
    }

    /// How many ticks wait: cancelled first, a listener gets what was buffered and then the end.
    private static func ticksWaiting(in stream: AsyncStream<Void>) async -> Int {
        await withTaskGroup { group in
            group.addTask {
                var count = 0
                // The buffer is read without waiting only if it holds something, so a second tick marks its end.
                for await _ in stream { count += 1 }
                return count
            }
            group.cancelAll()
            return await group.next() ?? 0
        }
    }
}

@Suite("The revisions of the node's state")
struct AgentStateRevisionTests {
    @Test("count every replacement, whatever it replaces, and not what wakes nobody")
    func revision() {
        let state = AgentState()
        #expect(state.view.revision == 0)
        state.update { $0.lastSync = now }
        state.update { _ in }
        #expect(state.view.revision == 2)
        state.noteSync(at: now)
        state.withJWTs { _ in }
        #expect(state.view.revision == 2)
    }

    @Test("tell a change of the entries from a change of anything else")
    func entriesRevision() throws {
        let state = AgentState()
        let before = state.view
        state.update { $0.svids = [:] }
        #expect(state.view.entriesRevision == before.entriesRevision)
        state.update { $0.entries = [:] }
        let emptied = state.view.entriesRevision
        #expect(emptied > before.entriesRevision)
        let entry = try AuthorizedEntry.make("a")
        state.update { $0.entries["a"] = entry }
        #expect(state.view.entriesRevision > emptied)
        #expect(before.entriesRevision == 0, "a view that was taken stays as it was")
    }
}
