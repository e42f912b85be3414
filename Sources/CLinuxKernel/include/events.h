// Events: what the kernel reports of processes as it happens.
#ifndef MINTMARK_EVENTS_H
#define MINTMARK_EVENTS_H

#include <stdint.h>
#include <sys/types.h>

#endif
