/* SPDX-License-Identifier: ISC */
/*
 * What the parts of the library share while a table is read.
 */
#pragma once

#include "lib/part/part.h"

/* Sectors that hold a part of the table. */
struct part_region {
    uint64_t first, last;
};

#define PART_REGIONS (PART_LIMIT + 8u) /* the table of each logical partition, those of MBR and GPT */

struct part_scan {
    const struct part_source *source;
    struct part_table *table;
    struct part_region region[PART_REGIONS];
    uint32_t regions, lines;
    _Alignas(8) uint8_t bytes[PART_SECTOR_MAXIMUM];
};

/* A line is built of texts and numbers; what does not fit is cut. */
struct part_text {
    char bytes[PART_LINE];
    size_t length;
};

void part_put(struct part_text *text, const char *string);
void part_put_number(struct part_text *text, uint64_t number);
void part_put_hex(struct part_text *text, uint64_t number, unsigned digits);

/* "THING: expected EXPECTED, found FOUND"; false, so that a check can end with it. */
bool part_fail(struct part_scan *scan, const char *thing, const char *expected, uint64_t found);
/* "THING, sector AT: expected EXPECTED, found FOUND" */
bool part_fail_at(struct part_scan *scan, const char *thing, uint64_t at, const char *expected,
                  const char *found);
void part_say(struct part_scan *scan, const struct part_text *text);

/* Reads into scan->bytes. False: a sector is not on the disk, or reading failed; nothing is said. */
bool part_fetch(struct part_scan *scan, uint64_t sector, uint32_t count);

/* Marks sectors that no partition may hold. False: there are too many. */
bool part_reserve(struct part_scan *scan, uint64_t first, uint64_t sectors);
/* Whether one of these sectors is in a region. */
bool part_reserved(const struct part_scan *scan, uint64_t first, uint64_t last);

/* Adds a partition, before part_settle() has checked it. False: there is no room, and that is said. */
bool part_add(struct part_scan *scan, const struct part_entry *entry);

/*
 * Refuses, of the partitions added and when all regions are known, those that are empty, leave first to last,
 * overlap one before them or hold a region.
 */
void part_settle(struct part_scan *scan, uint64_t first, uint64_t last);

/* Little-endian numbers of a table. */
uint32_t part_get16(const uint8_t *bytes);
uint32_t part_get32(const uint8_t *bytes);
uint64_t part_get64(const uint8_t *bytes);

/* Texts of a UUID as a GPT has it, and of a name: UTF-16 to UTF-8, control and broken characters as '?'. */
void part_uuid_text(const uint8_t uuid[16], char text[PART_UUID_SIZE]);
void part_name_text(const uint8_t units[72], char text[PART_NAME_SIZE]);

/* The two formats. scan->bytes has sector 0 for the MBR's. */
bool part_read_mbr(struct part_scan *scan);
bool part_read_gpt(struct part_scan *scan);
