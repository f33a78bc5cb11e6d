/* SPDX-License-Identifier: ISC */
/* Spaces: creation, copying, removal. See space.h. */
#include "kernel/space.h"

#include "kernel/account.h"
#include "kernel/arch.h"
#include "kernel/cap.h"
#include "kernel/cpu.h"
#include "kernel/guest_state.h"
#include "kernel/iommu.h"
#include "kernel/memory.h"
#include "kernel/pagetable.h"
#include "kernel/smp.h"
#include "kernel/vcpu.h"
#include <string.h>

#define MSRS_AT_ONCE 64u

#define LARGE_PAGES (LARGE_SIZE / PAGE_SIZE)
#define GIANT_PAGES (LARGE_PAGES * LARGE_PAGES)
#define USER_ROOTS  256u /* entries of an HST root that belong to the user's half */
#define GUEST_ROOTS 512u

/* IOMMUs of three levels begin at the only table of level 3. */
static bool dma_allocate(struct space *space)
{
    uint64_t *below = account_page(space->object.account);

    if (!below) {
        page_free(space->memory.root);
        return false;
    }
    space->memory.root[0] = pagetable_table(below, 4, &iommu_form);
    if (iommu_form.levels == 3)
        space->memory.physical = physical_address(below);
    if (iommu_form.write_back)
        cache_write_back(space->memory.root, PAGE_SIZE);
    return true;
}

static bool space_allocate(struct space *space)
{
    struct account *account = space->object.account;

    switch (space->kind) {
    case SPACE_OBJ:
        space->obj.table = account_page(account);
        return space->obj.table;
    case SPACE_PIO:
        space->pio.bitmap[0] = account_page(account);
        if (!space->pio.bitmap[0])
            return false;
        space->pio.bitmap[1] = account_page(account);
        if (!space->pio.bitmap[1])
            return false;
        memset(space->pio.bitmap[0], 0xff, PAGE_SIZE);
        memset(space->pio.bitmap[1], 0xff, PAGE_SIZE);
        space->pio.low = PIO_PORTS / 8;
        return true;
    case SPACE_MSR:
        space->msrs = account_page_pair(account);
        if (space->msrs)
            memset(space->msrs, 0xff, 2 * PAGE_SIZE);
        return space->msrs;
    case SPACE_HST:
    case SPACE_GST:
    case SPACE_DMA:
        space->memory.root = account_page(account);
        if (!space->memory.root)
            return false;
        space->memory.physical = physical_address(space->memory.root);
        if (space->kind == SPACE_HST)
            memory_kernel_half(space->memory.root);
        return space->kind != SPACE_DMA || !iommu || dma_allocate(space);
    default: /* the sources have no part of their own */
        return true;
    }
}

struct space *space_create(struct account *account, enum space_kind kind)
{
    struct space *space = object_create(account, OBJECT_SPACE, sizeof(*space));

    if (!space)
        return NULL;
    space->kind = (uint8_t)kind;
    if (space_allocate(space))
        return space;
    if (kind == SPACE_PIO && space->pio.bitmap[0])
        page_free(space->pio.bitmap[0]);
    space->kind = SPACE_PORTS; /* no parts: nothing for space_free to do */
    object_discard(&space->object);
    return NULL;
}

/* How its page tables differ from a processor's. */
static inline const struct pagetable_form *space_form(const struct space *space)
{
    return __builtin_expect(space->kind == SPACE_DMA, 0) && iommu ? &iommu_form : NULL;
}

/* Nobody is to come to use the space from now on, and who does, stops. */
static void space_retire(struct space *space)
{
    uint64_t physical = space->memory.physical;

    for (struct vcpu *vcpu = space->kind == SPACE_GST ? space->memory.vcpus : NULL; vcpu; vcpu = vcpu->next)
        object_operations(&vcpu->object)->wake(&vcpu->object);
    if (space->kind == SPACE_DMA)
        iommu_retire(space);
    space->memory.generation++;
    space->memory.physical =
        memory_kernel_root(); /* an EC of the PD still to die finds no user memory there */
    smp_shootdown(space, physical, space->memory.cpus);
}

