// Events: what the kernel reports of processes as it happens.
#ifndef MINTMARK_EVENTS_H
#define MINTMARK_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Opens the proc connector: a netlink socket in the group of process events, non-blocking, with a receive buffer of the
// given bytes. Returns a descriptor, or -1 with errno.
int mintmark_connector_open(int receive_buffer);

// Asks the connector to start reporting. The kernel answers with an acknowledgement among the events.
int mintmark_connector_listen(int connector);

// Receives up to `count` datagrams into slots of `slot` bytes each, without waiting. `lengths` gets the true length of
// each, which may exceed the slot; `senders` gets the netlink port of each, 0 for the kernel.
// Returns how many, 0 when there are none, or -1 with errno (ENOBUFS: some were lost).
int mintmark_connector_receive(
    int connector, uint8_t *slots, size_t slot, uint32_t *lengths, uint32_t *senders, unsigned count);

// Opens a ring of executable mappings and exec marks of all processes on one processor, stamped by CLOCK_MONOTONIC.
// `bytes` is the size of the ring, a power of two in pages. Returns a descriptor and the mapping, or -1 with errno.
int mintmark_mappings_open(int processor, size_t bytes, void **ring);
// The same for a sample of each thread that goes on on this processor, and ran on another before: pid, tid, time.
int mintmark_moves_open(int processor, size_t bytes, void **ring);
void mintmark_ring_close(int descriptor, void *ring, size_t bytes);

// Copies what has been written to a ring since the last call, and frees its place. `output` must hold `bytes`.
// Returns how much, always whole records.
size_t mintmark_ring_take(void *ring, size_t bytes, uint8_t *output);

// CLOCK_MONOTONIC, and what to add to it for CLOCK_REALTIME, both in nanoseconds.
uint64_t mintmark_monotonic(void);
int64_t mintmark_realtime_offset(void);
// How much later than a file system's stamp a change may be, in nanoseconds.
int64_t mintmark_stamp_resolution(void);

// What decides whether the digest of a file says what was executed.
struct mintmark_facts {
    uint32_t device_major, device_minor;
    uint64_t inode;
    uint32_t owner;
    uint32_t mode;
    int64_t changed;          // ctime, nanoseconds since 1970
    int64_t born;             // btime, or -1
    uint32_t generation;      // as FS_IOC_GETVERSION gives it
    uint8_t has_generation;
    uint8_t has_acl;          // also when it could not be asked
    uint64_t file_system;     // statfs magic
};
int mintmark_file_facts(int descriptor, struct mintmark_facts *facts);

// Fanotify groups. `guard` makes one whose events wait for an answer; the other reports file handles only.
int mintmark_fanotify_open(int guard);
#define MINTMARK_MARK_FILESYSTEM 0
#define MINTMARK_MARK_MOUNT 4
#define MINTMARK_MARK_GUARDED_DIRECTORY 1
#define MINTMARK_MARK_GUARDED_FILE 2
#define MINTMARK_MARK_CLOSING 3
#define MINTMARK_MARK_NOT_CLOSING 5
int mintmark_fanotify_mark(int group, int kind, const char *path);
// Marks the inode behind a descriptor.
int mintmark_fanotify_mark_descriptor(int group, int kind, int descriptor);
int mintmark_fanotify_answer(int group, int descriptor);

// The file handle of a descriptor (type and bytes) and the id of its file system, as fanotify reports them.
int mintmark_file_handle(int descriptor, int32_t *type, uint8_t *bytes, uint32_t *count, uint64_t *file_system_id);
int mintmark_open_by_handle(int mount, int32_t type, const uint8_t *bytes, uint32_t count);

// Takes or gives up a read lease. A read lease is refused while anyone has the file open for writing.
int mintmark_lease_take(int descriptor);
// Whether the read lease still stands unbroken: 1 or 0.
int mintmark_lease_stands(int descriptor);
void mintmark_lease_release(int descriptor);

// Memory shared with a guardian: numbers that both may read and write, then a buffer for events.
#define MINTMARK_SHARED_BUFFER 65536
int mintmark_shared_make(void);
void *mintmark_shared_map(int memory);
void mintmark_shared_unmap(void *shared);
uint64_t mintmark_shared_number(void *shared, unsigned index);
void mintmark_shared_add(void *shared, unsigned index);
// Reads events into the shared buffer, so that a guardian knows of them as soon as this process does.
ssize_t mintmark_shared_read(void *shared, int group);
void mintmark_shared_copy(void *shared, uint8_t *output);

// Starts a program in a session of its own, with three descriptors as 3, 4 and 5 and nothing else beyond the standard
// ones. Returns its process id, or -1 with errno.
int32_t mintmark_start_guardian(const char *path, char *const arguments[], int group, int memory, int life);

#endif
