/* SPDX-License-Identifier: ISC */
/*
 * A model of the kernel for tests of core: objects, accounts, capabilities and spaces as abi/calls.md has
 * them, without anything that runs. A test can ask what exists, who is charged and what is mapped where, and
 * have the n-th call fail that needs memory.
 */
#pragma once

#include "base/include/syscall.h"

#include <stdbool.h>

/* Pages of a memory space that lie side by side on both sides; of a PIO space: ports, source 0. */
struct model_range {
    uint64_t at, count, source, rights;
};

struct model_object {
    enum object_type type;
    enum space_kind kind;
    bool dead, watched;
    unsigned capabilities, charges; /* to it, of the latter for an account */
    struct model_object *account;   /* that is charged for it; of an account: its parent */
    struct model_object *next;      /* all that exist */
    struct model_object *pd;        /* of a space, EC; EC of a SC and portal; space of a device */
    uint64_t id;                    /* of a portal, interrupt, device */
    uint64_t free, used;            /* account */
    uint64_t time;                  /* EC: what EC_TIME gives */
    struct model_capability **block;
    struct model_range *range;
    unsigned ranges;
};

struct model_capability {
    struct model_object *object; /* NULL: empty */
    unsigned permissions;
    uint64_t bits;
};

struct model {
    struct model_object *objects;
    struct model_object *obj; /* core's capabilities */
    uint64_t kernel_pages;
    uint64_t calls;   /* so far */
    uint64_t work;    /* of them in steps: a call, a page or port removed or entered, counts one */
    unsigned fail;    /* this many calls that need memory until one fails; 0: none does */
    bool failed;      /* it has */
    unsigned faults;  /* refused DMAs that are left to tell */
    uint64_t signals; /* NT_SIGNAL calls */
};
extern struct model model;

/* Nothing but core's own objects; what was is freed. */
void model_start(uint64_t kernel_pages);
void model_end(void);
/* What is at a selector of an OBJ space; never NULL. */
const struct model_capability *model_capability(const struct model_object *obj, uint64_t at);
/* The object at one of core's selectors, NULL: none, or it is dead. */
struct model_object *model_object(uint64_t at);
/* Capabilities in an OBJ space. */
unsigned model_capabilities(const struct model_object *obj);
unsigned model_count(enum object_type type);
/* The mapping of a page; NULL: none. */
const struct model_range *model_mapping(const struct model_object *space, uint64_t page);
