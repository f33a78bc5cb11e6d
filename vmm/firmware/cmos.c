/* SPDX-License-Identifier: ISC */
/* CMOS memory as firmware reads it; see cmos.h. */
#include "vmm/firmware/cmos.h"

#include <string.h>

#define KIB         1024u
#define MIB         (KIB * KIB)
#define BLOCK       (64 * KIB)
#define FIRST       0x0eu
#define FLOPPIES    0x10u
#define EQUIPMENT   0x14u
#define BASE_MEMORY 0x15u /* KiB */
#define EXTENDED    0x17u /* KiB above 1 MiB */
#define SUM_FIRST   0x10u
#define SUM         0x2eu /* of the bytes up to it; high byte first */
#define EXTENDED_2  0x30u
#define CENTURY     0x32u
#define ABOVE_16M   0x34u /* blocks up to 4 GiB */
#define BOOT_3      0x38u /* third device; bit 0: floppies need no signature */
#define BOOT_1_2    0x3du
#define ABOVE_4G    0x5bu /* blocks, three bytes */
#define OTHER_CPUS  0x5fu
#define HAS_FLOPPY  0x01u
#define HAS_FPU     0x02u
#define HAS_MOUSE   0x04u
#define BASE_KIB    640u

static void put(uint8_t *cmos, unsigned index, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        cmos[index + i] = (uint8_t)(value >> i * 8);
}

/* As many units as there are bytes beyond a place, and as fit into a register. */
static uint64_t units(uint64_t bytes, uint64_t from, uint64_t unit, uint64_t most)
{
    uint64_t count = bytes > from ? (bytes - from) / unit : 0;

    return count < most ? count : most;
}

void cmos_fill(uint8_t cmos[CMOS_SIZE], const struct cmos_config *config)
{
    uint64_t low = config->map->low_size, extended = units(low, MIB, KIB, UINT16_MAX);
    uint8_t century = cmos[CENTURY];
    unsigned sum = 0;

    memset(cmos + FIRST, 0, CMOS_SIZE - FIRST);
    cmos[CENTURY] = century;
    cmos[FLOPPIES] = (uint8_t)(config->floppy << 4);
    cmos[EQUIPMENT] = HAS_FPU | (config->mouse ? HAS_MOUSE : 0) | (config->floppy ? HAS_FLOPPY : 0);
    put(cmos, BASE_MEMORY, BASE_KIB, 2);
    put(cmos, EXTENDED, extended, 2);
    put(cmos, EXTENDED_2, extended, 2);
    put(cmos, ABOVE_16M, units(low, 16 * MIB, BLOCK, UINT16_MAX), 2);
    put(cmos, ABOVE_4G, units(config->map->high_size, 0, BLOCK, 0xffffff), 3);
    cmos[BOOT_1_2] = (uint8_t)(config->boot[0] | config->boot[1] << 4);
    cmos[BOOT_3] = (uint8_t)(config->boot[2] << 4);
    cmos[OTHER_CPUS] = (uint8_t)(config->cpus - 1);
    for (unsigned i = SUM_FIRST; i < SUM; i++)
        sum += cmos[i];
    cmos[SUM] = (uint8_t)(sum >> 8);
    cmos[SUM + 1] = (uint8_t)sum;
}
