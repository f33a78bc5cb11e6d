/* SPDX-License-Identifier: ISC */
/*
 * Intel's IOMMUs behind the table of iommu.h. All units read the same root table; the table of a bus is there
 * while one of its functions has a device object. One table of interrupts has an entry for each vector, which
 * names the device that may raise it. Whatever has no entry is refused.
 */
#include "kernel/vtd.h"
#include "kernel/account.h"
#include "kernel/arch.h"
#include "kernel/iommu.h"
#include "kernel/memory.h"
#include "kernel/space.h"

/* Registers (D51397, 11.4). */
#define CAP    0x08
#define ECAP   0x10
#define GCMD   0x18
#define GSTS   0x1c
#define RTADDR 0x20
#define FSTS   0x34
#define FECTL  0x38
#define PMEN   0x64
#define IQT    0x88
#define IQA    0x90
#define IRTA   0xb8

#define CAP_DOMAINS(cap)  (1u << (4 + 2 * ((cap)&7)))
#define CAP_WRITE_BUFFER  (1ul << 4)
#define CAP_PROTECTED     (3ul << 5)
#define CAP_39_BITS       (1ul << 9)
#define CAP_48_BITS       (1ul << 10)
#define CAP_LARGE         (1ul << 34)
#define CAP_FAULTS(cap)   ((unsigned)((cap) >> 40) % 256 + 1)
#define CAP_FAULT_AT(cap) ((unsigned)((cap) >> 24) % 1024 * 16)
#define ECAP_COHERENT     (1ul << 0)
#define ECAP_QUEUE        (1ul << 1)
#define ECAP_INTERRUPTS   (1ul << 3)
#define ECAP_SNOOP        (1ul << 7)

#define GCMD_TRANSLATION     (1u << 31) /* and the same bits of GSTS */
#define GCMD_ROOT            (1u << 30)
#define GCMD_WRITE_BUFFER    (1u << 27)
#define GCMD_QUEUE           (1u << 26)
#define GCMD_INTERRUPTS      (1u << 25)
#define GCMD_INTERRUPT_TABLE (1u << 24)
#define GSTS_LASTING         (GCMD_TRANSLATION | GCMD_QUEUE | GCMD_INTERRUPTS)

#define FSTS_OVERFLOW 1u
#define FECTL_MASKED  (1u << 31)
#define IRTA_256      7u
#define QUEUE_MASK    (PAGE_SIZE - 1u)
#define MSI_RANGE     0xfee00000u
#define BUSES         256u

static struct unit {
    volatile char *registers, *faults;
    unsigned fault_count;
    bool write_buffer;
    struct vtd_entry *queue;
    uint32_t tail;
    volatile uint32_t *done; /* the number of the last wait that has been reached */
} units[IOMMU_UNITS];
static unsigned unit_count;
static uint32_t waits;

static uint64_t snoop; /* bit of leaves */
static struct vtd_entry *root, *interrupts;
static struct {
    struct vtd_entry *contexts; /* NULL: no device object */
    unsigned devices;
} buses[BUSES];

static uint32_t read32(const struct unit *unit, unsigned offset)
{
    return *(volatile uint32_t *)(unit->registers + offset);
}

static void write32(const struct unit *unit, unsigned offset, uint32_t value)
{
    *(volatile uint32_t *)(unit->registers + offset) = value;
}

static uint64_t read64(const struct unit *unit, unsigned offset)
{
    return *(volatile uint64_t *)(unit->registers + offset);
}

static void write64(const struct unit *unit, unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)(unit->registers + offset) = value;
}

/* Give a command beside what is on, and wait for its bit to become so. */
static void command(const struct unit *unit, uint32_t bit, bool on)
{
    uint32_t lasting = read32(unit, GSTS) & GSTS_LASTING;

    write32(unit, GCMD, bit == GCMD_WRITE_BUFFER || on ? lasting | bit : lasting & ~bit);
    iommu_wait((volatile uint32_t *)(unit->registers + GSTS), bit, on ? bit : 0);
}

/* Half by half: what is entered gets its first word last, what is taken away loses it first. */
static void entry_set(struct vtd_entry *entry, struct vtd_entry value)
{
    __atomic_store_n(&entry->low, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&entry->high, value.high, __ATOMIC_SEQ_CST);
    __atomic_store_n(&entry->low, value.low, __ATOMIC_SEQ_CST);
    if (iommu_form.write_back)
        cache_write_back(entry, sizeof(*entry));
}

