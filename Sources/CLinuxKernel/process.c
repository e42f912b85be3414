#define _GNU_SOURCE
#include "CLinuxKernel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

int32_t mintmark_pidfd_pid(int pidfd) {
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

int mintmark_openat(int directory, const char *path, int flags) { return openat(directory, path, flags | O_CLOEXEC); }

int mintmark_deny_dumps(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return -1;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
