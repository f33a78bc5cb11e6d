/* SPDX-License-Identifier: ISC */
/*
 * The walker of guest page tables. The paging modes differ in the number of levels, the size of an entry and
 * the reserved bits, so each mode is a table of levels and one loop serves them all. Rights are collected on
 * the way down and judged once, at the leaf, as processors do (APM vol. 2, 5.6; SDM vol. 3, 4.6 and 4.7).
 */
#include "lib/x86/x86.h"

#define ENTRY_P  (1ull << 0)
#define ENTRY_RW (1ull << 1)
#define ENTRY_US (1ull << 2)
#define ENTRY_A  (1ull << 5)
#define ENTRY_D  (1ull << 6)
#define ENTRY_PS (1ull << 7)
#define ENTRY_NX (1ull << 63)

#define ADDRESS_MASK 0x000ffffffffff000ull
#define LEVELS_MAX   5

struct level {
    uint8_t shift; /* of this level's index within the linear address */
    uint8_t bits;  /* of the index */
    bool is_pdpte; /* of PAE: no rights and no accessed bit, and bits 1, 2 and 6 to 8 reserved; see below */
    bool may_be_leaf;
};

struct format {
    uint8_t levels;
    uint8_t entry_size; /* in bytes */
    uint64_t root_mask; /* of the table's address in CR3 */
    struct level level[LEVELS_MAX];
};

/* PML4E, PDPTE, PDE, PTE. */
#define LONG_LEVELS                                                                                          \
    {39, 9, false, false}, {30, 9, false, true}, {21, 9, false, true},                                       \
    {                                                                                                        \
        12, 9, false, true                                                                                   \
    }

static const struct format format_32 = {2, 4, 0xfffff000, {{22, 10, false, true}, {12, 10, false, true}}};
/* Without CR4.PSE, PS in a directory entry is ignored. */
static const struct format format_32_no_pse = {
    2, 4, 0xfffff000, {{22, 10, false, false}, {12, 10, false, true}}};
static const struct format format_pae = {
    3, 8, 0xffffffe0, {{30, 2, true, false}, {21, 9, false, true}, {12, 9, false, true}}};
static const struct format format_4level = {4, 8, ADDRESS_MASK, {LONG_LEVELS}};
static const struct format format_5level = {5, 8, ADDRESS_MASK, {{48, 9, false, false}, LONG_LEVELS}};

/* One walk: what is known so far. */
struct walk {
    const struct x86_paging *paging;
    const struct format *format;
    const struct x86_walk_ops *ops;
    void *context;
    struct x86_walk_access access;
    struct x86_walk_result *result;
    uint64_t linear;
    uint64_t entry[LEVELS_MAX]; /* as read */
    uint64_t place[LEVELS_MAX]; /* and where */
    unsigned leaf;              /* the last level's index in both */
};

static bool has_nx(const struct x86_paging *paging)
{
    return (paging->efer & X86_EFER_NXE) && (paging->cr4 & X86_CR4_PAE);
}

static const struct format *format_of(const struct x86_paging *paging)
{
    if (!(paging->cr4 & X86_CR4_PAE))
        return paging->cr4 & X86_CR4_PSE ? &format_32 : &format_32_no_pse;
    if (!(paging->efer & X86_EFER_LMA))
        return &format_pae;
    return paging->cr4 & X86_CR4_LA57 ? &format_5level : &format_4level;
}

/* I/D is reported only where something can forbid a fetch (SDM vol. 3, 4.7). */
static enum x86_walk_status page_fault(const struct walk *walk, uint32_t cause)
{
    bool fetch_known = has_nx(walk->paging) || (walk->paging->cr4 & X86_CR4_SMEP);

    walk->result->error = cause | (walk->access.write ? X86_PF_WRITE : 0) |
                          (walk->access.user ? X86_PF_USER : 0) |
                          (walk->access.fetch && fetch_known ? X86_PF_FETCH : 0);
    return X86_WALK_FAULT;
}