/* Have all units do this, and wait for it. */
static void execute(const struct vtd_entry *descriptors, unsigned count)
{
    waits++;
    for (unsigned u = 0; u < unit_count; u++) {
        struct unit *unit = &units[u];

        if (unit->write_buffer)
            command(unit, GCMD_WRITE_BUFFER, false);
        for (unsigned i = 0; i <= count; i++) {
            struct vtd_entry *place = unit->queue + unit->tail / sizeof(*place);

            *place = i < count ? descriptors[i] : vtd_wait(physical_address((void *)unit->done), waits);
            if (iommu_form.write_back)
                cache_write_back(place, sizeof(*place));
            unit->tail = (unit->tail + (uint32_t)sizeof(*place)) & QUEUE_MASK;
        }
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        write64(unit, IQT, unit->tail);
    }
    for (unsigned u = 0; u < unit_count; u++)
        iommu_wait(units[u].done, UINT32_MAX, waits);
}

/* What all units can do. A reason why they cannot be used. */
static const char *features(const struct iommu_tables *tables)
{
    uint64_t cap_all = ~0ul, ecap_all = ~0ul;

    iommu_domains = DOMAINS;
    for (unsigned i = 0; i < tables->units; i++) {
        struct unit *unit = &units[i];
        uint64_t cap;

        unit->registers = memory_map_device(tables->registers[i]);
        cap = read64(unit, CAP);
        cap_all &= cap;
        ecap_all &= read64(unit, ECAP);
        unit->write_buffer = cap & CAP_WRITE_BUFFER;
        unit->fault_count = CAP_FAULTS(cap);
        if (CAP_FAULT_AT(cap) % PAGE_SIZE + unit->fault_count * 16 > PAGE_SIZE)
            return "a unit's fault records do not lie in one page";
        unit->faults = memory_map_device(tables->registers[i] + CAP_FAULT_AT(cap));
        if (CAP_DOMAINS(cap) < iommu_domains)
            iommu_domains = CAP_DOMAINS(cap);
    }
    if (!(ecap_all & ECAP_QUEUE) || !(ecap_all & ECAP_INTERRUPTS))
        return "a unit has no queue of invalidations or does not remap interrupts";
    if (!(cap_all & (CAP_39_BITS | CAP_48_BITS)))
        return "the units have no size of address in common that is known";
    iommu_form = (struct pagetable_form){.levels = cap_all & CAP_48_BITS ? 4 : 3,
                                         .large = cap_all & CAP_LARGE,
                                         .write_back = !(ecap_all & ECAP_COHERENT),
                                         .table = VTD_READ | VTD_WRITE};
    snoop = ecap_all & ECAP_SNOOP ? VTD_SNOOP : 0;
    return NULL;
}

static void unit_start(struct unit *unit)
{
    command(unit, GCMD_TRANSLATION, false); /* the firmware may have used it */
    command(unit, GCMD_INTERRUPTS, false);
    command(unit, GCMD_QUEUE, false);
    write32(unit, FECTL, FECTL_MASKED);
    write64(unit, RTADDR, physical_address(root));
    command(unit, GCMD_ROOT, true);
    write64(unit, IQT, 0);
    write64(unit, IQA, physical_address(unit->queue));
    command(unit, GCMD_QUEUE, true);
    write64(unit, IRTA, physical_address(interrupts) | IRTA_256);
    command(unit, GCMD_INTERRUPT_TABLE, true);
}

static const char *intel_start(const struct iommu_tables *tables)
{
    const struct vtd_entry all[] = {vtd_invalidate_contexts(), vtd_invalidate_pages(),
                                    vtd_invalidate_interrupts()};
    const char *reason = features(tables);
    volatile uint32_t *done = pool_reserve();

    if (reason)
        return reason;
    root = pool_reserve();
    interrupts = pool_reserve();
    for (unsigned i = 0; i < tables->units; i++)
        units[i].queue = pool_reserve();
    if (!done || !root || !interrupts || !units[tables->units - 1].queue)
        return "too little kernel memory";
    if (iommu_form.write_back) {
        cache_write_back(root, PAGE_SIZE);
        cache_write_back(interrupts, PAGE_SIZE);
    }
    for (; unit_count < tables->units; unit_count++) {
        units[unit_count].done = done + unit_count;
        unit_start(&units[unit_count]);
    }
    execute(all, 3);
    for (unsigned i = 0; i < unit_count; i++) {
        command(&units[i], GCMD_INTERRUPTS, true);
        command(&units[i], GCMD_TRANSLATION, true);
        if (read64(&units[i], CAP) & CAP_PROTECTED)
            write32(&units[i], PMEN, 0); /* the firmware's own protection until now */
    }
    return NULL;
}

