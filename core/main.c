/* SPDX-License-Identifier: ISC */
/*
 * The root task's start: the book of memory, the entry EC that serves every request, and init, which gets all
 * the rest. Then the main thread sends the log's lines and waits for what core itself watches: init's death
 * and what the IOMMUs refuse.
 */
#include "base/include/component.h"
#include "core/core.h"
#include "core/log_queue.h"

#include <string.h>

#define WINDOW        0x400000000000ull /* core sees physical address p at WINDOW + p */
#define LOW_MEMORY    0x100u            /* pages: the first MiB stays out of use */
#define MAIN_PRIORITY 62u               /* of init; core's own thread has 63 */
#define KERNEL_KEEP   256u              /* kernel pages that core keeps: tables for its own selectors */
#define STACK         0x8000u
#define FAULT_LOOKS   10u /* a second, while drivers have devices: a device cannot make it more */

struct memory free_memory;
uint64_t memory_total;
struct pd *pds[PDS];

/* Where start.S and the entry EC begin; no guard below, so nothing here recurses. */
uint8_t main_stack[0x4000] __attribute__((aligned(4096)));
static uint8_t entry_stack[STACK] __attribute__((aligned(4096)));

void *physical_pointer(uint64_t physical)
{
    return (void *)(WINDOW + physical); /* NOLINT: an address */
}

enum error kernel_error(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return ERROR_OK;
    case STATUS_NO_MEMORY:
        return ERROR_NO_KMEM;
    case STATUS_EXISTS:
        return ERROR_EXISTS;
    case STATUS_BUSY:
        return ERROR_BUSY;
    case STATUS_BAD_ARG:
        return ERROR_BAD_ARGUMENT;
    case STATUS_UNSUPPORTED:
        return ERROR_UNSUPPORTED;
    default:
        return ERROR_FAULT;
    }
}

void capability_forget(selector own)
{
    enum status status = space_remove(ROOT_OBJ, own, 1);
    (void)status;
}

void capability_remove(selector own)
{
    enum status status = destroy(own);
    (void)status;
    capability_forget(own);
}

bool memory_is_devices(uint64_t base, uint64_t bytes)
{
    for (unsigned i = 0; i < BOOT_INFO->unities && i < BOOT_UNITIES; i++) {
        const struct boot_unity *unity = &BOOT_INFO->unity[i];
        if (base < unity->base + unity->length && unity->base < base + bytes)
            return true;
    }
    return false;
}

/* Why a module is left out; NULL: it is not. */
static const char *module_wrong(const struct boot_module *module)
{
    if (module->base % PAGE)
        return "is not page-aligned";
    return memory_is_devices(module->base, module->length) ? "lies in memory that a device uses" : NULL;
}

const struct boot_module *module_find(const char *name)
{
    for (unsigned i = 1; i < BOOT_INFO->modules; i++) {
        const struct boot_module *module = &BOOT_INFO->module[i];
        if (!module_wrong(module) && module->length && strncmp(module->name, name, BOOT_MODULE_NAME) == 0)
            return module;
    }
    return NULL;
}

/* First page that is whole, and the page behind the last. */
static struct run region_pages(const struct boot_region *region)
{
    uint64_t first = (region->base + PAGE - 1) / PAGE, end = (region->base + region->length) / PAGE;
    return (struct run){first, first < end ? end - first : 0};
}

/* All pages that a module touches. */
static struct run module_pages(const struct boot_module *module)
{
    uint64_t first = module->base / PAGE;
    return (struct run){first, (module->base + module->length + PAGE - 1) / PAGE - first};
}

static bool is_ram(uint64_t page)
{
    for (unsigned i = 0; i < BOOT_INFO->regions; i++) {
        struct run run = region_pages(&BOOT_INFO->region[i]);
        if (BOOT_INFO->region[i].type == BOOT_REGION_RAM && page >= run.page && page < run.page + run.count)
            return true;
    }
    return false;
}

static bool window_map(uint64_t page, uint64_t count, uint64_t rights)
{
    return !count || space_copy(ROOT_MEM, page, ROOT_HST, WINDOW / PAGE + page, count, rights) == STATUS_OK;
}

const void *physical_map(uint64_t physical, size_t bytes)
{
    if (physical > UINT64_MAX / 4 || bytes > UINT64_MAX / 4)
        return NULL;
    for (uint64_t page = physical / PAGE; page <= (physical + bytes) / PAGE; page++)
        if (!is_ram(page) && !window_map(page, 1, MEM_READ))
            return NULL;
    return physical_pointer(physical);
}

