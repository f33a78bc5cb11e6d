/* SPDX-License-Identifier: ISC */
/*
 * Partition tables: which partitions a disk has. MBR with logical partitions, and GPT with its backup; disks
 * with sectors of 512 to 4096 bytes. The library asks for sectors by a callback and has all its memory from
 * the caller, so it runs in a component as on the build machine.
 *
 * The disk is untrusted. Each sector is read once, and what is taken out of it is checked before it is kept.
 * Work is bounded: PART_LIMIT partitions are kept, a chain of logical partitions has as many tables at most,
 * none of them read twice, and a GPT has up to PART_GPT_ENTRIES entries. A partition that is out of range,
 * overlaps an earlier one or holds a part of the table itself is refused by one line, and the others remain.
 * A partition that held a part of the table would let its user move the others' boundaries.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/check.h"

#define PART_LIMIT          128u  /* partitions of a disk that are kept */
#define PART_GPT_ENTRIES    1024u /* of a GPT, used or not; everybody makes 128 */
#define PART_SECTOR_MINIMUM 512u
#define PART_SECTOR_MAXIMUM 4096u
#define PART_UUID_SIZE      37u  /* bytes of its text, with the terminating zero */
#define PART_NAME_SIZE      109u /* 36 units of UTF-16 as UTF-8, with the terminating zero */
#define PART_LINE           200u /* of a line for people, with the terminating zero */
#define PART_LINES          24u  /* told of one disk; the last one says that there are more */

enum part_kind { PART_NONE, PART_MBR, PART_GPT };

struct part_source {
    void *context;
    uint64_t sectors; /* of the disk */
    uint32_t sector_size;
    /* Reads `count` sectors, at most PART_SECTOR_MAXIMUM bytes, all of them on the disk. False: it failed. */
    bool (*read)(void *context, uint64_t sector, uint32_t count, void *bytes);
    /* A line on what was refused or is damaged, without a line end. May be NULL. */
    void (*say)(void *context, const char *line);
};

struct part_entry {
    uint32_t number; /* as Linux counts them: a GPT's entries and the MBR's from 1, logical ones from 5 */
    uint64_t first, sectors;   /* on the disk, in its sectors */
    uint8_t system;            /* of an MBR: the type's byte; 0 in a GPT */
    bool read_only;            /* GPT, basic data: attribute 60 */
    char type[PART_UUID_SIZE]; /* of a GPT, lower case; else "" */
    char uuid[PART_UUID_SIZE]; /* lower case; of an MBR as Linux's PARTUUID: "1234abcd-05" */
    char name[PART_NAME_SIZE]; /* of a GPT: its label; "" without one. Control characters are '?' */
};

struct part_table {
    enum part_kind kind;
    bool backup;               /* the first GPT is damaged: this is the second */
    char uuid[PART_UUID_SIZE]; /* the disk's; of an MBR "1234abcd" */
    uint32_t count;
    struct part_entry entry[PART_LIMIT];
};

/*
 * Reads the table. False: the disk has none that can be used, and a line said why. True, perhaps without any
 * partition. source->sectors is at least 1 and sector_size a power of two within the limits above, else
 * false.
 */
MUST_CHECK bool part_read(struct part_table *table, const struct part_source *source);

enum part_found { PART_FOUND, PART_ABSENT, PART_AMBIGUOUS };

/*
 * The partition that a label names: by UUID in any case, else by name. PART_AMBIGUOUS: several have that name
 * or UUID, and none is given.
 */
enum part_found part_find(const struct part_table *table, const char *label, const struct part_entry **found);
