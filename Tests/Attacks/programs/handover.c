// The connection is made by one image or process, and used by another (A1, A2, A3, A8, A13).
#include "attacker.h"

#include <pthread.h>

static uint8_t words[1 << 16];

// The parent becomes the trusted program, under its own number; the child goes on here once that has happened.
static void parent_becomes(const char *mode) {
    int gone[2];
    char nothing;
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (fork() != 0) become_trusted(mode);
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    close(gone[0]);
    alarm(20);
}

static int connected(void) {
    int fd = dial(socket_path);
    if (fd < 0) broken("connect");
    return fd;
}

// The control of most: a child holds the socket as well, and leaves it alone.
static int speak_beside_a_child(void) {
    int fd = connected();
    if (fork() == 0) {
        pause();
        _exit(0);
    }
    return speak(fd, "beside a child");
}

// --- A1 ------------------------------------------------------------------------------------------

static int child_speaks(void) {
    if (!attacking) return speak_beside_a_child();
    int fd = connected();
    parent_becomes("wait");
    return speak(fd, "parent has become the trusted program");
}

static int child_speaks_and_is_mute_to_pings(void) {
    if (!attacking) return speak_beside_a_child();
    static struct talk t;
    int fd = connected();
    parent_becomes("wait");
    t = talk_over(fd);
    t.pongs = false;
    request(&t);
    hear(&t, 1, 6);
    report(&t, "no PING answered");
    return 0;
}

static int child_finishes_the_request(void) {
    if (!attacking) return speak_beside_a_child();
    static struct talk t;
    int fd = connected();
    size_t all = put_request(words);
    t = talk_over(fd);
    t.say(&t, words, all - 1);
    nap(0.05);
    parent_becomes("wait");
    t.say(&t, words + all - 1, 1);
    hear(&t, 1, 6);
    report(&t, "last byte from the child");
    return 0;
}

static void *exec_on_this_thread(void *unused) {
    (void)unused;
    become_trusted("wait");
}

// exec from a thread that is not the first: the number stays, every other thread ends.
static int another_thread_execs(void) {
    if (!attacking) return speak_beside_a_child();
    int gone[2], fd = connected();
    char nothing;
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (fork() != 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, exec_on_this_thread, NULL);
        pthread_join(thread, NULL);
        broken("exec on a thread");
    }
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    return speak(fd, "another thread has become the trusted program");
}

static size_t *said; // shared with the child

static void *keep_speaking(void *fd) {
    while (*said < put_request(words) - 1 && send(*(int *)fd, words + *said, 1, MSG_NOSIGNAL) == 1) {
        ++*said;
        nap(0.005); // mostly here, so that the count is true when exec ends this thread
    }
    return NULL;
}

