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

/* Parts of a capability's word. */
static inline struct object *cap_object(uint64_t word)
{
    return (struct object *)(word | 0xffff000000000000u); /* kernel addresses: the upper bits are ones */
}

static inline unsigned cap_permissions(uint64_t word)
{
    return (unsigned)(word >> 48);
}

static inline uint64_t cap_word(const struct object *object, unsigned permissions)
{
    return ((uint64_t)object & 0xffffffffffff) | (uint64_t)permissions << 48;
}

/* The place of a selector, NULL if there cannot be a capability. Without the kernel's lock its word may change
 * under the reader, so read it once. */
static inline const struct cap *cap_place(struct cap *const *table, uint64_t selector)
{
    const struct cap *leaf;

    if (selector >= OBJ_SELECTORS)
        return NULL;
    leaf = __atomic_load_n(&table[selector / CAPS_PER_LEAF], __ATOMIC_ACQUIRE);
    return leaf ? leaf + selector % CAPS_PER_LEAF : NULL;
}

/* The word of the capability at a selector; 0: there is none. */
static inline uint64_t cap_lookup(struct cap *const *table, uint64_t selector)
{
    const struct cap *cap = cap_place(table, selector);

    return cap ? __atomic_load_n(&cap->word, __ATOMIC_ACQUIRE) : 0;
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
