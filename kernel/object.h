/* SPDX-License-Identifier: ISC */
/*
 * The common part of all kernel objects: a type, an account that pays, a count of references. Capabilities and kernel
 * structures that point to an object hold a reference each. Destroying an object marks it dead and gives its
 * large parts back at once; the husk goes a grace period (smp.h) after the last reference. But for
 * references, the kernel's lock is held wherever objects are made, destroyed and freed.
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
    uint8_t requests;        /* REQUEST_*, atomic: not 0 while it is in the list of a CPU's requests */
    uint32_t references;     /* atomic */
    struct account *account; /* that pays for it; referenced by the pages it has given */
    struct object *next;     /* in a list of requests, or without references among those to be freed */
};

/* Allocate an object of `size` bytes (at most a page), zero but for its header, with one reference. NULL if
 * the account is empty or dead. */
void *object_create(struct account *account, enum object_type type, unsigned size) must_check;

static inline void object_reference(struct object *object)
{
    __atomic_fetch_add(&object->references, 1, __ATOMIC_RELAXED);
}

/* Take a reference unless the last one is gone: then the object is about to be freed.
 */
bool object_try_reference(struct object *object) must_check;

/* Drop a reference. The last one puts the object on a list that is worked off on the way out of the kernel,
 * when the other CPUs have passed theirs: an object may hold the last reference of the next, and so on
 * without end. */
void object_release(struct object *object);

/* Free at once an object that no other CPU or table can have a pointer to. */
void object_discard(struct object *object);

/* A page that other CPUs may still read is freed like an object. */
void object_free_page(void *page);

/* The object joins those that this CPU has to free; it is free, but for what is left where the result is
 * false; and one object or page of those has been freed. For reclaim.c. */
void object_free_here(struct object *object);
bool object_free(struct object *object) must_check;
void object_freed(void);

/* Whether the current EC's call, which gives `status`, is to begin anew since memory may come: something
 * waits to be freed on some CPU. It is waited for no longer than that usually takes. */
bool object_memory_may_come(enum status status);

/* How many objects of the type exist, husks included. */
uint64_t object_count(enum object_type type);

/*
 * A type's operations on its objects; start.c has the list. An operation that is NULL has nothing to do. The
 * kernel's lock is held but for home and wake.
 */
struct object_operations {
    unsigned (*home)(const struct object *object); /* the CPU that it belongs to; NULL: none */
    /* End the life of what belongs to a CPU, there; and of interrupts. It is marked dead. */
    void (*end)(struct object *object);
    /* Whether only holders of a capability can still find it. Goes with `end`. */
    bool (*ended)(const struct object *object);
    /* Of the others: give the large parts back. False: part of the work is done. */
    bool (*destroy)(struct object *object);
    /* Check whether an EC is to run. Only on the object's CPU. */
    void (*wake)(struct object *object);
    /* Nothing refers to it: the rest goes. False: part of the work is done. */
    bool (*free)(struct object *object);
};

extern const struct object_operations *const *object_types; /* by type; set at boot */

static inline const struct object_operations *object_operations(const struct object *object)
{
    return object_types[object->type];
}
