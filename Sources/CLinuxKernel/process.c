#define _GNU_SOURCE
#include "CLinuxKernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

int mintmark_pidfd_open(int32_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int mintmark_pidfd_is_alive(int pidfd) {
    // A pidfd becomes readable when its process ends.
    struct pollfd watch = {.fd = pidfd, .events = POLLIN};
    int ready;
    do {
        ready = poll(&watch, 1, 0);
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) return -1;
    if (watch.revents & POLLNVAL) {
        errno = EBADF;
        return -1;
    }
    return ready == 0;
}

// Numbers and layouts from the kernel's headers, which the build host's copies may predate.
#define PIDFS_MAGIC 0x50494446

struct pidfd_info_v0 {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define PIDFD_GET_INFO_V0 _IOWR(0xFF, 11, struct pidfd_info_v0)
#define INFO_PID 1
#define INFO_CGROUP 4

struct procmap_query_v0 {
    uint64_t size, query_flags, query_addr;
    uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
    uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
    uint64_t vma_name_addr, build_id_addr;
};
#define PROCMAP_QUERY_V0 _IOWR('f', 17, struct procmap_query_v0)
#define QUERY_EXECUTABLE 4
#define QUERY_COVERING_OR_NEXT 0x10

struct pagemap_scan_v0 {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
struct page_region_v0 {
    uint64_t start, end, categories;
};
#define PAGEMAP_SCAN_V0 _IOWR('f', 16, struct pagemap_scan_v0)
#define PAGE_FILE 4
#define PAGE_PRESENT 8
#define PAGE_SWAPPED 16

#define FILE_GENERATION _IOR('v', 1, long)
#define NAMESPACE_OWNER _IO(0xb7, 0x1)

// struct statx as of Linux 5.8; only the tail that later kernels fill in matters beyond it.
#define STATX_WANTED 0x7ffU
#define STATX_OLD_MOUNT_ID 0x1000U
#define STATX_UNIQUE_MOUNT_ID 0x4000U

int32_t mintmark_pidfd_pid(int pidfd) {
    struct pidfd_info_v0 raw = {.mask = INFO_PID};
    if (ioctl(pidfd, PIDFD_GET_INFO_V0, &raw) == 0) return raw.mask & INFO_PID ? (int32_t)raw.pid : -1;
    if (errno == ESRCH) return -1;
    // Before Linux 6.13.
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    char text[1024];
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return -1;
    text[length] = '\0';
    const char *line = strstr(text, "\nPid:");
    if (!line) return -1;
    return (int32_t)strtol(line + 5, NULL, 10);
}

int mintmark_pidfd_inode(int pidfd, uint64_t *inode) {
    struct statfs system;
    struct stat status;
    if (fstatfs(pidfd, &system) != 0 || fstat(pidfd, &status) != 0) return -1;
    *inode = (unsigned long)system.f_type == PIDFS_MAGIC ? status.st_ino : 0;
    return 0;
}

int mintmark_pidfd_get_info(int pidfd, struct mintmark_pidfd_info *info) {
    struct pidfd_info_v0 raw = {.mask = INFO_CGROUP};
    if (ioctl(pidfd, PIDFD_GET_INFO_V0, &raw) != 0) return -1;
    if (!(raw.mask & INFO_PID)) {
        errno = ESRCH;
        return -1;
    }
    info->ppid = (int32_t)raw.ppid;
    info->has_cgroup_id = (raw.mask & INFO_CGROUP) != 0;
    info->cgroup_id = raw.cgroupid;
    return 0;
}

int mintmark_file_state(int directory, const char *path, struct mintmark_file_state *state) {
    struct statx raw;
    int flags = path ? 0 : AT_EMPTY_PATH;
    if (statx(directory, path ? path : "", flags, STATX_WANTED | STATX_UNIQUE_MOUNT_ID, &raw) != 0) return -1;
    state->device = makedev(raw.stx_dev_major, raw.stx_dev_minor);
    state->inode = raw.stx_ino;
    state->size = (int64_t)raw.stx_size;
    state->modified_seconds = raw.stx_mtime.tv_sec;
    state->modified_nanoseconds = raw.stx_mtime.tv_nsec;
    state->changed_seconds = raw.stx_ctime.tv_sec;
    state->changed_nanoseconds = raw.stx_ctime.tv_nsec;
    state->mode = raw.stx_mode;
    state->uid = raw.stx_uid;
    state->gid = raw.stx_gid;
    state->links = raw.stx_nlink;
    state->has_unique_mount_id = (raw.stx_mask & STATX_UNIQUE_MOUNT_ID) != 0;
    state->mount_id = state->has_unique_mount_id ? raw.stx_mnt_id : 0;
    return 0;
}

int64_t mintmark_mount_number(int file) {
    struct statx raw;
    if (statx(file, "", AT_EMPTY_PATH, STATX_OLD_MOUNT_ID, &raw) != 0) return -1;
    return raw.stx_mask & STATX_OLD_MOUNT_ID ? (int64_t)raw.stx_mnt_id : -1;
}

uint64_t mintmark_filesystem_type(int file) {
    struct statfs system;
    return fstatfs(file, &system) == 0 ? (uint64_t)system.f_type & 0xFFFFFFFFu : 0;
}

uint64_t mintmark_generation(int file) {
    // The kernel writes an int, whatever the number's encoding says.
    int generation[2] = {0, 0};
    return ioctl(file, FILE_GENERATION, generation) == 0 ? (uint32_t)generation[0] : 0;
}

int mintmark_has_access_list(int file) {
    if (fgetxattr(file, "system.posix_acl_access", NULL, 0) >= 0) return 1;
    return errno == ENODATA || errno == EOPNOTSUPP ? 0 : -1;
}

uint64_t mintmark_memory_device(void) {
    int file = memfd_create("mintmark", MFD_CLOEXEC);
    if (file < 0) return 0;
    struct stat status;
    int failed = fstat(file, &status);
    close(file);
    return failed ? 0 : status.st_dev;
}

uint64_t mintmark_namespace_owner(int ns) {
    int owner = ioctl(ns, NAMESPACE_OWNER);
    if (owner < 0) return 0;
    struct stat status;
    int failed = fstat(owner, &status);
    int reason = errno;
    close(owner);
    errno = reason;
    return failed ? 0 : status.st_ino;
}

int mintmark_executable_mappings(int maps, struct mintmark_mapping *mappings, int capacity) {
    uint64_t address = 0;
    for (int count = 0;; count++) {
        struct procmap_query_v0 query = {
            .size = sizeof query, .query_flags = QUERY_EXECUTABLE | QUERY_COVERING_OR_NEXT, .query_addr = address};
        int result;
        do {
            result = ioctl(maps, PROCMAP_QUERY_V0, &query);
        } while (result < 0 && errno == EINTR);
        if (result < 0) return errno == ENOENT ? count : -1;
        if (count == capacity) return capacity + 1;
        struct mintmark_mapping *mapping = &mappings[count];
        mapping->start = query.vma_start;
        mapping->end = query.vma_end;
        mapping->offset = query.vma_offset;
        mapping->device = makedev(query.dev_major, query.dev_minor);
        mapping->inode = query.inode;
        mapping->flags = (uint32_t)(query.vma_flags & 15);
        mapping->is_vdso = 0;
        if (query.inode == 0) {
            // Building a name takes time, and only nameless mappings have one that says more than the inode.
            char name[256] = "";
            struct procmap_query_v0 named = {
                .size = sizeof named, .query_flags = QUERY_EXECUTABLE, .query_addr = query.vma_start,
                .vma_name_size = sizeof name - 1, .vma_name_addr = (uint64_t)(uintptr_t)name};
            if (ioctl(maps, PROCMAP_QUERY_V0, &named) == 0 && named.vma_start == query.vma_start &&
                named.vma_end == query.vma_end && named.inode == 0 && named.vma_name_size)
                mapping->is_vdso = strcmp(name, "[vdso]") == 0;
        }
        if (query.vma_end <= address) {
            errno = EPROTO;
            return -1;
        }
        address = query.vma_end;
    }
}

int mintmark_has_private_pages(int pagemap, uint64_t start, uint64_t end) {
    struct page_region_v0 region;
    struct pagemap_scan_v0 scan = {
        .size = sizeof scan, .start = start, .end = end, .vec = (uint64_t)(uintptr_t)&region, .vec_len = 1,
        .max_pages = 1, .category_inverted = PAGE_FILE, .category_mask = PAGE_FILE,
        .category_anyof_mask = PAGE_PRESENT | PAGE_SWAPPED, .return_mask = PAGE_PRESENT | PAGE_SWAPPED};
    int found = ioctl(pagemap, PAGEMAP_SCAN_V0, &scan);
    if (found < 0) return -1;
    return found > 0;
}

int mintmark_has_private_pages_by_entry(int pagemap, uint64_t start, uint64_t end) {
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t present = 1ULL << 63, swapped = 1ULL << 62, file = 1ULL << 61;
    uint64_t entries[512];
    for (uint64_t address = start; address < end;) {
        uint64_t wanted = (end - address) / page;
        if (wanted == 0) return 0;
        if (wanted > 512) wanted = 512;
        ssize_t length = pread(pagemap, entries, wanted * 8, (off_t)(address / page * 8));
        if (length < 0 && errno == EINTR) continue;
        if (length < 8) {
            if (length >= 0) errno = EPROTO;
            return -1;
        }
        for (ssize_t index = 0; index < length / 8; index++)
            if ((entries[index] & (present | swapped)) && !(entries[index] & file)) return 1;
        address += (uint64_t)(length / 8) * page;
    }
    return 0;
}

int mintmark_openat(int directory, const char *path, int flags) { return openat(directory, path, flags | O_CLOEXEC); }

int mintmark_deny_dumps(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return -1;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
