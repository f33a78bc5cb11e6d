/* SPDX-License-Identifier: ISC */
/*
 * The monitor of one virtual machine: gets what its configuration names, builds the machine, runs it, and
 * starts it again or ends as the guest demands. What is missing or wrong is one line on the log that names
 * it; the component then exits with code 1, and everything it had goes back.
 */
#include "abi/boot.h"
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "base/include/terminal.h"
#include "base/include/vm.h"
#include "vmm/board/machine.h"
#include "vmm/config/config.h"
#include "vmm/cpu/vcpu.h"
#include "vmm/firmware/linux.h"
#include "vmm/firmware/multiboot.h"
#include "vmm/host/console.h"
#include "vmm/host/crew.h"
#include "vmm/test/builtin.h"
#include "vmm/test/churn.h"

#include <string.h>

#define CAP_TERMINAL CAP_FREE
#define BIT_TERMINAL 1ull
#define GUEST_RIGHTS (MEM_READ | MEM_WRITE | MEM_EXECUTE)
#define MIB          (1ull << 20)
#define NS_PER_MS    1000000ull

/* A guest that resets itself this often, each time within a second of its start, is not going to get
 * anywhere. */
#define FAST_RESETS_MAX 10u
#define FAST_RESET_NS   1000000000ull

struct monitor {
    struct vm_config config;
    struct pd_info info;
    const struct builtin_guest *builtin;
    struct rom kernel, initrd, module[CONFIG_VM_MODULES];
    struct e820_map map;
    struct guest_ram ram;
    struct dataspace low, high;
    struct vm vm;
    struct vcpu_state *state[MACHINE_CPUS];
    struct terminal terminal;
    bool has_terminal;
    struct machine machine;
    struct vcpu vcpu[MACHINE_CPUS];
    struct crew crew;
    struct churn churn;
    struct console console;
    uint64_t started; /* virtual ns */
    unsigned fast_resets;
};

static struct monitor monitor;

static bool read_config(struct vm_config *config)
{
    static char text[CONFIG_TEXT_MAX];
    struct xml_error error;
    struct rom rom;
    enum error status = rom_open("config", &rom);
    size_t bytes;

    if (status != ERROR_OK) {
        log_line("config: no ROM \"config\": %s", error_text(status));
        return false;
    }
    bytes = rom.bytes;
    if (bytes > sizeof text) {
        log_line("config: expected at most %u bytes, found %zu", CONFIG_TEXT_MAX, bytes);
        return false;
    }
    if (bytes)
        memcpy(text, rom.data, bytes);
    if (rom_close(&rom) != ERROR_OK)
        log_line("config: the ROM was not closed");
    if (config_read(config, text, bytes, &error))
        return true;
    log_line("config: line %u: %s", error.line, error.reason);
    return false;
}

static bool open_rom(const struct vm_config *config, const char *what, const char *name, struct rom *rom)
{
    enum error status;

    if (!name[0])
        return true;
    status = rom_open(name, rom);
    if (status == ERROR_OK && rom->bytes)
        return true;
    log_line("vm %s: %s=\"%s\": %s", config->name, what, name,
             status == ERROR_OK ? "the ROM is empty" : error_text(status));
    return false;
}

static bool open_images(struct monitor *m)
{
    for (size_t i = 0; i < m->config.modules; i++)
        if (!open_rom(&m->config, "module rom", m->config.module[i].rom, &m->module[i]))
            return false;
    if (!m->config.guest[0])
        return open_rom(&m->config, "kernel", m->config.kernel, &m->kernel) &&
               open_rom(&m->config, "initrd", m->config.initrd, &m->initrd);
    m->builtin = builtin_find(m->config.guest);
    if (!m->builtin)
        log_line("vm %s: guest=\"%s\": expected " BUILTIN_NAMES, m->config.name, m->config.guest);
    return m->builtin != NULL;
}

static bool alloc_part(const struct monitor *m, uint64_t bytes, struct dataspace *dataspace, uint8_t **mapped)
{
    void *address;
    enum error status;

    if (bytes == 0)
        return true;
    status = memory_alloc(bytes, dataspace, &address);
    if (status == ERROR_OK) {
        *mapped = address;
        return true;
    }
    log_line("vm %s: memory: needs %lu MiB, cannot get them: %s", m->config.name,
             (unsigned long)(m->config.memory / MIB), error_text(status));
    return false;
}

static bool alloc_ram(struct monitor *m)
{
    if (!e820_layout(m->config.memory, &m->map)) {
        log_line("vm %s: memory: expected %u MiB or more, found %lu MiB", m->config.name,
                 (unsigned)(E820_MIN_RAM / MIB), (unsigned long)(m->config.memory / MIB));
        return false;
    }
    m->ram.low_size = m->map.low_size;
    m->ram.high_size = m->map.high_size;
    return alloc_part(m, m->map.low_size, &m->low, &m->ram.low) &&
           alloc_part(m, m->map.high_size, &m->high, &m->ram.high);
}

