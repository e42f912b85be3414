// Sockets: who is at the other end.
#ifndef MINTMARK_SOCKETS_H
#define MINTMARK_SOCKETS_H

#include <stdint.h>
#include <sys/types.h>

// SOL_SOCKET options; the numbers are those of asm-generic, which x86-64 and arm64 share.
#define MINTMARK_SO_PEERCRED 17
#define MINTMARK_SO_PEERPIDFD 77

// What SO_PEERCRED fills in.
struct mintmark_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

#endif
