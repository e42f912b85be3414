// Asks the workload socket for identities as fast as it answers, and says how long each answer took.
//
//     client SOCKET connect|stream|token CALLERS SECONDS [shared]
//     client SOCKET hold COUNT
//
// `connect` makes a connection for each X.509-SVID, `stream` opens a stream for each on a connection that stays, and
// `token` fetches a JWT-SVID that the agent has. Each caller has a connection of its own; with `shared`, all have one.
// `hold` opens connections with one stream each, and keeps them until its stdin ends.
#include "../Attacks/programs/client.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>

enum { CONNECT, STREAM, TOKEN, HOLD };

struct call {
    uint32_t stream;
    double asked;
    uint32_t wanted; // bytes of the message and its prefix that are still to come, once the prefix is there
    bool has_length;
    uint8_t prefix[5];
    unsigned prefix_held;
};

struct connection {
    int fd;
    uint32_t next;
    unsigned callers;
    struct call *calls;
    uint8_t *in;
    size_t held;
    uint8_t out[64 << 10];
    size_t out_held;
    uint64_t received;
};

static const char *path;
static int way, queue;
static double end, *samples;
static size_t taken, room, failed, answered;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void flush_out(struct connection *c) {
    size_t at = 0;
    while (at < c->out_held) {
        ssize_t sent = send(c->fd, c->out + at, c->out_held - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = c->fd, .events = POLLOUT};
            poll(&ready, 1, 1000);
        } else if (sent <= 0) {
            break;
        } else {
            at += (size_t)sent;
        }
    }
    c->out_held = 0;
}

static void put(struct connection *c, int type, int flags, uint32_t stream, const void *payload, size_t count) {
    if (c->out_held + count + 9 > sizeof c->out) flush_out(c);
    c->out_held += put_frame(c->out + c->out_held, type, flags, stream, payload, count);
}

static void ask(struct connection *c, struct call *call) {
    *call = (struct call){.stream = c->next, .asked = now_seconds()};
    c->next += 2;
    if (c->out_held + 1024 > sizeof c->out) flush_out(c);
    if (way == TOKEN) {
        uint8_t block[400];
        size_t n = 0;
        n += put_header(block + n, ":method", "POST");
        n += put_header(block + n, ":scheme", "http");
        n += put_header(block + n, ":path", "/SpiffeWorkloadAPI/FetchJWTSVID");
        n += put_header(block + n, ":authority", "localhost");
        n += put_header(block + n, "te", "trailers");
        n += put_header(block + n, "content-type", "application/grpc");
        n += put_header(block + n, "workload.spiffe.io", "true");
        static const uint8_t request[] = {0, 0, 0, 0, 6, 0x0a, 4, 'l', 'o', 'a', 'd'};
        put(c, H2_HEADERS, H2_END_HEADERS, call->stream, block, n);
        put(c, H2_DATA, H2_END_STREAM, call->stream, request, sizeof request);
    } else {
        c->out_held += put_call(c->out + c->out_held, call->stream, "FetchX509SVID");
    }
}

