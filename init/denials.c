/* SPDX-License-Identifier: ISC */
/* Refusals that were logged: see denials.h. The hash is 64-bit FNV-1a; a collision only costs a line. */
#include "init/denials.h"

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

/* The terminating 0 counts, so that the strings cannot run into each other. */
static uint64_t hash(uint64_t value, const char *text)
{
    do
        value = (value ^ (uint8_t)*text) * FNV_PRIME;
    while (*text++);
    return value;
}

enum denial denial_told(struct denials *denials, const char *service, const char *label,
                        const char *arguments, enum error reason)
{
    uint64_t key = hash(hash(hash(FNV_BASIS ^ (uint64_t)reason, service), label), arguments);
    for (unsigned i = 0; i < denials->count && i < DENIALS; i++)
        if (denials->told[i] == key)
            return DENIAL_OLD;
    if (denials->count > DENIALS)
        return DENIAL_OLD;
    if (denials->count++ == DENIALS)
        return DENIAL_LAST;
    denials->told[denials->count - 1] = key;
    return DENIAL_NEW;
}
