/* SPDX-License-Identifier: ISC */
/*
 * The monitor of one virtual machine: gets what its description names, builds the machine, runs it, and
 * starts it again or ends as the guest demands. What is missing or wrong is one line on the log that names
 * it; the component then exits with code 1, and everything it had goes back.
 */
#include "abi/boot.h"
#include "base/include/component.h"
#include "base/include/log.h"
#include "vmm/host/grants.h"
#include "vmm/host/monitor.h"

#define MIB       (1ull << 20)
#define NS_PER_MS 1000000ull

static struct monitor the_monitor;

static bool build_machine(struct monitor *m)
{
    struct machine_config config = {.name = m->description.name,
                                    .ram = m->memory.ram,
                                    .map = m->memory.map,
                                    .cpus = (unsigned)m->description.vcpus};
    uint64_t since;

    clock_init(&config.clock, clock_read_tsc(), m->info.tsc_hz);
    since =
        config.clock.start > m->info.wall_tsc ? (config.clock.start - m->info.wall_tsc) / config.clock.hz : 0;
    config.wall_seconds = (int64_t)(m->info.wall_seconds + since);
    config.console =
        (struct uart16550_wiring){.transmit = console_transmit, .room = console_room, .context = &m->console};
    config.console_clock =
        (struct bus_clock){.deadline = console_deadline, .advance = console_advance, .device = &m->console};
    config.firmware = m->description.firmware[0] ? &m->firmware.machine : NULL;
    if (m->description.debug)
        config.debug = (struct debug_port){.transmit = host_firmware_debug, .context = &m->firmware.debug};
    lines_await(&m->firmware.debug, m->description.exits, monitor_log_exits, m);
    host_disks_wire(&m->disks, &config);
    config.screen = m->description.vram ? &m->screen.machine : NULL;
    crew_wire(&m->crew, &config);
    console_wire(&m->console, &m->machine.clock, &m->machine.uart);
    console_await(&m->console, m->description.exits, monitor_log_exits, m);
    if (machine_init(&m->machine, &config) && host_disks_start(&m->disks, &m->machine) &&
        (!m->churn.bytes ||
         churn_start(&m->churn, &m->machine.bus, m->description.name, m->description.churn * NS_PER_MS)))
        return true;
    log_line("vm %s: the machine cannot be put together", m->description.name);
    return false;
}

static bool signalled(void *context, uint64_t bits)
{
    struct monitor *m = context;

    if (!console_is_signal(bits) && !(bits & HOST_DISK_BITS))
        return true;
    machine_lock(&m->machine, 0);
    console_signal(&m->console, bits, clock_now(&m->machine.clock));
    host_disks_signal(&m->disks, bits);
    bus_update(&m->machine.bus);
    machine_unlock(&m->machine, 0);
    return true;
}

static bool prepare(struct monitor *m)
{
    if (!host_read_description(&m->description) ||
        !host_check_grants(pd_info(&m->info) == ERROR_OK ? &m->info : NULL, m->description.name))
        return false;
    crew_init(&m->crew, m->vcpu, (unsigned)m->description.vcpus, m->info.cpus);
    if (!host_open_roms(&m->roms, &m->description) ||
        !host_memory_alloc(&m->memory, m->description.name, m->description.memory) ||
        !host_firmware_open(&m->firmware, &m->description, &m->memory) || !monitor_open_vm(m))
        return false;
    if (!host_screen_open(&m->screen, &m->description, &m->vm))
        return false;
    if (!host_disks_open(&m->disks, &m->description)) /* first: it drops other signals */
        return false;
    console_open(&m->console, m->description.name, m->description.terminal);
    return build_machine(m);
}

static bool start_vcpus(struct monitor *m)
{
    for (unsigned i = 0; i < m->machine.cpus; i++) {
        const struct vcpu_link link = {.vcpu = CREW_VCPU(i),
                                       .notification = crew_notification(i),
                                       .signal = i == 0 ? signalled : NULL,
                                       .context = m};

        vcpu_init(&m->vcpu[i], i, m->state[i], &m->machine, &link);
        vcpu_init_policy(&m->vcpu[i], m->info.features & BOOT_FEATURE_FPU_XSAVE);
    }
    return crew_create(&m->crew, &m->machine, (unsigned)m->info.priority);
}

int component_main(void)
{
    struct monitor *m = &the_monitor;
    enum vcpu_stop stop;

    if (!prepare(m) || !start_vcpus(m))
        return 1;
    do {
        if (!monitor_boot(m))
            return 1;
        log_line("vm %s: started, %lu MiB", m->description.name,
                 (unsigned long)(m->description.memory / MIB));
        stop = crew_run(&m->crew);
    } while (stop == VCPU_STOP_REQUEST && monitor_answer(m));
    monitor_log_exits(m);
    return stop == VCPU_STOP_REQUEST && m->machine.request != MACHINE_FAILED ? 0 : 1;
}
