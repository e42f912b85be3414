#ifndef ALLOCATION_COUNT_H
#define ALLOCATION_COUNT_H

#include <stdbool.h>
#include <stdint.h>

/// Starts or stops counting, in all threads of the process.
void allocation_count_enable(bool enabled);

/// How many blocks were asked of the heap while counting was on.
uint64_t allocation_count_total(void);

#endif
