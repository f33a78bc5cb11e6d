/* SPDX-License-Identifier: ISC */
/*
 * The list of parts, and the operations on all of them.
 */
#include "vmm/board/parts.h"

#define ONE(class, field)                                                                                    \
    {                                                                                                        \
        &(class), offsetof(struct machine, field), 0                                                         \
    }
#define EACH(class, field)                                                                                   \
    {                                                                                                        \
        &(class), offsetof(struct machine, cpu[0] field), sizeof(struct machine_cpu)                         \
    }

const struct part machine_parts[] = {
    EACH(lapic_class, .lapic), /* a row each */
    EACH(processor_class, ),       ONE(i82093aa_class, ioapic), ONE(i8259_class, pic),
    ONE(i8254_class, pit),         ONE(mc146818_class, rtc),    ONE(uart16550_class, uart),
    ONE(i8042_class, i8042),       ONE(i440fx_class, i440fx),   ONE(piix3_class, piix3),
    ONE(piix4_pm_class, pm),       ONE(piix4_ide_class, ide),   ONE(vga_class, vga),
    ONE(kvmclock_class, kvmclock), ONE(fw_cfg_class, fw_cfg),   {NULL, 0, 0},
};

void machine_reset(struct machine *machine, uint64_t now)
{
    machine_lock(machine, 0); /* as whose thread the 8259s' output moves */
    for (const struct part *part = machine_parts; part->class; part++)
        for (unsigned i = 0; i < part_instances(part, machine); i++)
            part->class->reset(part_device(part, machine, i), now);
    bus_update(&machine->bus);
    machine->lint_seen = machine->lint_raised;
    machine_unlock(machine, 0);
    machine->reason = NULL;
    __atomic_store_n(&machine->request, MACHINE_RUNS, __ATOMIC_RELEASE);
}

bool machine_attach(struct machine *machine)
{
    for (const struct part *part = machine_parts; part->class; part++)
        for (unsigned i = 0; i < part_instances(part, machine) && part->class->attach; i++)
            if (part->class->attach(part_device(part, machine, i), &machine->bus) != BUS_OK)
                return false;
    return true;
}