static uint64_t intel_page_bits(unsigned rights)
{
    if (rights & ~(MEM_READ | MEM_WRITE) || !(rights & MEM_READ))
        return 0;
    return VTD_READ | (rights & MEM_WRITE ? VTD_WRITE : 0) | snoop;
}

static bool intel_device_create(struct device *device, struct account *account)
{
    unsigned bus = device->id >> 8;

    if (!account)
        return true; /* IOAPICs do no DMA */
    if (!buses[bus].contexts) {
        buses[bus].contexts = account_page(account);
        if (!buses[bus].contexts)
            return false;
        if (iommu_form.write_back)
            cache_write_back(buses[bus].contexts, PAGE_SIZE);
        entry_set(&root[bus], vtd_root(physical_address(buses[bus].contexts)));
    }
    buses[bus].devices++;
    return true;
}

static void intel_assign(const struct device *device)
{
    struct vtd_entry *context = buses[device->id >> 8].contexts;
    struct vtd_entry commands[2];
    uint16_t domain;

    if (!context)
        return;
    context += device->id & 0xff;
    domain = (uint16_t)(context->high >> 8);
    commands[0] = vtd_invalidate_context(device->id, domain); /* that it has had; 0 where it had none */
    commands[1] = vtd_invalidate_domain(domain);
    entry_set(context, (struct vtd_entry){0, 0});
    execute(commands, 2);
    if (!device->space)
        return;
    domain = device->space->memory.domain;
    entry_set(context, vtd_context(device->space->memory.physical, iommu_form.levels, domain));
    commands[0] = vtd_invalidate_context(device->id, 0); /* caches may remember that there was none */
    commands[1] = vtd_invalidate_domain(domain);
    execute(commands, 2);
}

static void intel_device_remove(const struct device *device)
{
    const struct vtd_entry commands[] = {vtd_invalidate_contexts(), vtd_invalidate_pages(),
                                         vtd_invalidate_interrupts()};
    unsigned bus = device->id >> 8;
    bool last = !--buses[bus].devices;

    for (unsigned i = 0; i < PAGE_SIZE / sizeof(*interrupts); i++)
        if ((interrupts[i].low & VTD_PRESENT) && (uint16_t)interrupts[i].high == device->id)
            entry_set(&interrupts[i], (struct vtd_entry){0, 0});
    if (last)
        entry_set(&root[bus], (struct vtd_entry){0, 0});
    execute(commands, 3);
    if (last) {
        page_free(buses[bus].contexts);
        buses[bus].contexts = NULL;
    }
}

static void intel_flush(uint16_t domain)
{
    struct vtd_entry command = vtd_invalidate_domain(domain);

    execute(&command, 1);
}

static void intel_route(const struct device *device, uint8_t vector, const uint32_t *apic_id, bool level)
{
    struct vtd_entry command = vtd_invalidate_interrupt(vector);

    entry_set(&interrupts[vector],
              apic_id ? vtd_interrupt(device->id, vector, *apic_id, level) : (struct vtd_entry){0, 0});
    execute(&command, 1);
}

static void intel_message(uint8_t vector, uint64_t *address, uint64_t *data)
{
    *address = vtd_message(vector);
    *data = 0;
}

static bool intel_fault(struct iommu_fault *fault, bool *lost)
{
    for (unsigned u = 0; u < unit_count; u++) {
        struct unit *unit = &units[u];

        for (unsigned i = 0; i < unit->fault_count; i++) {
            volatile uint64_t *record = (volatile uint64_t *)(unit->faults + 16 * i);
            uint64_t high = record[1];

            if (!(high & VTD_FAULT))
                continue;
            fault->device = (uint16_t)high;
            fault->address = VTD_FAULT_REASON(high) < VTD_REASON_INTERRUPT ? record[0] : MSI_RANGE;
            ((volatile uint32_t *)record)[3] = VTD_FAULT >> 32; /* written back, it is free */
            return true;
        }
        if (read32(unit, FSTS) & FSTS_OVERFLOW) {
            write32(unit, FSTS, FSTS_OVERFLOW);
            *lost = true;
        }
    }
    return false;
}

const struct iommu_operations iommu_intel = {
    .name = "VT-d",
    .start = intel_start,
    .page_bits = intel_page_bits,
    .device_create = intel_device_create,
    .device_remove = intel_device_remove,
    .assign = intel_assign,
    .flush = intel_flush,
    .route = intel_route,
    .message = intel_message,
    .fault = intel_fault,
};
