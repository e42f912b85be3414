// What the attacks share. `attacker NAME attack|honest SOCKET TRUSTED WORK` plays one of them, or the same without the
// step that makes it an attack; it prints one line of JSON in the end. Where the test has to act in between, it prints
// 'staged …' and waits for a line.
#pragma once

#include "client.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern bool attacking;
extern const char *socket_path, *trusted_path, *work_path;

// The kernel or the host lacks what the attack needs: the test is skipped by name with the reason.
_Noreturn void unsupported(const char *what);
// The kernel itself refuses the attack's step, so nothing came of it.
_Noreturn void kernel_refuses(const char *what);
// The attack's own machinery failed.
_Noreturn void broken(const char *what);
// Tells the test that everything is in place, and waits for its word.
void staged(const char *details);
// Executes the trusted program in a mode.
_Noreturn void become_trusted(const char *mode);
// Starts the trusted program in a mode, with pipes to and from it; returns its number after its first line.
struct victim {
    pid_t pid;
    int in, out;
};
struct victim start_trusted(const char *program, const char *mode, bool traced);
void say_line(int fd);
// Copies what the victim says to our own output until a line of JSON has gone by.
int relay_verdict(struct victim *v);
// Makes our own user namespace, in which we are `inside`.
void enter_user_namespace(int more_flags, uid_t inside);
void copy_file(const char *from, const char *to, mode_t mode);
// Asks over a socket and reports.
int speak(int fd, const char *note);
const char *in_work(const char *name);

struct attack {
    const char *name;
    int (*play)(void);
};
extern const struct attack handover_attacks[], link_attacks[], patch_attacks[], file_attacks[], stream_attacks[],
    ring_attacks[];
