/* SPDX-License-Identifier: ISC */
/* Reading a ROM that its server changes at any time. */
#include "base/include/rom.h"

#include <string.h>

bool rom_take(const void *memory, size_t size, uint64_t *version, void *text, size_t *bytes)
{
    const struct rom_header *header = memory;
    uint64_t now = __atomic_load_n(&header->version, __ATOMIC_ACQUIRE);
    uint64_t length = __atomic_load_n(&header->bytes, __ATOMIC_RELAXED);

    if (now == *version || now % 2 || length > size - sizeof(*header))
        return false;
    memcpy(text, header + 1, length);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&header->version, __ATOMIC_RELAXED) != now)
        return false;
    *version = now;
    *bytes = length;
    return true;
}
