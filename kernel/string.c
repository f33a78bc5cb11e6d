/* SPDX-License-Identifier: ISC */
/* Memory functions, by string instructions: short, and fast where the processor has ERMS. */
#include "kernel/string.h"

#include <stdint.h>

void *memset(void *memory, int byte, size_t size)
{
    void *target = memory;
    uint64_t pattern = (uint8_t)byte * 0x0101010101010101u;
    size_t words = size / 8;

    __asm__ volatile("rep stosq" : "+D"(target), "+c"(words) : "a"(pattern) : "memory");
    size %= 8;
    __asm__ volatile("rep stosb" : "+D"(target), "+c"(size) : "a"(pattern) : "memory");
    return memory;
}

void *memcpy(void *restrict target, const void *restrict source, size_t size)
{
    void *to = target;
    const void *from = source;
    size_t words = size / 8;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    size %= 8;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return target;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < size; i++) {
        if (x[i] != y[i])
            return x[i] - y[i];
    }
    return 0;
}
