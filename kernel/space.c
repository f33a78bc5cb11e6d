/* SPDX-License-Identifier: ISC */
/* Spaces: creation, copying, removal. See space.h. */
#include "kernel/space.h"

#include "kernel/account.h"
#include "kernel/arch.h"
#include "kernel/cap.h"
#include "kernel/cpu.h"
#include "kernel/memory.h"
#include "kernel/pagetable.h"
#include "kernel/string.h"
#include "kernel/vcpu.h"

#define LARGE_PAGES (LARGE_SIZE / PAGE_SIZE)
#define USER_ROOTS  256u /* entries of an HST root that belong to the user's half */
#define GST_ROOTS   512u

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
    case SPACE_HST:
    case SPACE_GST:
        space->memory.root = account_page(account);
        if (!space->memory.root)
            return false;
        space->memory.physical = physical_address(space->memory.root);
        if (space->kind == SPACE_HST)
            memory_kernel_half(space->memory.root);
        return true;
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
    object_release(&space->object);
    return NULL;
}

bool space_destroy(struct space *space)
{
    struct cpu *cpu = this_cpu();

    switch (space->kind) {
    case SPACE_OBJ:
        return cap_clear(space);
    case SPACE_HST:
    case SPACE_GST:
        for (struct vcpu *vcpu = space->kind == SPACE_GST ? space->memory.vcpus : NULL; vcpu;
             vcpu = vcpu->next)
            vcpu_wake(vcpu);
        if (!space->memory.root)
            return true;
        if (cpu->cr3 == space->memory.physical) {
            cpu->cr3 = memory_kernel_root();
            write_cr3(cpu->cr3);
        }
        if (!pagetable_clear(space->memory.root, space->kind == SPACE_HST ? USER_ROOTS : GST_ROOTS))
            return false;
        page_free(space->memory.root);
        space->memory.root = NULL;
        space->memory.generation++;
        space->memory.physical =
            memory_kernel_root(); /* an EC of the PD still to die finds no user memory there */
        return true;
    case SPACE_PIO:
        memset(space->pio.bitmap[0], 0xff, PAGE_SIZE);
        memset(space->pio.bitmap[1], 0xff, PAGE_SIZE);
        space->pio.low = PIO_PORTS / 8;
        space->pio.high = 0;
        if (cpu->pio == space) { /* another space may come to lie here */
            cpu->pio = NULL;
            cpu->tss.iomap = TSS_NO_BITMAP;
        }
        return true;
    default:
        return true;
    }
}

void space_free(struct space *space)
{
    if (space->kind == SPACE_OBJ)
        page_free(space->obj.table);
    if (space->kind == SPACE_PIO) {
        page_free(space->pio.bitmap[0]);
        page_free(space->pio.bitmap[1]);
    }
    slab_free(space);
}

/* Translations of an HST or GST space were taken away: no TLB may keep them beyond this call. */
static void space_flush(struct space *space)
{
    struct cpu *cpu = this_cpu();

    space->memory.generation++; /* vCPUs compare before entry */
    if (cpu->cr3 == space->memory.physical)
        write_cr3(cpu->cr3);
}

static enum status copy_memory(struct space *target, uint64_t from, uint64_t to, uint64_t count,
                               unsigned rights, uint64_t *done)
{
    uint64_t limit = target->kind == SPACE_HST ? HST_PAGES : GST_PAGES;
    uint64_t bits = pagetable_bits(rights);
    enum status status = STATUS_OK;
    bool removed = false;

    if (!bits || to >= limit || count > limit - to || !memory_may_be_mapped(from, count))
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH && status == STATUS_OK; batch++) {
        uint64_t source = from + *done, place = to + *done, pages = 1;

        if (!((source | place) % LARGE_PAGES) && count - *done >= LARGE_PAGES)
            pages = LARGE_PAGES;
        status = pagetable_enter(target->memory.root, target->object.account, place, source * PAGE_SIZE,
                                 pages, bits, &removed);
        if (status == STATUS_OK)
            *done += pages;
    }
    if (removed)
        space_flush(target);
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
    target->pio.generation++;
    return STATUS_OK;
}

static enum status copy_capabilities(const struct space *source, uint64_t from, struct space *target,
                                     uint64_t to, uint64_t count, unsigned rights, uint64_t *done)
{
    if (from >= OBJ_SELECTORS || count > OBJ_SELECTORS - from || to >= OBJ_SELECTORS ||
        count > OBJ_SELECTORS - to)
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH; batch++, (*done)++) {
        const struct cap *cap = cap_lookup(source->obj.table, from + *done);
        enum status status;

        if (!cap)
            continue;
        status = cap_prepare(target, to + *done);
        if (status != STATUS_OK)
            return status;
        cap_insert(target, to + *done, cap_object(cap), cap_permissions(cap) & rights, cap->bits);
    }
    return STATUS_OK;
}

enum status space_copy(const struct space *source, uint64_t from, struct space *target, uint64_t to,
                       uint64_t count, unsigned rights, uint64_t *done)
{
    if (source->kind == SPACE_MEM && (target->kind == SPACE_HST || target->kind == SPACE_GST))
        return copy_memory(target, from, to, count, rights, done);
    if (source->kind == SPACE_PORTS && target->kind == SPACE_PIO)
        return copy_ports(target, from, to, count, done);
    if (source->kind == SPACE_OBJ && target->kind == SPACE_OBJ)
        return copy_capabilities(source, from, target, to, count, rights, done);
    return STATUS_BAD_ARG;
}

static enum status remove_memory(struct space *space, uint64_t base, uint64_t count, uint64_t *done)
{
    uint64_t limit = space->kind == SPACE_HST ? HST_PAGES : GST_PAGES;
    bool removed = false;

    if (base >= limit || count > limit - base)
        return STATUS_BAD_ARG;
    for (unsigned batch = 0; *done < count && batch < SPACE_BATCH; batch++) {
        uint64_t next = pagetable_remove(space->memory.root, base + *done, base + count, &removed);

        *done = next - base < count ? next - base : count;
    }
    if (removed)
        space_flush(space);
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
    space->pio.generation++;
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
        return remove_memory(space, base, count, done);
    case SPACE_PIO:
        return remove_ports(space, base, count, done);
    case SPACE_OBJ:
        return remove_capabilities(space, base, count, done);
    default:
        return STATUS_BAD_ARG;
    }
}
