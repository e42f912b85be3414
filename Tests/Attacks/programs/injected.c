// What gets into other programs by their environment (A6): a motto of its own, and a word to say that it is in.
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void enter(void) {
    if (write(2, "injected\n", 9) < 0) _exit(3);
}

const char *motto(void) { return "injected"; }

// For LD_AUDIT.
unsigned la_version(unsigned version) { return version; }
