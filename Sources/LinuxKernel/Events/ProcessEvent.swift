/// One event of the proc connector.
package struct ProcessEvent: Hashable, Sendable {
    /// The processor it was noted on, and its number among that processor's events, which grows by one and wraps.
    package var processor: UInt32
    package var sequence: UInt32
    /// CLOCK_MONOTONIC in nanoseconds.
    package var time: UInt64
    package var kind: Kind

    package init(processor: UInt32 = 0, sequence: UInt32 = 0, time: UInt64, kind: Kind) {
        (self.processor, self.sequence, self.time, self.kind) = (processor, sequence, time, kind)
    }

    /// Processes are named by the number of their first thread, in the initial PID namespace.
    package enum Kind: Hashable, Sendable {
        /// `parent` is the real parent: with CLONE_PARENT, that of the caller.
        case forked(parent: Int32, child: Int32)
        case threadStarted(process: Int32)
        case executed(process: Int32)
        case idsChanged(process: Int32)
        /// A tracer has attached, or let go when there is no tracer.
        case traced(process: Int32, tracer: Int32?)
        /// One thread has ended; the process has when it was the last.
        case ended(process: Int32, thread: Int32)
        /// The kernel's answer to someone's request to listen.
        case acknowledged(error: UInt32)
        /// Something that says nothing about what a process runs: names, sessions, core dumps.
        case other
    }

    /// Bytes that are no event; names the first rule broken.
    package enum Flaw: Error, Hashable, Sendable {
        case foreignSender(port: UInt32)
        case truncated
        case notFromConnector
        case malformed(String)
    }

    private static let headerSize = 16
    private static let connectorHeaderSize = 20
    private static let eventHeaderSize = 16

    /// Reads one datagram: a netlink header, the connector's header, and `struct proc_event`.
    ///
    /// - Parameters:
    ///   - datagram: Its bytes, as far as there was room.
    ///   - length: How long it was.
    ///   - sender: The netlink port that sent it; the kernel's is 0, and everyone may send to a socket of this kind.
    /// - Throws: ``Flaw``.
    package init(datagram: ArraySlice<UInt8>, length: Int, sender: UInt32) throws(Flaw) {
        guard sender == 0 else { throw .foreignSender(port: sender) }
        guard length == datagram.count else { throw .truncated }
        let all = KernelBytes(datagram)
        // NLMSG_DONE (3) carries a connector message; one per datagram.
        guard let total: UInt32 = all.number(at: 0), let type: UInt16 = all.number(at: 4), type == 3 else {
            throw .notFromConnector
        }
        guard let total = Int(exactly: total), total >= Self.headerSize, total <= datagram.count else {
            throw .malformed("length")
        }
        // CN_IDX_PROC and CN_VAL_PROC are 1.
        guard let index: UInt32 = all.number(at: 16), let value: UInt32 = all.number(at: 20), index == 1, value == 1
        else { throw .notFromConnector }
        guard let sequence: UInt32 = all.number(at: 24), let size: UInt16 = all.number(at: 32),
            total >= Self.headerSize + Self.connectorHeaderSize + Int(size),
            let payload = all.part(at: Self.headerSize + Self.connectorHeaderSize, count: Int(size))
        else { throw .malformed("connector length") }
        let event = KernelBytes(payload)
        guard let what: UInt32 = event.number(at: 0), let processor: UInt32 = event.number(at: 4),
            let time: UInt64 = event.number(at: 8)
        else { throw .malformed("event") }
        self.init(processor: processor, sequence: sequence, time: time, kind: try Self.kind(what, event))
    }

    private static func kind(_ what: UInt32, _ event: KernelBytes) throws(Flaw) -> Kind {
        let data = eventHeaderSize
        switch what {
        case 0:
            guard let error: UInt32 = event.number(at: data) else { throw .malformed("acknowledgement") }
            return .acknowledged(error: error)
        case 0x0000_0001:
            // The parent of the first processes of a PID namespace may have no number here.
            guard let parent: UInt32 = event.number(at: data + 4), let parent = Int32(exactly: parent),
                let thread = event.processID(at: data + 8), let child = event.processID(at: data + 12)
            else { throw .malformed("fork") }
            return thread == child ? .forked(parent: parent, child: child) : .threadStarted(process: child)
        case 0x0000_0002: return .executed(process: try process(event, "exec"))
        case 0x0000_0004, 0x0000_0040: return .idsChanged(process: try process(event, "ids"))
        case 0x0000_0100:
            guard let tracer: UInt32 = event.number(at: data + 12), let tracer = Int32(exactly: tracer) else {
                throw .malformed("ptrace")
            }
            return .traced(process: try process(event, "ptrace"), tracer: tracer == 0 ? nil : tracer)
        case 0x8000_0000:
            guard let thread = event.processID(at: data) else { throw .malformed("exit") }
            return .ended(process: try process(event, "exit"), thread: thread)
        default: return .other
        }
    }

    private static func process(_ event: KernelBytes, _ name: String) throws(Flaw) -> Int32 {
        guard let id = event.processID(at: eventHeaderSize + 4) else { throw .malformed(name) }
        return id
    }
}
