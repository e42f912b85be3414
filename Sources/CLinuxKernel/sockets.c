#define _GNU_SOURCE
#include "CLinuxKernel.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

_Static_assert(sizeof(struct mintmark_ucred) == sizeof(struct ucred), "struct ucred is three words");

int mintmark_pass_credentials(int socket) {
    int on = 1;
    return setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

int mintmark_accept(int listener, struct mintmark_ucred *peer) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return -1;
    socklen_t size = sizeof *peer;
    // First of all, because what is sent before this may come without a sender where it is not inherited.
    if (mintmark_pass_credentials(fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, MINTMARK_SO_PEERCRED, peer, &size) != 0 || size != sizeof *peer) {
        close(fd);
        return MINTMARK_ACCEPTED_NONE;
    }
    return fd;
}

int mintmark_peer_pidfd(int socket) {
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    if (getsockopt(socket, SOL_SOCKET, MINTMARK_SO_PEERPIDFD, &pidfd, &size) != 0) return -1;
    return pidfd;
}

int mintmark_peer_groups(int socket, uint32_t *groups, size_t capacity) {
    socklen_t size = (socklen_t)(capacity * sizeof *groups);
    if (getsockopt(socket, SOL_SOCKET, MINTMARK_SO_PEERGROUPS, groups, &size) != 0) return -1;
    return (int)(size / sizeof *groups);
}

ssize_t mintmark_receive(int socket, void *buffer, size_t capacity, struct mintmark_ucred *sender, int *brought) {
    // Room for the credentials and a few descriptors. The kernel closes the descriptors that find no room.
    union {
        struct cmsghdr alignment;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = buffer, .iov_len = capacity};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t count;
    do {
        count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (count < 0 && errno == EINTR);
    *brought = 0;
    if (count < 0) return -1;
    if (message.msg_flags & MSG_CTRUNC) *brought |= MINTMARK_RECEIVED_TRUNCATED;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET) continue;
        size_t length = part->cmsg_len - CMSG_LEN(0);
        if (part->cmsg_type == SCM_CREDENTIALS && length >= sizeof *sender) {
            memcpy(sender, CMSG_DATA(part), sizeof *sender);
            *brought |= MINTMARK_RECEIVED_SENDER;
        } else if (part->cmsg_type == SCM_RIGHTS) {
            *brought |= MINTMARK_RECEIVED_DESCRIPTORS;
            for (size_t index = 0; index + sizeof(int) <= length; index += sizeof(int)) {
                int descriptor;
                memcpy(&descriptor, CMSG_DATA(part) + index, sizeof descriptor);
                close(descriptor);
            }
        }
    }
    return count;
}

ssize_t mintmark_send(int socket, const void *bytes, size_t count) {
    ssize_t sent;
    do {
        sent = send(socket, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent;
}

int mintmark_queue_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

static int control(int queue, int operation, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data = {.u64 = token}};
    return epoll_ctl(queue, operation, descriptor, &event);
}

int mintmark_queue_waker(int queue, uint64_t token) {
    int waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (waker < 0) return -1;
    if (control(queue, EPOLL_CTL_ADD, waker, EPOLLIN, token) != 0) {
        close(waker);
        return -1;
    }
    return waker;
}

int mintmark_queue_wake(int waker) { return eventfd_write(waker, 1); }


int mintmark_queue_arm(int queue, int is_new, int descriptor, uint64_t token, int readable, int writable) {
    uint32_t events = EPOLLONESHOT | (readable ? EPOLLIN | EPOLLRDHUP : 0) | (writable ? EPOLLOUT : 0);
    return control(queue, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, events, token);
}

int mintmark_queue_wait(int queue, int milliseconds, uint64_t *token) {
    struct epoll_event event;
    int count;
    do {
        count = epoll_wait(queue, &event, 1, milliseconds);
    } while (count < 0 && errno == EINTR);
    if (count > 0) *token = event.data.u64;
    return count;
}
