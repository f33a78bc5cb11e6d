/* SPDX-License-Identifier: ISC */
/*
 * What VT-x caches of guests (SDM vol. 3, 29.4): the nested tables' translations by their root, for all
 * VPIDs; and by VPID and root those that are combined with the guest's own page tables. Unlike AMD's they are
 * flushed by instructions of their own, each kind by another.
 */
#pragma once

#include "tests/model/processor.h"

#define EPT_VPIDS 4u

struct ept_tlb {
    struct translations nested[FRAMES];
    struct {
        const void *owner; /* the vCPU whose page tables are in it */
        uint64_t leaf[PAGES];
    } combined[EPT_VPIDS][FRAMES];
};

/* One access of the guest `owner`, as `translate`. */
static inline const char *ept_translate(const struct frames *frames, uint64_t *random, struct ept_tlb *tlb,
                                        unsigned vpid, uint64_t root, unsigned space, const void *owner)
{
    unsigned page = draw(random, PAGES);
    uint64_t *leaf = &tlb->combined[vpid][root].leaf[page];

    if (*leaf && tlb->combined[vpid][root].owner != owner)
        return "uses another vCPU's translation";
    if (*leaf)
        return frame_is(frames, *leaf, DATA, space, page) ? NULL : "uses a frame that was taken away";
    if (!tlb->nested[root].leaf[page])
        return translate(frames, random, &tlb->nested[root], root, space, true);
    *leaf = tlb->nested[root].leaf[page];
    tlb->combined[vpid][root].owner = owner;
    return NULL;
}

/* Of the single-context type; the manual has it take the combined ones along. */
static inline void ept_invept(struct ept_tlb *tlb, uint64_t root, bool combined)
{
    tlb->nested[root] = (struct translations){0};
    for (unsigned vpid = 0; vpid < EPT_VPIDS && combined; vpid++)
        memset(&tlb->combined[vpid][root], 0, sizeof(tlb->combined[vpid][root]));
}

/* Of the type for all contexts. */
static inline void ept_invvpid(struct ept_tlb *tlb)
{
    memset(tlb->combined, 0, sizeof(tlb->combined));
}