// One thread is in the middle of the request when another executes; the child says the rest.
static int cut_by_exec(void) {
    if (!attacking) return speak_beside_a_child();
    static int fd;
    static struct talk t;
    int gone[2];
    char nothing;
    fd = connected();
    size_t all = put_request(words);
    said = mmap(NULL, sizeof *said, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (said == MAP_FAILED || pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (fork() != 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, keep_speaking, &fd);
        nap(0.02);
        become_trusted("wait");
    }
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    t = talk_over(fd);
    t.say(&t, words + *said, all - *said);
    hear(&t, 1, 6);
    char note[60];
    snprintf(note, sizeof note, "cut after %zu of %zu bytes", *said, all);
    report(&t, note);
    return 0;
}

static char stack[1 << 16] __attribute__((aligned(16)));

static int connect_then_exec(void *fd) {
    *(int *)fd = dial(socket_path);
    if (*(int *)fd < 0) _exit(71);
    become_trusted("wait");
}

static int pause_only(void *unused) {
    (void)unused;
    pause();
    return 0;
}

// A child that shares memory and descriptors connects and executes; its parent is left with the socket.
static int vfork_child_connects(void) {
    static int fd;
    if (!attacking) {
        clone(pause_only, stack + sizeof stack, CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
        return speak(connected(), "a child shares the descriptors");
    }
    if (clone(connect_then_exec, stack + sizeof stack, CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &fd) < 0)
        unsupported("clone with shared memory");
    return speak(fd, "the vfork child has become the trusted program");
}

static int shared_fd;

static int speak_over_shared_descriptors(void *unused) {
    (void)unused;
    // The table is shared until the other executes, which gives it one of its own.
    char exe[256];
    for (int i = 0; i < 1000; i++) {
        char link[40];
        snprintf(link, sizeof link, "/proc/%d/exe", getppid());
        ssize_t count = readlink(link, exe, sizeof exe - 1);
        if (count > 0 && (exe[count] = 0, !strcmp(exe, trusted_path))) break;
        nap(0.005);
    }
    return speak(shared_fd, "over a shared descriptor table");
}

static int shared_descriptor_table(void) {
    if (!attacking) {
        clone(pause_only, stack + sizeof stack, CLONE_FILES | SIGCHLD, NULL);
        return speak(connected(), "a child shares the descriptors");
    }
    shared_fd = 100;
    // Without shared memory: the number is agreed on before.
    if (clone(speak_over_shared_descriptors, stack + sizeof stack, CLONE_FILES | SIGCHLD, NULL) < 0)
        unsupported("clone with shared descriptors");
    if (dup2(connected(), 100) != 100) broken("dup2");
    become_trusted("wait");
}

static void send_descriptor(int over, int fd) {
    char byte = 0;
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    if (sendmsg(over, &message, 0) != 1) broken("SCM_RIGHTS");
}

static int receive_descriptor(int over) {
    char byte;
    int fd = -1;
    union {
        char room[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    if (recvmsg(over, &message, 0) != 1) broken("SCM_RIGHTS");
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static int passed_with_scm_rights(void) {
    int pair[2], gone[2];
    char nothing;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe2(gone, O_CLOEXEC)) broken("socketpair");
    if (fork() != 0) {
        int fd = connected();
        send_descriptor(pair[0], fd);
        if (!attacking) return speak(fd, "a child has a copy of the socket");
        close(fd);
        become_trusted("wait");
    }
    close(gone[1]);
    int fd = receive_descriptor(pair[1]);
    if (!attacking) return pause();
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    return speak(fd, "passed with SCM_RIGHTS");
}

// --- A2 ------------------------------------------------------------------------------------------

static int listen_and_report(int fd, const char *note) {
    static struct talk t;
    t = talk_over(fd);
    hear(&t, 1, 4);
    report(&t, note);
    return 0;
}

// Everything was said by the connector itself before it executed; an accomplice only listens.
static int many_streams_then_exec(void) {
    if (!attacking) return speak_beside_a_child();
    int fd = connected();
    size_t all = put_greeting(words);
    for (uint32_t stream = 1; stream < 2 * 90; stream += 2) all += put_call(words + all, stream, "FetchX509SVID");
    int gone[2];
    char nothing;
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (fork() != 0) {
        if (send(fd, words, all, 0) != (ssize_t)all) broken("send at once");
        become_trusted("wait");
    }
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    static struct talk t;
    t = talk_over(fd);
    double deadline = now_seconds() + 4;
    // The first refusal is not the end: one of the others may do.
    while (t.messages == 0 && now_seconds() < deadline) {
        hear(&t, 1, 1);
        if (!strcmp(t.ending, "status")) t.ending[0] = 0;
        if (t.ending[0]) break;
    }
    report(&t, "90 calls before the exec");
    return 0;
}

// Challenges of an earlier call, answered again in advance, with guesses.
static int replayed_and_guessed_pongs(void) {
    if (!attacking) return staged("nothing"), staged("nothing"), speak_beside_a_child();
    static struct talk t;
    int fd = connected();
    t = talk_over(fd);
    request(&t);
    hear(&t, 1, 2);
    staged("answered once"); // the test stops the agent
    size_t all = put_call(words, 3, "FetchX509SVID");
    srand((unsigned)getpid());
    for (int i = 0; i < 8; i++) {
        uint8_t guess[8];
        for (int j = 0; j < 8; j++) guess[j] = (uint8_t)rand();
        all += put_frame(words + all, H2_PING, H2_ACK, 0, i % 2 ? guess : t.last_ping, 8);
    }
    int gone[2];
    char nothing;
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (fork() != 0) {
        t.say(&t, words, all);
        become_trusted("wait");
    }
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    char note[60];
    snprintf(note, sizeof note, "after %d challenges", t.pings);
    staged("executed"); // and lets it go on
    return listen_and_report(fd, note);
}

// The test has stopped the agent: the connection and the whole request wait in the backlog while we execute.
static int exec_in_the_backlog(void) {
    if (!attacking) {
        int fd = connected();
        staged("connected");
        return speak(fd, "waited in the backlog");
    }
    int fd = connected();
    if (send(fd, words, put_request(words), 0) < 0) broken("send");
    parent_becomes("wait");
    staged("executed");
    return listen_and_report(fd, "executed in the backlog");
}

// The trusted program copies its stdin to its stdout, and its stdout is the connection.
static int through_a_relay(bool in_backlog) {
    if (!attacking) {
        int fd = connected();
        if (in_backlog) staged("connected");
        return speak(fd, "no relay");
    }
    int words_in[2], gone[2], fd = connected();
    char nothing;
    if (pipe(words_in) || pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (!in_backlog) nap(0.2); // accepted by now
    if (fork() != 0) {
        dup2(words_in[0], 0);
        close(words_in[0]);
        close(words_in[1]);
        dup2(fd, 1);
        become_trusted("relay");
    }
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    if (in_backlog) staged("executed");
    static struct talk t;
    extern ssize_t say_into_pipe(struct talk *, const void *, size_t);
    extern int relay_pipe;
    relay_pipe = words_in[1];
    t = talk_over(fd);
    t.say = say_into_pipe;
    request(&t);
    hear(&t, 1, 6);
    report(&t, "written by the trusted program");
    return 0;
}

int relay_pipe;
ssize_t say_into_pipe(struct talk *t, const void *bytes, size_t count) {
    (void)t;
    return write(relay_pipe, bytes, count);
}

static int relay_after_accept(void) { return through_a_relay(false); }
static int relay_in_the_backlog(void) { return through_a_relay(true); }

// --- A3, A8 --------------------------------------------------------------------------------------

static int connector_dies(void) {
    if (!attacking) return speak_beside_a_child();
    int fd, gone[2];
    char nothing;
    fd = connected();
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    nap(0.1); // accepted by now
    if (fork() != 0) _exit(0);
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    return speak(fd, "connector is dead");
}

static int steal(bool kill_after) {
    struct victim v = start_trusted(trusted_path, attacking ? "hold" : "later", false);
    if (!attacking) {
        say_line(v.in);
        return relay_verdict(&v);
    }
    int pidfd = (int)syscall(SYS_pidfd_open, v.pid, 0);
    if (pidfd < 0) unsupported("pidfd_open");
    for (int fd = 3; fd < 20; fd++) {
        int got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
        struct sockaddr_un address;
        socklen_t size = sizeof address;
        if (got < 0 && errno == EPERM) unsupported("pidfd_getfd of an own process");
        if (got < 0 || getpeername(got, (struct sockaddr *)&address, &size) != 0 || address.sun_family != AF_UNIX)
            continue;
        nap(0.1); // accepted by now
        if (kill_after) kill(v.pid, SIGKILL), waitpid(v.pid, NULL, 0);
        return speak(got, "stolen from the trusted program");
    }
    broken("no socket found in the trusted program");
}

static int stolen_with_pidfd_getfd(void) { return steal(false); }
static int stolen_from_the_dead(void) { return steal(true); }

// The test, being root, gives the dead connector's number to the trusted program.
static int number_used_again(void) {
    if (!attacking) return speak_beside_a_child();
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) broken("socketpair");
    pid_t connector = fork();
    if (connector == 0) {
        send_descriptor(pair[0], connected());
        nap(0.2); // accepted by now
        _exit(0);
    }
    int fd = receive_descriptor(pair[1]);
    waitpid(connector, NULL, 0);
    char number[20];
    snprintf(number, sizeof number, "%d", connector);
    staged(number);
    return speak(fd, "the connector's number is the trusted program's");
}

// --- A13 -----------------------------------------------------------------------------------------

static pid_t pretended;

static ssize_t say_as_another(struct talk *t, const void *bytes, size_t count) {
    struct ucred who = {pretended, getuid(), getgid()};
    union {
        char room[CMSG_SPACE(sizeof who)];
        struct cmsghdr align;
    } control;
    struct iovec vector = {(void *)bytes, count};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_CREDENTIALS;
    head->cmsg_len = CMSG_LEN(sizeof who);
    memcpy(CMSG_DATA(head), &who, sizeof who);
    return sendmsg(t->fd, &message, MSG_NOSIGNAL);
}

static int forged(bool in_backlog) {
    static struct talk t;
    if (!attacking) {
        int fd = connected();
        if (in_backlog) staged("connected");
        t = talk_over(fd);
        pretended = getpid();
        t.say = say_as_another;
        request(&t);
        hear(&t, 1, 6);
        report(&t, "its true number");
        return 0;
    }
    enter_user_namespace(CLONE_NEWPID, getuid());
    if (fork() != 0) return pause();
    // The first process of a PID namespace, which becomes the trusted program; its child pretends to be it.
    int fd = connected();
    if (!in_backlog) nap(0.2); // accepted by now
    parent_becomes("wait");
    pretended = 1;
    t = talk_over(fd);
    t.say = say_as_another;
    uint8_t nothing_yet[1024];
    if (in_backlog) {
        t.say(&t, nothing_yet, put_request(nothing_yet));
        staged("executed");
    } else {
        request(&t);
    }
    hear(&t, 1, 6);
    report(&t, "sender forged");
    return 0;
}

static int forged_after_accept(void) { return forged(false); }
static int forged_in_the_backlog(void) { return forged(true); }

// Without a namespace of one's own, the kernel does not allow it.
static int forged_without_namespace(void) {
    if (!attacking) return forged(false);
    static struct talk t;
    int fd = connected();
    struct victim v = start_trusted(trusted_path, "later", false);
    pretended = v.pid;
    t = talk_over(fd);
    t.say = say_as_another;
    uint8_t out[1024];
    if (t.say(&t, out, put_request(out)) < 0 && errno == EPERM) kernel_refuses("SCM_CREDENTIALS of another process");
    hear(&t, 1, 6);
    report(&t, "sender forged");
    return 0;
}

const struct attack handover_attacks[] = {
    {"child-speaks", child_speaks},
    {"child-mute-to-pings", child_speaks_and_is_mute_to_pings},
    {"child-finishes-request", child_finishes_the_request},
    {"another-thread-execs", another_thread_execs},
    {"cut-by-exec", cut_by_exec},
    {"vfork-child-connects", vfork_child_connects},
    {"shared-descriptor-table", shared_descriptor_table},
    {"scm-rights", passed_with_scm_rights},
    {"many-streams-then-exec", many_streams_then_exec},
    {"replayed-pongs", replayed_and_guessed_pongs},
    {"exec-in-backlog", exec_in_the_backlog},
    {"relay-after-accept", relay_after_accept},
    {"relay-in-backlog", relay_in_the_backlog},
    {"connector-dies", connector_dies},
    {"stolen-socket", stolen_with_pidfd_getfd},
    {"stolen-from-the-dead", stolen_from_the_dead},
    {"number-used-again", number_used_again},
    {"forged-sender", forged_after_accept},
    {"forged-sender-in-backlog", forged_in_the_backlog},
    {"forged-without-namespace", forged_without_namespace},
    {0},
};
