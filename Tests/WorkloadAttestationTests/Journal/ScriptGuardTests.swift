import Foundation
import Glibc
import LinuxKernel
import Testing
import WorkloadAttestation

extension JournalTests {
    @Suite("Scripts whose execs are held", .serialized, .enabled(if: JournalHost.isAble, JournalHost.reason))
    struct ScriptGuardTests {
        private let mount: ImageMount
        private let journal: ExecJournal
        private let folder: String

        init() throws {
            mount = try ImageMount()
            folder = mount.path + "/guarded"
            try #require(mkdir(folder, 0o755) == 0)
            _ = try mount.program("sh", copying: "/bin/sh", owner: 0)
            journal = try ExecJournal(
                ExecJournalConfiguration(
                    fileSystems: .mounts([mount.path]), guarded: [folder],
                    guardian: GuardianCommand(path: try JournalHost.program(), arguments: ["guardian"])))
        }

        @Test("A script of the user's own is measured while its exec waits")
        func measured() throws {
            let path = try script("agent", "#!\(shell())\nread x < \(fifo())\n")
            let process = try TestProcess(path, [])
            let image = try #require(process.record(in: journal).value?.image.value)
            #expect(image.scripts.map(\.digest) == [.measured(try Shell.digest(path))])
            #expect(image.scripts.first?.path.value == path)
            #expect(image.program.digest == .pending)
            #expect(journal.status.guardState == "on")
            #expect(journal.status.held >= 1)
        }

        @Test("Scripts that name scripts are measured in the order in which they led there")
        func nested() throws {
            let inner = try script("inner", "#!\(shell())\nread x < \(fifo())\n")
            let outer = try script("outer", "#!\(inner)\n")
            let process = try TestProcess(outer, [])
            let image = try #require(process.record(in: journal).value?.image.value)
            #expect(
                image.scripts.map(\.digest) == [.measured(try Shell.digest(outer)), .measured(try Shell.digest(inner))])
        }

        @Test("However many scripts were executed, the next is guarded, and only so many are watched")
        func many() throws {
            journal.stop()
            let journal = try narrow(scripts: 2)
            defer { journal.stop() }
            for round in 0..<2 {
                for number in 0..<5 {
                    let path = try script("agent\(number)", "#!\(shell())\n# \(round)\nread x < \(fifo())\n")
                    let process = try TestProcess(path, [])
                    let image = try #require(process.record(in: journal).value?.image.value)
                    #expect(image.scripts.map(\.digest) == [.measured(try Shell.digest(path))], "\(round), \(number)")
                    process.end()
                }
            }
            #expect(eventually { journal.status.guardedScripts > 0 })
            #expect(journal.status.guardedScripts <= 2)
        }

