internal import LinuxKernel

/// Finds a process's ancestors by instance: each is pinned, and then its child still names it.
struct LineageReader {
    /// How far up is looked.
    static let deepest = 16

    let history: (any ExecHistory)?

    /// The ancestors, from the parent upwards.
    ///
    /// - Parameters:
    ///   - handle: The process.
    ///   - record: What the journal knows of it; says which parent forked it, where that was seen.
    ///   - parent: The parent's number now.
    ///   - hash: The digest of a program that only root can change, which a process is said to have executed.
    /// - Returns: All of them, up to ``deepest``; unknown when one cannot be pinned or has changed meanwhile.
    func ancestors(
        of handle: ProcessHandle, record: ExecRecord?, parent: Int32?,
        hash: (ExecutedFile, ProcessDirectory) -> Fact<String>
    ) -> Fact<Lineage> {
        var ancestors: [Lineage.Ancestor] = []
        var (child, record, parent) = (handle, record, parent)
        while ancestors.count < Self.deepest {
            // Nobody's child, or a child of someone outside of this PID namespace.
            guard let number = parent else { return .unknown(.malformed("status")) }
            guard number > 0 else { break }
            do {
                let pinned = try ProcessHandle(pid: number)
                let directory = try ProcessDirectory(of: pinned)
                let (instance, stat) = (try pinned.instance(), try directory.stat())
                let childNow = try ProcessDirectory(of: child).stat()
                // The number was pinned first, so if the child still names it, it is the parent's.
                guard childNow.parent == number, stat.startTicks <= childNow.startTicks, pinned.isAlive else {
                    return .unknown(Gap("process \(child.pid) has lost its parent meanwhile"))
                }
                // Whoever lost the parent that forked it is given another, which had no part in its birth.
                if history != nil, record?.parent.value != instance {
                    return .unknown(Gap("process \(child.pid) was not seen to be forked by its parent"))
                }
                let known = history?.record(of: instance, pid: number)
                ancestors.append(.init(instance: instance, pid: number, digest: digest(known) { hash($0, directory) }))
                (child, record, parent) = (pinned, known?.value, stat.parent)
            } catch { return .unknown(Gap("process \(number): \(error)")) }
        }
        return .known(Lineage(ancestors: ancestors), history == nil ? .proc : .journal)
    }

    private func digest(_ record: Fact<ExecRecord>?, hash: (ExecutedFile) -> Fact<String>) -> Fact<String> {
        guard let record else { return .unknown(Gap("the exec journal does not run")) }
        guard let value = record.value else { return .unknown(record.gap ?? .notAsked) }
        guard value.taints.isEmpty else { return .unknown(Gap("it is tainted")) }
        guard let image = value.image.value else { return .unknown(value.image.gap ?? .notAsked) }
        switch image.program.digest {
        case .measured(let digest): return .known(digest, .journal)
        case .pending: return hash(image.program)
        case .unmeasured(let gap): return .unknown(gap)
        }
    }
}
