/* SPDX-License-Identifier: ISC */
/*
 * Tags of cached translations (ASIDs of vCPUs), handed out by a CPU in a row. When they are used up a new
 * generation begins: everything is flushed once, and a vCPU with a tag of an older generation gets a new one.
 * So tags never run out, and no two vCPUs share one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct tags {
    uint32_t next, limit; /* tags are 1 to limit - 1; at least one */
    uint64_t generation;  /* from 1 on */
};

struct tag {
    uint32_t number;
    uint64_t generation; /* 0: has none */
};

static inline void tags_init(struct tags *tags, uint32_t limit)
{
    *tags = (struct tags){.next = 1, .limit = limit, .generation = 1};
}

/* A flush that tag_renew asked for may not have been done: the next renewal asks for it again. */
static inline void tags_expire(struct tags *tags)
{
    tags->next = tags->limit;
}

/* Make sure that the tag is of this generation. True: it is a new one, and *flush says whether all tags of
 * the CPU have to be flushed before it is used. */
static inline bool tag_renew(struct tags *tags, struct tag *tag, bool *flush)
{
    if (tag->generation == tags->generation)
        return false;
    if (tags->next == tags->limit) {
        tags->next = 1;
        tags->generation++;
        *flush = true;
    }
    tag->number = tags->next++;
    tag->generation = tags->generation;
    return true;
}
