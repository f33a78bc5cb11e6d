/* SPDX-License-Identifier: ISC */
/*
 * Shadow RAM; see shadow.h. A segment has two bits, and the guest's view of it follows from them; those of the last
 * 64 KiB are alike, as the bridge has one register for it.
 */
#include "vmm/board/machine.h"

#define UNITS     13u /* twelve segments, and the last four together */
#define LAST_UNIT 12u

static uint32_t bits_of(unsigned segment, unsigned pam)
{
    return (pam & PAM_READ ? 0 : 1u << segment) | (pam & PAM_WRITE ? 0 : 1u << (RAM_SEGMENTS + segment));
}

static uint32_t shadow_of(const struct i440fx *bridge)
{
    uint32_t shadow = 0;

    for (unsigned i = 0; i < RAM_SEGMENTS; i++)
        shadow |= bits_of(i, i440fx_pam(bridge, RAM_ROM + i * RAM_SEGMENT));
    return shadow;
}

/* There is no memory that is read from the ROM and written to RAM: the guest finds the ROM, and its writes exit. */
static enum machine_memory view_of(const struct machine *machine, unsigned segment, uint32_t shadow)
{
    uint32_t size = machine->firmware->rom_size;
    uint32_t rom = RAM_HIGH - (size < RAM_ROM_LOW ? size : RAM_ROM_LOW);

    if (!(shadow & 1u << segment))
        return shadow & 1u << (RAM_SEGMENTS + segment) ? MEMORY_RAM_READ_ONLY : MEMORY_RAM;
    return RAM_ROM + segment * RAM_SEGMENT >= rom ? MEMORY_ROM : MEMORY_NOTHING;
}

static void apply(struct machine *machine)
{
    struct machine_shadow *shadow = &machine->shadow;
    const struct machine_firmware *firmware = machine->firmware;
    uint32_t wanted = machine->ram.shadow, waiting;

    for (unsigned unit = 0; unit < UNITS && firmware; unit++) {
        uint64_t gpa = RAM_ROM + unit * RAM_SEGMENT, end = unit == LAST_UNIT ? RAM_HIGH : gpa + RAM_SEGMENT;
        enum machine_memory what = view_of(machine, unit, wanted);

        if (what != view_of(machine, unit, shadow->mapped) &&
            !firmware->map(firmware->context, gpa, end - gpa, what))
            machine_request(machine, MACHINE_FAILED, "shadow RAM");
    }
    shadow->mapped = wanted;
    screen_apply(machine);
    waiting = __atomic_exchange_n(&shadow->waiting, 0, __ATOMIC_ACQ_REL);
    for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
        if (waiting >> cpu & 1)
            machine_wake(machine, cpu);
}

void shadow_init(struct machine *machine)
{
    const struct machine_firmware *firmware = machine->firmware;

    machine->shadow = (struct machine_shadow){0};
    if (!firmware)
        return;
    machine->ram.rom = firmware->rom;
    machine->ram.rom_size = firmware->rom_size;
}

void shadow_changed(void *context)
{
    struct machine *machine = context;

    if (!machine->firmware)
        return;
    __atomic_store_n(&machine->ram.shadow, shadow_of(&machine->i440fx), __ATOMIC_RELEASE);
    shadow_change(machine);
}

void shadow_change(void *context)
{
    struct machine *machine = context;
    unsigned cpu = machine->bus.lock ? machine->lock.holder : 0;

    if (cpu == 0) {
        apply(machine);
        return;
    }
    __atomic_fetch_or(&machine->shadow.waiting, 1u << cpu, __ATOMIC_ACQ_REL);
    machine->cpu[cpu].attention = true; /* its own thread is here, and looks before it enters the guest */
    machine_wake(machine, 0);
}

void shadow_sync(struct machine *machine)
{
    if (!__atomic_load_n(&machine->shadow.waiting, __ATOMIC_ACQUIRE))
        return;
    machine_lock(machine, 0);
    apply(machine);
    machine_unlock(machine, 0);
}

bool shadow_waits(const struct machine *machine, unsigned cpu)
{
    return __atomic_load_n(&machine->shadow.waiting, __ATOMIC_ACQUIRE) >> cpu & 1;
}
