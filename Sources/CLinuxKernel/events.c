#define _GNU_SOURCE
#include "CLinuxKernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#ifndef PIDFS_MAGIC
#define PIDFS_MAGIC 0x50494446
#endif

// ---- Proc connector

int mintmark_connector_open(int receive_buffer) {
    int connector = socket(AF_NETLINK, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_CONNECTOR);
    if (connector < 0) return -1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    if (setsockopt(connector, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0 ||
        bind(connector, (struct sockaddr *)&address, sizeof address) != 0) {
        int code = errno;
        close(connector);
        errno = code;
        return -1;
    }
    return connector;
}

int mintmark_connector_listen(int connector) {
    struct __attribute__((packed, aligned(NLMSG_ALIGNTO))) {
        struct nlmsghdr header;
        struct {
            struct cb_id id;
            uint32_t seq, ack;
            uint16_t len, flags;
        } message;
        uint32_t operation;
    } request;
    memset(&request, 0, sizeof request);
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = NLMSG_DONE;
    request.message.id.idx = CN_IDX_PROC;
    request.message.id.val = CN_VAL_PROC;
    request.message.len = sizeof request.operation;
    request.operation = PROC_CN_MCAST_LISTEN;
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    ssize_t sent = sendto(connector, &request, sizeof request, 0, (struct sockaddr *)&kernel, sizeof kernel);
    return sent == (ssize_t)sizeof request ? 0 : -1;
}

int mintmark_connector_receive(
    int connector, uint8_t *slots, size_t slot, uint32_t *lengths, uint32_t *senders, unsigned count) {
    enum { MOST = 64 };
    struct mmsghdr messages[MOST];
    struct iovec pieces[MOST];
    struct sockaddr_nl from[MOST];
    if (count > MOST) count = MOST;
    memset(messages, 0, sizeof messages);
    for (unsigned index = 0; index < count; index++) {
        pieces[index] = (struct iovec){.iov_base = slots + index * slot, .iov_len = slot};
        messages[index].msg_hdr.msg_iov = &pieces[index];
        messages[index].msg_hdr.msg_iovlen = 1;
        messages[index].msg_hdr.msg_name = &from[index];
        messages[index].msg_hdr.msg_namelen = sizeof from[index];
    }
    int received;
    do {
        received = recvmmsg(connector, messages, count, MSG_DONTWAIT | MSG_TRUNC, NULL);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    for (int index = 0; index < received; index++) {
        lengths[index] = messages[index].msg_len;
        senders[index] =
            messages[index].msg_hdr.msg_namelen == sizeof from[index] && from[index].nl_family == AF_NETLINK
                ? from[index].nl_pid
                : UINT32_MAX;
    }
    return received;
}

// ---- Executable mappings

static int ring_open(struct perf_event_attr *what, int processor, size_t bytes, size_t watermark, void **ring) {
    what->size = sizeof *what;
    what->type = PERF_TYPE_SOFTWARE;
    what->sample_id_all = 1;
    what->sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME;
    what->use_clockid = 1;
    what->clockid = CLOCK_MONOTONIC;
    what->watermark = 1;
    what->wakeup_watermark = (uint32_t)watermark;
    int descriptor = (int)syscall(SYS_perf_event_open, what, -1, processor, -1, PERF_FLAG_FD_CLOEXEC);
    if (descriptor < 0) return -1;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *mapping = mmap(NULL, page + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapping == MAP_FAILED) {
        int code = errno;
        close(descriptor);
        errno = code;
        return -1;
    }
    *ring = mapping;
    return descriptor;
}

int mintmark_mappings_open(int processor, size_t bytes, void **ring) {
    struct perf_event_attr what;
    memset(&what, 0, sizeof what);
    what.config = PERF_COUNT_SW_DUMMY;
    what.mmap = what.mmap2 = what.comm = what.comm_exec = 1;
    // Early: who fills a ring on purpose fills what is left before anyone has woken up.
    return ring_open(&what, processor, bytes, bytes / 8, ring);
}

int mintmark_moves_open(int processor, size_t bytes, void **ring) {
    struct perf_event_attr what;
    memset(&what, 0, sizeof what);
    what.config = PERF_COUNT_SW_CPU_MIGRATIONS;
    what.sample_period = 1;
    return ring_open(&what, processor, bytes, bytes / 2, ring);
}

void mintmark_ring_close(int descriptor, void *ring, size_t bytes) {
    munmap(ring, (size_t)sysconf(_SC_PAGESIZE) + bytes);
    close(descriptor);
}

size_t mintmark_ring_take(void *ring, size_t bytes, uint8_t *output) {
    struct perf_event_mmap_page *control = ring;
    const uint8_t *data = (const uint8_t *)ring + sysconf(_SC_PAGESIZE);
    uint64_t head = __atomic_load_n(&control->data_head, __ATOMIC_ACQUIRE);
    uint64_t tail = control->data_tail;
    uint64_t length = head - tail;
    if (length == 0) return 0;
    if (length > bytes) length = bytes;
    size_t start = (size_t)(tail % bytes);
    size_t first = bytes - start < length ? bytes - start : (size_t)length;
    memcpy(output, data + start, first);
    memcpy(output + first, data, (size_t)length - first);
    // Seen by everyone before the clock is read for when there was room again.
    __atomic_store_n(&control->data_tail, head, __ATOMIC_SEQ_CST);
    return (size_t)length;
}

// ---- Clocks

static int64_t nanoseconds(clockid_t clock) {
    struct timespec now = {0, 0};
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

uint64_t mintmark_monotonic(void) { return (uint64_t)nanoseconds(CLOCK_MONOTONIC); }

int64_t mintmark_realtime_offset(void) {
    // The closest of a few tries: the thread may be held up between the two readings.
    int64_t best = 0, narrowest = INT64_MAX;
    for (int attempt = 0; attempt < 4; attempt++) {
        int64_t before = nanoseconds(CLOCK_MONOTONIC), real = nanoseconds(CLOCK_REALTIME);
        int64_t width = nanoseconds(CLOCK_MONOTONIC) - before;
        if (width < narrowest) narrowest = width, best = real - before - width / 2;
    }
    return best;
}

int64_t mintmark_stamp_resolution(void) {
    struct timespec step = {0, 10000000};
    clock_getres(CLOCK_REALTIME_COARSE, &step);
    return step.tv_sec * 1000000000LL + step.tv_nsec;
}

// ---- Files and processes

int mintmark_file_facts(int descriptor, struct mintmark_facts *facts) {
    struct statx status;
    struct statfs system;
    memset(facts, 0, sizeof *facts);
    if (statx(descriptor, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &status) != 0) return -1;
    if (fstatfs(descriptor, &system) != 0) return -1;
    facts->device_major = status.stx_dev_major;
    facts->device_minor = status.stx_dev_minor;
    facts->inode = status.stx_ino;
    facts->owner = status.stx_uid;
    facts->mode = status.stx_mode;
    facts->changed = status.stx_ctime.tv_sec * 1000000000LL + status.stx_ctime.tv_nsec;
    facts->born = status.stx_mask & STATX_BTIME
                      ? status.stx_btime.tv_sec * 1000000000LL + status.stx_btime.tv_nsec
                      : -1;
    facts->file_system = (uint64_t)system.f_type;
    long generation = 0;
    if (ioctl(descriptor, FS_IOC_GETVERSION, &generation) == 0) {
        facts->generation = (uint32_t)generation;
        facts->has_generation = 1;
    }
    ssize_t list = fgetxattr(descriptor, "system.posix_acl_access", NULL, 0);
    facts->has_acl = !(list < 0 && (errno == ENODATA || errno == ENOTSUP));
    return 0;
}

// ---- Fanotify

int mintmark_fanotify_open(int guard) {
    unsigned flags = FAN_CLOEXEC | FAN_NONBLOCK;
    flags |= guard ? FAN_CLASS_CONTENT : FAN_CLASS_NOTIF | FAN_REPORT_FID;
    return fanotify_init(flags, O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NOATIME);
}

static int mark(int group, int kind, int directory, const char *path) {
    switch (kind) {
    case MINTMARK_MARK_FILESYSTEM:
        return fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, directory, path);
    case MINTMARK_MARK_MOUNT:
        return fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN_EXEC, directory, path);
    case MINTMARK_MARK_GUARDED_DIRECTORY:
        return fanotify_mark(
            group, FAN_MARK_ADD | FAN_MARK_ONLYDIR, FAN_OPEN_EXEC_PERM | FAN_EVENT_ON_CHILD, directory, path);
    case MINTMARK_MARK_GUARDED_FILE: return fanotify_mark(group, FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, directory, path);
    case MINTMARK_MARK_CLOSING:
        // Its opening is told by the guard; in this group it would be merged with its closing.
        if (fanotify_mark(
                group, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_OPEN_EXEC, directory,
                path) != 0)
            return -1;
        return fanotify_mark(group, FAN_MARK_ADD, FAN_CLOSE_NOWRITE, directory, path);
    case MINTMARK_MARK_NOT_CLOSING:
        if (fanotify_mark(group, FAN_MARK_REMOVE, FAN_CLOSE_NOWRITE, directory, path) != 0) return -1;
        return fanotify_mark(group, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK, FAN_OPEN_EXEC, directory, path);
    default: errno = EINVAL; return -1;
    }
}

int mintmark_fanotify_mark(int group, int kind, const char *path) { return mark(group, kind, AT_FDCWD, path); }

int mintmark_fanotify_mark_descriptor(int group, int kind, int descriptor) {
    char path[32];
    // A null path would mean the descriptor itself, but not for one opened by fanotify on every kernel.
    int length = 0;
    char digits[12];
    unsigned number = (unsigned)descriptor;
    do {
        digits[length++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    memcpy(path, "/proc/self/fd/", 14);
    for (int index = 0; index < length; index++) path[14 + index] = digits[length - 1 - index];
    path[14 + length] = '\0';
    return mark(group, kind, AT_FDCWD, path);
}

int mintmark_fanotify_answer(int group, int descriptor) {
    struct fanotify_response answer = {.fd = descriptor, .response = FAN_ALLOW};
    return write(group, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : -1;
}

int mintmark_file_handle(int descriptor, int32_t *type, uint8_t *bytes, uint32_t *count, uint64_t *file_system_id) {
    struct {
        struct file_handle head;
        uint8_t room[MAX_HANDLE_SZ];
    } handle;
    int mount;
    struct statfs system;
    handle.head.handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(descriptor, "", &handle.head, &mount, AT_EMPTY_PATH) != 0) return -1;
    if (fstatfs(descriptor, &system) != 0) return -1;
    *type = handle.head.handle_type;
    *count = handle.head.handle_bytes;
    memcpy(bytes, handle.head.f_handle, handle.head.handle_bytes);
    memcpy(file_system_id, &system.f_fsid, sizeof *file_system_id);
    return 0;
}

int mintmark_open_by_handle(int mount, int32_t type, const uint8_t *bytes, uint32_t count) {
    struct {
        struct file_handle head;
        uint8_t room[MAX_HANDLE_SZ];
    } handle;
    if (count > MAX_HANDLE_SZ) {
        errno = EINVAL;
        return -1;
    }
    handle.head.handle_bytes = count;
    handle.head.handle_type = type;
    memcpy(handle.head.f_handle, bytes, count);
    return open_by_handle_at(mount, &handle.head, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

// ---- Leases

int mintmark_lease_take(int descriptor) {
    // The default signal of a broken lease would end the process; SIGURG is ignored by default.
    if (fcntl(descriptor, F_SETSIG, SIGURG) != 0) return -1;
    return fcntl(descriptor, F_SETLEASE, F_RDLCK);
}

int mintmark_lease_stands(int descriptor) { return fcntl(descriptor, F_GETLEASE) == F_RDLCK; }

void mintmark_lease_release(int descriptor) { fcntl(descriptor, F_SETLEASE, F_UNLCK); }

// ---- Sharing with the guardian

enum { SHARED_SIZE = 4096 + MINTMARK_SHARED_BUFFER };

int mintmark_shared_make(void) {
    int memory = memfd_create("mintmark-guard", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (memory < 0) return -1;
    if (ftruncate(memory, SHARED_SIZE) != 0 || fcntl(memory, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        int code = errno;
        close(memory);
        errno = code;
        return -1;
    }
    return memory;
}

void *mintmark_shared_map(int memory) {
    void *shared = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    return shared == MAP_FAILED ? NULL : shared;
}

void mintmark_shared_unmap(void *shared) { munmap(shared, SHARED_SIZE); }

uint64_t mintmark_shared_number(void *shared, unsigned index) {
    return __atomic_load_n((uint64_t *)shared + (index & 7), __ATOMIC_SEQ_CST);
}

void mintmark_shared_add(void *shared, unsigned index) {
    __atomic_add_fetch((uint64_t *)shared + (index & 7), 1, __ATOMIC_SEQ_CST);
}

ssize_t mintmark_shared_read(void *shared, int group) {
    uint8_t *buffer = (uint8_t *)shared + 4096;
    memset(buffer, 0, MINTMARK_SHARED_BUFFER);
    return read(group, buffer, MINTMARK_SHARED_BUFFER);
}

void mintmark_shared_copy(void *shared, uint8_t *output) {
    memcpy(output, (uint8_t *)shared + 4096, MINTMARK_SHARED_BUFFER);
}

int32_t mintmark_start_guardian(const char *path, char *const arguments[], int group, int memory, int life) {
    int given[3] = {group, memory, life}, moved[3] = {-1, -1, -1};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t child = -1;
    int code = ENOMEM;
    if (posix_spawn_file_actions_init(&actions) != 0) goto failed;
    if (posix_spawnattr_init(&attributes) != 0) goto without_attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    code = 0;
    for (int index = 0; index < 3 && code == 0; index++) {
        // Out of the way of the numbers they will have.
        moved[index] = fcntl(given[index], F_DUPFD_CLOEXEC, 64);
        code = moved[index] < 0 ? errno : posix_spawn_file_actions_adddup2(&actions, moved[index], 3 + index);
    }
    if (code == 0) code = posix_spawn_file_actions_addclosefrom_np(&actions, 6);
    char *const environment[] = {NULL};
    if (code == 0) code = posix_spawn(&child, path, &actions, &attributes, arguments, environment);
    for (int index = 0; index < 3; index++)
        if (moved[index] >= 0) close(moved[index]);
    posix_spawnattr_destroy(&attributes);
without_attributes:
    posix_spawn_file_actions_destroy(&actions);
failed:
    if (code == 0) return (int32_t)child;
    errno = code;
    return -1;
}
