// System calls, socket options and structures that the Swift overlay of the C library does not name.
#ifndef MINTMARK_CLINUXKERNEL_H
#define MINTMARK_CLINUXKERNEL_H

#include "events.h"
#include "process.h"
#include "sockets.h"

#endif