/* Bits from low up to and without high. */
static uint64_t bit_range(unsigned low, unsigned high)
{
    return high <= low ? 0 : ((1ull << high) - 1) & ~((1ull << low) - 1);
}

static bool is_leaf(const struct walk *walk, unsigned index)
{
    const struct level *level = &walk->format->level[index];

    return level->shift == 12 || (level->may_be_leaf && (walk->entry[index] & ENTRY_PS));
}

/* PSE-36: a 4 MiB page has address bits 39:32 in 20:13, as far as the processor has them; bit 21 is reserved.
 */
static uint64_t reserved_bits_32(const struct walk *walk, unsigned index)
{
    unsigned width = walk->paging->physical_bits < 40 ? walk->paging->physical_bits : 40;

    return walk->format->level[index].shift == 22 && is_leaf(walk, index) ? bit_range(13 + width - 32, 22)
                                                                          : 0;
}

/* The bits that must be zero in an entry (APM vol. 2, 5.3 and 5.4). In a PDPTE of PAE bit 5 must be too, but
 * QEMU sets it as an accessed bit, and a processor that has cached the entries does not look again. */
static uint64_t reserved_bits(const struct walk *walk, unsigned index)
{
    const struct x86_paging *paging = walk->paging;
    const struct level *level = &walk->format->level[index];
    bool is_long = (paging->efer & X86_EFER_LMA) != 0;
    uint64_t reserved;

    if (walk->format->entry_size == 4)
        return reserved_bits_32(walk, index);
    if (level->is_pdpte)
        return bit_range(1, 3) | bit_range(6, 9) | bit_range(paging->physical_bits, 63) | ENTRY_NX;
    reserved = bit_range(paging->physical_bits, is_long ? 52 : 63);
    if (!has_nx(paging))
        reserved |= ENTRY_NX;
    if (!level->may_be_leaf || (level->shift == 30 && !paging->has_1g_pages))
        reserved |= ENTRY_PS;
    if (level->shift > 12 && is_leaf(walk, index))
        reserved |= bit_range(13, level->shift);
    return reserved;
}

/* Down to the leaf, or the first entry that stops the walk. */
static enum x86_walk_status descend(struct walk *walk)
{
    const struct format *format = walk->format;
    uint64_t table = walk->paging->cr3 & format->root_mask;

    for (unsigned i = 0; i < format->levels; i++) {
        const struct level *level = &format->level[i];
        uint64_t index = (walk->linear >> level->shift) & ((1u << level->bits) - 1);

        walk->place[i] = table + index * format->entry_size;
        if (!walk->ops->read(walk->context, walk->place[i], format->entry_size, &walk->entry[i])) {
            walk->result->table = walk->place[i];
            return X86_WALK_NO_MEMORY;
        }
        if (!(walk->entry[i] & ENTRY_P))
            return page_fault(walk, 0);
        if (walk->entry[i] & reserved_bits(walk, i))
            return page_fault(walk, X86_PF_PRESENT | X86_PF_RESERVED);
        walk->leaf = i;
        if (is_leaf(walk, i))
            return X86_WALK_OK;
        table = walk->entry[i] & ADDRESS_MASK & (format->entry_size == 4 ? UINT32_MAX : UINT64_MAX);
    }
    return X86_WALK_OK; /* not reached: the last level is always a leaf */
}

static void collect_rights(const struct walk *walk)
{
    uint64_t all = ENTRY_RW | ENTRY_US;
    uint64_t nx = 0;

    for (unsigned i = 0; i <= walk->leaf; i++) {
        if (walk->format->level[i].is_pdpte)
            continue;
        all &= walk->entry[i];
        nx |= walk->entry[i] & ENTRY_NX;
    }
    walk->result->writable = (all & ENTRY_RW) != 0;
    walk->result->user = (all & ENTRY_US) != 0;
    walk->result->executable = nx == 0;
    walk->result->dirty = (walk->entry[walk->leaf] & ENTRY_D) != 0;
}

