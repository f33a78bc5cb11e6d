/* SPDX-License-Identifier: ISC */
/*
 * What can be known of a scenario before it boots. It runs on the build machine and is made of the sources that read the
 * same things in the system: init's configuration and routing, the configurations of the monitor and of drivers, core's
 * ELF loader, the monitor's loaders of kernels. Only what these ask of each other is checked here: that each module,
 * route and quota that one of them will ask for is there. tools/check starts it.
 *
 *     check CONFIG MEBIBYTES TERMINALS [NAME=FILE...]
 *
 * MEBIBYTES: the machine's memory. TERMINALS: its serial lines from COM2 on. NAME=FILE: the boot modules; of a file that
 * is not there the contents are not looked at. Exit status: 0, or 2 with a line "CONFIG:LINE: reason" for each fault.
 */
#include "base/include/config.h"
#include "base/include/session/device.h"
#include "base/include/session/io_port.h"
#include "base/include/session/irq.h"
#include "base/include/session/log.h"
#include "base/include/session/parent.h"
#include "base/include/session/platform.h"
#include "base/include/session/rom.h"
#include "base/include/session/terminal.h"
#include "base/include/session/vm.h"
#include "drivers/uart16550/config.h"
#include "init/config.h"
#include "init/route.h"
#include "lib/block/driver_config.h"
#include "lib/block/session.h"
#include "lib/elf/elf.h"
#include "servers/report_rom/config.h"
#include "servers/vdi/config.h"
#include "tests/init/config.h"
#include "vmm/config/config.h"
#include "vmm/firmware/load.h"
#include "vmm/test/builtin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096u
#define MIB  (UINT64_C(1) << 20)

struct module {
    const char *name, *file; /* file: its name without folders */
    const uint8_t *data;     /* NULL: not looked at */
    size_t bytes;
};

struct check {
    const char *path; /* of the configuration */
    char *text;
    size_t bytes;
    uint64_t memory; /* of the machine */
    unsigned terminals;
    struct init_config config;
    struct module module[CONFIG_MODULES];
    unsigned modules;
    struct uart_configs uart[CONFIG_STARTS]; /* of the components that are this driver */
    unsigned faults;
};

/* What core serves; a route to it with another name is a mistake that only a refused request would show. */
static const char *const core_services[] = {ROM_SERVICE, LOG_SERVICE,      IRQ_SERVICE,  IO_PORT_SERVICE,
                                            VM_SERVICE,  PLATFORM_SERVICE, INFO_SERVICE, DEVICE_SERVICE};

/* From COM2 on, as a PC has them; COM1 is the log's. */
static const struct {
    uint16_t base;
    unsigned irq;
} com[] = {{0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};

__attribute__((format(printf, 3, 4))) static void refuse(struct check *check, unsigned line,
                                                         const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fprintf(stderr, "donjon: %s:%u: ", check->path, line);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    check->faults++;
}

/* A whole file, or NULL. */
static void *file_read(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    long size = -1;
    void *data = NULL;

    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size >= 0)
        data = malloc((size_t)size + 1);
    rewind(file);
    if (data && fread(data, 1, (size_t)size, file) != (size_t)size) {
        free(data);
        data = NULL;
    }
    *bytes = data ? (size_t)size : 0;
    (void)fclose(file); /* it was only read */
    return data;
}

static const struct module *module_find(const struct check *check, const char *name)
{
    for (unsigned i = 0; i < check->modules; i++)
        if (strcmp(check->module[i].name, name) == 0)
            return &check->module[i];
    return NULL;
}

/* Whether the component's program is this one of ours, whatever the module's name is. */
static bool start_is(const struct check *check, const struct config_start *start, const char *file)
{
    const struct module *module = module_find(check, start->binary);

    return module && strcmp(module->file, file) == 0;
}

static void check_modules(struct check *check)
{
    for (unsigned i = 0; i < check->config.modules; i++)
        if (!module_find(check, check->config.module[i]))
            refuse(check, check->config.module_line[i], "module '%s' is not among those that boot",
                   check->config.module[i]);
    if (!module_find(check, "init"))
        refuse(check, 1, "no module 'init': core would have nothing to start");
}

