/* SPDX-License-Identifier: ISC */
/* A text that one side changes at any time and the other copies: base/include/session/rom.h. */
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

void rom_put(void *memory, size_t size, const void *text, size_t bytes)
{
    struct rom_header *header = memory;
    uint64_t version = header->version | 1;

    __atomic_store_n(&header->version, version, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    bytes = bytes < size - sizeof(*header) ? bytes
                                           : size - sizeof(*header); /* the other side may write there, too */
    header->bytes = bytes;
    memcpy(header + 1, text, bytes);
    __atomic_store_n(&header->version, version + 1, __ATOMIC_RELEASE);
}
