import NodeAgent
import Synchronization
import Testing

@Suite("Work that is done for a call elsewhere")
struct CallWorkTests {
    /// A call that ends when it is told to.
    private final class FakeCall: EndsEarly {
        private let actions = Mutex<[@Sendable () -> Void]?>([])

        var isOver: Bool { actions.withLock { $0 == nil } }
        var watchers: Int { actions.withLock { $0?.count ?? 0 } }

        func whenCutOff(_ action: @escaping @Sendable () -> Void) {
            let isOpen = actions.withLock { actions in
                actions?.append(action)
                return actions != nil
            }
            if !isOpen { action() }
        }

        func cutOff() {
            let due = actions.withLock { actions in
                defer { actions = nil }
                return actions ?? []
            }
            for action in due { action() }
        }
    }

    /// Starts work that lasts until it is cancelled.
    private func endless(_ work: CallWork, _ call: FakeCall) async -> AsyncStream<Bool> {
        let (stream, ends) = AsyncStream.makeStream(of: Bool.self)
        let (begun, begins) = AsyncStream.makeStream(of: Bool.self)
        work.start(for: call) {
            begins.finish()
            do { try await Task.sleep(for: .seconds(60)) } catch {}
            ends.yield(Task.isCancelled)
            ends.finish()
        }
        for await _ in begun {}
        return stream
    }

    @Test("ends when the call is cut off", .timeLimit(.minutes(1)))
    func cutOff() async {
        let (work, call) = (CallWork(), FakeCall())
        let ended = await endless(work, call)
        call.cutOff()
        for await wasCancelled in ended { #expect(wasCancelled) }
    }

    @Test("ends at once for a call that is over, also when it is not the first", .timeLimit(.minutes(1)))
    func over() async {
        let (work, call) = (CallWork(), FakeCall())
        call.cutOff()
        for _ in 0..<2 {
            for await wasCancelled in await endless(work, call) { #expect(wasCancelled) }
        }
    }

    @Test("is watched over once, however often something is done", .timeLimit(.minutes(1)))
    func again() async {
        let (work, call) = (CallWork(), FakeCall())
        for _ in 0..<10 {
            let (done, finishes) = AsyncStream.makeStream(of: Bool.self)
            work.start(for: call) {
                #expect(!Task.isCancelled)
                finishes.finish()
            }
            for await _ in done {}
        }
        #expect(call.watchers == 1)
        let ended = await endless(work, call)
        call.cutOff()
        for await wasCancelled in ended { #expect(wasCancelled) }
    }
}
