/* SPDX-License-Identifier: ISC */
/*
 * What host tests of the kernel's protocols need of a processor: stores that wait in a buffer, frames of
 * memory with page tables in them, TLBs that fetch through those. Random, from a seed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kernel/generation.h"

static inline uint32_t draw(uint64_t *random, uint32_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)(*random >> 16) % below;
}

static inline uint64_t draw_begin(unsigned seed)
{
    uint64_t random = seed * 0x9e3779b97f4a7c15u + 1;

    draw(&random, 2);
    return random;
}

/* Stores wait in order and are seen by their own CPU; atomic operations and the like drain them. */
#define STORES 8u
struct stores {
    struct {
        uint64_t *place, value;
        bool answer;
    } store[STORES];
    unsigned count;
};

static inline void drain_one(struct stores *stores)
{
    if (stores->store[0].answer)
        generation_answer(stores->store[0].place, stores->store[0].value);
    else
        *stores->store[0].place = stores->store[0].value;
    stores->count--;
    memmove(stores->store, stores->store + 1, stores->count * sizeof(stores->store[0]));
}

static inline void drain(struct stores *stores)
{
    while (stores->count)
        drain_one(stores);
}

static inline void store(struct stores *stores, uint64_t *place, uint64_t value)
{
    if (stores->count == STORES)
        drain_one(stores);
    stores->store[stores->count].place = place;
    stores->store[stores->count].answer = false;
    stores->store[stores->count++].value = value;
}

/* generation_answer, when it leaves the buffer. */
static inline void store_answer(struct stores *stores, uint64_t *seen, uint64_t begun)
{
    store(stores, seen, begun);
    stores->store[stores->count - 1].answer = true;
}

static inline uint64_t load(const struct stores *stores, const uint64_t *place)
{
    for (unsigned i = stores->count; i--;) {
        if (stores->store[i].place == place)
            return stores->store[i].value;
    }
    return *place;
}

/* Frames, and whose they are, which no processor knows. Roots and tables hold numbers of frames. */
#define FRAMES      24u
#define ROOTS       2u /* entries of a root */
#define LEAVES      2u /* of a table below it */
#define PAGES       (ROOTS * LEAVES)
#define KERNEL_ROOT 0u /* frame 0, which maps nothing; as an entry: not present */

enum frame_kind { FREE, ROOT, TABLE, DATA };

struct frames {
    struct {
        enum frame_kind kind;
        unsigned space, place; /* whose, and at which page or root entry */
    } frame[FRAMES];
    uint64_t memory[FRAMES][ROOTS];
    unsigned long taken; /* how often one was */
};

static inline bool frame_is(const struct frames *frames, uint64_t frame, enum frame_kind kind, unsigned space,
                            unsigned place)
{
    return frames->frame[frame].kind == kind && frames->frame[frame].space == space &&
           frames->frame[frame].place == place;
}

/* KERNEL_ROOT: none is free. */
static inline uint64_t frame_take(struct frames *frames, uint64_t *random, enum frame_kind kind,
                                  unsigned space, unsigned place)
{
    unsigned first = draw(random, FRAMES);

    for (unsigned i = 0; i < FRAMES; i++) {
        unsigned frame = (first + i) % FRAMES;

        if (frame == KERNEL_ROOT || frames->frame[frame].kind != FREE)
            continue;
        frames->frame[frame].kind = kind;
        frames->frame[frame].space = space;
        frames->frame[frame].place = place;
        frames->taken++;
        return frame;
    }
    return KERNEL_ROOT;
}

/* Those that are to be free when no processor uses them any more. */
struct frame_list {
    uint64_t frame[FRAMES];
    unsigned count;
};

static inline void frame_list(struct frame_list *list, uint64_t frame)
{
    if (frame != KERNEL_ROOT)
        list->frame[list->count++] = frame;
}

/* Those of a kind; FREE: all. */
static inline void frames_free(struct frames *frames, struct frame_list *list, enum frame_kind kind)
{
    for (unsigned i = 0; i < list->count; i++) {
        if (kind != FREE && frames->frame[list->frame[i]].kind != kind)
            continue;
        frames->frame[list->frame[i]].kind = FREE;
        list->frame[i--] = list->frame[--list->count];
    }
}

static inline void frames_free_space(struct frames *frames, unsigned space)
{
    for (unsigned i = 0; i < FRAMES; i++) {
        if (frames->frame[i].space == space)
            frames->frame[i].kind = FREE;
    }
}

/* What a TLB holds of one space: tables, leaves. */
struct translations {
    uint64_t table[ROOTS], leaf[PAGES];
};

/* One access to memory for some page, or, if the translation is there already, its use. What is wrong with
 * it, or NULL. */
static inline const char *translate(const struct frames *frames, uint64_t *random, struct translations *tlb,
                                    uint64_t root, unsigned space, bool use)
{
    unsigned page = draw(random, PAGES), place = page / LEAVES;

    if (tlb->leaf[page])
        return !use || frame_is(frames, tlb->leaf[page], DATA, space, page)
                   ? NULL
                   : "uses a frame that was taken away";
    if (!tlb->table[place]) {
        tlb->table[place] = frames->memory[root][place];
        return frame_is(frames, root, ROOT, space, 0) ? NULL : "walks a root that was freed";
    }
    tlb->leaf[page] = frames->memory[tlb->table[place]][page % LEAVES];
    return frame_is(frames, tlb->table[place], TABLE, space, place) ? NULL : "walks a table that was freed";
}

/* What happened last, to be printed with a failure. */
#define TRACE 48u
struct trace {
    struct {
        const char *what;
        uint64_t value;
        unsigned cpu;
    } event[TRACE];
    unsigned long count;
};

static inline void trace_note(struct trace *trace, unsigned cpu, const char *what, uint64_t value)
{
    trace->event[trace->count % TRACE].cpu = cpu;
    trace->event[trace->count % TRACE].what = what;
    trace->event[trace->count++ % TRACE].value = value;
}

static inline void trace_print(const struct trace *trace)
{
    for (unsigned long i = trace->count < TRACE ? 0 : trace->count - TRACE; i < trace->count; i++)
        printf("  CPU %u %s %lu\n", trace->event[i % TRACE].cpu, trace->event[i % TRACE].what,
               trace->event[i % TRACE].value);
}