static bool space_destroy(struct object *object)
{
    struct space *space = (struct space *)object;

    switch (space->kind) {
    case SPACE_OBJ:
        return cap_clear(space);
    case SPACE_HST:
    case SPACE_GST:
    case SPACE_DMA:
        if (!space->memory.root)
            return true;
        if (space->memory.physical != memory_kernel_root())
            space_retire(space);
        if (!pagetable_clear(space->memory.root, space->kind == SPACE_HST ? USER_ROOTS : GUEST_ROOTS))
            return false;
        page_free(space->memory.root);
        space->memory.root = NULL;
        return true;
    case SPACE_PIO:
        memset(space->pio.bitmap[0], 0xff, PAGE_SIZE);
        memset(space->pio.bitmap[1], 0xff, PAGE_SIZE);
        space->pio.low = PIO_PORTS / 8;
        space->pio.high = 0;
        smp_shootdown(space, 0, space->pio.cpus); /* also since another space may come to lie here */
        return true;
    case SPACE_MSR:
        memset(space->msrs, 0xff, 2 * PAGE_SIZE);
        return true;
    default:
        return true;
    }
}

static bool space_free(struct object *object)
{
    struct space *space = (struct space *)object;

    if (!space_destroy(object))
        return false;
    if (space->kind == SPACE_OBJ)
        page_free(space->obj.table);
    if (space->kind == SPACE_PIO) {
        page_free(space->pio.bitmap[0]);
        page_free(space->pio.bitmap[1]);
    }
    if (space->kind == SPACE_MSR) {
        page_free(space->msrs);
        page_free(space->msrs + PAGE_SIZE);
    }
    slab_free(space);
    return true;
}

const struct object_operations space_operations = {.destroy = space_destroy, .free = space_free};

void space_settle(struct space *space, struct removal *removal)
{
    void *table;

    if (removal->form) {
        iommu_settle(space); /* also what was entered: some IOMMUs remember that nothing was there */
    } else if (removal->translations) {
        space->memory.generation++; /* vCPUs compare before entry */
        smp_shootdown(space, space->memory.physical, space->memory.cpus);
    }
    while ((table = page_unchain(&removal->tables)))
        page_free(table);
}

static uint64_t memory_limit(const struct space *space)
{
    if (space->kind == SPACE_HST)
        return HST_PAGES;
    return space->kind == SPACE_DMA && iommu_form.levels == 3 ? GST_PAGES >> 9 : GST_PAGES;
}

/* An IOMMU need not have pages of 1 GiB. */
static bool has_giant_pages(const struct space *space)
{
    return space->kind == SPACE_HST   ? cpu_features.giant
           : space->kind == SPACE_GST ? cpu_features.giant_nested
                                      : false;
}

/* Of the largest leaf that fits; `at` has the bits of source and place, `form` is NULL or an IOMMU's. */
static inline uint64_t leaf_pages(const struct space *space, const struct pagetable_form *form, uint64_t at,
                                  uint64_t place, uint64_t left)
{
    if (at % LARGE_PAGES || left < LARGE_PAGES || (form && !form->large))
        return 1;
    if (at % GIANT_PAGES || left < GIANT_PAGES || !has_giant_pages(space) ||
        !pagetable_takes_giant(space->memory.root, place))
        return LARGE_PAGES;
    return GIANT_PAGES;
}

static enum status copy_memory(struct space *target, uint64_t from, uint64_t to, uint64_t count,
                               unsigned rights, uint64_t *done)
{
    uint64_t limit = memory_limit(target), bits;
    struct removal removal = {.form = space_form(target)};
    enum status status = STATUS_OK;

    if (target->kind == SPACE_HST)
        bits = pagetable_bits(rights);
    else if (removal.form)
        bits = iommu->page_bits(rights);
    else
        bits = target->kind == SPACE_GST && virt ? virt->page_bits(rights) : pagetable_bits(rights);
    if (!bits || to >= limit || count > limit - to || !memory_may_be_mapped(from, count))
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH && status == STATUS_OK; batch++) {
        uint64_t source = from + *done, place = to + *done;
        uint64_t pages = leaf_pages(target, removal.form, source | place, place, count - *done);

        status = pagetable_enter(target->memory.root, target->object.account, place, source * PAGE_SIZE,
                                 pages, bits, &removal);
        if (status == STATUS_OK)
            *done += pages;
    }
    space_settle(target, &removal);
    return status;
}

static enum status copy_ports(struct space *target, uint64_t from, uint64_t to, uint64_t count,
                              uint64_t *done)
{
    if (from != to || to >= PIO_PORTS || count > PIO_PORTS - to)
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH; batch++, (*done)++) {
        uint32_t port = (uint32_t)(to + *done), byte = port / 8;

        target->pio.bitmap[byte / PAGE_SIZE][byte % PAGE_SIZE] &= (uint8_t) ~(1u << port % 8);
        if (byte < target->pio.low)
            target->pio.low = byte;
        if (byte >= target->pio.high)
            target->pio.high = byte + 1;
    }
    smp_shootdown(target, 0, target->pio.cpus); /* who runs has them at once */
    return STATUS_OK;
}

