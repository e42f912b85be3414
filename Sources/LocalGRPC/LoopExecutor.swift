internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Runs tasks on the thread of an event loop, so that neither side has to wake the other; and on a second thread what
/// would have to wait for the first.
final class LoopExecutor: TaskExecutor {
    /// One for all; it is never stopped, as tasks may be left on it until the end.
    static let shared = LoopExecutor()

    /// Where connections are served.
    let loop: any EventLoop
    /// Helps when there is more to do; nil where there is one processor.
    private let second: (any EventLoop)?
    /// Jobs that wait for either thread.
    private let waiting = Atomic(0)
    private let spilled = Atomic(0)

    private init() {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount > 1 ? 2 : 1)
        loop = group.next()
        let other = group.next()
        second = other === loop ? nil : other
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        // A task stays on the thread where it is, unless it begins where others wait already.
        if let second, second.inEventLoop || loop.inEventLoop && isBusy {
            spilled.add(1, ordering: .relaxed)
            return second.execute { [self] in
                spilled.subtract(1, ordering: .relaxed)
                job.runSynchronously(on: asUnownedTaskExecutor())
            }
        }
        waiting.add(1, ordering: .relaxed)
        loop.execute { [self] in
            waiting.subtract(1, ordering: .relaxed)
            job.runSynchronously(on: asUnownedTaskExecutor())
        }
    }

    private var isBusy: Bool { waiting.load(ordering: .relaxed) > spilled.load(ordering: .relaxed) }
}
