/* SPDX-License-Identifier: ISC */
/*
 * The string functions of freestanding code. Copying and filling use the processor's string instructions, by
 * words where that is possible: the shortest code, and fast on every machine that has nested paging.
 */
#include <string.h>

#include <stdint.h>

void *memcpy(void *restrict target, const void *restrict source, size_t bytes)
{
    void *to = target;
    size_t words = bytes / 8, rest = bytes % 8;
    __asm__ volatile("rep movsq\n\tmovq %3, %2\n\trep movsb"
                     : "+D"(to), "+S"(source), "+c"(words)
                     : "r"(rest)
                     : "memory");
    return target;
}

void *memmove(void *target, const void *source, size_t bytes)
{
    if ((uintptr_t)target - (uintptr_t)source >= bytes)
        return memcpy(target, source, bytes);
    unsigned char *to = target;
    const unsigned char *from = source;
    while (bytes--) {
        to[bytes] = from[bytes];
        __asm__ volatile("" ::: "memory"); /* else the compiler makes a call of memmove of this */
    }
    return target;
}

void *memset(void *target, int value, size_t bytes)
{
    void *to = target;
    size_t words = bytes / 8, rest = bytes % 8;
    uint64_t pattern = (unsigned char)value * 0x0101010101010101ull;
    __asm__ volatile("rep stosq\n\tmovq %3, %1\n\trep stosb"
                     : "+D"(to), "+c"(words)
                     : "a"(pattern), "r"(rest)
                     : "memory");
    return target;
}

int memcmp(const void *left, const void *right, size_t bytes)
{
    const unsigned char *a = left, *b = right;
    for (size_t i = 0; i < bytes; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

void *memchr(const void *area, int value, size_t bytes)
{
    const unsigned char *at = area;
    for (size_t i = 0; i < bytes; i++)
        if (at[i] == (unsigned char)value)
            return (void *)(uintptr_t)(at + i);
    return NULL;
}

size_t strnlen(const char *string, size_t limit)
{
    size_t length = 0;
    while (length < limit && string[length])
        length++;
    return length;
}

size_t strlen(const char *string)
{
    return strnlen(string, SIZE_MAX);
}

int strncmp(const char *left, const char *right, size_t limit)
{
    for (size_t i = 0; i < limit; i++) {
        unsigned char a = (unsigned char)left[i], b = (unsigned char)right[i];
        if (a != b)
            return a < b ? -1 : 1;
        if (!a)
            break;
    }
    return 0;
}

int strcmp(const char *left, const char *right)
{
    return strncmp(left, right, SIZE_MAX);
}
