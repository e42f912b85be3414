// Plays the luck that an attacker may have: starts a program under a process number that was used before. Run by root.
//
//   luck PID UID GID PROGRAM ARGUMENT...
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <grp.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count < 5) return 64;
    pid_t wanted = atoi(arguments[1]);
    struct clone_args clone = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
    pid_t got = (pid_t)syscall(SYS_clone3, &clone, sizeof clone);
    if (got < 0) {
        fprintf(stderr, "clone3 with a number: %s\n", strerror(errno));
        return 1;
    }
    if (got > 0) return got != wanted;
    gid_t gid = (gid_t)atoi(arguments[3]);
    uid_t uid = (uid_t)atoi(arguments[2]);
    close(0);
    close(1);
    close(2);
    if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid)) _exit(70);
    execv(arguments[4], arguments + 4);
    _exit(70);
}
