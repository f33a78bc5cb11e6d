/* SPDX-License-Identifier: ISC */
/* Page tables of HST and GST spaces. See pagetable.h. Every table is a page of the pool. */
#include "kernel/pagetable.h"

#include "kernel/account.h"
#include "kernel/arch.h"

#define INDEX_BITS     9
#define ENTRIES        512u
#define TABLES_AT_ONCE 256u
#define LEVELS         4
#define LEAF_LEVELS    3

static unsigned index_at(uint64_t page, unsigned level)
{
    return (unsigned)(page >> (INDEX_BITS * (level - 1))) & (ENTRIES - 1);
}

static uint64_t *table_of(uint64_t entry)
{
    return pool_pointer(entry & PTE_ADDRESS);
}

/* For walks: what is added to a table's physical address, as to that of the root, which is in the pool, too.
 */
static uint64_t pool_offset(const uint64_t *root)
{
    return (uint64_t)root - physical_address(root);
}

static uint64_t *table_at(uint64_t entry, uint64_t offset)
{
    return (uint64_t *)((entry & PTE_ADDRESS) + offset);
}

#define EPT_READ          (1ul << 0) /* PTE_PRESENT: every leaf has it */
#define EPT_WRITE         (1ul << 1)
#define EPT_EXECUTE       (1ul << 2)
#define EPT_WRITE_COMBINE (1ul << 3) /* memory types; uncached is 0 */
#define EPT_WRITE_BACK    (6ul << 3)

static bool rights_make_sense(unsigned rights)
{
    return (rights & (MEM_READ | MEM_EXECUTE)) &&
           !(rights & ~(MEM_READ | MEM_WRITE | MEM_EXECUTE | MEM_UNCACHED | MEM_WRITE_COMBINE)) &&
           (rights & (MEM_UNCACHED | MEM_WRITE_COMBINE)) != (MEM_UNCACHED | MEM_WRITE_COMBINE);
}

uint64_t pagetable_bits_ept(unsigned rights)
{
    uint64_t bits = EPT_READ;

    if (!rights_make_sense(rights))
        return 0;
    if (rights & MEM_WRITE)
        bits |= EPT_WRITE;
    if (rights & MEM_EXECUTE)
        bits |= EPT_EXECUTE;
    if (rights & MEM_WRITE_COMBINE)
        bits |= EPT_WRITE_COMBINE;
    else if (!(rights & MEM_UNCACHED))
        bits |= EPT_WRITE_BACK;
    return bits;
}

uint64_t pagetable_bits(unsigned rights)
{
    uint64_t bits = PTE_PRESENT | PTE_USER;

    if (!rights_make_sense(rights))
        return 0;
    if (rights & MEM_WRITE)
        bits |= PTE_WRITE;
    if (!(rights & MEM_EXECUTE))
        bits |= PTE_NX;
    if (rights & MEM_UNCACHED)
        bits |= PTE_PCD | PTE_PWT; /* PAT entry 3 */
    if (rights & MEM_WRITE_COMBINE)
        bits |= PTE_PWT; /* PAT entry 1 */
    return bits;
}

/* Free a table of level 2, whose tables hold leaves only. */
static bool table_free(uint64_t *table)
{
    unsigned freed = 0;

    for (unsigned i = 0; i < ENTRIES; i++) {
        if ((table[i] & PTE_PRESENT) && !(table[i] & PTE_LARGE)) {
            if (freed++ == TABLES_AT_ONCE)
                return false;
            page_free(table_of(table[i]));
            table[i] = 0;
        }
    }
    page_free(table);
    return true;
}

bool pagetable_takes_giant(const uint64_t *root, uint64_t page)
{
    uint64_t entry = root[index_at(page, LEVELS)];

    if (entry & PTE_PRESENT)
        entry = table_of(entry)[index_at(page, LEAF_LEVELS)];
    return !(entry & PTE_PRESENT) || (entry & PTE_LARGE);
}

/* What an IOMMU is to read, which may not look into the caches. */
static __attribute__((noinline)) void dma_written(const uint64_t *entries, size_t bytes,
                                                  const struct pagetable_form *form)
{
    if (form->write_back)
        cache_write_back(entries, bytes);
}

/* In one go: who uses the page on another CPU, or a device, meets the old entry or the new one. */
static inline void entry_write(uint64_t *entry, uint64_t value, const struct pagetable_form *form)
{
    __atomic_store_n(entry, value, __ATOMIC_RELEASE);
    if (form)
        dma_written(entry, sizeof(*entry), form);
}

uint64_t pagetable_table(const void *table, unsigned level, const struct pagetable_form *form)
{
    dma_written(table, PAGE_SIZE, form);
    return physical_address(table) | form->table | (level - 1) * form->level_unit;
}

