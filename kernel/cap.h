/* SPDX-License-Identifier: ISC */
/*
 * Capabilities and the OBJ space: a table of two levels, leaf pages made as selectors come into use. A
 * capability is a pointer to an object, permissions, and for a notification the bits that it may set.
 */
#pragma once

#include <stddef.h>

#include "kernel/object.h"

struct space;

struct cap {
    uint64_t word; /* bits 0-47 of the object's address, permissions above; 0: empty */
    uint64_t bits;
};

#define CAPS_PER_LEAF (4096 / sizeof(struct cap))

static inline struct object *cap_object(const struct cap *cap)
{
    return (struct object *)(cap->word | 0xffff000000000000u); /* kernel addresses: the upper bits are ones */
}

static inline unsigned cap_permissions(const struct cap *cap)
{
    return (unsigned)(cap->word >> 48);
}

/* The capability at a selector, NULL if there is none. */
static inline const struct cap *cap_lookup(struct cap *const *table, uint64_t selector)
{
    const struct cap *leaf;

    if (selector >= OBJ_SELECTORS)
        return NULL;
    leaf = table[selector / CAPS_PER_LEAF];
    if (!leaf)
        return NULL;
    leaf += selector % CAPS_PER_LEAF;
    return leaf->word ? leaf : NULL;
}

/* Make sure that a capability can be put at the selector: STATUS_OK, BAD_ARG, EXISTS or NO_MEMORY. */
enum status cap_prepare(struct space *space, uint64_t selector) must_check;

/* Put it there, prepared before; takes a reference of its own. */
void cap_insert(struct space *space, uint64_t selector, struct object *object, unsigned permissions,
                uint64_t bits);

/* Empty the selector. */
void cap_remove(struct space *space, uint64_t selector);

/* Empty the whole space, some hundred selectors a call; true when done. */
bool cap_clear(struct space *space) must_check;