/* All RAM but what lies behind the VGA window, where accesses are to exit. With <vm churn> what is above
 * CHURN_BASE comes in pieces. */
static enum error attach_ram(struct monitor *m)
{
    bool churns = m->config.churn && m->map.low_size > CHURN_BASE;
    uint64_t whole = churns ? CHURN_BASE : m->map.low_size;
    enum error status = vm_attach(&m->vm, &m->low, 0, RAM_VGA, 0, GUEST_RIGHTS);

    if (status == ERROR_OK)
        status = vm_attach(&m->vm, &m->low, RAM_ROM, whole - RAM_ROM, RAM_ROM, GUEST_RIGHTS);
    m->churn = (struct churn){.vm = &m->vm,
                              .dataspace = &m->low,
                              .memory = m->ram.low + CHURN_BASE,
                              .bytes = m->map.low_size - whole,
                              .rights = GUEST_RIGHTS};
    for (unsigned i = 0; i < m->config.vcpus; i++)
        m->churn.written[m->churn.writers++] = &m->vcpu[i].msr.kvm.eoi;
    if (status == ERROR_OK && churns)
        status = churn_attach(&m->churn);
    if (status == ERROR_OK && m->map.high_size)
        status = vm_attach(&m->vm, &m->high, 0, m->map.high_size, RAM_ABOVE_4G, GUEST_RIGHTS);
    return status;
}

static bool open_vm(struct monitor *m)
{
    const char *what = "cannot be created";
    enum error status = vm_open(m->config.name, &m->vm);

    if (status == ERROR_OK) {
        what = "guest memory cannot be attached";
        status = attach_ram(m);
    }
    if (status == ERROR_OK) {
        what = "vCPU cannot be created";
        for (unsigned i = 0; i < m->config.vcpus && status == ERROR_OK; i++)
            status = vm_vcpu_create(&m->vm, CREW_VCPU(i), crew_host(&m->crew, i), &m->state[i]);
    }
    if (status != ERROR_OK)
        log_line("vm %s: %s: %s", m->config.name, what, error_text(status));
    return status == ERROR_OK;
}

/* Without a terminal the guest's output still goes to the log. */
static void open_terminal(struct monitor *m)
{
    uint64_t other = 0;
    enum error status = terminal_open(m->config.terminal, CAP_TERMINAL, BIT_TERMINAL, &m->terminal, &other);

    m->has_terminal = status == ERROR_OK;
    if (!m->has_terminal)
        log_line("vm %s: no terminal (%s): output goes to the log only", m->config.name, error_text(status));
}

static void log_exits(void *context)
{
    const struct monitor *m = context;

    for (unsigned i = 0; i < m->machine.cpus; i++)
        vcpu_log_profile(&m->vcpu[i]);
    churn_log(&m->churn);
    log_line("vm %s: at %lu ms", m->config.name, (unsigned long)(clock_now(&m->machine.clock) / NS_PER_MS));
}

static bool build_machine(struct monitor *m)
{
    struct machine_config config = {
        .name = m->config.name, .ram = m->ram, .map = m->map, .cpus = (unsigned)m->config.vcpus};
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
    console_init(&m->console, m->config.name, &m->machine.clock, &m->machine.uart,
                 m->has_terminal ? &m->terminal : NULL);
    console_await(&m->console, m->config.exits, log_exits, m);
    if (machine_init(&m->machine, &config) &&
        (!m->churn.bytes ||
         churn_start(&m->churn, &m->machine.bus, m->config.name, m->config.churn * NS_PER_MS)))
        return true;
    log_line("vm %s: the machine cannot be put together", m->config.name);
    return false;
}

static bool signalled(void *context, uint64_t bits)
{
    struct monitor *m = context;

    crew_flush_log(&m->crew);
    if (!(bits & (NT_PARENT_NEWS | BIT_TERMINAL)))
        return true;
    machine_lock(&m->machine, 0);
    if (bits & NT_PARENT_NEWS && m->has_terminal && session_poll(&m->terminal.session) == ERROR_CLOSED) {
        console_disconnect(&m->console);
        m->has_terminal = false;
    }
    if (bits & BIT_TERMINAL)
        console_signal(&m->console, clock_now(&m->machine.clock));
    bus_update(&m->machine.bus);
    machine_unlock(&m->machine, 0);
    return true;
}

static bool load_builtin(struct monitor *m, struct guest_entry *entry)
{
    const struct builtin_guest *guest = m->builtin;

    *entry = guest->real_mode ? vcpu_entry_real(guest->base) : vcpu_entry_protected(guest->base);
    return guest_ram_write(&m->ram, guest->base, guest->image, (size_t)(guest->end - guest->image));
}

