// Just enough HTTP/2, HPACK and gRPC to fetch an X.509-SVID over a socket that is in the test's hands.
//
// How bytes get into the socket is the caller's choice (`say`): an attack may have them written by another process, by
// io_uring or with forged credentials. So is whether PINGs are answered (`pongs`).
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { H2_DATA = 0, H2_HEADERS = 1, H2_RST = 3, H2_SETTINGS = 4, H2_PING = 6, H2_GOAWAY = 7, H2_WINDOW = 8 };
enum { H2_ACK = 1, H2_END_STREAM = 1, H2_END_HEADERS = 4, H2_PADDED = 8, H2_PRIORITY = 0x20 };

struct talk {
    int fd;
    ssize_t (*say)(struct talk *, const void *, size_t);
    bool pongs;
    // What came of it.
    int status;           // grpc-status, -1 until one arrives
    char message[300];    // grpc-message
    char ids[700];        // SPIFFE IDs of all messages, each within quotes, with commas
    int messages;         // answers with at least one SVID
    char ending[24];      // how it ended, or "" while it has not
    uint8_t last_ping[8]; // payload of the last PING
    int pings;
    double began; // when it was begun
    uint8_t in[1 << 18];  // what has arrived and was not looked at
    size_t held;
    uint8_t body[1 << 18]; // the gRPC messages of the first stream
    size_t body_held;
};

static inline double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void nap(double seconds) {
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&t, &t) && errno == EINTR) {
    }
}

static inline ssize_t say_plainly(struct talk *t, const void *bytes, size_t count) {
    return send(t->fd, bytes, count, MSG_NOSIGNAL);
}

static inline struct talk talk_over(int fd) {
    struct talk t = {.fd = fd, .say = say_plainly, .pongs = true, .status = -1, .began = now_seconds()};
    return t;
}

