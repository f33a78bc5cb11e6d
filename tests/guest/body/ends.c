/* SPDX-License-Identifier: ISC */
/* Instructions that end where code ends: some that exit, and one that does not and shows what the others
 * should do. */
#include "tests/guest/body/ends.h"

static const struct end ends[] = {
    {"NOP", 1, {0x90}},        {"CPUID", 2, {0x0f, 0xa2}}, {"OUT", 2, {0xe6, 0x80}},
    {"IN", 2, {0xe4, 0x80}},   {"OUTSB", 1, {0x6e}},       {"WBINVD", 2, {0x0f, 0x09}},
    {"INVD", 2, {0x0f, 0x08}}, {"RDMSR", 2, {0x0f, 0x32}}, {"PAUSE", 2, {0xf3, 0x90}},
};
static const struct end store = {"MOV to a device", 2, {0x88, 0x03}};
static const struct end store_real = {"MOV to a device", 3, {0x67, 0x88, 0x03}};

void end_place(uint32_t address, const uint8_t *bytes, unsigned length)
{
    volatile uint8_t *at = (volatile uint8_t *)mmio32(address);

    for (unsigned i = 0; i < length; i++)
        at[i] = bytes[i];
}

static void exits(void)
{
    /* Without an exit it is QEMU that goes on at 0 in real mode. */
    for (unsigned i = IS_REAL ? 1 : 0; i < sizeof ends / sizeof ends[0]; i++)
        if (!end_runs(&ends[i]))
            return;
    (void)end_runs(IS_REAL ? &store_real : &store);
}

const struct test end_tests[] = {{IS_REAL ? "end.limit" : "end.wrap", exits}, {NULL, NULL}};
