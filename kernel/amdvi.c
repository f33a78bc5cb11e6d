/* SPDX-License-Identifier: ISC */
/*
 * AMD's IOMMUs behind the table of iommu.h. One device table for all units has an entry for each ID, made at
 * boot; each device object has an interrupt table of its own, whose index is the vector, so that the messages
 * look as they do without an IOMMU.
 */
#include "kernel/amdvi.h"
#include "kernel/account.h"
#include "kernel/arch.h"
#include "kernel/iommu.h"
#include "kernel/memory.h"
#include "kernel/space.h"

/* Registers (48882, 3.4); what is at 0x2000 is the second page that is mapped. */
#define DEVICE_TABLE_BASE 0x00
#define COMMAND_BASE      0x08
#define EVENT_BASE        0x10
#define CONTROL           0x18
#define EXCLUSION_BASE    0x20
#define FEATURES          0x30
#define HIGH_REGISTERS    0x2000
#define COMMAND_HEAD      0x00 /* from here on in the second page */
#define COMMAND_TAIL      0x08
#define EVENT_HEAD        0x10
#define EVENT_TAIL        0x18
#define STATUS            0x20

#define FEATURES_INVALIDATE_ALL (1ul << 6)

#define CONTROL_ENABLE        (1ul << 0)
#define CONTROL_EVENT_LOG     (1ul << 2)
#define CONTROL_COHERENT      (1ul << 10)
#define CONTROL_COMMANDS      (1ul << 12)
#define STATUS_EVENT_OVERFLOW (1ul << 0)
#define STATUS_EVENTS_RUN     (1ul << 3)
#define LENGTH_PAGE           (8ul << 56) /* 256 entries of 16 bytes */
#define BUFFER_MASK           (PAGE_SIZE - 1u)

static struct unit {
    volatile char *low, *high;
    struct amdvi_command *commands;
    volatile uint64_t *events;
    uint32_t tail; /* of commands */
    uint32_t event_head;
    volatile uint64_t *done; /* the number of the last wait that has been reached */
} units[IOMMU_UNITS];
static unsigned unit_count;
static uint32_t waits;

static struct amdvi_device *table;
static struct amdvi_device refused;

static void write_register(volatile char *page, unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)(page + offset) = value;
}

static uint64_t read_register(const volatile char *page, unsigned offset)
{
    return *(const volatile uint64_t *)(page + offset);
}

static void command_put(struct unit *unit, struct amdvi_command command)
{
    unit->commands[unit->tail / sizeof(command)] = command;
    unit->tail = (unit->tail + (uint32_t)sizeof(command)) & BUFFER_MASK;
}

/* Have all units carry out the commands, and wait for it. The buffers are empty before and after. */
static void execute(const struct amdvi_command *commands, unsigned count)
{
    waits++;
    for (unsigned u = 0; u < unit_count; u++) {
        for (unsigned i = 0; i < count; i++)
            command_put(&units[u], commands[i]);
        command_put(&units[u], amdvi_completion_wait(physical_address((void *)units[u].done), waits));
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        write_register(units[u].high, COMMAND_TAIL, units[u].tail);
    }
    for (unsigned u = 0; u < unit_count; u++)
        iommu_wait((volatile uint32_t *)units[u].done, UINT32_MAX, waits);
}

/* Pages of the pool, taken at boot, are side by side. */
static void *reserve(unsigned pages)
{
    char *first = pool_reserve(), *next = first;

    for (unsigned i = 1; first && i < pages; i++) {
        next = pool_reserve();
        if (next != first + i * PAGE_SIZE)
            return NULL;
    }
    return first;
}

static bool unit_prepare(struct unit *unit, uint64_t registers, volatile uint64_t *done)
{
    unit->low = memory_map_device(registers);
    unit->high = memory_map_device(registers + HIGH_REGISTERS);
    unit->commands = reserve(1);
    unit->events = reserve(1);
    unit->done = done;
    return unit->commands && unit->events;
}

static void events_start(struct unit *unit)
{
    uint64_t control = read_register(unit->low, CONTROL);

    write_register(unit->low, CONTROL, control & ~CONTROL_EVENT_LOG);
    while (read_register(unit->high, STATUS) & STATUS_EVENTS_RUN)
        pause();
    for (unsigned i = 0; i < PAGE_SIZE / sizeof(uint64_t); i++)
        unit->events[i] = 0;
    write_register(unit->low, EVENT_BASE, physical_address((void *)unit->events) | LENGTH_PAGE);
    write_register(unit->high, EVENT_HEAD, 0);
    write_register(unit->high, EVENT_TAIL, 0);
    write_register(unit->high, STATUS, STATUS_EVENT_OVERFLOW);
    unit->event_head = 0;
    write_register(unit->low, CONTROL, control | CONTROL_EVENT_LOG);
}

/* What units may remember of the tables that the firmware, or whoever ran before, had given them. */
static void forget_all(unsigned last_device)
{
    struct amdvi_command all = amdvi_invalidate_all();
    bool at_once = true;

    for (unsigned u = 0; u < unit_count; u++)
        at_once = at_once && (read_register(units[u].low, FEATURES) & FEATURES_INVALIDATE_ALL);
    if (at_once)
        execute(&all, 1);
    for (unsigned id = 0; !at_once && id <= UINT16_MAX; id++) {
        struct amdvi_command commands[] = {amdvi_invalidate_domain((uint16_t)id),
                                           amdvi_invalidate_device((uint16_t)id),
                                           amdvi_invalidate_interrupts((uint16_t)id)};

        execute(commands, id <= last_device ? 3 : 1);
    }
}

