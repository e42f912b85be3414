// io_uring writes in the name of the process that made the ring, or of a thread of it. None of that may outlive an
// exec.
#include "attacker.h"

#include <linux/io_uring.h>
#include <linux/time_types.h>

struct ring {
    int fd;
    struct io_uring_params p;
    uint8_t *rings;
    struct io_uring_sqe *entries;
};

static struct ring make_ring(unsigned flags) {
    struct ring r = {.p = {.flags = flags, .sq_thread_idle = 10000}};
    r.fd = (int)syscall(SYS_io_uring_setup, 16, &r.p);
    if (r.fd < 0) unsupported("io_uring for ordinary users");
    fcntl(r.fd, F_SETFD, 0); // survives exec, like the socket
    size_t room = r.p.cq_off.cqes + r.p.cq_entries * sizeof(struct io_uring_cqe);
    size_t other = r.p.sq_off.array + r.p.sq_entries * sizeof(uint32_t);
    r.rings = mmap(NULL, room > other ? room : other, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQ_RING);
    r.entries = mmap(NULL, 16 * sizeof *r.entries, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, IORING_OFF_SQES);
    if (r.rings == MAP_FAILED || r.entries == MAP_FAILED) broken("map the ring");
    return r;
}

static struct io_uring_sqe *put_entry(struct ring *r) {
    uint32_t *tail = (uint32_t *)(r->rings + r->p.sq_off.tail), *array = (uint32_t *)(r->rings + r->p.sq_off.array);
    uint32_t index = *tail & (r->p.sq_entries - 1);
    array[index] = index;
    memset(&r->entries[index], 0, sizeof *r->entries);
    return &r->entries[index];
}

static void commit_entry(struct ring *r) {
    uint32_t *tail = (uint32_t *)(r->rings + r->p.sq_off.tail);
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

static struct ring shared;
static uint8_t *words; // shared with the kernel's thread, so with its own lifetime

// Has the kernel's thread, which belongs to whoever made the ring, write.
static ssize_t say_through_ring(struct talk *t, const void *bytes, size_t count) {
    static size_t at;
    memcpy(words + at, bytes, count);
    struct io_uring_sqe *e = put_entry(&shared);
    e->opcode = IORING_OP_SEND;
    e->fd = t->fd;
    e->addr = (uintptr_t)(words + at);
    e->len = (uint32_t)count;
    commit_entry(&shared);
    at += count;
    if (shared.p.flags & IORING_SETUP_SQPOLL) {
        uint32_t *flags = (uint32_t *)(shared.rings + shared.p.sq_off.flags);
        if (__atomic_load_n(flags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
            syscall(SYS_io_uring_enter, shared.fd, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
        return (ssize_t)count;
    }
    return syscall(SYS_io_uring_enter, shared.fd, 1, 0, 0, NULL, 0) == 1 ? (ssize_t)count : -1;
}

// A child drives the parent's ring; the parent stays what it is (control) or executes.
static int drive_a_ring(unsigned flags) {
    static struct talk t;
    int gone[2];
    char nothing;
    words = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = dial(socket_path);
    shared = make_ring(flags);
    t = talk_over(fd);
    t.say = say_through_ring;
    if (!attacking) {
        request(&t);
        hear(&t, 1, 6);
        report(&t, "through its own ring");
        return 0;
    }
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    if (fork() != 0) become_trusted("wait");
    close(gone[1]);
    while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
    }
    request(&t);
    hear(&t, 1, 2);
    report(&t, "through the ring of the parent");
    return 0;
}

static int polled(void) { return drive_a_ring(IORING_SETUP_SQPOLL); }
static int submitted(void) { return drive_a_ring(0); }

// The rest of the request is to be written by the kernel, a moment after the exec.
static int timed(void) {
    static struct talk t;
    static struct __kernel_timespec moment = {.tv_nsec = 150000000};
    words = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int gone[2], fd = dial(socket_path);
    char nothing;
    size_t all = put_request(words);
    t = talk_over(fd);
    struct ring r = make_ring(0);
    if (pipe2(gone, O_CLOEXEC)) broken("pipe");
    nap(0.05);
    staged("connected"); // the test stops the agent
    if (attacking && fork() == 0) {
        close(gone[1]);
        while (read(gone[0], &nothing, 1) < 0 && errno == EINTR) {
        }
        nap(0.4); // nothing may be said before the greeting
        staged("executed"); // and lets it go on
        hear(&t, 1, 2);
        report(&t, "written by the kernel after the exec");
        return 0;
    }
    struct io_uring_sqe *e = put_entry(&r);
    e->opcode = IORING_OP_TIMEOUT;
    e->fd = -1;
    e->addr = (uintptr_t)&moment;
    e->len = 1;
    e->flags = IOSQE_IO_HARDLINK;
    commit_entry(&r);
    e = put_entry(&r);
    e->opcode = IORING_OP_SEND;
    e->fd = fd;
    e->addr = (uintptr_t)words;
    e->len = (uint32_t)all;
    commit_entry(&r);
    if (syscall(SYS_io_uring_enter, r.fd, 2, 0, 0, NULL, 0) != 2) broken("submit");
    if (attacking) become_trusted("wait");
    nap(0.4);
    staged("said");
    hear(&t, 1, 6);
    report(&t, "written by the kernel a moment later");
    return 0;
}

const struct attack ring_attacks[] = {
    {"ring-polled", polled},
    {"ring-submitted", submitted},
    {"ring-timed", timed},
    {0},
};
