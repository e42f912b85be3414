package import LinuxKernel

/// The exec journal, as attestation needs it.
package protocol ExecHistory: Sendable {
    /// What is known of an instance, with everything that the kernel has reported until the call.
    ///
    /// Takes in what waits on the kernel's queues first, so an exec that has returned is never missed. Cheap enough to
    /// be asked before and after each piece of evidence.
    ///
    /// - Parameters:
    ///   - instance: The process.
    ///   - pid: Its number in the agent's PID namespace.
    /// - Returns: The record; unknown when the journal does not run, has lost events that may concern the instance, or
    ///   has never heard of it.
    func record(of instance: ProcessInstance, pid: Int32) -> Fact<ExecRecord>

    /// Calls back once for each change of a watched instance: exec, exit, ids, ptrace, script written, events lost.
    ///
    /// - Parameters:
    ///   - instance: The process.
    ///   - pid: Its number in the agent's PID namespace.
    ///   - notify: Called on a thread of the journal's; must not block.
    /// - Returns: Ends the watch when it goes.
    func watch(
        _ instance: ProcessInstance, pid: Int32, notify: @escaping @Sendable (ProcessChange) -> Void
    ) -> ProcessWatch
}

/// What has just happened to a process.
package enum ProcessChange: String, Hashable, Sendable {
    case executed, exited, traced
    case idsChanged = "ids-changed"
    case scriptWritten = "script-written"
    case eventsLost = "events-lost"
}

/// A watch on a process; ends when it goes.
package final class ProcessWatch: Sendable {
    private let end: @Sendable () -> Void

    package init(end: @escaping @Sendable () -> Void) { self.end = end }

    deinit { end() }
}
