// Files and names that are not what they were, or where they seem to be (A7, A9, A11, A14).
#include "attacker.h"

#include <libgen.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

static char own_file[256];

static const char *own_path(void) {
    ssize_t count = readlink("/proc/self/exe", own_file, sizeof own_file - 1);
    if (count <= 0) broken("readlink");
    own_file[count] = 0;
    return own_file;
}

// A program of the attacker's, under a name: it fetches like any other.
static void execute_as(const char *path, const char *name) {
    execl(path, name, "honest", "attack", socket_path, trusted_path, work_path, (char *)NULL);
    broken("exec");
}

static void make_folders(const char *path) {
    char part[300];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(part, 0755);
        *slash = '/';
    }
}

static void mount_or_skip(
    const char *what, const char *where, const char *type, unsigned long flags, const char *data) {
    if (mount(what, where, type, flags, data) != 0) unsupported("mounting in an own namespace");
}

// --- A7: the trusted program's path, in a mount namespace of one's own -----------------------------

static int decoy_bind(void) {
    if (!attacking) become_trusted("fetch");
    enter_user_namespace(CLONE_NEWNS, 0);
    mount_or_skip(own_path(), trusted_path, NULL, MS_BIND, NULL);
    execute_as(trusted_path, "trusted");
    return 1;
}

static int decoy_overlay(void) {
    if (!attacking) become_trusted("fetch");
    char folder[256], options[900], copy[300];
    snprintf(folder, sizeof folder, "%s", trusted_path);
    char *stage = dirname(folder);
    const char *upper = in_work("upper"), *scratch = in_work("scratch");
    mkdir(upper, 0755);
    mkdir(scratch, 0755);
    snprintf(copy, sizeof copy, "%s/trusted", upper);
    copy_file(own_path(), copy, 0755);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s,userxattr", stage, upper, scratch);
    enter_user_namespace(CLONE_NEWNS, 0);
    mount_or_skip("overlay", stage, "overlay", 0, options);
    execute_as(trusted_path, "trusted");
    return 1;
}

// A root of one's own, with the agent's socket and something else at the trusted path.
static int decoy_root(bool pivot) {
    if (!attacking) become_trusted("fetch");
    char folder[256], there[600];
    const char *root = in_work("root");
    own_path();
    enter_user_namespace(CLONE_NEWNS, 0);
    mkdir(root, 0755);
    mount_or_skip("tmpfs", root, "tmpfs", 0, NULL);
    snprintf(there, sizeof there, "%s%s", root, trusted_path);
    make_folders(there);
    copy_file(own_file, there, 0755);
    snprintf(folder, sizeof folder, "%s", socket_path);
    const char *home = dirname(folder);
    snprintf(there, sizeof there, "%s%s/", root, home);
    make_folders(there);
    mount_or_skip(home, there, NULL, MS_BIND, NULL);
    if (chdir(root) != 0) broken("chdir");
    if (pivot) {
        if (syscall(SYS_pivot_root, ".", ".") != 0) unsupported("pivot_root in an own namespace");
        umount2(".", MNT_DETACH);
    } else if (chroot(".") != 0) {
        unsupported("chroot in an own namespace");
    }
    if (chdir("/") != 0) broken("chdir");
    execute_as(trusted_path, "trusted");
    return 1;
}

static int decoy_chroot(void) { return decoy_root(false); }
static int decoy_pivot(void) { return decoy_root(true); }

// --- A7: files without a place --------------------------------------------------------------------

// The right bytes, in memory that its owner made.
static int memfd_copy(void) {
    if (!attacking) become_trusted("fetch");
    int fd = (int)syscall(SYS_memfd_create, "trusted", 0), in = open(trusted_path, O_RDONLY | O_CLOEXEC);
    static char buffer[1 << 16];
    if (fd < 0) unsupported("memfd_create");
    for (ssize_t n; (n = read(in, buffer, sizeof buffer)) > 0;)
        if (write(fd, buffer, (size_t)n) != n) broken("write");
    extern char **environ;
    char *arguments[] = {(char *)trusted_path, "fetch", (char *)socket_path, NULL};
    syscall(SYS_execveat, fd, "", arguments, environ, 0x1000 /* AT_EMPTY_PATH */);
    unsupported("executing a memfd");
}

// Long enough that a file counts as older than what happens next.
static void let_it_age(void) { nap(0.15); }

// Runs from a path at which, when the agent looks, the trusted program's bytes are.
static int replaced_file(void) {
    const char *path = in_work("program"), *other = in_work("other");
    copy_file(attacking ? own_path() : trusted_path, path, 0755);
    copy_file(attacking ? trusted_path : own_path(), other, 0755);
    let_it_age();
    if (attacking) {
        int go[2], gone[2];
        char nothing;
        if (pipe(go) || pipe2(gone, O_CLOEXEC)) broken("pipe");
        if (fork() == 0) {
            close(gone[1]);
            while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
            }
            if (rename(other, path) != 0) _exit(71);
            staged("replaced");
            say_line(go[1]);
            _exit(0);
        }
        dup2(go[0], 0);
        execl(path, "trusted", "honest-later", "attack", socket_path, trusted_path, work_path, (char *)NULL);
        broken("exec");
    }
    struct victim v = start_trusted(path, "later", false);
    say_line(v.in);
    return relay_verdict(&v);
}

