internal import LinuxKernel
internal import Synchronization

/// Files held open because some process runs them, each once.
///
/// As long as one is held, its inode number cannot come to mean another file, so a glance at its state is enough to
/// know that it has not changed. Nothing is held that no connection needs.
package final class OpenFiles: Sendable {
    private struct Number: Hashable {
        let device, inode: UInt64
        /// By which mount it was reached: what a mount may say of a file is not another's to say.
        let mount: UInt64?
    }

    private struct Reference {
        weak var file: ExecutableFile?
    }

    private struct Table {
        var files: [Number: Reference] = [:]
        var nextSweep = 64
    }

    private let table = Mutex(Table())

    package init() {}

    /// The file that was held already, if there is one; else the one given, held from now on.
    func sharing(_ file: ExecutableFile) -> ExecutableFile {
        let number = Number(
            device: file.identity.device, inode: file.identity.inode, mount: file.openedAs.mountID)
        return table.withLock { table in
            if let held = table.files[number]?.file { return held }
            table.files[number] = Reference(file: file)
            if table.files.count >= table.nextSweep {
                table.files = table.files.filter { $0.value.file != nil }
                table.nextSweep = max(64, table.files.count * 2)
            }
            return file
        }
    }

    /// About how many are held: exact after each sweep of the table, never too low.
    package var count: Int { table.withLock { $0.files.count } }
}
