/* SPDX-License-Identifier: ISC */
/*
 * The DEVICE service: PCI functions for drivers. A driver gets a function's registers, its interrupts, and a
 * DMA space that holds the driver's own dataspaces. It can only read configuration space. So the function can
 * harm only its own driver.
 */
#include "core/core.h"

#include "abi/port.h"
#include "base/include/component.h"
#include "base/include/session/device.h"
#include "core/acpi.h"
#include "core/pci.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define FAULT_LINES    4u  /* in a second; what is more is counted */
#define FAULTS_MAX     64u /* taken in one look */
#define MESSAGES_MAX   32u /* of a function: the machine has 192 vectors for all */
#define FUNCTIONS_MAX  2048u
#define RANGES         16u
#define MESSAGES_BASE  0xfee00000u /* what is written there is an interrupt, local APICs are there */
#define MESSAGES_LAST  0xfeefffffu
#define DEVICE_BLOCK   0x4000u /* an IOMMU's registers, of which the kernel has some pages */

static unsigned devices; /* sessions; the main thread reads it */

/* All functions of the machine, as they were before any of them had a driver. */
static struct pci_function *functions;
static unsigned function_count;

static uint32_t config_read(unsigned id, unsigned offset)
{
    port_out32(CONFIG_ADDRESS, 1u << 31 | id << 8 | (offset & 0xfc));
    return port_in32(CONFIG_DATA);
}

static void config_write(unsigned id, unsigned offset, uint32_t value)
{
    port_out32(CONFIG_ADDRESS, 1u << 31 | id << 8 | (offset & 0xfc));
    port_out32(CONFIG_DATA, value);
}

static const struct pci_access access = {config_read, config_write};

bool devices_there(void)
{
    return __atomic_load_n(&devices, __ATOMIC_RELAXED);
}

static bool is_ram(uint64_t base, uint64_t last)
{
    for (unsigned i = 0; i < BOOT_INFO->regions; i++) {
        const struct boot_region *region = &BOOT_INFO->region[i];
        if (region->type != BOOT_REGION_RESERVED && base < region->base + region->length &&
            region->base <= last)
            return true;
    }
    return memory_is_devices(base, last - base + 1);
}

/* What has these addresses, beside other BARs. */
static const char *place_taken(uint64_t base, uint64_t last)
{
    struct acpi_range range[RANGES];
    unsigned ranges = acpi_ranges(physical_map, BOOT_INFO->acpi_rsdp, range, RANGES);
    if (is_ram(base, last))
        return "memory";
    if (base <= MESSAGES_LAST && last >= MESSAGES_BASE)
        return "interrupts";
    for (unsigned i = 0; i < BOOT_INFO->devices && i < BOOT_DEVICES; i++) {
        uint64_t block = BOOT_INFO->device[i] / DEVICE_BLOCK * DEVICE_BLOCK;
        if (base < block + DEVICE_BLOCK && last >= block)
            return "registers of the kernel's";
    }
    for (unsigned i = 0; i < ranges && i < RANGES; i++)
        if (base <= range[i].last && last >= range[i].base)
            return range[i].what;
    return ranges > RANGES ? "more tables than core reads" : NULL;
}

static void refusal_tell(const struct pci_function *function, unsigned number, const char *found,
                         const struct pci_function *other)
{
    const struct pci_bar *bar = &function->bar[number];
    unsigned id = function->id, by = other ? other->id : 0;
    char whose[16] = "";
    if (other)
        format_text(whose, sizeof(whose), " of %02x:%02x.%u", by >> 8, by >> 3 & 31, by & 7);
    log_core("device %02x:%02x.%u: BAR %u, 0x%lx bytes at 0x%lx: expected a place of its own, found %s%s",
             id >> 8, id >> 3 & 31, id & 7, number, bar->bytes, bar->base, found, whose);
}

void devices_start(void)
{
    static const struct pci_check check = {place_taken, refusal_tell};
    struct run run;
    unsigned count = 0;
    if (!(BOOT_INFO->features & BOOT_FEATURE_IOMMU) ||
        space_copy(ROOT_PORTS, CONFIG_ADDRESS, ROOT_PIO, CONFIG_ADDRESS, 8, MEM_READ | MEM_WRITE) !=
            STATUS_OK)
        return;
    for (unsigned id = 0; (id = pci_next(&access, id)) < PCI_FUNCTIONS; id++)
        count++;
    if (count > FUNCTIONS_MAX)
        log_core("devices: expected %u functions at most, found %u: no drivers", FUNCTIONS_MAX, count);
    if (!count || count > FUNCTIONS_MAX ||
        !memory_alloc(&free_memory, (count * sizeof(*functions) + PAGE - 1) / PAGE, &run, 1))
        return;
    functions = physical_pointer(run.page * PAGE);
    for (unsigned id = 0; (id = pci_next(&access, id)) < PCI_FUNCTIONS && function_count < count; id++)
        pci_function_read(&access, id, &functions[function_count++]);
    pci_functions_check(functions, function_count, &check);
}