static int honest_later(void) {
    char line[8];
    while (read(0, line, sizeof line) < 0 && errno == EINTR) {
    }
    return fetch(socket_path, "its file was replaced");
}

// --- A9 ------------------------------------------------------------------------------------------

static int forged_names(void) {
    if (!attacking) return fetch(socket_path, "own names");
    prctl(PR_SET_NAME, "trusted");
    execute_as(own_path(), trusted_path);
    return 1;
}

// A uid that is 0 inside.
static int root_inside(void) {
    if (!attacking) become_trusted("fetch");
    enter_user_namespace(0, 0);
    become_trusted("fetch");
}

// --- A11 -----------------------------------------------------------------------------------------

static char *find_ballast(char *bytes, size_t count) {
    char *found = memmem(bytes, count, "ballast:0", 9);
    if (!found) broken("no ballast in the trusted program");
    return found + 8;
}

static bool fetch_quietly(const char *program) {
    pid_t pid = fork();
    if (pid == 0) {
        dup2(open("/dev/null", O_WRONLY), 1);
        execl(program, program, "fetch", socket_path, (char *)NULL);
        _exit(70);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static off_t ballast_offset(const char *path, off_t *size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;
    if (fd < 0 || fstat(fd, &s) != 0) broken("open the copy");
    char *bytes = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    off_t at = find_ballast(bytes, (size_t)s.st_size) - bytes;
    munmap(bytes, (size_t)s.st_size);
    close(fd);
    *size = s.st_size;
    return at;
}

// An own copy of the trusted program is served, so its digest may be remembered. Then it becomes another one.
static int change_behind_the_cache(void (*change)(const char *, off_t, const struct stat *)) {
    const char *path = in_work("copy");
    struct stat before;
    off_t size;
    copy_file(trusted_path, path, 0755);
    off_t at = ballast_offset(path, &size);
    let_it_age();
    if (!fetch_quietly(path) || !fetch_quietly(path)) broken("the honest copy is refused");
    if (stat(path, &before) != 0) broken("stat");
    if (attacking) {
        change(path, at, &before);
        struct timespec times[2] = {before.st_atim, before.st_mtim};
        if (utimensat(AT_FDCWD, path, times, 0) != 0) broken("utimensat");
        struct stat after;
        stat(path, &after);
        let_it_age();
        if (after.st_size != before.st_size || after.st_mtim.tv_nsec != before.st_mtim.tv_nsec) broken("not the same");
    }
    execl(path, path, "fetch", socket_path, (char *)NULL);
    broken("exec");
}

static void change_in_place(const char *path, off_t at, const struct stat *before) {
    (void)before;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, "1", 1, at) != 1) broken("change the copy");
    close(fd);
}

static void change_by_mapping(const char *path, off_t at, const struct stat *before) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    char *bytes = mmap(NULL, (size_t)before->st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) broken("map the copy");
    bytes[at] = '1';
    munmap(bytes, (size_t)before->st_size);
    close(fd);
}

static void change_by_the_same_inode(const char *path, off_t at, const struct stat *before) {
    struct stat now = {0};
    unlink(path);
    // Others may be given the number first: keep what is not it.
    for (int i = 0; i < 500 && now.st_ino != before->st_ino; i++) {
        char name[300];
        snprintf(name, sizeof name, "%s.%d", path, i);
        int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        if (fd < 0 || fstat(fd, &now) != 0) broken("make a file");
        close(fd);
        if (now.st_ino == before->st_ino && rename(name, path) != 0) broken("rename");
    }
    errno = 0;
    if (now.st_ino != before->st_ino) unsupported("an inode number that is used again");
    copy_file(trusted_path, path, 0755);
    change_in_place(path, at, before);
}

// Memory that is a file system: it notes a store through a mapping once, when the page is first touched, and some
// kernels do so only as finely as their clock ticks.
static int cache_on_tmpfs(void) {
    const char *folder = "/dev/shm";
    char path[64] = "/dev/shm/mintmark-attack-XXXXXX";
    struct statfs kind;
    struct statvfs flags;
    struct stat before, after;
    off_t size;
    errno = 0;
    if (statfs(folder, &kind) != 0 || kind.f_type != 0x01021994) unsupported("a tmpfs for everyone");
    if (statvfs(folder, &flags) != 0 || flags.f_flag & ST_NOEXEC) unsupported("programs on tmpfs");
    int fd = mkstemp(path);
    if (fd < 0) unsupported("files on tmpfs");
    close(fd);
    copy_file(trusted_path, path, 0755);
    off_t at = ballast_offset(path, &size);
    // The host may keep coarse times.
    nap(2.5);
    if (!fetch_quietly(path) || !fetch_quietly(path)) {
        unlink(path);
        broken("the honest copy is refused");
    }
    if (stat(path, &before) != 0) broken("stat");
    if (attacking) {
        struct timespec times[2] = {before.st_atim, before.st_mtim};
        change_by_mapping(path, at, &before);
        if (utimensat(AT_FDCWD, path, times, 0) != 0 || stat(path, &after) != 0) broken("utimensat");
        if (after.st_size != before.st_size || after.st_mtim.tv_nsec != before.st_mtim.tv_nsec) broken("not the same");
    }
    pid_t child = fork();
    if (child == 0) {
        execl(path, path, "fetch", socket_path, (char *)NULL);
        broken("exec");
    }
    waitpid(child, NULL, 0);
    unlink(path);
    return 0;
}