/* The program and its memory, as core will look at them. */
static void check_binary(struct check *check, const struct config_start *start)
{
    const struct module *module = module_find(check, start->binary);
    struct elf elf;
    const char *reason;

    if (!module) {
        refuse(check, start->line, "%s: binary '%s' is not among the modules", start->name, start->binary);
        return;
    }
    if (!module->data)
        return;
    reason = elf_parse(module->data, module->bytes, &elf);
    if (reason)
        refuse(check, start->line, "%s: binary '%s': %s", start->name, start->binary, reason);
    else if (start->ram < elf.pages * PAGE)
        refuse(check, start->line, "%s: ram: the program alone needs %lu KiB, found %lu KiB", start->name,
               elf.pages * PAGE / 1024, start->ram / 1024);
}

static bool core_serves(const char *service)
{
    for (unsigned i = 0; i < sizeof core_services / sizeof core_services[0]; i++)
        if (strcmp(core_services[i], service) == 0)
            return true;
    return false;
}

/* Without the names of inits that pass the request on. */
static const char *own_label(const char *label)
{
    const char *next;

    while ((next = strstr(label, LABEL_SEPARATOR)))
        label = next + strlen(LABEL_SEPARATOR);
    return label;
}

static void check_routes(struct check *check, const struct config_start *start)
{
    for (unsigned i = 0; i < start->routes; i++) {
        const struct config_route *route = &start->route[i];

        if (route->to_parent && !core_serves(route->service))
            refuse(check, route->line, "%s: core has no service %s", start->name, route->service);
        else if (route->to_parent && strcmp(route->service, ROM_SERVICE) == 0 && !route->any_label &&
                 !module_find(check, own_label(route->label)))
            refuse(check, route->line, "%s: ROM '%s' is not among the modules", start->name,
                   own_label(route->label));
    }
}

/* The component will ask for this, and init decides by the routes. */
static void check_request(struct check *check, const struct config_start *start, unsigned line,
                          const char *service, const char *label, const char *arguments)
{
    const struct config_route *rule;
    unsigned client = (unsigned)(start - check->config.start);

    if (route_find(&check->config, client, service, label, arguments, &rule) == ROUTE_DENIED)
        refuse(check, line, "%s: no route for service %s%s%s%s%s%s", start->name, service,
               label[0] ? " label '" : "", label, label[0] ? "'" : "", arguments[0] ? " arguments " : "",
               arguments);
}

/* The component's <config> with empty lines before it, as init hands it out; to be freed. NULL: refused. */
static char *config_text(struct check *check, const struct config_start *start, size_t limit, size_t *bytes)
{
    size_t lines = start->config_bytes ? start->config_line - 1 : 0;
    char *text;

    *bytes = lines + start->config_bytes;
    if (start->config_bytes == 0) {
        refuse(check, start->line, "%s: <start> lacks a <config>, which '%s' reads", start->name,
               start->binary);
        return NULL;
    }
    if (*bytes > limit) {
        refuse(check, start->config_line,
               "%s: <config>: expected at most %zu bytes with the lines before it, found %zu", start->name,
               limit, *bytes);
        return NULL;
    }
    text = malloc(*bytes);
    if (!text)
        abort();
    memset(text, '\n', lines);
    memcpy(text + lines, check->text + start->config_at, start->config_bytes);
    return text;
}

static void check_com(struct check *check, const struct config_start *start, const struct uart_config *port)
{
    unsigned line = start->config_line, n = 0;

    while (n < sizeof com / sizeof com[0] && com[n].base != port->base)
        n++;
    if (n == sizeof com / sizeof com[0])
        refuse(check, line, "%s: port %s: base 0x%x: expected 0x2f8 (COM2), 0x3e8 (COM3) or 0x2e8 (COM4)",
               start->name, port->label, (unsigned)port->base);
    else if (com[n].irq != port->irq)
        refuse(check, line, "%s: port %s: irq %u: expected %u, that of COM%u", start->name, port->label,
               port->irq, com[n].irq, n + 2);
    else if (n >= check->terminals)
        refuse(check, line, "%s: port %s is COM%u, which needs <run terminals=\"%u\"/>", start->name,
               port->label, n + 2, n + 1);
}

