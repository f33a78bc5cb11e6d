/* SPDX-License-Identifier: ISC */
/* The table of the guests in builtin.S. */
#include "vmm/test/builtin.h"

#include <string.h>

#define BASE    0x100000u /* as BUILTIN_BASE and BUILTIN_BASE_16 in builtin.S */
#define BASE_16 0x7c00u

extern const uint8_t builtin_spin[], builtin_spin_end[];
extern const uint8_t builtin_spin16[], builtin_spin16_end[];
extern const uint8_t builtin_hello[], builtin_hello_end[];
extern const uint8_t builtin_out[], builtin_out_end[];

static const struct builtin_guest guests[] = {
    {"spin", false, BASE, builtin_spin, builtin_spin_end},
    {"spin16", true, BASE_16, builtin_spin16, builtin_spin16_end},
    {"hello", false, BASE, builtin_hello, builtin_hello_end},
    {"out", false, BASE, builtin_out, builtin_out_end},
};

const struct builtin_guest *builtin_find(const char *name)
{
    for (size_t i = 0; i < sizeof guests / sizeof guests[0]; i++)
        if (strcmp(guests[i].name, name) == 0)
            return &guests[i];
    return NULL;
}
