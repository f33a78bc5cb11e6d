/* SPDX-License-Identifier: ISC */
/*
 * The life of a guest; see monitor.h.
 */
#include "base/include/log.h"
#include "vmm/host/monitor.h"

#include <string.h>

#define NS_PER_MS 1000000ull

/* A guest that resets itself this often, each time within a second of its start, will never come up and is
 * stopped. */
#define FAST_RESETS_MAX 10u
#define FAST_RESET_NS   1000000000ull

void monitor_log_exits(void *context)
{
    const struct monitor *m = context;

    for (unsigned i = 0; i < m->machine.cpus; i++)
        vcpu_log_profile(&m->vcpu[i]);
    churn_log(&m->churn);
    log_line("vm %s: at %lu ms", m->description.name,
             (unsigned long)(clock_now(&m->machine.clock) / NS_PER_MS));
}

static bool write_guest(struct monitor *m, struct guest_entry *entry)
{
    struct cpuid_regs features;
    uint64_t rsdp;

    memset(m->memory.ram.low, 0, E820_HIGH_MEMORY);
    cpuid_guest(&m->vcpu[0].cpuid, 1, 0, 0, 0, &features);
    rsdp = machine_write_tables(&m->machine, features.eax, features.edx);
    if (rsdp == 0) {
        log_line("vm %s: ACPI tables do not fit", m->description.name);
        return false;
    }
    return host_load_guest(&m->roms, &m->description, &m->memory, rsdp, entry);
}

bool monitor_boot(struct monitor *m)
{
    struct guest_entry entry = vcpu_entry_reset();

    if (!m->description.firmware[0] && !write_guest(m, &entry))
        return false;
    machine_start_tsc(&m->machine, clock_read_tsc());
    for (unsigned i = 0; i < m->machine.cpus; i++)
        vcpu_reset(&m->vcpu[i]);
    vcpu_start(&m->vcpu[0], &entry);
    m->started = clock_now(&m->machine.clock);
    return true;
}

bool monitor_answer(struct monitor *m)
{
    uint64_t now = clock_now(&m->machine.clock);

    if (m->machine.request == MACHINE_FAILED)
        return false;
    if (m->machine.request == MACHINE_POWER_OFF) {
        console_finish(&m->console);
        lines_finish(&m->firmware.debug);
        log_line("vm %s: guest powered off", m->description.name);
        return false;
    }
    log_line("vm %s: guest reset (%s)", m->description.name, m->machine.reason);
    m->fast_resets = now - m->started < FAST_RESET_NS ? m->fast_resets + 1 : 0;
    if (m->fast_resets > FAST_RESETS_MAX) {
        console_finish(&m->console);
        log_line("vm %s: guest resets too often, each time within a second: stopped", m->description.name);
        return false;
    }
    machine_reset(&m->machine, now);
    return true;
}
