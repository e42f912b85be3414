import Foundation
import Glibc
import LinuxKernel
import Testing
import WorkloadAttestation

extension JournalTests {
    @Suite(
        "Attacks on what the journal says", .serialized, .enabled(if: JournalHost.isAble, JournalHost.reason),
        .enabled(if: JournalHost.compiler != nil, "needs a C compiler"))
    struct Attacks {
        private let mount: ImageMount
        private let journal: ExecJournal
        private let trusted: String

        init() throws {
            mount = try ImageMount()
            journal = try ExecJournal(ExecJournalConfiguration(fileSystems: .mounts([mount.path])))
            trusted = try mount.program("trusted")
        }

        /// Leaves its own file, so that the exe link can be pointed elsewhere; then does what its words say, in order.
        private static let attacker = """
            #define _GNU_SOURCE
            #include <fcntl.h>
            #include <sched.h>
            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            #include <sys/mman.h>
            #include <sys/prctl.h>
            #include <unistd.h>
            static void leave(const char *exe) {
                static struct { unsigned long from, to; int how; } part[32];
                char line[512], how[8];
                int count = 0;
                FILE *maps = fopen("/proc/self/maps", "r");
                while (count < 32 && fgets(line, sizeof line, maps)) {
                    if (!strstr(line, exe)) continue;
                    sscanf(line, "%lx-%lx %7s", &part[count].from, &part[count].to, how);
                    part[count++].how = (how[0] == 'r') * PROT_READ | (how[1] == 'w') * PROT_WRITE
                        | (how[2] == 'x') * PROT_EXEC;
                }
                fclose(maps);
                for (int i = 0; i < count; i++) {
                    size_t size = part[i].to - part[i].from;
                    void *copy = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
                    memcpy(copy, (void *)part[i].from, size);
                    mprotect(copy, size, part[i].how);
                    mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)part[i].from);
                }
            }
            static int link_to(const char *path) {
                struct prctl_mm_map map = {0};
                unsigned long long number[60] = {0};
                char stat[2048] = {0}, *rest;
                int fd = open("/proc/self/stat", O_RDONLY);
                read(fd, stat, sizeof stat - 1);
                close(fd);
                rest = strrchr(stat, ')') + 3;
                // As proc_pid_stat(5) counts; the third, the state, is a letter.
                for (int i = 4; i < 53; i++) number[i] = strtoull(rest, &rest, 10);
                map.start_code = number[26], map.end_code = number[27], map.start_stack = number[28];
                map.start_data = number[45], map.end_data = number[46], map.start_brk = number[47];
                map.brk = (unsigned long)sbrk(0);
                map.arg_start = number[48], map.arg_end = number[49];
                map.env_start = number[50], map.env_end = number[51];
                map.exe_fd = open(path, O_RDONLY);
                int code = prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0);
                close(map.exe_fd);
                return code;
            }
            static void overwrite(const char *path, const char *with) {
                char bytes[1 << 16];
                int from = open(with, O_RDONLY), to = open(path, O_WRONLY | O_TRUNC);
                ssize_t count;
                while ((count = read(from, bytes, sizeof bytes)) > 0) write(to, bytes, count);
                close(from);
                close(to);
            }
            int main(int count, char **words) {
                char own[256] = {0};
                readlink("/proc/self/exe", own, sizeof own - 1);
                setgid(1000), setuid(1000);
                prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
                unshare(CLONE_NEWUSER);
                leave(own);
                int code = link_to(words[1]);
                if (count > 3) {
                    overwrite(own, words[1]);
                    code |= link_to(own);
                }
                FILE *done = fopen(words[2], "w");
                fprintf(done, "%d", code);
                fclose(done);
                for (;;) pause();
            }
            """

        @Test("A program that points its exe link at a trusted file is not taken for it")
        func linkSwap() throws {
            let process = try attack([])
            #expect(link(process) == trusted)
            let record = try #require(process.record(in: journal).value)
            #expect(record.image.gap?.description == "the exe link leads to another file than the kernel mapped")
        }

        @Test("A program that overwrites its own file with a trusted one while its link is elsewhere is not measured")
        func linkSwapAndBack() async throws {
            let process = try attack(["back"])
            #expect(link(process) == mount.path + "/attacker")
            #expect(try Shell.digest(mount.path + "/attacker") == Shell.digest(trusted))
            let image = try #require(try await process.settled(in: journal).value?.image.value)
            guard case .unmeasured = image.program.digest else {
                Issue.record("it passes for \(image.program.digest)")
                return
            }
        }