/* The two below are compiled twice: a processor's tables are not to pay for the IOMMUs' forms. */
#define BOTH_FORMS static inline __attribute__((always_inline))

BOTH_FORMS enum status enter(uint64_t *root, struct account *account, uint64_t page, uint64_t physical,
                             uint64_t pages, uint64_t bits, struct removal *removal,
                             const struct pagetable_form *form)
{
    unsigned leaf_level = pages == 1 ? 1 : pages == ENTRIES ? 2 : LEAF_LEVELS;
    uint64_t offset = pool_offset(root);
    uint64_t *table = root;
    uint64_t *entry;

    for (unsigned level = LEVELS; level > leaf_level; level--) {
        entry = &table[index_at(page, level)];
        if ((*entry & PTE_PRESENT) && (*entry & PTE_LARGE)) {
            entry_write(entry, 0, form);
            removal->translations = true;
        }
        if (!(*entry & PTE_PRESENT)) {
            void *below = account_page(account);

            if (!below)
                return STATUS_NO_MEMORY;
            entry_write(entry,
                        form ? pagetable_table(below, level, form)
                             : physical_address(below) | PTE_PRESENT | PTE_WRITE | PTE_USER,
                        form);
        }
        table = table_at(*entry, offset);
    }
    entry = &table[index_at(page, leaf_level)];
    if (*entry & PTE_PRESENT) {
        uint64_t old = *entry;

        removal->translations = true;
        if (leaf_level > 1 && !(old & PTE_LARGE))
            page_chain(table_of(old), &removal->tables);
    }
    entry_write(entry, physical | bits | (leaf_level > 1 ? PTE_LARGE : 0), form);
    return STATUS_OK;
}

static __attribute__((noinline)) enum status enter_dma(uint64_t *root, struct account *account, uint64_t page,
                                                       uint64_t physical, uint64_t pages, uint64_t bits,
                                                       struct removal *removal)
{
    return enter(root, account, page, physical, pages, bits, removal, removal->form);
}

enum status pagetable_enter(uint64_t *root, struct account *account, uint64_t page, uint64_t physical,
                            uint64_t pages, uint64_t bits, struct removal *removal)
{
    if (removal->form)
        return enter_dma(root, account, page, physical, pages, bits, removal);
    return enter(root, account, page, physical, pages, bits, removal, NULL);
}

BOTH_FORMS uint64_t take_out(uint64_t *root, uint64_t page, uint64_t end, struct removal *removal,
                             const struct pagetable_form *form)
{
    uint64_t offset = pool_offset(root), next;
    uint64_t *table = root, *entry;
    unsigned level = LEVELS;

    for (;; level--) {
        uint64_t span = 1ul << (INDEX_BITS * (level - 1));

        entry = &table[index_at(page, level)];
        next = (page & ~(span - 1)) + span;
        if (!(*entry & PTE_PRESENT))
            return next < end ? next : end;
        if (level == 1 || (*entry & PTE_LARGE))
            break;
        table = table_at(*entry, offset);
    }
    entry_write(entry, 0, form);
    removal->translations = true;
    return next;
}

static __attribute__((noinline)) uint64_t take_out_dma(uint64_t *root, uint64_t page, uint64_t end,
                                                       struct removal *removal)
{
    return take_out(root, page, end, removal, removal->form);
}

uint64_t pagetable_remove(uint64_t *root, uint64_t page, uint64_t end, struct removal *removal)
{
    if (removal->form)
        return take_out_dma(root, page, end, removal);
    return take_out(root, page, end, removal, NULL);
}

uint64_t pagetable_leaf(const uint64_t *root, uint64_t page)
{
    const uint64_t *table = root;
    uint64_t entry;

    for (unsigned level = LEVELS; level > 1; level--) {
        entry = table[index_at(page, level)];
        if (!(entry & PTE_PRESENT) || (entry & PTE_LARGE))
            return entry;
        table = table_of(entry);
    }
    return table[index_at(page, 1)];
}

bool pagetable_clear(uint64_t *root, unsigned entries)
{
    /* A call frees one table of level 2 with what is below it. Freed entries are cleared, so that the next
     * call finds its place by skipping. */
    for (unsigned i = 0; i < entries; i++) {
        uint64_t *l3;

        if (!(root[i] & PTE_PRESENT))
            continue;
        l3 = table_of(root[i]);
        for (unsigned j = 0; j < ENTRIES; j++) {
            uint64_t entry = l3[j];

            if (!(entry & PTE_PRESENT) || (entry & PTE_LARGE))
                continue;
            if (table_free(table_of(entry)))
                l3[j] = 0;
            return false;
        }
        root[i] = 0;
        page_free(l3);
    }
    return true;
}
