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
            if counts.eventLosses > 0 {
                #expect(record.value?.image.value == nil, "vouched for although events were lost")
            } else {
                #expect(counts.execs >= 10_000)
            }
            // What was lost came later than its exec.
            if let image = record.value?.image.value { #expect(image.program.path.value == path) }
            let late = try TestProcess(path)
            let settled = try await late.settled(in: journal)
            #expect(settled.value?.image.value?.program.digest == .measured(try Shell.digest(path)))
        }

        @Test(
            "Who fills the ring of one processor with mappings leaves execs on another as they are",
            .enabled(if: JournalHost.compiler != nil, "needs a C compiler"),
            .enabled(if: sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1, "needs two processors"))
        func storm() async throws {
            let mount = try ImageMount()
            let journal = try ExecJournal(
                ExecJournalConfiguration(fileSystems: .mounts([mount.path]), runsInBackground: false))
            defer { journal.stop() }
            let path = try mount.program("agent")
            let storm = try mount.compile(
                "storm",
                """
                #define _GNU_SOURCE
                #include <fcntl.h>
                #include <sched.h>
                #include <stdio.h>
                #include <string.h>
                #include <sys/mman.h>
                #include <sys/stat.h>
                #include <unistd.h>
                int main(int count, char **words) {
                    cpu_set_t one;
                    char name[201];
                    // A long path makes each record long.
                    memset(name, 'x', 200), name[200] = 0;
                    setgid(1000), setuid(1000);
                    for (int depth = 0; depth < 18; depth++) if (mkdir(name, 0755) || chdir(name)) return 1;
                    int file = open("library", O_RDWR | O_CREAT, 0755);
                    if (ftruncate(file, 4096)) return 2;
                    CPU_ZERO(&one);
                    CPU_SET(0, &one);
                    sched_setaffinity(0, sizeof one, &one);
                    for (int number = 0;; number++) {
                        void *memory = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
                        if (memory == MAP_FAILED) return 3;
                        munmap(memory, 4096);
                        if (number == 20000) creat(words[1], 0644);
                    }
                }
                """)
            mount.settle()
            let folder = mount.path + "/storm.d"
            try #require(mkdir(folder, 0o777) == 0 && chmod(folder, 0o777) == 0)
            let done = folder + "/done"
            let attacker = try TestProcess("/usr/bin/env", ["-C", folder, storm, done])
            defer { attacker.end() }
            try #require(eventually { access(done, F_OK) == 0 })
            // The ring is full by now, and nobody has read it.
            var told = 0
            for _ in 0..<10 {
                let process = try TestProcess("/usr/bin/taskset", ["-c", "1", path, "30"])
                #expect(process.record(in: journal, after: 1).value?.generation == 2)
                let record = try await journal.settled(process.instance, pid: process.pid, within: .seconds(20))
                if record.value?.image.value?.program.digest == .measured(try Shell.digest(path)) { told += 1 }
                process.end()
            }
            #expect(journal.status.counts.mappingLosses > 0, "nothing was lost")
            #expect(told == 10)
            #expect(kill(attacker.pid, 0) == 0)
        }
    }
}