static struct pci_function *function_find(unsigned id)
{
    struct pci_function *function = functions;
    while (function < functions + function_count && function->id != id)
        function++;
    return function < functions + function_count ? function : NULL;
}

/* The object of the function, which is nobody's yet. While it decodes memory, so do all its BARs. */
static enum error device_take(struct pd *pd, const struct pci_function *function, selector own)
{
    unsigned id = function->id;
    if (pci_is_machine(function->class_code))
        return ERROR_NOT_FOUND;
    if (function->refused)
        return ERROR_UNSUPPORTED;
    enum status status = create_device(own + 1, pd_selector(pd, SEL_ACCOUNT), ROOT_PLATFORM, id);
    return status == STATUS_BAD_ARG ? ERROR_UNSUPPORTED : kernel_error(status);
}

static enum error device_find(struct pd *pd, const char *label, selector own, struct pci_function **result)
{
    bool is_class;
    uint32_t value;
    enum error error = ERROR_NOT_FOUND;
    if (!pci_label(label, &is_class, &value))
        return ERROR_BAD_ARGUMENT;
    for (unsigned i = 0; i < function_count && error; i++) {
        if ((is_class ? functions[i].class_code : functions[i].id) != value)
            continue;
        *result = &functions[i];
        error = device_take(pd, *result, own);
    }
    return error;
}

/* What the firmware has the function use all the time stays as it is. */
static enum status unities_enter(unsigned id, selector space)
{
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < BOOT_INFO->unities && i < BOOT_UNITIES && status == STATUS_OK; i++) {
        const struct boot_unity *unity = &BOOT_INFO->unity[i];
        uint64_t page = unity->base / PAGE, end = (unity->base + unity->length + PAGE - 1) / PAGE;
        if (id >= unity->first && id <= unity->last && end > page)
            status = space_copy(ROOT_MEM, page, space, page, end - page, MEM_READ | MEM_WRITE);
    }
    return status;
}

/* No DMA, no interrupts, and its registers where they were: what had it before may have moved them. Where
 * that does not help, it is refused from now on. */
static bool device_rest(struct pci_function *function)
{
    unsigned id = function->id, number;
    uint32_t found;
    pci_command(&access, id, false, false);
    pci_quiet(&access, id);
    if (pci_restore(&access, function, &number, &found))
        return true;
    log_core("device %02x:%02x.%u: BAR %u: expected 0x%x as at boot, found 0x%x", id >> 8, id >> 3 & 31,
             id & 7, number, function->word[number], found);
    return false;
}

enum error device_open(struct pd *pd, const struct open_request *request, unsigned handle)
{
    selector own = handle_selector(pd, handle);
    struct handle *device = &pd->handle[handle];
    struct pci_function *function;
    if (!(BOOT_INFO->features & BOOT_FEATURE_IOMMU)) {
        if (!pd->told_no_iommu)
            log_core("%s: device %s: there is no IOMMU to keep it from others' memory", pd->label,
                     request->label);
        pd->told_no_iommu = true;
        return ERROR_UNSUPPORTED;
    }
    enum error error = device_find(pd, request->label, own, &function);
    if (error)
        return error;
    unsigned id = function->id;
    device->device.id = id;
    device->device.open = true;
    function->owner = pd->label;
    __atomic_store_n(&devices, devices + 1, __ATOMIC_RELAXED);
    if (!device_rest(function))
        return ERROR_FAULT;
    pci_command(&access, id, true, false);
    enum status status = create_space(own, pd_selector(pd, SEL_ACCOUNT), SPACE_DMA, 0);
    status = status ? status : unities_enter(id, own);
    status = status ? status : device_assign(own + 1, own);
    if (status == STATUS_OK)
        status = nt_signal(CORE_NT); /* the main thread looks for faults from now on */
    return kernel_error(status);
}

/* First it can do nothing any more, and its IOMMU has let go; then come its memory's turn and its
 * interrupts'. */
enum error device_close(struct pd *pd, unsigned handle)
{
    struct handle *device = &pd->handle[handle];
    if (device->device.open) {
        struct pci_function *function = function_find(device->device.id);
        function->owner = NULL;
        (void)device_rest(function);
        capability_remove(handle_selector(pd, handle) + 1);
        attachments_end(pd, handle);
        device->device.open = false;
        __atomic_store_n(&devices, devices - 1, __ATOMIC_RELAXED);
    }
    for (unsigned i = 1; i < HANDLES; i++)
        if ((pd->handle[i].kind == HANDLE_MESSAGE && pd->handle[i].object.vm == handle) ||
            (pd->handle[i].kind == HANDLE_BAR && pd->handle[i].memory.device == handle)) {
            (void)handle_close(pd, i);
            return ERROR_MORE;
        }
    return ERROR_OK;
}

