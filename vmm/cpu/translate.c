/* SPDX-License-Identifier: ISC */
/*
 * The guest's linear addresses. A walk through four levels of page tables costs more than all else that an
 * access to device memory does, and is mostly the same as the last one. So the last walks are kept with the
 * entries that they read, and where these stand: while all of them are what they were, another walk would
 * read nothing else. That needs no notice of the guest's flushes, which it may do without an exit.
 */
#include "vmm/cpu/vcpu.h"

#include <string.h>

#define PAGE_SHIFT 12
#define PAGE_MASK  0xfffull

/* One walk on its way. */
struct walking {
    const struct vcpu *vcpu;
    struct vcpu_walk *kept; /* what it becomes; levels is counted up */
    bool keeps;             /* its entries have 8 bytes */
};

static bool table_read(void *context, uint64_t physical, unsigned size, uint64_t *value)
{
    struct walking *walking = context;
    struct vcpu_walk *kept = walking->kept;
    const uint8_t *bytes = machine_to_read(walking->vcpu->machine, physical, size);

    if (!bytes)
        return false;
    /* Read once; tables are aligned to their entries. */
    *value = size == 4 ? __atomic_load_n((const uint32_t *)(const void *)bytes, __ATOMIC_RELAXED)
                       : __atomic_load_n((const uint64_t *)(const void *)bytes, __ATOMIC_RELAXED);
    if (size != sizeof *value || kept->levels == VCPU_WALK_LEVELS) {
        walking->keeps = false;
        return true;
    }
    kept->entry[kept->levels] = (const uint64_t *)(const void *)bytes;
    kept->value[kept->levels++] = *value;
    return true;
}

/* What this changes is then not what was read: the walk is kept for nothing, and the next one is kept. */
static bool table_update(void *context, uint64_t physical, unsigned size, uint64_t expected, uint64_t desired)
{
    struct walking *walking = context;
    uint8_t *bytes = machine_ram(walking->vcpu->machine, physical, size);
    uint32_t expected32 = (uint32_t)expected;

    if (!bytes)
        return true; /* it was read, so it is a ROM, where writes vanish */
    if (size == 4)
        return __atomic_compare_exchange_n((uint32_t *)(void *)bytes, &expected32, (uint32_t)desired, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    return __atomic_compare_exchange_n((uint64_t *)(void *)bytes, &expected, desired, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

static const struct x86_walk_ops walk_ops = {.read = table_read, .update = table_update};

static struct x86_paging paging_of(const struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;

    return (struct x86_paging){
        .cr0 = state->cr0,
        .cr3 = state->cr3,
        .cr4 = state->cr4,
        .efer = state->efer,
        .rflags = state->rflags,
        .physical_bits = vcpu->physical_bits,
        .has_1g_pages = vcpu->has_1g_pages,
    };
}

/* All else that a walk depends on, in two words: CR0 and CR4 have 32 bits, EFER has 16. */
static uint64_t mode_of(const struct vcpu_state *state)
{
    return (uint32_t)state->cr0 | state->cr4 << 32;
}

static uint64_t access_of(const struct vcpu_state *state, struct x86_walk_access access)
{
    return (state->rflags & X86_RFLAGS_AC) << 32 | (state->efer & UINT32_MAX) |
           (uint64_t)(access.write | access.user << 1 | access.fetch << 2 | access.implicit << 3) << 32;
}

static bool is_current(const struct vcpu_walk *walk)
{
    for (unsigned i = 0; i < walk->levels; i++)
        if (__atomic_load_n(walk->entry[i], __ATOMIC_RELAXED) != walk->value[i])
            return false;
    return walk->levels != 0;
}

/* A table outside of memory reads as ones on a PC: reserved bits are set. */
static enum x86_result fault_of(enum x86_walk_status status, const struct x86_walk_result *result,
                                uint64_t linear, struct x86_walk_access access, struct x86_fault *fault)
{
    if (status == X86_WALK_RETRY)
        return X86_RETRY;
    if (status == X86_WALK_NON_CANONICAL) {
        *fault = (struct x86_fault){.vector = X86_VECTOR_GP, .has_error = true};
        return X86_FAULT;
    }
    *fault = (struct x86_fault){
        .vector = X86_VECTOR_PF, .has_error = true, .error = result->error, .address = linear};
    if (status == X86_WALK_NO_MEMORY)
        fault->error = X86_PF_PRESENT | X86_PF_RESERVED | (access.write ? X86_PF_WRITE : 0) |
                       (access.user ? X86_PF_USER : 0);
    return X86_FAULT;
}

/* Apart from what finds a kept walk, which is the usual way and short. */
static __attribute__((noinline)) enum x86_result walk_anew(struct vcpu *vcpu, struct vcpu_walk *walk,
                                                           uint64_t linear, struct x86_walk_access access,
                                                           uint64_t *physical, struct x86_fault *fault)
{
    struct walking walking = {.vcpu = vcpu, .kept = walk, .keeps = true};
    struct x86_paging paging = paging_of(vcpu);
    struct x86_walk_result result;
    enum x86_walk_status status;

    walk->levels = 0;
    status = x86_walk(&paging, linear, access, &walk_ops, &walking, &result);
    if (status == X86_WALK_OK && walking.keeps) {
        walk->page = linear >> PAGE_SHIFT;
        walk->cr3 = paging.cr3;
        walk->mode = mode_of(vcpu->state);
        walk->access = access_of(vcpu->state, access);
        walk->physical = result.physical & ~PAGE_MASK;
    } else {
        walk->levels = 0;
    }
    if (status != X86_WALK_OK)
        return fault_of(status, &result, linear, access, fault);
    *physical = result.physical;
    return X86_DONE;
}

enum x86_result vcpu_translate(struct vcpu *vcpu, uint64_t linear, struct x86_walk_access access,
                               uint64_t *physical, struct x86_fault *fault)
{
    const struct vcpu_state *state = vcpu->state;
    uint64_t page = linear >> PAGE_SHIFT;
    struct vcpu_walk *walk = &vcpu->walk[access.fetch][page % VCPU_WALKS];

    if (!(state->cr0 & X86_CR0_PG)) {
        *physical = (uint32_t)linear;
        return X86_DONE;
    }
    if (walk->page != page || walk->cr3 != state->cr3 || walk->mode != mode_of(state) ||
        walk->access != access_of(state, access) || !is_current(walk))
        return walk_anew(vcpu, walk, linear, access, physical, fault);
    *physical = walk->physical | (linear & PAGE_MASK);
    return X86_DONE;
}
