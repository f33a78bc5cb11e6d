/* SPDX-License-Identifier: ISC */
/*
 * The state that a processor's loop checks: requests of the machine, and the 8259s' output.
 */
#include "vmm/board/machine.h"

void machine_request(struct machine *machine, enum machine_request request, const char *reason)
{
    enum machine_request expected = MACHINE_RUNS;

    if (!__atomic_compare_exchange_n(&machine->request, &expected, request, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return;
    machine->reason = reason;
    for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
        machine_wake(machine, cpu);
}

void machine_set_intr(void *context, unsigned pin, bool level)
{
    struct machine *machine = context;

    (void)pin;
    __atomic_store_n(&machine->intr, level, __ATOMIC_RELEASE);
    if (!machine->bus.lock || machine->lock.holder == 0)
        lapic_set_lint(&machine->cpu[0].lapic, 0, level);
    else if (level)
        __atomic_add_fetch(&machine->lint_raised, 1, __ATOMIC_RELEASE);
    machine_wake(machine, 0);
}

void machine_sync_lint(struct machine *machine)
{
    uint32_t raised = __atomic_load_n(&machine->lint_raised, __ATOMIC_ACQUIRE);
    struct lapic *lapic = &machine->cpu[0].lapic;

    if (raised != machine->lint_seen) {
        machine->lint_seen = raised;
        lapic_set_lint(lapic, 0, false);
        lapic_set_lint(lapic, 0, true);
    }
    lapic_set_lint(lapic, 0, __atomic_load_n(&machine->intr, __ATOMIC_ACQUIRE));
}
