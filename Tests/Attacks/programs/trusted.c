// The program that an identity is registered for. It speaks to nobody but the agent, and gives nothing away.
//
//   trusted fetch SOCKET     fetches, and tells how that went
//   trusted script FILE      the same, as the interpreter of a script whose second line is the socket
//   trusted later SOCKET     fetches once a line arrives on stdin
//   trusted watch SOCKET     tells of each answer and of the end
//   trusted hold SOCKET      connects, says nothing, stays
//   trusted wait             stays, and never looks at what it inherited
//   trusted relay            copies stdin to stdout, as many programs do
#include "client.h"

#include <sys/prctl.h>

#ifdef WITH_MOTTO
const char *motto(void);
#else
// Patched by some attacks.
__attribute__((noinline)) const char *motto(void) {
    __asm__ volatile("");
    return "trusted";
}
#endif

// Room for attacks that hide code inside this file's mapping; the first bytes make copies that differ.
__attribute__((used, section(".rodata.ballast"))) const char ballast[1 << 21] = "ballast:0";

static void await_line(void) {
    char line[64];
    while (read(0, line, sizeof line) < 0 && errno == EINTR) {
    }
}

static void announce(const char *word) {
    char line[64];
    int count = snprintf(line, sizeof line, "%s %d\n", word, getpid());
    if (write(1, line, (size_t)count) < 0) _exit(3);
}

static int watch(const char *path) {
    static struct talk t;
    t = talk_over(dial(path));
    request(&t);
    do {
        t.messages = 0;
        t.ids[0] = 0;
        hear(&t, 1, 10);
        report(&t, motto());
    } while (t.messages > 0 && !t.ending[0]);
    return 0;
}

int main(int count, char **arguments) {
    prctl(PR_SET_PDEATHSIG, 9);
    alarm(25);
    const char *mode = count > 1 ? arguments[1] : "";
    const char *path = count > 2 ? arguments[2] : "";
    if (!strcmp(mode, "fetch")) return fetch(path, motto());
    if (!strcmp(mode, "script")) {
        char line[256] = "";
        FILE *script = fopen(path, "r");
        for (int i = 0; i < 2 && script && fgets(line, sizeof line, script); i++) {
        }
        line[strcspn(line, "\n")] = 0;
        return fetch(line, motto());
    }
    if (!strcmp(mode, "later")) {
        announce("ready");
        await_line();
        return fetch(path, motto());
    }
    if (!strcmp(mode, "watch")) return watch(path);
    if (!strcmp(mode, "hold")) {
        int fd = dial(path);
        announce("holding");
        await_line();
        return fd < 0;
    }
    if (!strcmp(mode, "wait")) {
        pause();
        return 0;
    }
    if (!strcmp(mode, "relay")) {
        char buffer[4096];
        for (ssize_t n; (n = read(0, buffer, sizeof buffer)) > 0;)
            if (write(1, buffer, (size_t)n) != n) return 1;
        return 0;
    }
    return 64;
}