        @Test("A user who has too many scripts running has the others named, but not vouched for")
        func tooMany() throws {
            journal.stop()
            let journal = try narrow(scriptsOfUser: 2)
            defer { journal.stop() }
            let path = try script("agent", "#!\(shell())\nread x < \(fifo())\n")
            let processes = try (0..<3).map { _ in try TestProcess(path, []) }
            let digests = processes.map { $0.record(in: journal).value?.image.value?.scripts.first?.digest }
            #expect(digests.prefix(2) == [.measured(try Shell.digest(path)), .measured(try Shell.digest(path))])
            guard case .unmeasured? = digests[2] else {
                Issue.record("\(String(describing: digests[2]))")
                return
            }
            processes[0].end()
            #expect(eventually { journal.record(of: processes[0].instance, pid: processes[0].pid).value == nil })
            let next = try TestProcess(path, [])
            #expect(
                next.record(in: journal).value?.image.value?.scripts.first?.digest
                    == .measured(try Shell.digest(path)))
        }

        @Test("A script that only root can write is proven, and hashed when someone asks")
        func rootsScript() throws {
            let path = try script("tool", "#!\(shell())\nread x < \(fifo())\n", owner: 0)
            let process = try TestProcess(path, [])
            let image = try #require(process.record(in: journal).value?.image.value)
            #expect(image.scripts.map(\.digest) == [.pending])
        }

        @Test(
            "An exec of a script that fails, and then of its interpreter with something else, is not an exec of the script",
            .enabled(if: JournalHost.compiler != nil, "needs a C compiler"))
        func decoy() throws {
            let path = try script("agent", "#!\(shell())\nread x < \(fifo())\n")
            let attacker = try mount.compile(
                "attacker",
                """
                #include <errno.h>
                #include <stdlib.h>
                #include <string.h>
                #include <unistd.h>
                int main(int count, char **words) {
                    // Too long an argument: the exec fails after the script was opened.
                    char *huge = malloc(64 << 20);
                    memset(huge, 'x', (64 << 20) - 1);
                    char *const decoy[] = {words[1], huge, 0};
                    execve(words[1], decoy, 0);
                    char *const evil[] = {words[2], "-c", words[3], 0};
                    execve(words[2], evil, 0);
                    return 1;
                }
                """)
            let process = try TestProcess(attacker, [path, shell(), "read x < \(fifo())"])
            #expect(
                eventually { journal.record(of: process.instance, pid: process.pid).value?.generation == 2 })
            let image = try #require(process.record(in: journal).value?.image.value)
            for script in image.scripts {
                if case .unmeasured = script.digest { continue }
                Issue.record("a script that was not executed is vouched for: \(script)")
            }
        }

        @Test("Whoever writes to a running script is not kept waiting, and is noted")
        func written() throws {
            let path = try script("agent", "#!\(shell())\nread x < \(fifo())\n")
            let process = try TestProcess(path, [])
            #expect(process.record(in: journal).value?.taints == [])
            let changes = SeenChanges()
            let watch = journal.watch(process.instance, pid: process.pid) { changes.add($0) }
            let start = Date()
            let file = open(path, O_WRONLY | O_APPEND)
            #expect(file >= 0)
            #expect(Date().timeIntervalSince(start) < 1)
            close(file)
            #expect(eventually(1) { changes.all == [.scriptWritten] })
            #expect(process.record(in: journal).value?.taints == [.scriptWritten])
            withExtendedLifetime(watch) {}
        }

        @Test("When the journal's process is stopped, execs in a guarded directory go on within a second")
        func stopped() throws {
            let path = try script("agent", "#!/bin/sh\nexit 7\n")
            journal.stop()
            let host = try HostProcess(["run", mount.path, folder])
            defer { host.end() }
            #expect(Shell.run([path]) == 7)
            kill(host.pid, SIGSTOP)
            for _ in 0..<3 {
                let start = Date()
                #expect(Shell.run([path]) == 7)
                #expect(Date().timeIntervalSince(start) < 1)
            }
            kill(host.pid, SIGCONT)
            #expect(Shell.run([path]) == 7)
        }

        @Test("When the journal's process is killed, execs in a guarded directory go on")
        func killed() throws {
            let path = try script("agent", "#!/bin/sh\nexit 7\n")
            journal.stop()
            let host = try HostProcess(["run", mount.path, folder])
            kill(host.pid, SIGKILL)
            let start = Date()
            #expect(Shell.run([path]) == 7)
            #expect(Date().timeIntervalSince(start) < 1)
            host.end()
        }

        // MARK: Tools

        private func narrow(scripts: Int = 4096, scriptsOfUser: Int = 1024) throws -> ExecJournal {
            try ExecJournal(
                ExecJournalConfiguration(
                    fileSystems: .mounts([mount.path]), guarded: [folder],
                    guardian: GuardianCommand(path: try JournalHost.program(), arguments: ["guardian"]),
                    mostGuardedScripts: scripts, mostScriptsOfUser: scriptsOfUser))
        }

        /// A shell on the test's own file system, where its execs are reported.
        private func shell() -> String { mount.path + "/sh" }

        private func script(_ name: String, _ text: String, owner: UInt32 = 1000) throws -> String {
            try mount.script("guarded/\(name)", text, owner: owner)
        }

        /// A pipe that nobody writes to: whoever reads from it waits.
        private func fifo() -> String {
            let path = "\(mount.path)/fifo"
            mkfifo(path, 0o666)
            return path
        }
    }
}

/// A journal in a process of its own.
final class HostProcess {
    private let process = Process()
    private let input = Pipe()

    init(_ arguments: [String]) throws {
        let output = Pipe()
        process.executableURL = URL(fileURLWithPath: try JournalHost.program())
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let word = output.fileHandleForReading.readData(ofLength: 5)
        try #require(word == Data("ready".utf8))
    }

    var pid: Int32 { process.processIdentifier }

    func end() {
        kill(pid, SIGCONT)
        kill(pid, SIGKILL)
        process.waitUntilExit()
    }
}
