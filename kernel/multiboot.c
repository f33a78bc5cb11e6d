/* SPDX-License-Identifier: ISC */
/* Multiboot information, versions 1 and 2 (Multiboot 0.6.96 section 3.3, Multiboot2 2.0 section 3.6). */
#include "kernel/multiboot.h"

#include "abi/boot.h"
#include "kernel/print.h"
#include <string.h>

enum { MB1_MODULES = 1u << 3, MB1_MEMORY_MAP = 1u << 6 };

struct mb1_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, modules, modules_address;
    uint32_t symbols[4];
    uint32_t map_length, map_address;
} __attribute__((packed));

struct mb1_module {
    uint32_t start, end, cmdline, reserved;
} __attribute__((packed));

struct mb1_region {
    uint32_t size;
    uint64_t base, length;
    uint32_t type;
} __attribute__((packed));

enum mb2_type {
    MB2_END = 0,
    MB2_MODULE = 3,
    MB2_MAP = 6,
    MB2_FRAMEBUFFER = 8,
    MB2_RSDP_OLD = 14,
    MB2_RSDP = 15
};

struct mb2_tag {
    uint32_t type, size;
} __attribute__((packed));

struct mb2_module {
    struct mb2_tag tag;
    uint32_t start, end;
    char cmdline[];
} __attribute__((packed));

struct mb2_map {
    struct mb2_tag tag;
    uint32_t entry_size, version;
    uint8_t entries[];
} __attribute__((packed));

struct mb2_region {
    uint64_t base, length;
    uint32_t type, reserved;
} __attribute__((packed));

struct mb2_framebuffer {
    struct mb2_tag tag;
    uint64_t address;
    uint32_t pitch, width, height;
    uint8_t bpp, type;
} __attribute__((packed));

static void add_region(struct boot_info *info, uint64_t base, uint64_t length, uint32_t type)
{
    if (!length || base + length < base)
        return;
    if (info->regions == BOOT_REGIONS)
        panic("the memory map has more than %u regions", BOOT_REGIONS);
    if (type < BOOT_REGION_RAM || type > BOOT_REGION_BAD)
        type = BOOT_REGION_RESERVED;
    info->region[info->regions++] = (struct boot_region){base, length, type};
}

/* The module's name is the last word of its command line, without a path: some loaders put the file first. */
static void add_module(struct boot_info *info, uint64_t start, uint64_t end, const char *cmdline)
{
    struct boot_module *module = &info->module[info->modules];
    const char *name = cmdline;
    unsigned i = 0;

    if (info->modules == BOOT_MODULES) {
        print("more than %u boot modules: \"%s\" is left out", BOOT_MODULES, cmdline);
        return;
    }
    if (end < start)
        end = start;
    info->modules++;
    module->base = start;
    module->length = end - start;
    for (const char *p = cmdline; *p; p++)
        if ((*p == '/' || *p == ' ') && p[1] && p[1] != ' ')
            name = p + 1;
    for (; i < BOOT_MODULE_NAME - 1 && name[i] && name[i] != ' '; i++)
        module->name[i] = name[i];
}

static void read_mb1(const struct mb1_info *mb, struct boot_info *info)
{
    if (!(mb->flags & MB1_MEMORY_MAP))
        panic("the boot loader gives no memory map");
    for (uint64_t at = mb->map_address; at < (uint64_t)mb->map_address + mb->map_length;) {
        const struct mb1_region *region = (const struct mb1_region *)at;

        add_region(info, region->base, region->length, region->type);
        at += region->size + sizeof(region->size);
    }
    for (uint32_t i = 0; (mb->flags & MB1_MODULES) && i < mb->modules; i++) {
        const struct mb1_module *module = (const struct mb1_module *)(uint64_t)mb->modules_address + i;

        add_module(info, module->start, module->end,
                   module->cmdline ? (const char *)(uint64_t)module->cmdline : "");
    }
}

static void read_mb2_map(const struct mb2_map *map, struct boot_info *info)
{
    if (map->entry_size < sizeof(struct mb2_region))
        return;
    for (uint32_t at = sizeof(*map); at + map->entry_size <= map->tag.size; at += map->entry_size) {
        const struct mb2_region *region = (const struct mb2_region *)((const uint8_t *)map + at);

        add_region(info, region->base, region->length, region->type);
    }
}

static void read_mb2_framebuffer(const struct mb2_framebuffer *fb, struct boot_info *info)
{
    if (fb->type != 1 || fb->bpp != 32) /* direct colour only */
        return;
    info->framebuffer = fb->address;
    info->framebuffer_width = fb->width;
    info->framebuffer_height = fb->height;
    info->framebuffer_pitch = fb->pitch;
    info->framebuffer_bpp = fb->bpp;
}

static void read_mb2(uint64_t address, struct boot_info *info)
{
    uint32_t total = *(const uint32_t *)address;

    for (uint64_t at = 8; at + sizeof(struct mb2_tag) <= total;) {
        const struct mb2_tag *tag = (const struct mb2_tag *)(address + at);
        const struct mb2_module *module = (const struct mb2_module *)tag;

        if (tag->type == MB2_END || tag->size < sizeof(*tag))
            break;
        if (tag->type == MB2_MODULE)
            add_module(info, module->start, module->end, module->cmdline);
        if (tag->type == MB2_MAP)
            read_mb2_map((const struct mb2_map *)tag, info);
        if (tag->type == MB2_FRAMEBUFFER)
            read_mb2_framebuffer((const struct mb2_framebuffer *)tag, info);
        if (tag->type == MB2_RSDP || (tag->type == MB2_RSDP_OLD && !info->acpi_rsdp))
            info->acpi_rsdp = (uint64_t)(tag + 1);
        at += (tag->size + 7) & ~7u;
    }
}

void multiboot_read(uint32_t magic, uint64_t address, struct boot_info *info)
{
    if (magic == MULTIBOOT1_LOADER)
        read_mb1((const struct mb1_info *)address, info);
    else if (magic == MULTIBOOT2_LOADER)
        read_mb2(address, info);
    else
        panic("started by an unknown boot loader: magic number 0x%x, expected Multiboot 1 or 2", magic);
}