static inline int dial(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

// --- Out -----------------------------------------------------------------------------------------

static inline size_t put_frame(uint8_t *to, int type, int flags, uint32_t stream, const void *payload, size_t count) {
    uint8_t head[9] = {(uint8_t)(count >> 16), (uint8_t)(count >> 8),   (uint8_t)count, (uint8_t)type, (uint8_t)flags,
                       (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    memcpy(to, head, 9);
    if (count) memcpy(to + 9, payload, count);
    return count + 9;
}

static inline size_t put_header(uint8_t *to, const char *name, const char *value) {
    size_t n = strlen(name), v = strlen(value);
    to[0] = 0; // literal, not indexed, new name
    to[1] = (uint8_t)n;
    memcpy(to + 2, name, n);
    to[2 + n] = (uint8_t)v;
    memcpy(to + 3 + n, value, v);
    return 3 + n + v;
}

// The start of a connection: preface and SETTINGS that rule out a dynamic header table.
static inline size_t put_greeting(uint8_t *to) {
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t settings[] = {0, 1, 0, 0, 0, 0};
    memcpy(to, preface, sizeof preface - 1);
    return sizeof preface - 1 + put_frame(to + sizeof preface - 1, H2_SETTINGS, 0, 0, settings, sizeof settings);
}

// One call with an empty request.
static inline size_t put_call(uint8_t *to, uint32_t stream, const char *method) {
    uint8_t block[400];
    char path[100];
    size_t n = 0;
    snprintf(path, sizeof path, "/SpiffeWorkloadAPI/%s", method);
    n += put_header(block + n, ":method", "POST");
    n += put_header(block + n, ":scheme", "http");
    n += put_header(block + n, ":path", path);
    n += put_header(block + n, ":authority", "localhost");
    n += put_header(block + n, "te", "trailers");
    n += put_header(block + n, "content-type", "application/grpc");
    n += put_header(block + n, "workload.spiffe.io", "true");
    size_t all = put_frame(to, H2_HEADERS, H2_END_HEADERS, stream, block, n);
    static const uint8_t empty[5];
    return all + put_frame(to + all, H2_DATA, H2_END_STREAM, stream, empty, sizeof empty);
}

// Everything a client says before it hears anything.
static inline size_t put_request(uint8_t *to) {
    size_t n = put_greeting(to);
    return n + put_call(to + n, 1, "FetchX509SVID");
}

// --- Huffman and HPACK, RFC 7541 -----------------------------------------------------------------

// Lengths of the codes of Appendix B, which are canonical: by length, then by symbol.
static const uint8_t huffman_lengths[257] = {
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28,
    28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
    23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19,
    22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
    27, 27, 27, 26, 30,
};

static inline size_t huffman_decode(const uint8_t *from, size_t count, char *to, size_t room) {
    size_t bit = 0, made = 0;
    while (made + 1 < room) {
        uint32_t code = 0, first = 0;
        int found = -1;
        size_t at = bit;
        for (int length = 1; length <= 30 && at < count * 8 && found < 0; length++, at++) {
            code = code << 1 | (from[at / 8] >> (7 - at % 8) & 1);
            first <<= 1;
            uint32_t rank = 0;
            for (int s = 0; s < 257; s++) {
                if (huffman_lengths[s] != length) continue;
                if (first + rank == code) found = s;
                rank++;
            }
            first += rank;
        }
        if (found < 0 || found == 256) break;
        to[made++] = (char)found;
        bit = at;
    }
    to[made] = 0;
    return made;
}

static inline size_t hpack_integer(const uint8_t **p, const uint8_t *end, int bits) {
    size_t mask = (1u << bits) - 1, value = *(*p)++ & mask;
    for (int shift = 0; value >= mask && *p < end && shift < 28; shift += 7) {
        uint8_t byte = *(*p)++;
        value += (size_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) break;
    }
    return value;
}

static inline void hpack_text(const uint8_t **p, const uint8_t *end, char *to, size_t room) {
    to[0] = 0;
    if (*p >= end) return;
    bool packed = **p & 0x80;
    size_t count = hpack_integer(p, end, 7);
    if (count > (size_t)(end - *p)) count = (size_t)(end - *p);
    if (packed) {
        huffman_decode(*p, count, to, room);
    } else {
        size_t kept = count < room ? count : room - 1;
        memcpy(to, *p, kept);
        to[kept] = 0;
    }
    *p += count;
}

static inline void hear_headers(struct talk *t, const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        if (*p & 0x80) { // indexed: none of those that matter here
            hpack_integer(&p, end, 7);
            continue;
        }
        if ((*p & 0xe0) == 0x20) { // size of the dynamic table
            hpack_integer(&p, end, 5);
            continue;
        }
        char name[64] = "", value[300];
        if (hpack_integer(&p, end, *p & 0x40 ? 6 : 4) == 0) hpack_text(&p, end, name, sizeof name);
        hpack_text(&p, end, value, sizeof value);
        if (!strcmp(name, "grpc-status")) t->status = atoi(value);
        if (!strcmp(name, "grpc-message")) snprintf(t->message, sizeof t->message, "%s", value);
    }
}

// --- Protobuf ------------------------------------------------------------------------------------

static inline uint64_t varint(const uint8_t **p, const uint8_t *end) {
    uint64_t value = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        uint8_t byte = *(*p)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) break;
    }
    return value;
}

// Notes field 1 (the SPIFFE ID) of each field 1 (the SVIDs) of an X509SVIDResponse.
static inline void hear_svids(struct talk *t, const uint8_t *p, const uint8_t *end, int depth) {
    while (p < end) {
        uint64_t key = varint(&p, end);
        uint64_t count = varint(&p, end);
        if ((key & 7) == 0) continue;
        if ((key & 7) != 2 || count > (uint64_t)(end - p)) return;
        if (key >> 3 == 1 && depth == 0) hear_svids(t, p, p + count, 1);
        if (key >> 3 == 1 && depth == 1) {
            size_t held = strlen(t->ids);
            if (held + count + 4 < sizeof t->ids)
                snprintf(t->ids + held, sizeof t->ids - held, "%s\"%.*s\"", held ? "," : "", (int)count,
                         (const char *)p);
        }
        p += count;
    }
}

