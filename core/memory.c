/* SPDX-License-Identifier: ISC */
/*
 * The book of physical memory: core/memory.h. Best fit, so that small demands leave the large runs whole.
 */
#include "core/memory.h"

#include <string.h>

#define EVEN_PAGES 4096u /* of which a word of even[] tells */

static size_t even_bytes(uint64_t pages)
{
    return (size_t)((pages + EVEN_PAGES - 1) / EVEN_PAGES * 8);
}

size_t memory_map_bytes(uint64_t pages)
{
    return (size_t)((pages + 63) / 64 * 8 + 2 * even_bytes(pages));
}

void memory_init(struct memory *memory, uint64_t *map, uint64_t pages)
{
    *memory = (struct memory){.map = map, .pages = pages};
    memory->even[1] = map + (pages + 63) / 64;
    memory->even[0] = memory->even[1] + even_bytes(pages) / 8;
    memset(map, 0, memory_map_bytes(pages));
    memset(memory->even[0], 0xff, (size_t)(pages / EVEN_PAGES * 8));
}

static unsigned bits_set(uint64_t word)
{
    unsigned count = 0;
    if (word == UINT64_MAX)
        return 64;
    for (; word; word &= word - 1)
        count++;
    return count;
}

static void range_set(struct memory *memory, uint64_t page, uint64_t count, bool free)
{
    uint64_t end = page < memory->pages && count < memory->pages - page ? page + count : memory->pages;
    while (page < end) {
        if (page % EVEN_PAGES == 0 && end - page >= EVEN_PAGES &&
            memory->even[!free][page / EVEN_PAGES] == UINT64_MAX) {
            memset(&memory->map[page / 64], free ? 0xff : 0, EVEN_PAGES / 8);
            memory->even[!free][page / EVEN_PAGES] = 0;
            memory->even[free][page / EVEN_PAGES] = UINT64_MAX;
            memory->free += free ? EVEN_PAGES : 0ull - EVEN_PAGES;
            page += EVEN_PAGES;
            continue;
        }
        unsigned low = page % 64;
        uint64_t bits = end - page < 64 - low ? end - page : 64 - low;
        uint64_t mask = (bits == 64 ? UINT64_MAX : (1ull << bits) - 1) << low;
        uint64_t *word = &memory->map[page / 64];
        uint64_t before = *word & mask, after = free ? mask : 0;
        memory->free += bits_set(after);
        memory->free -= bits_set(before);
        *word = (*word & ~mask) | after;
        for (unsigned i = 0; i < 2; i++) {
            uint64_t bit = 1ull << page / 64 % 64, *even = &memory->even[i][page / EVEN_PAGES];
            *even = *word == (i ? UINT64_MAX : 0) ? *even | bit : *even & ~bit;
        }
        page += bits;
    }
}

void memory_give(struct memory *memory, uint64_t page, uint64_t count)
{
    range_set(memory, page, count, true);
}

void memory_reserve(struct memory *memory, uint64_t page, uint64_t count)
{
    range_set(memory, page, count, false);
}

/* The first page from `page` on that is free (or taken), the map's end without. Whole words are skipped. */
static uint64_t page_find(const struct memory *memory, uint64_t page, bool free)
{
    while (page < memory->pages) {
        uint64_t word = (free ? memory->map[page / 64] : ~memory->map[page / 64]) >> page % 64;
        if (word) {
            page += (uint64_t)__builtin_ctzll(word);
            return page < memory->pages ? page : memory->pages;
        }
        page = (page / 64 + 1) * 64;
        while (page % EVEN_PAGES == 0 && page < memory->pages &&
               memory->even[!free][page / EVEN_PAGES] == UINT64_MAX)
            page += EVEN_PAGES;
    }
    return memory->pages;
}

/* The smallest run that has `need` pages from a multiple of `align` on, else the longest there is. */
static struct run run_find(const struct memory *memory, uint64_t need, uint64_t align)
{
    struct run best = {0, 0};
    for (uint64_t page = page_find(memory, 0, true); page < memory->pages;) {
        uint64_t end = page_find(memory, page, false);
        uint64_t start = (page + align - 1) / align * align;
        uint64_t count = start < end ? end - start : 0;
        bool better = best.count >= need ? count >= need && count < best.count : count > best.count;
        if (better)
            best = (struct run){start, count};
        page = page_find(memory, end, true);
    }
    return best;
}

static bool runs_take(struct memory *memory, uint64_t pages, struct run *run, unsigned limit, uint64_t align)
{
    for (unsigned i = 0; i < limit && pages; i++) {
        struct run found = run_find(memory, pages, align);
        if (found.count >= pages)
            found.count = pages;
        else
            found.count -= found.count % align;
        if (!found.count)
            break;
        memory_reserve(memory, found.page, found.count);
        run[i] = found;
        pages -= found.count;
    }
    if (!pages)
        return true;
    memory_free(memory, run, limit);
    return false;
}

bool memory_alloc(struct memory *memory, uint64_t pages, struct run *run, unsigned limit)
{
    memset(run, 0, limit * sizeof(*run));
    if (pages > memory->free)
        return false;
    if (pages >= GIANT_PAGES && runs_take(memory, pages, run, limit, GIANT_PAGES))
        return true;
    if (pages >= LARGE_PAGES && runs_take(memory, pages, run, limit, LARGE_PAGES))
        return true;
    return runs_take(memory, pages, run, limit, 1);
}

void memory_free(struct memory *memory, struct run *run, unsigned limit)
{
    for (unsigned i = 0; i < limit; i++) {
        if (run[i].count)
            memory_give(memory, run[i].page, run[i].count);
        run[i] = (struct run){0, 0};
    }
}
