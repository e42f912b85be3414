package import LinuxKernel

/// Which scripts a process was started from, as far as it can be proven; knows nothing of where events come from.
///
/// That a file was opened to be executed does not mean that it was: the exec may have failed, and the interpreter may
/// have been executed by itself afterwards, with anything as its argument. The two are told apart by when the script
/// is closed. The kernel opens the interpreter while it still has the script open, and closes the script when the system
/// call returns. A failed exec closes the script before the process can do anything else.
package struct ScriptHolds<Script: Sendable>: Sendable {
    private struct Hold {
        var handle: KernelFileHandle
        var script: Script
    }

    private struct Chain {
        var holds: [Hold] = []
        /// After the last of the scripts was held, another file was opened before any of them was closed.
        var ledOn = false
    }

    private var chains: [Int32: Chain] = [:]

    package init() {}

    /// Notes a script whose exec is held.
    ///
    /// The queue of file events must be empty of this process's: the kernel joins equal events, also across others.
    package mutating func hold(_ script: Script, _ handle: KernelFileHandle, by process: Int32) {
        chains[process, default: Chain()].holds.append(Hold(handle: handle, script: script))
        chains[process]?.ledOn = false
    }

    /// Whether some exec of a script is held, or not yet known to be done.
    package func isHeld(_ handle: KernelFileHandle) -> Bool {
        chains.values.contains { $0.holds.contains { $0.handle == handle } }
    }

    /// Takes in what was opened and closed since.
    package mutating func take(_ event: FileEvent) {
        guard let chain = chains[event.process], !chain.ledOn else { return }
        if event.isClosed, chain.holds.contains(where: { $0.handle == event.file }) {
            chains[event.process] = nil
        } else if event.isExecuted {
            chains[event.process]?.ledOn = true
        }
    }

    /// Notes that a process has executed something, and returns the scripts that led there.
    package mutating func executed(_ process: Int32) -> [Script] {
        guard let chain = chains.removeValue(forKey: process), chain.ledOn else { return [] }
        return chain.holds.map(\.script)
    }

    /// Notes that a process has ended.
    package mutating func ended(_ process: Int32) { chains[process] = nil }

    /// Notes that nothing is certain any more, because events were lost.
    package mutating func lose() { chains = [:] }
}