static bool load_linux(struct monitor *m, uint64_t rsdp, struct guest_entry *entry)
{
    char message[MESSAGE_BYTES];
    struct linux_config config = {
        .kernel = m->kernel.data,
        .kernel_size = m->kernel.bytes,
        .initrd = m->initrd.data,
        .initrd_size = m->initrd.bytes,
        .command_line = m->config.cmdline,
        .map = &m->map,
        .rsdp = rsdp,
    };

    if (m->config.modules) {
        log_line("vm %s: module: a Linux kernel takes none, but an initrd", m->config.name);
        return false;
    }
    if (linux_load(&m->ram, &config, entry, message))
        return true;
    log_line("vm %s: %s", m->config.name, message);
    return false;
}

static bool load_multiboot(struct monitor *m, struct guest_entry *entry)
{
    char message[MESSAGE_BYTES];
    struct multiboot_module module[CONFIG_VM_MODULES];
    struct multiboot_config config = {.image = m->kernel.data,
                                      .size = m->kernel.bytes,
                                      .command_line = m->config.cmdline,
                                      .map = &m->map,
                                      .module = module,
                                      .modules = m->config.modules};

    if (m->initrd.bytes) {
        log_line("vm %s: initrd: a Multiboot kernel takes none, but <module>s", m->config.name);
        return false;
    }
    for (size_t i = 0; i < m->config.modules; i++)
        module[i] = (struct multiboot_module){.data = m->module[i].data,
                                              .size = m->module[i].bytes,
                                              .command_line = m->config.module[i].cmdline};
    if (multiboot_load(&m->ram, &config, entry, message))
        return true;
    log_line("vm %s: %s", m->config.name, message);
    return false;
}

static bool load_guest(struct monitor *m, uint64_t rsdp, struct guest_entry *entry)
{
    if (m->builtin)
        return load_builtin(m, entry);
    if (multiboot_is(m->kernel.data, m->kernel.bytes))
        return load_multiboot(m, entry);
    return load_linux(m, rsdp, entry);
}

/* As after power-up or reset: the first MiB cleared, tables and guest written, the first vCPU at its entry,
 * the others waiting. */
static bool boot(struct monitor *m)
{
    struct guest_entry entry;
    struct cpuid_regs features;
    uint64_t rsdp;

    memset(m->ram.low, 0, E820_HIGH_MEMORY);
    cpuid_guest(&m->vcpu[0].cpuid, 1, 0, 0, 0, &features);
    rsdp = machine_write_tables(&m->machine, features.eax, features.edx);
    if (rsdp == 0) {
        log_line("vm %s: ACPI tables do not fit", m->config.name);
        return false;
    }
    if (!load_guest(m, rsdp, &entry))
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
        log_line("vm %s: guest powered off", m->config.name);
        return false;
    }
    log_line("vm %s: guest reset (%s)", m->config.name, m->machine.reason);
    m->fast_resets = now - m->started < FAST_RESET_NS ? m->fast_resets + 1 : 0;
    if (m->fast_resets > FAST_RESETS_MAX) {
        console_finish(&m->console);
        log_line("vm %s: guest resets too often, each time within a second: stopped", m->config.name);
        return false;
    }
    machine_reset(&m->machine, now);
    return true;
}

/* For BOOT_LACKS. */
static const char *const missing[8] = {
    [BOOT_LACKS_ALL] = "the processor has neither SVM nor VT-x",
    [BOOT_LACKS_FIRMWARE] = "the firmware has switched SVM or VT-x off",
    [BOOT_LACKS_NPT] = "the processor has SVM without nested paging",
    [BOOT_LACKS_EPT] = "the processor has VT-x without EPT",
    [BOOT_LACKS_UNRESTRICTED] = "the processor has VT-x without unrestricted guest",
    [BOOT_LACKS_CONTROL] = "the processor's VT-x lacks what the kernel's log names",
};

static bool prepare(struct monitor *m)
{
    if (!read_config(&m->config))
        return false;
    if (pd_info(&m->info) != ERROR_OK || m->info.tsc_hz == 0) {
        log_line("vm %s: the TSC's frequency is not known", m->config.name);
        return false;
    }
    if (!(m->info.features & BOOT_FEATURE_VM)) {
        log_line("vm %s: cannot run here: %s", m->config.name,
                 missing[BOOT_LACKS(m->info.features)] ?: "virtual machines are missing");
        return false;
    }
    crew_init(&m->crew, m->vcpu, (unsigned)m->config.vcpus, (unsigned)m->info.cpus);
    if (!open_images(m) || !alloc_ram(m) || !open_vm(m))
        return false;
    open_terminal(m);
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
        log_line("vm %s: started, %lu MiB", m->config.name, (unsigned long)(m->config.memory / MIB));
        stop = crew_run(&m->crew);
    } while (stop == VCPU_STOP_REQUEST && answer_request(m));
    log_exits(m);
    return stop == VCPU_STOP_REQUEST && m->machine.request != MACHINE_FAILED ? 0 : 1;
}