/* A supervisor's access to a user page: SMEP for fetches, SMAP for data unless AC lifts it. */
static bool is_supervisor_kept_out(const struct walk *walk)
{
    const struct x86_paging *paging = walk->paging;

    if (walk->access.user || !walk->result->user)
        return false;
    if (walk->access.fetch)
        return (paging->cr4 & X86_CR4_SMEP) != 0;
    return (paging->cr4 & X86_CR4_SMAP) && (walk->access.implicit || !(paging->rflags & X86_RFLAGS_AC));
}

static enum x86_walk_status check_rights(const struct walk *walk)
{
    const struct x86_walk_access *access = &walk->access;
    bool write_protected = access->user || (walk->paging->cr0 & X86_CR0_WP);

    if ((access->user && !walk->result->user) || (access->fetch && !walk->result->executable) ||
        (access->write && !walk->result->writable && write_protected) || is_supervisor_kept_out(walk))
        return page_fault(walk, X86_PF_PRESENT);
    return X86_WALK_OK;
}

static uint64_t leaf_address(const struct walk *walk)
{
    uint64_t entry = walk->entry[walk->leaf];
    uint64_t offset_mask = walk->result->page_size - 1;
    uint64_t frame = entry & ADDRESS_MASK & ~offset_mask;

    if (walk->format->entry_size == 4) {
        frame &= UINT32_MAX;
        if (walk->result->page_size > 4096)
            frame |= ((entry >> 13) & 0xff) << 32;
    }
    return frame | (walk->linear & offset_mask);
}

/* Accessed in every entry, dirty in the leaf of a write. From the top, as the processor does. */
static enum x86_walk_status set_accessed_dirty(const struct walk *walk)
{
    if (!walk->ops->update)
        return X86_WALK_OK;
    for (unsigned i = 0; i <= walk->leaf; i++) {
        uint64_t wanted = walk->entry[i] | ENTRY_A;

        if (walk->format->level[i].is_pdpte)
            continue;
        if (i == walk->leaf && walk->access.write)
            wanted |= ENTRY_D;
        if (wanted != walk->entry[i] && !walk->ops->update(walk->context, walk->place[i],
                                                           walk->format->entry_size, walk->entry[i], wanted))
            return X86_WALK_RETRY;
    }
    if (walk->access.write)
        walk->result->dirty = true;
    return X86_WALK_OK;
}

static bool is_canonical(const struct x86_paging *paging, uint64_t linear)
{
    unsigned unused = paging->cr4 & X86_CR4_LA57 ? 7 : 16;

    return (uint64_t)((int64_t)(linear << unused) >> unused) == linear;
}

enum x86_walk_status x86_walk(const struct x86_paging *paging, uint64_t linear, struct x86_walk_access access,
                              const struct x86_walk_ops *ops, void *context, struct x86_walk_result *result)
{
    struct walk walk = {.paging = paging,
                        .format = format_of(paging),
                        .ops = ops,
                        .context = context,
                        .access = access,
                        .result = result};
    enum x86_walk_status status;

    *result = (struct x86_walk_result){0};
    if (!(paging->efer & X86_EFER_LMA))
        linear &= UINT32_MAX;
    else if (!is_canonical(paging, linear))
        return X86_WALK_NON_CANONICAL;
    walk.linear = linear;
    if (!(paging->cr0 & X86_CR0_PG)) {
        *result = (struct x86_walk_result){linear, 4096, true, true, true, true, 0, 0};
        return X86_WALK_OK;
    }
    status = descend(&walk);
    if (status != X86_WALK_OK)
        return status;
    collect_rights(&walk);
    status = check_rights(&walk);
    if (status != X86_WALK_OK)
        return status;
    result->page_size = 1ull << walk.format->level[walk.leaf].shift;
    result->physical = leaf_address(&walk);
    return set_accessed_dirty(&walk);
}