static inline void hear_data(struct talk *t, const uint8_t *p, size_t count) {
    if (count > sizeof t->body - t->body_held) return;
    memcpy(t->body + t->body_held, p, count);
    t->body_held += count;
    while (t->body_held >= 5) {
        size_t length = (size_t)t->body[1] << 24 | (size_t)t->body[2] << 16 | (size_t)t->body[3] << 8 | t->body[4];
        if (t->body_held < 5 + length) return;
        hear_svids(t, t->body + 5, t->body + 5 + length, 0);
        t->messages++;
        memmove(t->body, t->body + 5 + length, t->body_held - 5 - length);
        t->body_held -= 5 + length;
    }
}

// --- In ------------------------------------------------------------------------------------------

static inline void pong(struct talk *t, const uint8_t payload[8]) {
    uint8_t frame[17];
    put_frame(frame, H2_PING, H2_ACK, 0, payload, 8);
    t->say(t, frame, sizeof frame);
}

static inline void hear_frame(struct talk *t, int type, int flags, const uint8_t *p, size_t count) {
    uint8_t reply[32];
    if ((type == H2_DATA || type == H2_HEADERS) && flags & H2_PADDED && count > p[0]) {
        count -= 1u + p[0];
        p++;
    }
    switch (type) {
    case H2_DATA:
        hear_data(t, p, count);
        break;
    case H2_HEADERS:
        if (flags & H2_PRIORITY && count >= 5) p += 5, count -= 5;
        hear_headers(t, p, p + count);
        if (flags & H2_END_STREAM) strcpy(t->ending, "status");
        break;
    case H2_RST:
        strcpy(t->ending, "reset");
        break;
    case H2_GOAWAY:
        strcpy(t->ending, "goaway");
        break;
    case H2_SETTINGS:
        if (!(flags & H2_ACK)) t->say(t, reply, put_frame(reply, H2_SETTINGS, H2_ACK, 0, NULL, 0));
        break;
    case H2_PING:
        if (flags & H2_ACK || count != 8) break;
        t->pings++;
        memcpy(t->last_ping, p, 8);
        if (t->pongs) pong(t, p);
        break;
    default:
        break;
    }
}

// Listens until there are `wanted` answers, an end, or `seconds` are over.
static inline void hear(struct talk *t, int wanted, double seconds) {
    double deadline = now_seconds() + seconds;
    while (t->messages < wanted && !t->ending[0]) {
        double left = deadline - now_seconds();
        struct pollfd ready = {.fd = t->fd, .events = POLLIN};
        if (left <= 0 || poll(&ready, 1, (int)(left * 1000) + 1) == 0) return;
        ssize_t count = read(t->fd, t->in + t->held, sizeof t->in - t->held);
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (count <= 0) {
            strcpy(t->ending, count == 0 ? "closed" : "broken");
            return;
        }
        t->held += (size_t)count;
        size_t at = 0;
        while (t->held - at >= 9) {
            const uint8_t *f = t->in + at;
            size_t length = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
            if (t->held - at < 9 + length) break;
            hear_frame(t, f[3], f[4], f + 9, length);
            at += 9 + length;
        }
        memmove(t->in, t->in + at, t->held - at);
        t->held -= at;
    }
}

static inline void request(struct talk *t) {
    uint8_t out[1024];
    t->say(t, out, put_request(out));
}

// Prints, in one line, what came of it.
static inline void report(const struct talk *t, const char *note) {
    char line[1600];
    char *message = strdup(t->message);
    for (char *c = message; *c; c++)
        if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ') *c = '\'';
    int count = snprintf(
        line, sizeof line,
        "{\"ids\":[%s],\"messages\":%d,\"status\":%d,\"message\":\"%s\",\"ending\":\"%s\",\"pings\":%d,"
        "\"seconds\":%.3f,\"note\":\"%s\"}\n",
        t->ids, t->messages, t->status, message, t->ending, t->pings, now_seconds() - t->began, note);
    free(message);
    if (write(1, line, (size_t)count) < 0) _exit(3);
}

// The ordinary thing: connect, ask, report.
static inline int fetch(const char *path, const char *note) {
    static struct talk t;
    double began = now_seconds();
    int fd = dial(path);
    t = talk_over(fd);
    t.began = began;
    if (fd < 0) {
        strcpy(t.ending, "no connection");
    } else {
        request(&t);
        hear(&t, 1, 10);
        close(fd);
    }
    report(&t, note);
    return t.messages ? 0 : 1;
}
