/// An exec that waits for an answer: what a fanotify group of the class that holds execs tells of it.
package struct HeldExec: Hashable, Sendable {
    /// The process, by the number of its first thread; nil when it has none in this PID namespace.
    package var process: Int32?
    /// The opened file, in the descriptors of whoever read the event; to be answered and closed.
    package var descriptor: Int32

    private static let metadataSize = 24
    private static let openedToExecute: UInt64 = 0x40000

    /// Reads events one after the other, up to the first that is none.
    package static func read(_ bytes: ArraySlice<UInt8>) -> [HeldExec] {
        var held: [HeldExec] = []
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let rest = KernelBytes(bytes[start...])
            guard let length: UInt32 = rest.number(at: 0), let length = Int(exactly: length), length >= metadataSize,
                length <= rest.count, let version: UInt8 = rest.number(at: 4), version == 3,
                let mask: UInt64 = rest.number(at: 8), let descriptor: UInt32 = rest.number(at: 16)
            else { break }
            start += length
            // An event without a descriptor (-1) is no exec: the queue was full, and the kernel let execs go.
            guard mask & openedToExecute != 0, let descriptor = Int32(exactly: descriptor) else { continue }
            held.append(HeldExec(process: rest.processID(at: 20), descriptor: descriptor))
        }
        return held
    }
}