static void check_uart(struct check *check, const struct config_start *start)
{
    struct uart_configs *uart = &check->uart[start - check->config.start];
    struct xml_error error;
    size_t bytes;
    char *text = config_text(check, start, CONFIG_BYTES, &bytes), base[24], irq[24];
    bool good = text && uart_config_read(uart, text, bytes, &error);

    free(text);
    if (!text)
        return;
    if (!good) {
        refuse(check, error.line, "%s: %s", start->name, error.reason);
        return;
    }
    check_request(check, start, start->config_line, LOG_SERVICE, "", "");
    for (unsigned i = 0; i < uart->count; i++) {
        (void)snprintf(base, sizeof base, "0x%x", (unsigned)uart->port[i].base);
        (void)snprintf(irq, sizeof irq, "%u", uart->port[i].irq);
        check_request(check, start, start->config_line, IO_PORT_SERVICE, base, "8");
        check_request(check, start, start->config_line, IRQ_SERVICE, irq, "");
        check_com(check, start, &uart->port[i]);
    }
}

static void *guest_memory(uint64_t bytes)
{
    void *memory =
        bytes ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
              : NULL;

    if (memory == MAP_FAILED) {
        fprintf(stderr, "donjon: no %lu MiB of address space to try the guest's kernel in\n", bytes / MIB);
        exit(1);
    }
    return memory;
}

/* Loads the kernel as the monitor will, into memory of the same size. */
static void check_kernel(struct check *check, const struct config_start *start, unsigned line,
                         const struct vm_description *vm)
{
    const struct module *kernel = module_find(check, vm->kernel), *initrd = module_find(check, vm->initrd);
    struct multiboot_module modules[DESCRIPTION_MODULES];
    struct e820_map map;
    struct guest_entry entry;
    char message[MESSAGE_BYTES];

    if (!kernel || !kernel->data || (vm->initrd[0] && (!initrd || !initrd->data)) ||
        !e820_layout(vm->memory, &map))
        return;
    for (size_t i = 0; i < vm->modules; i++) {
        const struct module *module = module_find(check, vm->module[i].rom);

        if (!module || !module->data)
            return;
        modules[i] = (struct multiboot_module){module->data, module->bytes, vm->module[i].cmdline};
    }
    struct guest_ram ram = {.low = guest_memory(map.low_size),
                            .low_size = map.low_size,
                            .high = guest_memory(map.high_size),
                            .high_size = map.high_size};
    const struct load_config config = {.kernel = kernel->data,
                                       .kernel_size = kernel->bytes,
                                       .initrd = initrd ? initrd->data : NULL,
                                       .initrd_size = initrd ? initrd->bytes : 0,
                                       .command_line = vm->cmdline,
                                       .module = modules,
                                       .modules = vm->modules,
                                       .map = &map};

    if (!load_kernel(&ram, &config, &entry, message))
        refuse(check, line, "%s: vm %s: %s", start->name, vm->name, message);
    munmap(ram.low, ram.low_size);
    if (ram.high)
        munmap(ram.high, ram.high_size);
}

/* A component's configuration, by its own reader; every component has a route for LOG. */
static bool check_config(struct check *check, const struct config_start *start, config_reader read,
                         void *config)
{
    struct xml_error error;
    size_t bytes;
    char *text = config_text(check, start, CONFIG_BYTES, &bytes);
    bool good = text && read(config, text, bytes, &error);

    if (text && !good)
        refuse(check, error.line, "%s: %s", start->name, error.reason);
    free(text);
    check_request(check, start, start->config_line, LOG_SERVICE, "", "");
    return good;
}

/* Of any driver of disks. */
static void check_driver(struct check *check, const struct config_start *start)
{
    struct driver_config driver;

    if (check_config(check, start, driver_config_read, &driver))
        check_request(check, start, start->config_line, DEVICE_SERVICE, driver.device, "");
}

/* First contents are modules, to which there is a route. */
static void check_report_rom(struct check *check, const struct config_start *start)
{
    struct kept_config kept;

    if (!check_config(check, start, kept_config_read, &kept))
        return;
    for (unsigned i = 0; i < kept.reports; i++) {
        if (!kept.report[i].first[0])
            continue;
        check_request(check, start, start->config_line, ROM_SERVICE, kept.report[i].first, "");
        if (!module_find(check, kept.report[i].first))
            refuse(check, start->config_line, "%s: report %s: first=\"%s\" is not among the modules",
                   start->name, kept.report[i].label, kept.report[i].first);
    }
}

/* Each image of the chain has a route to its disk. */
static void check_vdi(struct check *check, const struct config_start *start)
{
    struct vdi_config vdi;

    if (!check_config(check, start, vdi_config_read, &vdi))
        return;
    for (uint32_t i = 0; i < vdi.images; i++)
        check_request(check, start, start->config_line, BLOCK_SERVICE, vdi.label[i], "");
}