        @Test("A program that was replaced on the disk while it runs is not taken for its successor")
        func replaced() async throws {
            let path = try mount.program("agent")
            mount.settle()
            let process = try TestProcess(path)
            let digest = try Shell.digest(path)
            #expect(try await process.settled(in: journal).value?.image.value?.program.digest == .measured(digest))
            try #require(unlink(path) == 0)
            _ = try mount.program("agent", tail: "another")
            let image = try #require(try await process.settled(in: journal).value?.image.value)
            #expect(image.program.digest == .measured(digest))
        }

        @Test("A trusted program that fails to start, and then another, are not taken for the first")
        func failedFirst() throws {
            let attacker = try mount.compile(
                "attacker",
                """
                #include <stdlib.h>
                #include <string.h>
                #include <unistd.h>
                int main(int count, char **words) {
                    char *huge = malloc(64 << 20);
                    memset(huge, 'x', (64 << 20) - 1);
                    char *const decoy[] = {words[1], huge, 0};
                    execve(words[1], decoy, 0);
                    char *const other[] = {words[2], "30", 0};
                    execve(words[2], other, 0);
                    return 1;
                }
                """)
            let other = try mount.program("other", owner: 0)
            let process = try TestProcess(attacker, [trusted, other])
            let record = try #require(process.record(in: journal, after: 1).value)
            #expect(record.generation == 2)
            #expect(record.image.value?.program.path.value == other)
        }

        @Test("A thread that is not the first executes a program: the process goes on, and is known by it")
        func execByThread() async throws {
            let program = try mount.compile(
                "threads",
                """
                #include <pthread.h>
                #include <unistd.h>
                static char **words;
                static void *other(void *unused) {
                    char *const next[] = {words[1], "30", 0};
                    usleep(50000);
                    execve(words[1], next, 0);
                    return 0;
                }
                int main(int count, char **given) {
                    pthread_t thread[3];
                    words = given;
                    for (int i = 0; i < 2; i++) pthread_create(&thread[i], 0, (void *(*)(void *))pause, 0);
                    pthread_create(&thread[2], 0, other, 0);
                    pthread_exit(0);
                }
                """, flags: ["-pthread"])
            mount.settle()
            let process = try TestProcess(program, [trusted])
            #expect(process.record(in: journal, after: 1).value?.generation == 2)
            let record = try await journal.settled(process.instance, pid: process.pid, within: .seconds(20))
            #expect(record.value?.image.value?.program.digest == .measured(try Shell.digest(trusted)))
        }

        @Test("A program without a file, executed from memory, is not vouched for")
        func memoryFile() throws {
            let program = try mount.compile(
                "memory",
                """
                #define _GNU_SOURCE
                #include <fcntl.h>
                #include <sys/mman.h>
                #include <unistd.h>
                int main(int count, char **words) {
                    char bytes[1 << 16];
                    int from = open(words[1], O_RDONLY), to = memfd_create("agent", MFD_CLOEXEC);
                    ssize_t size;
                    while ((size = read(from, bytes, sizeof bytes)) > 0) write(to, bytes, size);
                    char *const next[] = {words[1], "30", 0};
                    fexecve(to, next, (char *[]){0});
                    return 1;
                }
                """)
            let process = try TestProcess(program, [trusted])
            let record = try #require(process.record(in: journal, after: 1).value)
            #expect(record.generation == 2)
            if let image = record.image.value {
                guard case .unmeasured = image.program.digest else {
                    Issue.record("it passes for \(image.program.digest)")
                    return
                }
                #expect(image.program.path.value == nil)
            }
        }

        @Test("Someone who attaches with ptrace is noted, also when they have let go again")
        func traced() async throws {
            let tracer = try mount.compile(
                "tracer",
                """
                #include <stdlib.h>
                #include <sys/ptrace.h>
                #include <sys/wait.h>
                int main(int count, char **words) {
                    int pid = atoi(words[1]);
                    if (ptrace(PTRACE_ATTACH, pid, 0, 0)) return 1;
                    waitpid(pid, 0, 0);
                    return ptrace(PTRACE_DETACH, pid, 0, 0) ? 2 : 0;
                }
                """)
            mount.settle()
            let process = try TestProcess(trusted)
            #expect(process.record(in: journal).value?.taints == [])
            #expect(Shell.run([tracer, "\(process.pid)"]) == 0)
            #expect(process.record(in: journal).value?.taints == [.traced])
        }

        private func attack(_ words: [String]) throws -> TestProcess {
            let attacker = try mount.compile("attacker", Self.attacker)
            mount.settle()
            let done = mount.path + "/done"
            try #require(FileManager.default.createFile(atPath: done, contents: nil))
            try #require(chmod(done, 0o666) == 0)
            let process = try TestProcess(attacker, [trusted, done] + words)
            try #require(eventually { (try? String(contentsOfFile: done, encoding: .utf8)) == "0" })
            return process
        }

        private func link(_ process: TestProcess) -> String? {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process.pid)/exe")
        }
    }
}
