// Sockets: who is at the other end, and who wrote each byte.
#ifndef MINTMARK_SOCKETS_H
#define MINTMARK_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// SOL_SOCKET options; the numbers are those of asm-generic, which x86-64 and arm64 share.
#define MINTMARK_SO_PEERCRED 17
#define MINTMARK_SO_PEERGROUPS 59
#define MINTMARK_SO_PEERPIDFD 77

// What SO_PEERCRED fills in.
struct mintmark_ucred {
    int32_t pid;
    uint32_t uid;
    uint32_t gid;
};

// Makes the kernel attach the sender's credentials to what arrives (SO_PASSCRED): 0, or -1 with errno.
int mintmark_pass_credentials(int socket);

// accept4(2), non-blocking and close-on-exec, with SO_PASSCRED set and the peer's credentials read. Returns the
// descriptor, or -1 with errno; MINTMARK_ACCEPTED_NONE when a connection was taken and had to be closed again.
#define MINTMARK_ACCEPTED_NONE -2
int mintmark_accept(int listener, struct mintmark_ucred *peer);

// SO_PEERPIDFD (Linux 6.5): a close-on-exec descriptor, or -1 with errno; ENOPROTOOPT where the kernel has it not.
int mintmark_peer_pidfd(int socket);

// SO_PEERGROUPS (Linux 4.13): how many groups were filled in, or -1 with errno; ERANGE when there are more.
int mintmark_peer_groups(int socket, uint32_t *groups, size_t capacity);

// What else a read brought.
#define MINTMARK_RECEIVED_SENDER 1       // *sender is filled in
#define MINTMARK_RECEIVED_DESCRIPTORS 2  // descriptors came along; they are closed already
#define MINTMARK_RECEIVED_TRUNCATED 4    // control data was cut off

// recvmsg(2) without waiting. Returns the bytes read, or -1 with errno.
ssize_t mintmark_receive(int socket, void *buffer, size_t capacity, struct mintmark_ucred *sender, int *brought);

// send(2) without waiting and without SIGPIPE. Returns the bytes taken, or -1 with errno.
ssize_t mintmark_send(int socket, const void *bytes, size_t count);

// An epoll set, whose C declarations Swift does not see. All but the wake-up are one-shot. They return -1 with errno.
int mintmark_queue_create(void);
// An eventfd in the set.
int mintmark_queue_waker(int queue, uint64_t token);
// Wakes every waiter, for good.
int mintmark_queue_wake(int waker);
// Asks for one event.
int mintmark_queue_arm(int queue, int is_new, int descriptor, uint64_t token, int readable, int writable);
// Waits for one event: 1, or 0 when the time is over.
int mintmark_queue_wait(int queue, int milliseconds, uint64_t *token);

#endif