/* A monitor without a terminal is right where nothing offers one: its guest's output goes to the log. */
static bool offers_terminals(const struct check *check)
{
    for (unsigned i = 0; i < check->config.starts; i++)
        for (unsigned j = 0; j < check->config.start[i].provides; j++)
            if (strcmp(check->config.start[i].service[j], TERMINAL_SERVICE) == 0)
                return true;
    return false;
}

static void check_rom(struct check *check, const struct config_start *start, const char *vm, const char *what,
                      const char *rom)
{
    check_request(check, start, start->config_line, ROM_SERVICE, rom, "");
    if (!module_find(check, rom))
        refuse(check, start->config_line, "%s: vm %s: %s=\"%s\" is not among the modules", start->name, vm,
               what, rom);
}

static void check_vmm(struct check *check, const struct config_start *start)
{
    struct vm_description vm;
    struct xml_error error;
    size_t bytes;
    char *text = config_text(check, start, CONFIG_TEXT_MAX, &bytes);
    unsigned line = start->config_line;
    bool good = text && config_read(&vm, text, bytes, &error);

    free(text);
    if (!text)
        return;
    if (!good) {
        refuse(check, error.line, "%s: %s", start->name, error.reason);
        return;
    }
    check_request(check, start, line, LOG_SERVICE, "", "");
    check_request(check, start, line, VM_SERVICE, vm.name, "");
    if (vm.kernel[0])
        check_request(check, start, line, ROM_SERVICE, vm.kernel, "");
    if (vm.initrd[0])
        check_request(check, start, line, ROM_SERVICE, vm.initrd, "");
    if (vm.firmware[0])
        check_rom(check, start, vm.name, "firmware", vm.firmware);
    for (size_t i = 0; i < vm.modules; i++)
        check_rom(check, start, vm.name, "module rom", vm.module[i].rom);
    for (size_t i = 0; i < vm.files; i++)
        if (vm.file[i].rom[0])
            check_rom(check, start, vm.name, "file rom", vm.file[i].rom);
    for (size_t i = 0; i < vm.disks; i++)
        if (vm.disk[i].label[0])
            check_request(check, start, line, BLOCK_SERVICE, vm.disk[i].label, "");
    if (offers_terminals(check))
        check_request(check, start, line, TERMINAL_SERVICE, vm.terminal, "");
    if (vm.guest[0] && !builtin_find(vm.guest))
        refuse(check, line, "%s: vm %s: guest=\"%s\": expected " BUILTIN_NAMES, start->name, vm.name,
               vm.guest);
    if (vm.kernel[0] && !module_find(check, vm.kernel))
        refuse(check, line, "%s: vm %s: kernel=\"%s\" is not among the modules", start->name, vm.name,
               vm.kernel);
    if (vm.initrd[0] && !module_find(check, vm.initrd))
        refuse(check, line, "%s: vm %s: initrd=\"%s\" is not among the modules", start->name, vm.name,
               vm.initrd);
    if (vm.memory >= (start->ram == CONFIG_RAM_REST ? check->memory : start->ram))
        refuse(check, line, "%s: vm %s: memory: %lu MiB are more than %s has (%lu MiB)", start->name, vm.name,
               vm.memory / MIB, start->ram == CONFIG_RAM_REST ? "the machine" : "its component",
               (start->ram == CONFIG_RAM_REST ? check->memory : start->ram) / MIB);
    else
        check_kernel(check, start, line, &vm);
}

/* A driver serves each port to one client. */
static void check_ports(struct check *check)
{
    for (unsigned i = 0; i < check->config.starts; i++) {
        unsigned clients = 0;

        for (unsigned j = 0; j < check->config.starts; j++)
            for (unsigned k = 0; k < check->config.start[j].routes; k++) {
                const struct config_route *route = &check->config.start[j].route[k];

                if (check->uart[i].count && !route->to_parent && route->child_index == i &&
                    strcmp(route->service, TERMINAL_SERVICE) == 0 && ++clients > check->uart[i].count)
                    refuse(check, route->line, "%s: all %u ports of %s are taken by others",
                           check->config.start[j].name, check->uart[i].count, check->config.start[i].name);
            }
    }
}

