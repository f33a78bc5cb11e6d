/* SPDX-License-Identifier: ISC */
/*
 * The machine's memory: what is RAM and free, where core sees it, and which part of it is the boot modules'.
 * All of it is read from the kernel's boot information once, at the start.
 */
#include "core/core.h"

#include <string.h>

#define WINDOW     0x400000000000ull /* core sees physical address p at WINDOW + p */
#define LOW_MEMORY 0x100u            /* pages: the first MiB stays out of use */

struct memory free_memory;
uint64_t memory_total;

void *physical_pointer(uint64_t physical)
{
    return (void *)(WINDOW + physical); /* NOLINT: an address */
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

/* First page that is whole, and the page behind the last. */
static struct run region_pages(const struct boot_region *region)
{
    uint64_t first = (region->base + PAGE - 1) / PAGE, end = (region->base + region->length) / PAGE;
    return (struct run){first, first < end ? end - first : 0};
}

struct run module_run(const struct boot_module *module)
{
    uint64_t first = module->base / PAGE;
    return (struct run){first, (module->base + module->length + PAGE - 1) / PAGE - first};
}

/* The page behind the region of RAM that this page is in; 0: none. */
static uint64_t ram_end(uint64_t page)
{
    for (unsigned i = 0; i < BOOT_INFO->regions; i++) {
        struct run run = region_pages(&BOOT_INFO->region[i]);
        if (BOOT_INFO->region[i].type == BOOT_REGION_RAM && page >= run.page && page < run.page + run.count)
            return run.page + run.count;
    }
    return 0;
}

static bool is_ram(uint64_t page)
{
    return ram_end(page) != 0;
}

/* Why a module is left out; NULL: it is not. */
static const char *module_wrong(const struct boot_module *module)
{
    if (module->base % PAGE)
        return "is not page-aligned";
    if (memory_is_devices(module->base, module->length))
        return "lies in memory that a device uses";
    struct run run = module_run(module);
    for (uint64_t page = run.page; page < run.page + run.count;) {
        page = ram_end(page);
        if (!page)
            return "does not lie in RAM";
    }
    return NULL;
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
    struct run core = module_run(&BOOT_INFO->module[0]);
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
            struct run module = module_run(&BOOT_INFO->module[j]);
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

bool book_start(void)
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
        struct run run = module_run(&BOOT_INFO->module[i]);
        memory_reserve(&free_memory, run.page, run.count);
    }
    memory_total = free_memory.free;
    return true;
}

/* What stands in a module's last page behind its end is nobody's to read. */
void book_trim_modules(void)
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