static enum error device_bar(struct pd *pd, unsigned device, uint64_t number, struct reply *reply)
{
    const struct pci_bar *place = pci_bar(function_find(pd->handle[device].device.id), number);
    unsigned index;
    if (!place)
        return ERROR_NOT_FOUND;
    enum error error = handle_new(pd, HANDLE_BAR, &index);
    if (error)
        return error;
    struct handle *bar = &pd->handle[index];
    bar->rights = MEM_READ | MEM_WRITE;
    bar->memory.run[0] = (struct run){place->base / PAGE, place->bytes / PAGE};
    bar->memory.bytes = place->bytes;
    bar->memory.device = device;
    *reply = (struct reply){.word = {index, place->bytes}, .words = 2};
    return ERROR_OK;
}

static enum error device_interrupt(struct pd *pd, unsigned device, selector at, uint64_t bits,
                                   struct reply *reply)
{
    uint64_t address = 0, data = 0;
    unsigned index, used = 0, messages = pci_messages(&access, pd->handle[device].device.id);
    if (!selector_usable(at) || !bits)
        return ERROR_BAD_ARGUMENT;
    if (!messages)
        return ERROR_UNSUPPORTED;
    for (unsigned i = 1; i < HANDLES; i++)
        used += pd->handle[i].kind == HANDLE_MESSAGE && pd->handle[i].object.vm == device;
    if (used >= messages || used >= MESSAGES_MAX)
        return ERROR_LIMIT;
    enum error error = handle_new(pd, HANDLE_MESSAGE, &index);
    if (error)
        return error;
    selector own = handle_selector(pd, index);
    pd->handle[index].object.vm = device;
    enum status status = create_message(own, pd_selector(pd, SEL_ACCOUNT), ROOT_PLATFORM, 0,
                                        handle_selector(pd, device) + 1, &address, &data);
    status = status ? status : nt_narrow(pd_selector(pd, SEL_NT), own + 1, bits);
    status = status ? status : interrupt_bind(own, own + 1);
    error = kernel_error(status);
    error = error ? error : pd_install(pd, own, at, PERM_INTERRUPT_ACK);
    if (!error) {
        pd->handle[index].object.client = at;
        if (!pci_message(&access, pd->handle[device].device.id, address, (uint32_t)data))
            error = ERROR_UNSUPPORTED;
    }
    if (error)
        (void)handle_close(pd, index);
    *reply = (struct reply){.word = {index, address, data}, .words = 3};
    return error;
}

enum error device_request(struct pd *pd, unsigned handle, const struct request *request, struct reply *reply)
{
    const uint64_t *words = request->word;
    unsigned id = pd->handle[handle].device.id;
    switch (request->operation) {
    case DEVICE_INFO:
        *reply = (struct reply){.word = {id, config_read(id, 0), config_read(id, 8)}, .words = 3};
        return ERROR_OK;
    case DEVICE_READ:
        if (words[0] > 252 || words[0] % 4)
            return ERROR_BAD_ARGUMENT;
        *reply = (struct reply){.word = {config_read(id, (unsigned)words[0])}, .words = 1};
        return ERROR_OK;
    case DEVICE_BAR:
        return device_bar(pd, handle, words[0], reply);
    case DEVICE_INTERRUPT:
        return device_interrupt(pd, handle, words[0], words[1], reply);
    case DEVICE_DMA:
        pci_command(&access, id, true, words[0]);
        return ERROR_OK;
    case DEVICE_MAP:
        if (words[4] & ~(uint64_t)(MEM_READ | MEM_WRITE))
            return ERROR_BAD_ARGUMENT;
        return attachment_enter(pd, handle, words);
    case DEVICE_UNMAP:
        return words[0] % PAGE ? ERROR_BAD_ARGUMENT : attachment_remove(pd, handle, words[0] / PAGE);
    default:
        return ERROR_BAD_OPERATION;
    }
}

/* A line on the log takes its time: there are a few in a second, and a sum of the rest. */
static struct {
    uint64_t end; /* TSC: of the second */
    unsigned lines;
    uint64_t more;
    bool lost;
} told;

static void fault_tell(unsigned id, uint64_t address)
{
    if (told.lines == FAULT_LINES) {
        told.more++;
        return;
    }
    told.lines++;
    const struct pci_function *function = function_find(id);
    log_core("device %02x:%02x.%u of %s: DMA to 0x%lx was refused", id >> 8, id >> 3 & 31, id & 7,
             function && function->owner ? function->owner : "nobody", address);
}

void device_faults(void)
{
    uint64_t fault = DMA_FAULT_VALID, address;
    for (unsigned i = 0; i < FAULTS_MAX && (fault & DMA_FAULT_VALID); i++) {
        if (platform_control(ROOT_PLATFORM, PLATFORM_DMA_FAULT, 0, &fault, &address) != STATUS_OK)
            return;
        told.lost |= (fault & DMA_FAULT_LOST) != 0;
        if (fault & DMA_FAULT_VALID)
            fault_tell(fault & 0xffff, address);
    }
    if (tsc_read() < told.end)
        return;
    if (told.more || told.lost)
        log_core("devices: %lu more DMAs were refused%s", told.more,
                 told.lost ? ", and others that the IOMMU did not keep" : "");
    told.more = told.lines = 0;
    told.lost = false;
    told.end = tsc_read() + BOOT_INFO->tsc_hz;
}