static const char *amd_start(const struct iommu_tables *tables)
{
    unsigned last = tables->last_device | 0xff; /* the first bus is there in any case */
    unsigned pages = ((last + 1) * (unsigned)sizeof(*table) + PAGE_SIZE - 1) / PAGE_SIZE;
    uint64_t *nothing = reserve(1);
    volatile uint64_t *done = reserve(1);

    table = reserve(pages);
    if (!nothing || !done || !table)
        return "too little kernel memory";
    iommu_form = (struct pagetable_form){.levels = AMDVI_LEVELS,
                                         .large = true,
                                         .table = AMDVI_PRESENT | AMDVI_READ | AMDVI_WRITE,
                                         .level_unit = 1u << AMDVI_LEVEL_SHIFT};
    refused = amdvi_device_refused(physical_address(nothing));
    for (unsigned i = 0; i < pages * PAGE_SIZE / sizeof(*table); i++)
        table[i] = refused;
    for (unsigned i = 0; i < tables->units; i++)
        if (!unit_prepare(&units[i], tables->registers[i], done + i))
            return "too little kernel memory";
    for (unsigned i = 0; i < tables->units; i++) {
        struct unit *unit = &units[i];

        write_register(unit->low, CONTROL, 0);        /* the firmware may have used it */
        write_register(unit->low, EXCLUSION_BASE, 0); /* nothing goes around the tables */
        write_register(unit->low, DEVICE_TABLE_BASE, physical_address(table) | (pages - 1));
        write_register(unit->low, COMMAND_BASE, physical_address(unit->commands) | LENGTH_PAGE);
        write_register(unit->high, COMMAND_HEAD, 0);
        write_register(unit->high, COMMAND_TAIL, 0);
        write_register(unit->low, CONTROL, CONTROL_ENABLE | CONTROL_COHERENT | CONTROL_COMMANDS);
        events_start(unit);
    }
    unit_count = tables->units;
    forget_all(last);
    iommu_domains = DOMAINS;
    return NULL;
}

static uint64_t amd_page_bits(unsigned rights)
{
    if (rights & ~(MEM_READ | MEM_WRITE) || !(rights & MEM_READ))
        return 0;
    return AMDVI_PRESENT | AMDVI_COHERENT | AMDVI_READ | (rights & MEM_WRITE ? AMDVI_WRITE : 0);
}

static bool amd_device_create(struct device *device, struct account *account)
{
    device->interrupts =
        account ? account_allocate(account, sizeof(uint32_t) << AMDVI_INTERRUPTS_LOG2) : pool_reserve();
    if (!device->interrupts)
        return false;
    table[device->id].word[2] = amdvi_device_interrupts(physical_address(device->interrupts));
    return true; /* assign() tells the units */
}

static void amd_assign(const struct device *device)
{
    struct amdvi_device *entry = &table[device->id];
    struct amdvi_command commands[] = {amdvi_invalidate_device(device->id),
                                       amdvi_invalidate_domain((uint16_t)entry->word[1])};

    /* First word last and, to take away, first: the other half is not looked at without it. */
    __atomic_store_n(&entry->word[0], refused.word[0], __ATOMIC_SEQ_CST);
    execute(commands, 2); /* with the domain that it has had */
    if (!device->space)
        return;
    entry->word[1] = device->space->memory.domain;
    __atomic_store_n(&entry->word[0], amdvi_device_translation(device->space->memory.physical),
                     __ATOMIC_SEQ_CST);
    execute(commands, 1);
}

static void amd_device_remove(const struct device *device)
{
    struct amdvi_command commands[] = {amdvi_invalidate_device(device->id),
                                       amdvi_invalidate_interrupts(device->id)};

    table[device->id] = refused;
    execute(commands, 2);
}

static void amd_flush(uint16_t domain)
{
    struct amdvi_command command = amdvi_invalidate_domain(domain);

    execute(&command, 1);
}

static void amd_route(const struct device *device, uint8_t vector, const uint32_t *apic_id, bool level)
{
    struct amdvi_command command = amdvi_invalidate_interrupts(device->id);
    uint32_t *entry = (uint32_t *)device->interrupts + vector;

    (void)level;
    __atomic_store_n(entry, apic_id ? amdvi_interrupt(vector, *apic_id) : 0, __ATOMIC_SEQ_CST);
    execute(&command, 1);
}

static bool amd_fault(struct iommu_fault *fault, bool *lost)
{
    for (unsigned u = 0; u < unit_count; u++) {
        struct unit *unit = &units[u];
        volatile uint64_t *event = unit->events + unit->event_head / sizeof(*event);

        /* The entry itself tells whether it is there: the tail may be ahead of memory. */
        if (amdvi_event(event, &fault->device, &fault->address)) {
            event[0] = event[1] = 0;
            unit->event_head = (unit->event_head + 16) & BUFFER_MASK;
            write_register(unit->high, EVENT_HEAD, unit->event_head);
            return true;
        }
        if (read_register(unit->high, STATUS) & STATUS_EVENT_OVERFLOW) {
            events_start(unit);
            *lost = true;
        }
    }
    return false;
}

const struct iommu_operations iommu_amd = {
    .name = "AMD-Vi",
    .start = amd_start,
    .page_bits = amd_page_bits,
    .device_create = amd_device_create,
    .device_remove = amd_device_remove,
    .assign = amd_assign,
    .flush = amd_flush,
    .route = amd_route,
    .fault = amd_fault,
};
