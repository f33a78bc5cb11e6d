/* SPDX-License-Identifier: ISC */
/*
 * Feeds both sides of a ring with operations and, between them, with arbitrary writes to the shared memory,
 * as a hostile peer makes them. The sanitizers watch the memory around the ring; here it is checked that no
 * operation moves more than the ring holds and that a record never exceeds its buffer.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/ring/ring.h"

#define MEMORY (RING_OVERHEAD + 2 * RING_DATA_MINIMUM)

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

static void check(bool condition)
{
    if (!condition) {
        __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    _Alignas(64) uint8_t memory[MEMORY] = {0};
    uint8_t buffer[256] = {0};
    struct ring in, out;
    check(ring_init(&in, memory, sizeof memory, true));
    check(ring_init(&out, memory, sizeof memory, false));
    for (size_t at = 0; at + 3 <= length; at += 3) {
        bool signal = false;
        size_t count = 0;
        uint8_t size = input[at + 1];
        switch (input[at] % 6) {
        case 0:
            check(ring_write(&in, buffer, size, &signal) <= in.size);
            break;
        case 1:
            check(ring_read(&out, buffer, size, &signal) <= size);
            break;
        case 2:
            check(ring_put(&in, buffer, size, &signal) != RING_EMPTY);
            break;
        case 3:
            if (ring_get(&out, buffer, size, &count, &signal) == RING_OK) {
                check(count <= size);
            }
            break;
        case 4: /* indices and flag */
            memory[size % 4 + (size & 0x80 ? 64 : 0) + (size & 0x40 ? 4 : 0)] = input[at + 2];
            break;
        default:
            memory[size % MEMORY] = input[at + 2];
            break;
        }
        check(ring_available(&in) <= in.size && ring_available(&out) <= out.size);
    }
    return 0;
}