static void begin(struct connection *c) {
    c->fd = dial(path);
    if (c->fd < 0) die("connect");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->held = 0;
    c->next = 1;
    c->received = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(queue, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // No dynamic table, and windows that need no attention for a while.
    static const uint8_t settings[] = {0, 1, 0, 0, 0, 0, 0, 4, 0x3f, 0xff, 0xff, 0xff};
    static const uint8_t window[] = {0x3f, 0xff, 0, 0};
    memcpy(c->out, preface, sizeof preface - 1);
    c->out_held = sizeof preface - 1;
    put(c, H2_SETTINGS, 0, 0, settings, sizeof settings);
    put(c, H2_WINDOW, 0, 0, window, sizeof window);
    for (unsigned index = 0; index < c->callers; index++) ask(c, &c->calls[index]);
    flush_out(c);
}

static void restart(struct connection *c) {
    double asked = now_seconds();
    close(c->fd);
    begin(c);
    c->calls[0].asked = asked;
}

// Notes an answer.
static void finish(struct call *call, bool ok) {
    double now = now_seconds();
    answered++;
    if (!ok) failed++;
    if (ok && taken < room) samples[taken++] = now - call->asked;
    call->stream = 0;
}

static struct call *find(struct connection *c, uint32_t stream) {
    for (unsigned index = 0; index < c->callers; index++)
        if (c->calls[index].stream == stream) return &c->calls[index];
    return NULL;
}

static void hear_bytes(struct connection *c, struct call *call, const uint8_t *p, size_t count) {
    while (count > 0 && call->prefix_held < 5) call->prefix[call->prefix_held++] = *p++, count--;
    if (call->prefix_held < 5) return;
    if (!call->has_length) {
        call->wanted = (uint32_t)call->prefix[1] << 24 | (uint32_t)call->prefix[2] << 16 |
                       (uint32_t)call->prefix[3] << 8 | call->prefix[4];
        call->has_length = true;
    }
    call->wanted -= count < call->wanted ? (uint32_t)count : call->wanted;
    if (call->wanted > 0 || way == TOKEN) return;
    uint32_t stream = call->stream;
    finish(call, call->prefix[0] == 0);
    if (way != STREAM) return;
    static const uint8_t cancel[] = {0, 0, 0, 8};
    put(c, H2_RST, 0, stream, cancel, 4);
    ask(c, call);
}

// Returns whether the connection was left.
static bool hear_one(struct connection *c, int type, int flags, uint32_t stream, const uint8_t *p, size_t count) {
    struct call *call;
    switch (type) {
    case H2_DATA:
        c->received += count;
        if (c->received > 1 << 28) {
            uint8_t window[] = {(uint8_t)(c->received >> 24), (uint8_t)(c->received >> 16),
                                (uint8_t)(c->received >> 8), (uint8_t)c->received};
            put(c, H2_WINDOW, 0, 0, window, 4);
            c->received = 0;
        }
        if (!(call = find(c, stream))) return false;
        hear_bytes(c, call, p, count);
        if (way == CONNECT && call->stream == 0) {
            restart(c);
            return true;
        }
        return false;
    case H2_HEADERS:
        if (!(flags & H2_END_STREAM) || !(call = find(c, stream))) return false;
        finish(call, way == TOKEN && call->has_length && call->wanted == 0);
        if (way == HOLD) return false;
        if (way == CONNECT) {
            restart(c);
            return true;
        }
        ask(c, call);
        return false;
    case H2_RST:
    case H2_GOAWAY: fprintf(stderr, "the agent sent frame %d\n", type); exit(1);
    case H2_SETTINGS:
        if (!(flags & H2_ACK)) put(c, H2_SETTINGS, H2_ACK, 0, NULL, 0);
        return false;
    case H2_PING:
        if (!(flags & H2_ACK) && count == 8) put(c, H2_PING, H2_ACK, 0, p, 8);
        return false;
    default: return false;
    }
}

static void serve(struct connection *c) {
    static uint8_t buffer[1 << 18];
    memcpy(buffer, c->in, c->held);
    ssize_t count = read(c->fd, buffer + c->held, sizeof buffer - c->held);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        fprintf(stderr, "the agent closed a connection\n");
        exit(1);
    }
    size_t all = c->held + (size_t)count, at = 0;
    while (all - at >= 9) {
        const uint8_t *f = buffer + at;
        size_t length = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        if (all - at < 9 + length) break;
        uint32_t stream = (uint32_t)(f[5] & 0x7f) << 24 | (uint32_t)f[6] << 16 | (uint32_t)f[7] << 8 | f[8];
        if (hear_one(c, f[3], f[4], stream, f + 9, length)) return;
        at += 9 + length;
    }
    flush_out(c);
    c->held = all - at;
    if (c->held > 0) {
        c->in = realloc(c->in, c->held);
        if (!c->in) die("realloc");
        memcpy(c->in, buffer + at, c->held);
    }
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void turn(int timeout) {
    struct epoll_event events[256];
    int count = epoll_wait(queue, events, 256, timeout);
    for (int index = 0; index < count; index++)
        if (events[index].data.ptr) serve(events[index].data.ptr);
        else if (end == 0) exit(0); // stdin has ended
}

static struct connection *make(unsigned callers) {
    struct connection *c = calloc(1, sizeof *c);
    struct call *calls = calloc(callers, sizeof *calls);
    if (!c || !calls) die("calloc");
    c->calls = calls;
    c->callers = callers;
    begin(c);
    return c;
}

int main(int count, char **words) {
    static const char *ways[] = {"connect", "stream", "token", "hold"};
    if (count < 4) return 64;
    path = words[1];
    while (way < 4 && strcmp(words[2], ways[way]) != 0) way++;
    unsigned callers = (unsigned)atoi(words[3]);
    if (way == 4 || callers == 0 || (way != HOLD && count < 5)) return 64;
    queue = epoll_create1(0);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    if (way == HOLD) {
        double began = now_seconds();
        for (unsigned made = 0; made < callers; made++) {
            make(1);
            // Not more at once than wait in the backlog.
            while (made + 1 - answered > 64) turn(1000);
        }
        while (answered < callers) turn(1000);
        printf("{\"held\": %u, \"failed\": %zu, \"seconds\": %.3f}\n", callers, failed, now_seconds() - began);
        fflush(stdout);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
        epoll_ctl(queue, EPOLL_CTL_ADD, 0, &event);
        while (true) turn(1000);
    }

    double seconds = atof(words[4]);
    bool shared = count > 5 && strcmp(words[5], "shared") == 0;
    room = (size_t)(seconds * 200000) + 1000;
    samples = malloc(room * sizeof *samples);
    if (!samples) die("malloc");
    if (shared) make(callers);
    else
        for (unsigned made = 0; made < callers; made++) make(1);
    end = now_seconds() + 0.5;
    while (now_seconds() < end) turn(100);
    taken = failed = answered = 0;
    double began = now_seconds();
    end = began + seconds;
    while (now_seconds() < end) turn(100);
    double took = now_seconds() - began;
    qsort(samples, taken, sizeof *samples, by_size);
    printf("{\"rate\": %.1f, \"p50\": %.1f, \"p99\": %.1f, \"failed\": %zu}\n", (double)taken / took,
           taken ? samples[taken / 2] * 1e6 : 0, taken ? samples[taken * 99 / 100] * 1e6 : 0, failed);
    return taken == 0 || failed > 0;
}
