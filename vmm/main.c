/* SPDX-License-Identifier: ISC */
/*
 * The monitor of one virtual machine: gets what its description names, builds the machine, runs it, and
 * starts it again or ends as the guest demands. What is missing or wrong is one line on the log that names
 * it; the component then exits with code 1, and everything it had goes back.
 */
#include "abi/boot.h"
#include "base/include/component.h"
#include "base/include/log.h"
#include "vmm/board/machine.h"
#include "vmm/cpu/vcpu.h"
#include "vmm/host/console.h"
#include "vmm/host/crew.h"
#include "vmm/host/grants.h"
#include "vmm/host/memory.h"
#include "vmm/host/roms.h"
#include "vmm/test/churn.h"

#include <string.h>

#define MIB       (1ull << 20)
#define NS_PER_MS 1000000ull

/* A guest that resets itself this often, each time within a second of its start, is not going to get
 * anywhere. */
#define FAST_RESETS_MAX 10u
#define FAST_RESET_NS   1000000000ull

_Static_assert(DESCRIPTION_VCPUS <= MACHINE_CPUS, "a machine has as many");

static struct monitor {
    struct vm_description description;
    struct pd_info info;
    struct host_roms roms;
    struct host_memory memory;
    struct vm vm;
    struct vcpu_state *state[MACHINE_CPUS];
    struct machine machine;
    struct vcpu vcpu[MACHINE_CPUS];
    struct crew crew;
    struct churn churn;
    struct console console;
    uint64_t started; /* virtual ns */
    unsigned fast_resets;
} monitor;

/* With <vm churn> what lies above CHURN_BASE comes in pieces. */
static enum error attach_memory(struct monitor *m)
{
    uint64_t low = m->memory.map.low_size;
    uint64_t whole = m->description.churn && low > CHURN_BASE ? CHURN_BASE : low;
    enum error status = host_memory_attach(&m->memory, &m->vm, whole);

    m->churn = (struct churn){.vm = &m->vm,
                              .dataspace = &m->memory.low,
                              .memory = m->memory.ram.low + CHURN_BASE,
                              .bytes = low - whole,
                              .rights = HOST_MEMORY_RIGHTS};
    for (unsigned i = 0; i < m->description.vcpus; i++)
        m->churn.written[m->churn.writers++] = &m->vcpu[i].msr.kvm.eoi;
    if (status == ERROR_OK && low > whole)
        status = churn_attach(&m->churn);
    return status;
}

static bool open_vm(struct monitor *m)
{
    const char *what = "cannot be created";
    enum error status = vm_open(m->description.name, &m->vm);

    if (status == ERROR_OK) {
        what = "guest memory cannot be attached";
        status = attach_memory(m);
    }
    if (status == ERROR_OK) {
        what = "vCPU cannot be created";
        for (unsigned i = 0; i < m->description.vcpus && status == ERROR_OK; i++)
            status = vm_vcpu_create(&m->vm, CREW_VCPU(i), crew_host(&m->crew, i), &m->state[i]);
    }
    if (status != ERROR_OK)
        log_line("vm %s: %s: %s", m->description.name, what, error_text(status));
    return status == ERROR_OK;
}

static void log_exits(void *context)
{
    const struct monitor *m = context;

    for (unsigned i = 0; i < m->machine.cpus; i++)
        vcpu_log_profile(&m->vcpu[i]);
    churn_log(&m->churn);
    log_line("vm %s: at %lu ms", m->description.name,
             (unsigned long)(clock_now(&m->machine.clock) / NS_PER_MS));
}

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
        (struct uart16550_wiring){.transmit = console_transmit, .room = console_room, .ctx = &m->console};
    config.console_clock =
        (struct bus_clock){.deadline = console_deadline, .advance = console_advance, .device = &m->console};
    crew_wire(&m->crew, &config);
    console_wire(&m->console, &m->machine.clock, &m->machine.uart);
    console_await(&m->console, m->description.exits, log_exits, m);
    if (machine_init(&m->machine, &config) &&
        (!m->churn.bytes ||
         churn_start(&m->churn, &m->machine.bus, m->description.name, m->description.churn * NS_PER_MS)))
        return true;
    log_line("vm %s: the machine cannot be put together", m->description.name);
    return false;
}

static bool signalled(void *context, uint64_t bits)
{
    struct monitor *m = context;

    crew_flush_log(&m->crew);
    if (!console_is_signal(bits))
        return true;
    machine_lock(&m->machine, 0);
    console_signal(&m->console, bits, clock_now(&m->machine.clock));
    bus_update(&m->machine.bus);
    machine_unlock(&m->machine, 0);
    return true;
}

/* As after power-up or reset: the first MiB cleared, tables and guest written, the first vCPU at its entry,
 * the others waiting. */
static bool boot(struct monitor *m)
{
    struct guest_entry entry;
    struct cpuid_regs features;
    uint64_t rsdp;

    memset(m->memory.ram.low, 0, E820_HIGH_MEMORY);
    cpuid_guest(&m->vcpu[0].cpuid, 1, 0, 0, 0, &features);
    rsdp = machine_write_tables(&m->machine, features.eax, features.edx);
    if (rsdp == 0) {
        log_line("vm %s: ACPI tables do not fit", m->description.name);
        return false;
    }
    if (!host_load_guest(&m->roms, &m->description, &m->memory, rsdp, &entry))
        return false;
    machine_start_tsc(&m->machine, clock_read_tsc());
    for (unsigned i = 0; i < m->machine.cpus; i++)
        vcpu_reset(&m->vcpu[i]);
    vcpu_start(&m->vcpu[0], &entry);
    m->started = clock_now(&m->machine.clock);
    return true;
}

/* True: the guest starts again. */
static bool answer_request(struct monitor *m)
{
    uint64_t now = clock_now(&m->machine.clock);

    if (m->machine.request == MACHINE_FAILED)
        return false;
    if (m->machine.request == MACHINE_POWER_OFF) {
        console_finish(&m->console);
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

static bool prepare(struct monitor *m)
{
    if (!host_read_description(&m->description) ||
        !host_check_grants(pd_info(&m->info) == ERROR_OK ? &m->info : NULL, m->description.name))
        return false;
    crew_init(&m->crew, m->vcpu, (unsigned)m->description.vcpus, (unsigned)m->info.cpus);
    if (!host_open_roms(&m->roms, &m->description) ||
        !host_memory_alloc(&m->memory, m->description.name, m->description.memory) || !open_vm(m))
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
    struct monitor *m = &monitor;
    enum vcpu_stop stop;

    if (!prepare(m) || !start_vcpus(m))
        return 1;
    do {
        if (!boot(m))
            return 1;
        log_line("vm %s: started, %lu MiB", m->description.name,
                 (unsigned long)(m->description.memory / MIB));
        stop = crew_run(&m->crew);
    } while (stop == VCPU_STOP_REQUEST && answer_request(m));
    log_exits(m);
    return stop == VCPU_STOP_REQUEST && m->machine.request != MACHINE_FAILED ? 0 : 1;
}
