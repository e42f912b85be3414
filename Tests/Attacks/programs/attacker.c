#include "attacker.h"

bool attacking;
const char *socket_path, *trusted_path, *work_path;

static void say_and_exit(const char *key, const char *what, int code) {
    char line[400];
    int count = snprintf(line, sizeof line, "{\"%s\":\"%s%s%s\"}\n", key, what, errno ? ": " : "",
                         errno ? strerror(errno) : "");
    if (write(1, line, (size_t)count) < 0) _exit(3);
    _exit(code);
}

void unsupported(const char *what) { say_and_exit("unsupported", what, 0), abort(); }
void kernel_refuses(const char *what) { say_and_exit("kernel_refuses", what, 0), abort(); }
void broken(const char *what) { say_and_exit("broken", what, 1), abort(); }

void say_line(int fd) {
    if (write(fd, "\n", 1) != 1) broken("say a line");
}

void staged(const char *details) {
    char line[200];
    int count = snprintf(line, sizeof line, "staged %s\n", details);
    if (write(1, line, (size_t)count) < 0) _exit(3);
    char answer[64];
    while (read(0, answer, sizeof answer) < 0 && errno == EINTR) {
    }
}

void become_trusted(const char *mode) {
    execl(trusted_path, trusted_path, mode, socket_path, (char *)NULL);
    broken("exec the trusted program");
}

struct victim start_trusted(const char *program, const char *mode, bool traced) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) broken("pipe");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        if (traced) syscall(SYS_ptrace, 0 /* PTRACE_TRACEME */, 0, 0, 0);
        execl(program, program, mode, socket_path, (char *)NULL);
        _exit(70);
    }
    close(in[0]);
    close(out[1]);
    if (!traced) {
        char line[2000];
        if (read(out[0], line, sizeof line) <= 0) broken("the trusted program said nothing");
    }
    return (struct victim){pid, in[1], out[0]};
}

int relay_verdict(struct victim *v) {
    char line[4000];
    ssize_t count = read(v->out, line, sizeof line);
    if (count <= 0) broken("the trusted program ended in silence");
    if (write(1, line, (size_t)count) != count) _exit(3);
    kill(v->pid, SIGKILL);
    waitpid(v->pid, NULL, 0);
    return 0;
}

static void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) unsupported(path);
    close(fd);
}

void enter_user_namespace(int more_flags, uid_t inside) {
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (unshare(CLONE_NEWUSER | more_flags) != 0) unsupported("user namespaces for ordinary users");
    char map[64];
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", inside, uid);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%u %u 1", inside, gid);
    write_text("/proc/self/gid_map", map);
}

void copy_file(const char *from, const char *to, mode_t mode) {
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (in < 0 || out < 0) broken("copy a file");
    static char buffer[1 << 16];
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        if (write(out, buffer, (size_t)n) != n) broken("copy a file");
    close(in);
    close(out);
    chmod(to, mode);
}

int speak(int fd, const char *note) {
    static struct talk t;
    t = talk_over(fd);
    request(&t);
    hear(&t, 1, 6);
    report(&t, note);
    return 0;
}

const char *in_work(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, 256, "%s/%s", work_path, name);
    return path;
}

static int honest(void) { return fetch(socket_path, "honest"); }

static const struct attack own[] = {{"honest", honest}, {0}};

int main(int count, char **arguments) {
    if (count < 6) {
        fprintf(stderr, "usage: attacker NAME attack|honest SOCKET TRUSTED WORK\n");
        return 64;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(25);
    signal(SIGPIPE, SIG_IGN);
    attacking = !strcmp(arguments[2], "attack");
    socket_path = arguments[3];
    trusted_path = arguments[4];
    work_path = arguments[5];
    const struct attack *tables[] = {own, handover_attacks, link_attacks, patch_attacks, file_attacks, stream_attacks,
                                     ring_attacks};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        for (const struct attack *a = tables[i]; a->name; a++) {
            if (strcmp(a->name, arguments[1])) continue;
            return a->play();
        }
    }
    fprintf(stderr, "no attack '%s'\n", arguments[1]);
    return 64;
}