/* Bit 0 of `refused`: to read the MSRs, bit 1: to write them. */
static enum status set_msrs(struct space *space, uint64_t from, uint64_t count, unsigned refused,
                            uint64_t *done)
{
    for (uint64_t i = 0; i < count; i++)
        if (i == MSRS_AT_ONCE || from + i > UINT32_MAX || !virt ||
            !guest_state_msr((uint32_t)(from + i), cpu_features.svm))
            return STATUS_BAD_ARG;
    for (; *done < count; (*done)++)
        virt->msr_permit(space->msrs, (uint32_t)(from + *done), refused);
    return STATUS_OK;
}

static enum status copy_msrs(struct space *target, uint64_t from, uint64_t to, uint64_t count,
                             unsigned rights, uint64_t *done)
{
    unsigned refused = (rights & MEM_READ ? 0 : 1) | (rights & MEM_WRITE ? 0 : 2);

    if (from != to || rights & ~(MEM_READ | MEM_WRITE))
        return STATUS_BAD_ARG;
    return set_msrs(target, from, count, refused, done);
}

static enum status copy_capabilities(const struct space *source, uint64_t from, struct space *target,
                                     uint64_t to, uint64_t count, unsigned rights, uint64_t *done)
{
    if (from >= OBJ_SELECTORS || count > OBJ_SELECTORS - from || to >= OBJ_SELECTORS ||
        count > OBJ_SELECTORS - to)
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH; batch++, (*done)++) {
        const struct cap *cap = cap_place(source->obj.table, from + *done);
        enum status status;

        if (!cap || !cap->word)
            continue;
        status = cap_prepare(target, to + *done);
        if (status != STATUS_OK)
            return status;
        cap_insert(target, to + *done, cap_object(cap->word), cap_permissions(cap->word) & rights, cap->bits);
    }
    return STATUS_OK;
}

enum status space_copy(const struct space *source, uint64_t from, struct space *target, uint64_t to,
                       uint64_t count, unsigned rights, uint64_t *done)
{
    if (source->kind == SPACE_MEM &&
        (target->kind == SPACE_HST || target->kind == SPACE_GST || target->kind == SPACE_DMA))
        return copy_memory(target, from, to, count, rights, done);
    if (source->kind == SPACE_PORTS && target->kind == SPACE_PIO)
        return copy_ports(target, from, to, count, done);
    if (source->kind == SPACE_MSRS && target->kind == SPACE_MSR)
        return copy_msrs(target, from, to, count, rights, done);
    if (source->kind == SPACE_OBJ && target->kind == SPACE_OBJ)
        return copy_capabilities(source, from, target, to, count, rights, done);
    return STATUS_BAD_ARG;
}

static enum status remove_memory(struct space *space, uint64_t base, uint64_t count, uint64_t *done)
{
    struct removal removal = {.form = space_form(space)};
    uint64_t limit = memory_limit(space);

    if (base >= limit || count > limit - base)
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH; batch++) {
        uint64_t next = pagetable_remove(space->memory.root, base + *done, base + count, &removal);

        *done = next - base < count ? next - base : count;
    }
    space_settle(space, &removal);
    return STATUS_OK;
}

static enum status remove_ports(struct space *space, uint64_t base, uint64_t count, uint64_t *done)
{
    if (base >= PIO_PORTS || count > PIO_PORTS - base)
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH; batch++, (*done)++) {
        uint32_t port = (uint32_t)(base + *done), byte = port / 8;

        space->pio.bitmap[byte / PAGE_SIZE][byte % PAGE_SIZE] |= (uint8_t)(1u << port % 8);
    }
    smp_shootdown(space, 0, space->pio.cpus);
    return STATUS_OK;
}

static enum status remove_capabilities(struct space *space, uint64_t base, uint64_t count, uint64_t *done)
{
    if (base >= OBJ_SELECTORS || count > OBJ_SELECTORS - base)
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH; batch++, (*done)++)
        cap_remove(space, base + *done);
    return STATUS_OK;
}

enum status space_remove(struct space *space, uint64_t base, uint64_t count, uint64_t *done)
{
    switch (space->kind) {
    case SPACE_HST:
    case SPACE_GST:
    case SPACE_DMA:
        return remove_memory(space, base, count, done);
    case SPACE_PIO:
        return remove_ports(space, base, count, done);
    case SPACE_MSR:
        return set_msrs(space, base, count, 3, done);
    case SPACE_OBJ:
        return remove_capabilities(space, base, count, done);
    default:
        return STATUS_BAD_ARG;
    }
}
