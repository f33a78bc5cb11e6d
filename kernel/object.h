/* SPDX-License-Identifier: ISC */
/*
 * What all kernel objects share: a type, an account that pays, a count of references. Capabilities and kernel
 * structures that point to an object hold a reference each. Destroying an object marks it dead and gives its
 * large parts back at once; the husk goes with the last reference.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "abi/syscall.h"

#define must_check __attribute__((warn_unused_result))

struct account;

struct object {
    uint8_t type; /* enum object_type */
    bool dead;
    uint32_t references;
    struct account *account; /* that pays for it; referenced by the pages it has given */
    struct object *next;     /* without references: in the list of those to be freed */
};

/* Allocate an object of `size` bytes (at most a page), zero but for its header, with one reference. NULL if
 * the account is empty or dead. */
void *object_create(struct account *account, enum object_type type, unsigned size) must_check;

static inline void object_reference(struct object *object)
{
    object->references++;
}

/* Drop a reference. The last one puts the object on a list that is worked off before anyone leaves the
 * kernel: an object may hold the last reference of the next, and so on without end. */
void object_release(struct object *object);

/* Do a bounded part of that work; called as long as HAZARD_FREE is set. */
void object_free_some(void);

/* End the object's life. False: part of the work is done and has to be continued by calling again. */
bool object_destroy(struct object *object) must_check;

/* How many objects of the type exist, husks included. */
uint64_t object_count(enum object_type type);
