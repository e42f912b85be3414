import Foundation
import Glibc
import LinuxKernel
import Testing
import WorkloadAttestation

extension JournalTests {
    @Suite("Exec journal under load", .serialized, .enabled(if: JournalHost.isAble, JournalHost.reason))
    struct JournalLoadTests {
        @Test("1,000 honest execs, 200 of them scripts, are all told rightly while others come and go")
        func honest() async throws {
            let mount = try ImageMount()
            let folder = mount.path + "/guarded"
            try #require(mkdir(folder, 0o755) == 0)
            _ = try mount.program("sh", copying: "/bin/sh", owner: 0)
            let fifo = mount.path + "/fifo"
            try #require(mkfifo(fifo, 0o666) == 0)
            let journal = try ExecJournal(
                ExecJournalConfiguration(
                    fileSystems: .mounts([mount.path]), guarded: [folder],
                    guardian: GuardianCommand(path: try JournalHost.program(), arguments: ["guardian"])))
            defer { journal.stop() }
            let programs = try (0..<8).map { try mount.program("agent\($0)", owner: $0 == 0 ? 0 : 1000) }
            let scripts = try (0..<4).map {
                try mount.script("guarded/script\($0)", "#!\(mount.path)/sh\n# \($0)\nread x < \(fifo)\n")
            }
            let digests = try (programs + scripts).map { try Shell.digest($0) }
            mount.settle()
            // The load: processes that nobody asks about.
            let noise = Process()
            noise.executableURL = URL(fileURLWithPath: "/bin/sh")
            noise.arguments = ["-c", "while :; do /bin/true; done"]
            try noise.run()
            defer {
                noise.terminate()
                noise.waitUntilExit()
            }
            var wrong: [String] = []
            for number in 0..<1000 {
                let isScript = number % 5 == 4
                let index = isScript ? number / 5 % scripts.count : number % programs.count
                let process = try TestProcess(isScript ? scripts[index] : programs[index], isScript ? [] : ["30"])
                let record = try await process.settled(in: journal)
                let file = isScript ? record.value?.image.value?.scripts.first : record.value?.image.value?.program
                let expected: ExecutedFile.DigestState =
                    !isScript && index == 0
                    ? .pending : .measured(digests[isScript ? programs.count + index : index])
                if file?.digest != expected || record.value?.generation != 1 || record.value?.taints != [] {
                    wrong.append("\(number): \(record)")
                }
                process.end()
            }
            #expect(wrong.count == 0, "\(wrong.prefix(3))")
        }

        @Test("10,000 execs while nobody reads the queues are told or said to be lost, and later ones are told")
        func overload() async throws {
            let mount = try ImageMount()
            let journal = try ExecJournal(
                ExecJournalConfiguration(fileSystems: .mounts([mount.path]), runsInBackground: false))
            defer { journal.stop() }
            let path = try mount.program("agent")
            mount.settle()
            let early = try TestProcess(path)
            let loop = try TestProcess(
                "/bin/sh", ["-c", "i=0; while [ $i -lt 10000 ]; do /bin/true; i=$((i+1)); done"])
            #expect(eventually(120) { waitpid(loop.pid, nil, WNOHANG) == loop.pid })
            #expect(early.record(in: journal).value?.generation == 1 || journal.status.counts.eventLosses > 0)
            let record = journal.record(of: early.instance, pid: early.pid)
            let counts = journal.status.counts
            if counts.mappingLosses + counts.eventLosses > 0 {
                #expect(record.value?.image.value == nil, "vouched for although events were lost")
            } else {
                #expect(counts.execs >= 10_000)
            }
            // The kernel says that a ring ran over only with the next record in it, so the next execs are in doubt, too.
            for _ in 0..<50 { _ = Shell.run(["true"]) }
            _ = early.record(in: journal)
            let late = try TestProcess(path)
            let settled = try await late.settled(in: journal)
            #expect(settled.value?.image.value?.program.digest == .measured(try Shell.digest(path)))
        }
    }
}