/* RAM into the window, but for core's own image: its code is to be written by nobody. */
static bool window_fill(void)
{
    struct run core = module_pages(&BOOT_INFO->module[0]);
    for (unsigned i = 0; i < BOOT_INFO->regions; i++) {
        struct run run = region_pages(&BOOT_INFO->region[i]);
        if (BOOT_INFO->region[i].type != BOOT_REGION_RAM)
            continue;
        uint64_t end = run.page + run.count;
        uint64_t hole = core.page > run.page ? core.page : run.page, behind = core.page + core.count;
        hole = hole < end ? hole : end;
        behind = behind > hole && core.page < end ? behind : hole;
        behind = behind < end ? behind : end;
        if (!window_map(run.page, hole - run.page, MEM_READ | MEM_WRITE) ||
            !window_map(behind, end - behind, MEM_READ | MEM_WRITE))
            return false;
    }
    return true;
}

/* Room in RAM that no module has; 0: none. */
static uint64_t room_find(uint64_t pages)
{
    for (unsigned i = 0; i < BOOT_INFO->regions; i++) {
        struct run region = region_pages(&BOOT_INFO->region[i]);
        uint64_t page = region.page > LOW_MEMORY ? region.page : LOW_MEMORY;
        if (BOOT_INFO->region[i].type != BOOT_REGION_RAM)
            continue;
        for (unsigned j = 0; j < BOOT_INFO->modules; j++) {
            struct run module = module_pages(&BOOT_INFO->module[j]);
            if (page < module.page + module.count && module.page < page + pages) {
                page = module.page + module.count;
                j = UINT32_MAX; /* from the first again: they come in any order */
            }
        }
        if (page + pages <= region.page + region.count)
            return page;
    }
    return 0;
}

static bool memory_start(void)
{
    uint64_t top = 0;
    for (unsigned i = 0; i < BOOT_INFO->regions; i++) {
        struct run run = region_pages(&BOOT_INFO->region[i]);
        if (BOOT_INFO->region[i].type == BOOT_REGION_RAM && run.page + run.count > top)
            top = run.page + run.count;
    }
    struct run map = {.count = (memory_map_bytes(top) + PAGE - 1) / PAGE};
    map.page = room_find(map.count);
    if (!map.page || !window_fill())
        return false;
    memory_init(&free_memory, physical_pointer(map.page * PAGE), top);
    for (unsigned i = 0; i < BOOT_INFO->regions; i++) {
        struct run run = region_pages(&BOOT_INFO->region[i]);
        if (BOOT_INFO->region[i].type == BOOT_REGION_RAM)
            memory_give(&free_memory, run.page, run.count);
    }
    memory_reserve(&free_memory, 0, LOW_MEMORY);
    memory_reserve(&free_memory, map.page, map.count);
    for (unsigned i = 0; i < BOOT_INFO->modules; i++) {
        struct run run = module_pages(&BOOT_INFO->module[i]);
        memory_reserve(&free_memory, run.page, run.count);
    }
    memory_total = free_memory.free;
    return true;
}

/* What stands in a module's last page behind its end is nobody's to read. */
static void modules_trim(void)
{
    for (unsigned i = 1; i < BOOT_INFO->modules; i++) {
        const struct boot_module *module = &BOOT_INFO->module[i];
        uint64_t end = module->base + module->length;
        const char *wrong = module_wrong(module);
        if (wrong)
            log_core("module %s %s and is left out", module->name, wrong);
        else if (end % PAGE && is_ram(end / PAGE))
            memset(physical_pointer(end), 0, PAGE - end % PAGE);
    }
}

static enum status entry_start(void)
{
    enum status status = create_ec(CORE_ENTRY_EC, ROOT_ACCOUNT, ROOT_PD, CORE_UTCB, 0,
                                   (uintptr_t)(entry_stack + STACK), (uintptr_t)core_entry);
    if (status == STATUS_OK)
        status = create_nt(CORE_NT, ROOT_ACCOUNT);
    if (status == STATUS_OK)
        status = nt_narrow(CORE_NT, CORE_LOG, CORE_LOG_BIT);
    if (status == STATUS_OK)
        status = create_pt(CORE_SELF, ROOT_ACCOUNT, CORE_ENTRY_EC, (uintptr_t)core_entry, 0);
    return status;
}

