/* SPDX-License-Identifier: ISC */
/*
 * Page tables of four levels, for HST, GST and DMA spaces (AMD's nested tables have the same form; APM vol.
 * 2, 5.3, 15.25). Leaves are 4 KiB, 2 MiB or 1 GiB. Removal never allocates: a large leaf is removed whole.
 */
#pragma once

#include "kernel/object.h"

#define PTE_PRESENT (1ul << 0)
#define PTE_WRITE   (1ul << 1)
#define PTE_USER    (1ul << 2)
#define PTE_PWT     (1ul << 3)
#define PTE_PCD     (1ul << 4)
#define PTE_LARGE   (1ul << 7)
#define PTE_GLOBAL  (1ul << 8)
#define PTE_NX      (1ul << 63)
#define PTE_ADDRESS 0x000ffffffffff000ul

/* The page table entry bits for MEM_* rights; 0: there is no such combination. */
uint64_t pagetable_bits(unsigned rights);

/* The same for Intel's nested tables (SDM vol. 3, 29.3.2), whose leaves differ: read and execute have bits of
 * their own in place of present, user and NX, and memory types are in the entry. */
uint64_t pagetable_bits_ept(unsigned rights);

/* How an IOMMU's page tables differ from a processor's. */
struct pagetable_form {
    unsigned levels;     /* 3: the IOMMU begins at the first table of level 3; or 4 */
    bool large;          /* leaves of 2 MiB are known */
    bool write_back;     /* the IOMMU reads memory behind the caches' back */
    uint64_t table;      /* bits of an entry that names a table ... */
    uint64_t level_unit; /* ... and the factor of the level in such an entry; 0: it holds no level */
};

/* The entry of this level for a table, which is new. */
uint64_t pagetable_table(const void *table, unsigned level, const struct pagetable_form *form);

/* Leaves and tables that were taken out of a page table, and may still be in TLBs: see space_settle. */
struct removal {
    bool translations;                 /* some leaf was */
    void *tables;                      /* chain of pages that processors may still walk */
    const struct pagetable_form *form; /* NULL: a processor's */
};

/* Whether a leaf of 1 GiB can be entered at `page`: not if it has tables, which are too many to free at once.
 */
bool pagetable_takes_giant(const uint64_t *root, uint64_t page) must_check;

/* Enter one leaf of `pages` 4 KiB pages (1, 512, or 512 * 512 where pagetable_takes_giant), replacing the
 * one there. STATUS_NO_MEMORY: no page for a table. */
enum status pagetable_enter(uint64_t *root, struct account *account, uint64_t page, uint64_t physical,
                            uint64_t pages, uint64_t bits, struct removal *removal) must_check;

/* Remove the leaf at `page`. Returns the first page number behind what was looked at (behind the leaf, or
 * behind the hole), at most `end` unless a large leaf reaches beyond. */
uint64_t pagetable_remove(uint64_t *root, uint64_t page, uint64_t end, struct removal *removal);

/* The leaf at `page`, of either size; 0 if none. */
uint64_t pagetable_leaf(const uint64_t *root, uint64_t page);

/* Free the tables below the first `entries` entries of the root, a batch at a time; true when done. No
 * processor may use them any more. */
bool pagetable_clear(uint64_t *root, unsigned entries) must_check;
