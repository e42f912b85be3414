// Processes: pidfds, files below /proc/PID, and the files behind them.
#ifndef MINTMARK_PROCESS_H
#define MINTMARK_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// pidfd_open(2). Returns a close-on-exec descriptor, or -1 with errno.
int mintmark_pidfd_open(int32_t pid);

// Whether the process behind a pidfd still runs: 1 yes, 0 no, -1 with errno.
int mintmark_pidfd_is_alive(int pidfd);

// The process id that a pidfd stands for in the caller's namespace: -1 when it is gone.
int32_t mintmark_pidfd_pid(int pidfd);

// The inode of a pidfd on pidfs (Linux 6.9), where no two processes of one boot share it: 0 elsewhere, -1 with errno.
int mintmark_pidfd_inode(int pidfd, uint64_t *inode);

// What PIDFD_GET_INFO (Linux 6.13) tells without a look at /proc.
struct mintmark_pidfd_info {
    uint64_t cgroup_id;
    int32_t ppid;
    uint32_t has_cgroup_id;
};

// ioctl_pidfd(2). Returns 0, or -1 with errno; ENOTTY or EINVAL on kernels without it.
int mintmark_pidfd_get_info(int pidfd, struct mintmark_pidfd_info *info);

// openat(2) with plain types, for use under a directory descriptor.
int mintmark_openat(int directory, const char *path, int flags);

// What a file is and in which state, by statx(2).
struct mintmark_file_state {
    uint64_t device, inode;
    int64_t size;
    int64_t modified_seconds, changed_seconds;
    uint32_t modified_nanoseconds, changed_nanoseconds;
    uint64_t mount_id;
    uint32_t mode, uid, gid, links;
    uint32_t has_unique_mount_id;
};

// statx(2) below a directory, or of the descriptor itself for a null path. Returns 0, or -1 with errno.
int mintmark_file_state(int directory, const char *path, struct mintmark_file_state *state);

// The old, reusable mount id of an open file, as /proc/PID/mountinfo has it: -1 when the kernel does not say.
int64_t mintmark_mount_number(int file);

// f_type of fstatfs(2): 0 when it cannot be had.
uint64_t mintmark_filesystem_type(int file);

// FS_IOC_GETVERSION: the inode's generation, 0 where the file system has none.
uint64_t mintmark_generation(int file);

// Whether a file has a POSIX access list: 1 yes, 0 no, -1 unknown.
int mintmark_has_access_list(int file);

// The device number of the kernel's own memory file system, where memfd and System V segments live: 0 when unknown.
uint64_t mintmark_memory_device(void);

// The user namespace that owns a namespace (NS_GET_USERNS): its inode, or 0 with errno.
uint64_t mintmark_namespace_owner(int ns);

// One mapping, by PROCMAP_QUERY (Linux 6.11).
struct mintmark_mapping {
    uint64_t start, end, offset, device, inode;
    uint32_t flags;    // 1 readable, 2 writable, 4 executable, 8 shared
    uint32_t is_vdso;  // the kernel's own name for it is [vdso]
};

// The executable mappings of an open /proc/PID/maps, in order. Returns how many, `capacity` + 1 when there are more, or
// -1 with errno; ENOTTY on kernels without it.
int mintmark_executable_mappings(int maps, struct mintmark_mapping *mappings, int capacity);

// Whether a range of an open /proc/PID/pagemap holds a page that is not the mapped file's own, present or swapped out,
// by PAGEMAP_SCAN (Linux 6.7): 1 yes, 0 no, -1 with errno; ENOTTY on kernels without it.
int mintmark_has_private_pages(int pagemap, uint64_t start, uint64_t end);

// The same by reading the range's entries, which every kernel can.
int mintmark_has_private_pages_by_entry(int pagemap, uint64_t start, uint64_t end);

// Keeps secrets out of core dumps and off other processes of the same user: PR_SET_DUMPABLE 0, RLIMIT_CORE 0.
int mintmark_deny_dumps(void);

#endif
