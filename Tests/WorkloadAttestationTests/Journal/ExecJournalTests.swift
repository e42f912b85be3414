import Foundation
import Glibc
import LinuxKernel
import Synchronization
import Testing
import WorkloadAttestation

extension JournalTests {
    @Suite("Exec journal, with real processes", .serialized, .enabled(if: JournalHost.isAble, JournalHost.reason))
    struct ExecJournalTests {
        private let mount: ImageMount
        private let journal: ExecJournal

        init() throws {
            mount = try ImageMount()
            journal = try ExecJournal(ExecJournalConfiguration(fileSystems: .mounts([mount.path])))
        }

        @Test("A program of the user's own is measured as it was executed")
        func ownProgram() async throws {
            let path = try mount.program("agent")
            mount.settle()
            let process = try TestProcess(path)
            let record = try await settled(process)
            #expect(record.generation == 1)
            #expect(record.taints.isEmpty)
            #expect(record.parent.value?.mark == .pidfs(inode: try #require(ProcessHandle.pidfsInode(of: getpid()))))
            let image = try #require(record.image.value)
            #expect(image.program.digest == .measured(try Shell.digest(path)))
            #expect(image.program.path.value == path)
            #expect(image.scripts.isEmpty)
        }

        @Test("A program that only root can write is hashed when someone asks")
        func rootsProgram() async throws {
            let path = try mount.program("tool", owner: 0)
            let process = try TestProcess(path)
            let image = try #require(try await settled(process).image.value)
            #expect(image.program.digest == .pending)
            #expect(image.program.path.value == path)
        }

        @Test("What ran before the journal is not known, and is once it executes something")
        func older() async throws {
            let path = try mount.program("agent")
            mount.settle()
            let older = try TestProcess("/bin/sh", ["-c", "read x < \(try fifo("go")); exec \(path) 30"])
            _ = older.record(in: journal)
            let other = try ExecJournal(ExecJournalConfiguration(fileSystems: .mounts([mount.path])))
            defer { other.stop() }
            #expect(gap(other.record(of: older.instance, pid: older.pid)) == "it was running before the exec journal")
            try release("go")
            #expect(eventually { other.record(of: older.instance, pid: older.pid).value?.generation == 1 })
            let record = try await other.settled(older.instance, pid: older.pid, within: .seconds(10))
            #expect(record.value?.image.value?.program.digest == .measured(try Shell.digest(path)))
        }

        @Test("A fork that has executed nothing is not taken for its parent's program")
        func forkOnly() throws {
            let shell = try TestProcess("/bin/sh", ["-c", "(read x < \(try fifo("go"))) & wait"])
            var child: Int32 = 0
            #expect(
                eventually {
                    child = children(of: shell.pid).first ?? 0
                    return child != 0
                })
            let instance = try instance(of: child)
            let record = try #require(journal.record(of: instance, pid: child).value)
            #expect(record.generation == 0)
            #expect(record.image.gap?.description == "it has not executed a program since it was forked")
            #expect(record.parent.value == shell.instance)
            try release("go")
        }

        @Test("A chain of three execs is counted, and the last one is what is known")
        func chain() async throws {
            let paths = try ["one", "two", "three"].map {
                try mount.program($0, copying: $0 == "three" ? "/bin/sleep" : "/usr/bin/env")
            }
            mount.settle()
            let process = try TestProcess(paths[0], [paths[1], paths[2], "30"])
            #expect(eventually { journal.record(of: process.instance, pid: process.pid).value?.generation == 3 })
            let record = try await settled(process)
            #expect(record.image.value?.program.digest == .measured(try Shell.digest(paths[2])))
        }

        @Test("A script that nobody held is named, but not vouched for; its interpreter is")
        func unheldScript() async throws {
            let inner = try mount.script("inner", "#!/bin/sh\nread x < \(try fifo("go"))\n")
            let process = try TestProcess(inner, [])
            let image = try #require(try await settled(process).image.value)
            #expect(image.program.digest == .pending)
            #expect(image.scripts.map(\.path.value) == [inner])
            guard case .unmeasured(let gap)? = image.scripts.first?.digest else {
                Issue.record("measured without having been held")
                return
            }
            #expect(gap.description.contains("not held"))
        }

        @Test("An instance's exec, ids, tracer and end are told to those who watch it, within a second")
        func watches() async throws {
            let path = try mount.program("agent")
            let process = try TestProcess("/bin/sh", ["-c", "read x < \(try fifo("go")); exec \(path) 30"])
            let changes = SeenChanges()
            let watch = journal.watch(process.instance, pid: process.pid) { changes.add($0) }
            try release("go")
            #expect(eventually(1) { changes.all.last == .executed }, "\(changes.all)")
            process.end()
            #expect(eventually(1) { changes.all.last == .exited }, "\(changes.all)")
            withExtendedLifetime(watch) {}
        }

        @Test("A watch on a process that is gone says so")
        func watchOnTheDead() throws {
            let process = try TestProcess("/bin/true", [])
            process.end()
            let changes = SeenChanges()
            let watch = journal.watch(process.instance, pid: process.pid) { changes.add($0) }
            #expect(eventually(1) { changes.all == [.exited] })
            withExtendedLifetime(watch) {}
        }

        @Test("A journal that was stopped knows nothing")
        func stopped() throws {
            let process = try TestProcess("/bin/sleep")
            journal.stop()
            #expect(gap(journal.record(of: process.instance, pid: process.pid)) == "the exec journal was stopped")
            #expect(journal.status.unavailable != nil)
        }

        @Test("Another instance's name does not get the record of a number")
        func wrongInstance() throws {
            let process = try TestProcess("/bin/sleep")
            let stranger = ProcessInstance(bootID: process.instance.bootID, mark: .pidfs(inode: 1))
            #expect(journal.record(of: stranger, pid: process.pid).value == nil)
        }

        // MARK: Tools

        private func settled(_ process: TestProcess) async throws -> ExecRecord {
            let record = try await process.settled(in: journal)
            return try #require(record.value, "\(record)")
        }

        private func gap(_ record: Fact<ExecRecord>) -> String? { (record.gap ?? record.value?.image.gap)?.description }

        private func fifo(_ name: String) throws -> String {
            let path = "\(mount.path)/\(name)"
            try #require(mkfifo(path, 0o666) == 0)
            return path
        }

        private func release(_ name: String) throws {
            let file = open("\(mount.path)/\(name)", O_WRONLY | O_CLOEXEC)
            try #require(file >= 0)
            _ = write(file, "x\n", 2)
            close(file)
        }

        private func instance(of pid: Int32) throws -> ProcessInstance {
            ProcessInstance(
                bootID: try JournalHost.bootID(), mark: .pidfs(inode: try #require(ProcessHandle.pidfsInode(of: pid))))
        }

        private func children(of pid: Int32) -> [Int32] {
            let text = (try? String(contentsOfFile: "/proc/\(pid)/task/\(pid)/children", encoding: .utf8)) ?? ""
            return text.split(separator: " ").compactMap { Int32($0) }
        }
    }
}

/// What a watch was told.
final class SeenChanges: Sendable {
    private let changes = Mutex<[ProcessChange]>([])

    func add(_ change: ProcessChange) { changes.withLock { $0.append(change) } }

    var all: [ProcessChange] { changes.withLock { $0 } }
}