static void init_start(void)
{
    struct handle rom = {.kind = HANDLE_ROM};
    struct reply reply = {0};
    struct pd *init = NULL;
    uint64_t pages, used;
    const struct boot_module *module = module_find("init");
    if (!module) {
        log_core("no module init: nothing to start");
        return;
    }
    rom.memory.run[0] = module_pages(module);
    rom.memory.bytes = module->length;
    if (account_info(ROOT_ACCOUNT, &pages, &used) != STATUS_OK || pages < 2 * KERNEL_KEEP) {
        log_core("no kernel memory for init");
        return;
    }
    struct pd_request request = {.rom = &rom,
                                 .ram = free_memory.free,
                                 .kernel = pages - KERNEL_KEEP,
                                 .priority = MAIN_PRIORITY,
                                 .cpus = BOOT_INFO->cpus,
                                 .watch_bits = 1,
                                 .label = "init"};
    enum error error = pd_create(NULL, &request, &init, &reply);
    if (!error)
        error = pd_start(init, 0);
    if (error)
        log_core("init cannot start: %s%s%s", error_text(error), reply.text ? ": " : "",
                 reply.text ? reply.text : "");
}

static void init_dead(void)
{
    static bool said;
    uint64_t fault = 0, address = 0;
    struct pd *init = pds[1];
    if (said || !init || pd_fault(pd_selector(init, SEL_PD), &fault, &address) != STATUS_OK ||
        !(fault & PD_FAULT_VALID))
        return;
    said = true;
    log_core("init has died: exception %lu, error 0x%lx, IP 0x%lx, address 0x%lx", fault & 0xff, fault >> 32,
             address, ((const uint64_t *)CORE_UTCB)[0]); /* NOLINT: an address */
}

/* What only the main thread is woken for. */
static void main_look(void)
{
    init_dead();
    device_faults();
}

/* id 0: core's own main thread, 1 and up: the PD of that index. */
void core_request(uint64_t id, uint64_t words)
{
    uint64_t *page = (uint64_t *)CORE_UTCB; /* NOLINT: an address */
    struct message message = message_at(page, words < UTCB_WORDS ? (unsigned)words : UTCB_WORDS);
    struct reply reply = {0};
    enum error error = ERROR_OK;
    if (id == 0)
        main_look();
    else
        error = id < PDS && pds[id] ? request_serve(pds[id], &message, &reply) : ERROR_DENIED;
    uint64_t left[4];
    if (error == ERROR_NO_KMEM && !reply.words && quota_info(pds[id], left) == ERROR_OK)
        reply = (struct reply){.word = {0, left[2]}, .words = 2};
    message = message_at(page, UTCB_WORDS);
    message_put(&message, error);
    for (unsigned i = 0; i < reply.words; i++)
        message_put(&message, reply.word[i]);
    if (reply.text)
        message_put_string(&message, reply.text);
    enum status status = system_call_status(CALL_IPC_REPLY, message.at, 0, 0, 0, 0, 0);
    (void)status;
    __builtin_trap();
}

void core_main(void)
{
    log_init();
    if (BOOT_INFO->magic != BOOT_INFO_MAGIC || BOOT_INFO->version_major != ABI_VERSION_MAJOR)
        log_core("the kernel speaks interface %u.%u, not %u", BOOT_INFO->version_major,
                 BOOT_INFO->version_minor, ABI_VERSION_MAJOR);
    else if (!memory_start())
        log_core("no memory for the book of memory");
    else if (entry_start() != STATUS_OK)
        log_core("the kernel refuses core's own objects");
    else {
        modules_trim();
        log_core("%lu MiB free, %u modules, %u CPU, TSC %lu MHz", free_memory.free / 256, BOOT_INFO->modules,
                 BOOT_INFO->cpus, BOOT_INFO->tsc_hz / 1000000);
        devices_start();
        init_start();
    }
    for (uint64_t look = DEADLINE_NEVER;;) {
        uint64_t bits, turn = log_send() ? tsc_read() + BOOT_INFO->tsc_hz / LOG_TURNS : DEADLINE_NEVER;
        unsigned words;
        if (!devices_there())
            look = DEADLINE_NEVER;
        else if (look == DEADLINE_NEVER)
            look = tsc_read() + BOOT_INFO->tsc_hz / FAULT_LOOKS;
        enum status status = nt_wait(CORE_NT, look < turn ? look : turn, &bits);
        if (!(bits & ~(uint64_t)CORE_LOG_BIT) && tsc_read() < look)
            continue;
        look = DEADLINE_NEVER;
        status = ipc_call(CORE_SELF, 0, &words);
        (void)status; /* it is looked again at the next turn */
    }
}
