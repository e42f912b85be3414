internal import Foundation

// What libFuzzer calls, by the names it looks for. One executable holds every target; the name under which it is
// started chooses one, so that `identity FILE` is all it takes to repeat a finding.

/// Judges one input; returns only when every property held.
@_cdecl("LLVMFuzzerTestOneInput")
package func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    session.target.judge(Array(UnsafeBufferPointer(start: start, count: count)), flaw: session.flaw)
    return 0
}

/// Changes an input in place, every other time by the structure that the target looks for in it.
@_cdecl("LLVMFuzzerCustomMutator")
package func mutate(_ start: UnsafeMutablePointer<UInt8>, _ count: Int, _ capacity: Int, _ seed: UInt32) -> Int {
    // libFuzzer's own changes stay the other half: they know which comparisons failed.
    guard seed % 2 == 0,
        let changed = session.target.change(Array(UnsafeBufferPointer(start: start, count: count)), seed, changeBytes),
        changed.count <= capacity
    else { return session.mutate(start, count, capacity) }
    for (offset, byte) in changed.enumerated() { start[offset] = byte }
    return changed.count
}

/// Lets libFuzzer change a part of an input.
private func changeBytes(_ bytes: [UInt8]) -> [UInt8] {
    let room = bytes.count + 64
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: room) { buffer in
        guard let base = buffer.baseAddress else { return bytes }
        _ = buffer.initialize(fromContentsOf: bytes + [UInt8](repeating: 0, count: 64))
        return Array(buffer.prefix(session.mutate(base, bytes.count, room)))
    }
}

private let session = Session(program: CommandLine.arguments.first ?? "")

/// What this process was started for.
private struct Session: Sendable {
    typealias Mutate = @convention(c) (UnsafeMutablePointer<UInt8>, Int, Int) -> Int

    let target: FuzzTarget
    let flaw: Flaw?
    let mutate: Mutate

    init(program: String) {
        let words = (program.split(separator: "/").last ?? "").split(separator: "+", maxSplits: 1)
        guard let target = words.first.flatMap({ FuzzTarget(rawValue: String($0)) }) else {
            let known = FuzzTarget.allCases.map(\.rawValue).joined(separator: " ")
            try? FileHandle.standardError.write(contentsOf: Data("error: start this as one of: \(known)\n".utf8))
            // At once: libFuzzer takes an ordinary exit for a finding.
            _exit(64)
        }
        self.target = target
        flaw = words.count > 1 ? Flaw() : nil
        // Looked up at run time, so that this module can also be built where there is no libFuzzer.
        guard let mutate = dlsym(dlopen(nil, RTLD_NOW), "LLVMFuzzerMutate") else {
            fatalError("libFuzzer does not offer LLVMFuzzerMutate")
        }
        self.mutate = unsafeBitCast(mutate, to: Mutate.self)
    }
}
