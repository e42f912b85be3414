// Processes: pidfds, and files below /proc/PID.
#ifndef MINTMARK_PROCESS_H
#define MINTMARK_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

// pidfd_open(2). Returns a close-on-exec descriptor, or -1 with errno.
int mintmark_pidfd_open(int32_t pid);

// Whether the process behind a pidfd still runs: 1 yes, 0 no, -1 with errno.
int mintmark_pidfd_is_alive(int pidfd);

// The process id that a pidfd stands for in the caller's namespace, from /proc/self/fdinfo: -1 when it is gone.
int32_t mintmark_pidfd_pid(int pidfd);

// openat(2) and fstat(2) with plain types, for use under a directory descriptor.
int mintmark_openat(int directory, const char *path, int flags);

// Keeps secrets out of core dumps and off other processes of the same user: PR_SET_DUMPABLE 0, RLIMIT_CORE 0.
int mintmark_deny_dumps(void);

#endif
