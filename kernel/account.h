/* SPDX-License-Identifier: ISC */
/*
 * Kernel memory: the pool of pages fixed at boot, and accounts, each a quota of its pages. Objects smaller
 * than a page come from slabs of their account, so no account's allocation depends on another's. A page knows
 * its account, and the account of an object outlives the object.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernel/object.h"

#define SLAB_CLASSES 6 /* 64 to 2048 bytes */

struct page; /* the pool's record of one of its pages */

struct account {
    struct object object;
    struct account *parent; /* referenced; gets the quota back. NULL: the root */
    uint64_t quota;         /* pages that may still be taken */
    uint64_t used;
    struct page *slab[SLAB_CLASSES]; /* pages with room */
};

/* Give the pool its memory: `bytes` at virtual address POOL_BASE, physical address `physical`. */
void pool_init(uint64_t physical, uint64_t bytes);
uint64_t pool_pages(void);
uint64_t pool_free_pages(void);

/* The account of the root task, holding all that the pool has. */
struct account *account_create_root(void);

/* A part of the parent's quota becomes an account. NULL: the parent has too little. */
struct account *account_create(struct account *parent, uint64_t pages) must_check;

/* Free pages of one become free pages of the other. False: there are not so many. */
bool account_move(struct account *from, struct account *to, uint64_t pages) must_check;

/* Its free quota goes to the parent now, that of its pages as they come back. */
extern const struct object_operations account_operations;

/* One page, zero. NULL: the quota is used up, or the account is dead. */
void *account_page(struct account *account) must_check;
void page_free(void *page);

/* Two pages side by side. NULL also if there are none among the first few that are free. */
void *account_page_pair(struct account *account) must_check;

/* A chain of pages, which are linked without being written to. */
void page_chain(void *page, void **chain);
void *page_unchain(void **chain); /* NULL: empty */

/* Take a page away from the pool for good, before any account exists. NULL: empty. */
void *pool_reserve(void);

/* `size` bytes (at most 2048), zero, aligned to their size rounded up to a power of two, 64 at least. */
void *account_allocate(struct account *account, size_t size) must_check;
void slab_free(void *memory);

uint64_t physical_address(const void *memory); /* of memory in the pool */
void *pool_pointer(uint64_t physical);         /* of a page in the pool */