/* What is promised to all together is there. */
static void check_quotas(struct check *check)
{
    uint64_t needed = 0;

    for (unsigned i = 0; i < check->modules; i++)
        needed += check->module[i].bytes;
    for (unsigned i = 0; i < check->config.starts; i++) {
        const struct config_start *start = &check->config.start[i];

        needed += start->kernel * PAGE + (start->ram == CONFIG_RAM_REST ? 0 : start->ram);
        if (needed > check->memory) {
            refuse(check, start->line,
                   "%s: with its ram and kernel the components have %lu MiB, the machine has %lu MiB",
                   start->name, needed / MIB, check->memory / MIB);
            return;
        }
    }
}

/* An init within init: what it is to start, unless a component serves that, and whether it can have the programs. */
static void check_init(struct check *check, const struct config_start *start)
{
    static struct config_scratch scratch;
    static struct init_config inner;
    struct xml_error error;
    size_t bytes;
    const struct config_route *rule;
    unsigned client = (unsigned)(start - check->config.start);

    if (route_find(&check->config, client, ROM_SERVICE, "config", "", &rule) == ROUTE_CHILD)
        return;
    char *text = config_text(check, start, CONFIG_BYTES, &bytes);
    if (text && !init_config_read(text, bytes, &scratch, NULL, NULL, &inner, &error)) {
        refuse(check, error.line, "%s", error.reason);
    } else if (text) {
        for (unsigned i = 0; i < inner.starts; i++) {
            check_binary(check, &inner.start[i]);
            check_request(check, start, inner.start[i].line, ROM_SERVICE, inner.start[i].binary, "");
        }
        if (inner.starts > start->children)
            refuse(check, start->line, "%s: children=\"%u\" is too little for %u components", start->name,
                   start->children, inner.starts);
    }
    free(text);
}

static void check_all(struct check *check)
{
    check_modules(check);
    for (unsigned i = 0; i < check->config.starts; i++) {
        const struct config_start *start = &check->config.start[i];

        check_binary(check, start);
        check_routes(check, start);
        if (start_is(check, start, "vmm.elf"))
            check_vmm(check, start);
        else if (start_is(check, start, "uart16550.elf"))
            check_uart(check, start);
        else if (start_is(check, start, "ahci.elf") || start_is(check, start, "virtio_blk.elf") ||
                 start_is(check, start, "nvme.elf"))
            check_driver(check, start);
        else if (start_is(check, start, "vdi.elf"))
            check_vdi(check, start);
        else if (start_is(check, start, "report_rom.elf"))
            check_report_rom(check, start);
        else if (start_is(check, start, "init.elf"))
            check_init(check, start);
    }
    check_ports(check);
    check_quotas(check);
}

int main(int count, char **words)
{
    static struct check check;
    static struct config_scratch scratch;
    struct xml_error error;
    char *copy;

    if (count < 4 || count - 4 > (int)CONFIG_MODULES) {
        fprintf(stderr,
                "donjon: usage: check CONFIG MEBIBYTES TERMINALS [NAME=FILE...], at most %u of these\n",
                CONFIG_MODULES);
        return 2;
    }
    check.path = words[1];
    check.memory = strtoull(words[2], NULL, 10) * MIB;
    check.terminals = (unsigned)strtoul(words[3], NULL, 10);
    for (int i = 4; i < count; i++) {
        struct module *module = &check.module[check.modules++];
        char *path = strchr(words[i], '='), *file;

        if (!path)
            return 2;
        *path++ = '\0';
        file = strrchr(path, '/');
        *module = (struct module){.name = words[i], .file = file ? file + 1 : path};
        module->data = file_read(path, &module->bytes);
    }
    check.text = file_read(check.path, &check.bytes);
    copy = file_read(check.path, &check.bytes); /* the parser changes its text */
    if (!check.text || !copy) {
        fprintf(stderr, "donjon: %s cannot be read\n", check.path);
        return 2;
    }
    const struct module *init = module_find(&check, "init");
    const struct config_more test = {.schema = &test_schema, .read = test_read};
    bool tests = init && strcmp(init->file, "init-test.elf") == 0;
    if (!init_config_read(copy, check.bytes, &scratch, tests ? &test : NULL, NULL, &check.config, &error))
        refuse(&check, error.line, "%s", error.reason);
    else
        check_all(&check);
    return check.faults ? 2 : 0;
}
