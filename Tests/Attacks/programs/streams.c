// The stream is opened by honest code, which then changes (A12); and costs that one user causes (A10).
#include "attacker.h"

#include <sys/resource.h>

static struct talk t;

static void open_stream(void) {
    t = talk_over(dial(socket_path));
    request(&t);
    hear(&t, 1, 6);
    if (t.messages != 1) {
        report(&t, "no stream to begin with");
        _exit(0);
    }
}

// What comes after the first answer.
static int next_push(const char *note) {
    t.ids[0] = 0;
    t.messages = 0;
    staged(note); // the test makes the agent push
    hear(&t, 1, 6);
    report(&t, note);
    return 0;
}

// Whoever opened it executes something else; a child goes on reading.
static int stream_then_exec(void) {
    open_stream();
    if (!attacking) return next_push("unchanged");
    int gone[2];
    char nothing;
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (fork() != 0) become_trusted("wait");
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    return next_push("executed");
}

// The same file, so the same digest, and yet another image.
static int stream_then_exec_of_itself(void) {
    open_stream();
    if (!attacking) return next_push("unchanged");
    int gone[2];
    char nothing;
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (fork() != 0) {
        execl("/proc/self/exe", "attacker", "sleep", "attack", socket_path, trusted_path, work_path, (char *)NULL);
        broken("exec itself");
    }
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    return next_push("executed itself");
}

static int just_sleep(void) { return pause(); }

static int stream_then_library(void) {
    open_stream();
    if (attacking) {
        const char *path = in_work("injected.so");
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        if (fd < 0 || ftruncate(fd, 8192) != 0) broken("a library");
        if (mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0) == MAP_FAILED) broken("map a library");
        close(fd);
    }
    return next_push("library mapped");
}

static int stream_then_executable_memory(void) {
    open_stream();
    if (attacking) {
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        page[0] = 1;
        if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0) unsupported("mprotect to executable");
    }
    return next_push("memory made executable");
}

// A page of a file, private and written to, that becomes code only now.
static int stream_then_private_page(void) {
    open_stream();
    if (attacking) {
        int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        if (page == MAP_FAILED) broken("map the own program");
        *(volatile char *)page = *(volatile char *)page;
        close(fd);
        if (mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0) unsupported("mprotect to executable");
    }
    return next_push("private page made executable");
}

static int stream_then_patched_text(void) {
    open_stream();
    if (attacking) {
        void *page = (void *)((uintptr_t)&just_sleep & ~0xffful);
        if (mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) unsupported("writable text");
        *(volatile char *)page = *(volatile char *)page;
        mprotect(page, 4096, PROT_READ | PROT_EXEC);
    }
    return next_push("own text written");
}

// --- A10 -----------------------------------------------------------------------------------------

// Many processes connect and ask, again and again, until the test has seen enough.
static int storm(void) {
    int processes = attacking ? 500 : 1;
    for (int i = 0; i < processes; i++) {
        pid_t child = fork();
        if (child < 0) break;
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            alarm(20);
            static struct talk mine;
            for (;;) {
                int fd = dial(socket_path);
                if (fd < 0) {
                    nap(0.01);
                    continue;
                }
                mine = talk_over(fd);
                request(&mine);
                hear(&mine, 1, 2);
                close(fd);
                nap(0.02); // it is the agent that is to be kept busy, not the processors
            }
        }
    }
    staged("storming");
    return 0;
}

// Connections that say nothing, as many as the user may have.
static int silent_connections(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int made = 0;
    double deadline = now_seconds() + 4;
    for (int i = 0; i < (attacking ? 3000 : 1) && now_seconds() < deadline; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, socket_path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (fd < 0) break;
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) made++;
        else close(fd), nap(0.002);
    }
    char note[40];
    snprintf(note, sizeof note, "%d connections", made);
    staged(note);
    return 0;
}

// As many mappings as a process may have, each one to be looked at.
static int many_mappings(void) {
    if (attacking) {
        int fd = open(trusted_path, O_RDONLY | O_CLOEXEC);
        for (int i = 0; i < 60000; i++) {
            int protection = i % 2 ? PROT_READ | PROT_EXEC : PROT_READ;
            if (mmap(NULL, 4096, protection, MAP_PRIVATE, fd, 4096 * (off_t)(i % 200)) == MAP_FAILED) break;
        }
    }
    static struct talk mine;
    for (int i = 0; i < 8; i++) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            alarm(20);
            for (;;) {
                int fd = dial(socket_path);
                if (fd < 0) continue;
                mine = talk_over(fd);
                request(&mine);
                hear(&mine, 1, 2);
                close(fd);
            }
        }
    }
    staged("asking");
    return 0;
}

const struct attack stream_attacks[] = {
    {"stream-then-exec", stream_then_exec},
    {"stream-then-exec-itself", stream_then_exec_of_itself},
    {"sleep", just_sleep},
    {"stream-then-library", stream_then_library},
    {"stream-then-executable-memory", stream_then_executable_memory},
    {"stream-then-private-page", stream_then_private_page},
    {"stream-then-patched-text", stream_then_patched_text},
    {"storm", storm},
    {"silent-connections", silent_connections},
    {"many-mappings", many_mappings},
    {0},
};