static int cache_same_size_and_time(void) { return change_behind_the_cache(change_in_place); }
static int cache_mapped_store(void) { return change_behind_the_cache(change_by_mapping); }
static int cache_inode_again(void) { return change_behind_the_cache(change_by_the_same_inode); }

// --- A14 -----------------------------------------------------------------------------------------

// Stores through a shared mapping race with the exec: whenever an exec succeeds, what runs says which bytes it has. The
// trusted program, and it alone, may be served.
static int store_during_exec(void) {
    const char *path = in_work("copy");
    off_t size;
    copy_file(trusted_path, path, 0755);
    off_t at = ballast_offset(path, &size);
    if (!attacking) {
        let_it_age();
        execl(path, path, "fetch", socket_path, (char *)NULL);
        broken("exec");
    }
    int ran = 0, busy = 0, served_wrongly = 0, served = 0;
    double deadline = now_seconds() + 2;
    volatile int *mapped = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    while (now_seconds() < deadline) {
        int out[2];
        if (pipe(out)) broken("pipe");
        // Holds the right bytes; lets go at a moment that nobody knows, every other time after storing a wrong one.
        bool stores = ran % 2 == 0;
        long delay = (rand() % 4000) * 20;
        *mapped = 0;
        pid_t writer = fork();
        if (writer == 0) {
            int fd = open(path, O_RDWR | O_CLOEXEC);
            char *bytes = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            close(fd);
            bytes[at] = '0';
            *mapped = 1;
            for (volatile long i = 0; i < delay; i++) {
            }
            if (stores) bytes[at] = '1';
            munmap(bytes, (size_t)size);
            _exit(0);
        }
        while (!*mapped && kill(writer, 0) == 0) sched_yield();
        pid_t runner = fork();
        if (runner == 0) {
            dup2(out[1], 1);
            for (int i = 0; i < 2000; i++) execl(path, path, "fetch", socket_path, (char *)NULL);
            _exit(70);
        }
        close(out[1]);
        char said[2000];
        ssize_t count = read(out[0], said, sizeof said - 1);
        close(out[0]);
        waitpid(writer, NULL, 0);
        // Nobody writes while it runs: what the file holds now is what ran.
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char byte = 0;
        if (pread(fd, &byte, 1, at) != 1) broken("read the copy");
        close(fd);
        waitpid(runner, NULL, 0);
        if (count <= 0) {
            busy++;
            continue;
        }
        said[count] = 0;
        ran++;
        if (strstr(said, "spiffe://")) {
            served++;
            if (byte == '1') served_wrongly++;
        }
    }
    static struct talk t;
    char note[100];
    t = talk_over(-1);
    if (served_wrongly) snprintf(t.ids, sizeof t.ids, "\"spiffe://wrongly.served\"");
    snprintf(t.message, sizeof t.message, "no identity issued");
    t.status = 7;
    snprintf(note, sizeof note, "%d ran, %d busy, %d served, %d of them wrongly", ran, busy, served, served_wrongly);
    report(&t, note);
    return 0;
}

// --- A10 -----------------------------------------------------------------------------------------

// The trusted program with ten gigabytes of nothing behind it.
static int sparse_file(void) {
    const char *path = in_work("sparse");
    copy_file(trusted_path, path, 0755);
    if (attacking && truncate(path, 10ll << 30) != 0) unsupported("sparse files of this size");
    let_it_age();
    execl(path, path, "fetch", socket_path, (char *)NULL);
    broken("exec");
}

const struct attack file_attacks[] = {
    {"decoy-bind", decoy_bind},
    {"decoy-overlay", decoy_overlay},
    {"decoy-chroot", decoy_chroot},
    {"decoy-pivot", decoy_pivot},
    {"memfd-copy", memfd_copy},
    {"replaced-file", replaced_file},
    {"honest-later", honest_later},
    {"forged-names", forged_names},
    {"root-inside", root_inside},
    {"cache-same-size-and-time", cache_same_size_and_time},
    {"cache-mapped-store", cache_mapped_store},
    {"cache-inode-again", cache_inode_again},
    {"cache-on-tmpfs", cache_on_tmpfs},
    {"store-during-exec", store_during_exec},
    {"sparse-file", sparse_file},
    {0},
};
