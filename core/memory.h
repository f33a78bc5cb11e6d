/* SPDX-License-Identifier: ISC */
/*
 * The book of physical memory: one bit a page, set where the page is free. A bitmap, since giving memory back
 * then needs no memory itself and cannot fail. A second bitmap has one bit for each word of the first, so a
 * search takes a step for 16 MiB. This file touches nothing but its map, so it is tested on the build
 * machine.
 */
#pragma once

#include "base/include/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE        4096u
#define LARGE_PAGES 512u                        /* pages of a 2 MiB page */
#define GIANT_PAGES (LARGE_PAGES * LARGE_PAGES) /* of a 1 GiB page */
#define RUNS        8u                          /* runs that an allocation may be made of */

struct run {
    uint64_t page, count; /* count 0: no run */
};

struct memory {
    uint64_t *map;
    uint64_t *even[2]; /* a bit a word of the map: all its pages are taken [0], are free [1] */
    uint64_t pages;    /* that the map covers */
    uint64_t free;
};

/* Bytes of the map for this many pages. */
size_t memory_map_bytes(uint64_t pages);
/* All taken. map: memory_map_bytes(pages), 8-byte aligned. */
void memory_init(struct memory *memory, uint64_t *map, uint64_t pages);
/* Pages become free; those beyond the map are left out. None of them may be free already. */
void memory_give(struct memory *memory, uint64_t page, uint64_t count);
/* Pages become taken, whatever they were. */
void memory_reserve(struct memory *memory, uint64_t page, uint64_t count);
/*
 * Takes `pages` in at most `limit` (1 to RUNS) runs; run[] has `limit` entries, unused ones become empty.
 * From LARGE_PAGES on each run begins at a multiple of LARGE_PAGES and all but the last are multiples long,
 * if memory allows; from GIANT_PAGES on the same with these, if it can be. False: there is no such memory;
 * nothing was taken.
 */
MUST_CHECK bool memory_alloc(struct memory *memory, uint64_t pages, struct run *run, unsigned limit);
/* Gives the runs back and empties them. */
void memory_free(struct memory *memory, struct run *run, unsigned limit);
