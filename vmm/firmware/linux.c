/* SPDX-License-Identifier: ISC */
/*
 * The Linux/x86 boot protocol. The header is copied once into a local struct, checked there, and only then
 * are addresses chosen: the kernel where it prefers to be (or at the next place it allows), the initrd as
 * high as it may lie in low memory, everything that is ours below 64 KiB.
 */
#include "vmm/firmware/linux.h"

#include <string.h>

#include "vmm/firmware/message.h"

/* Offsets in the file's first sectors, which are those in boot_params too. */
enum header_offset {
    HDR_START = 0x1f1,
    HDR_SETUP_SECTS = 0x1f1,
    HDR_SYSSIZE = 0x1f4,
    HDR_VID_MODE = 0x1fa,
    HDR_BOOT_FLAG = 0x1fe,
    HDR_JUMP = 0x200,
    HDR_MAGIC = 0x202,
    HDR_VERSION = 0x206,
    HDR_LOADER = 0x210,
    HDR_LOADFLAGS = 0x211,
    HDR_CODE32_START = 0x214,
    HDR_RAMDISK_IMAGE = 0x218,
    HDR_RAMDISK_SIZE = 0x21c,
    HDR_CMD_LINE_PTR = 0x228,
    HDR_INITRD_MAX = 0x22c,
    HDR_ALIGNMENT = 0x230,
    HDR_RELOCATABLE = 0x234,
    HDR_XLOADFLAGS = 0x236,
    HDR_CMDLINE_SIZE = 0x238,
    HDR_SETUP_DATA = 0x250,
    HDR_PREF_ADDRESS = 0x258,
    HDR_INIT_SIZE = 0x260,
    HDR_END_2_06 = 0x23c, /* header must reach at least here */
    HDR_END_2_10 = 0x264,
    HDR_END_MAX = 0x290,
};

enum boot_params_offset {
    BP_VIDEO_MODE = 0x06,
    BP_VIDEO_COLS = 0x07,
    BP_VIDEO_LINES = 0x0e,
    BP_VIDEO_IS_VGA = 0x0f,
    BP_VIDEO_POINTS = 0x10,
    BP_ACPI_RSDP = 0x70,
    BP_E820_ENTRIES = 0x1e8,
    BP_E820_TABLE = 0x2d0,
};

#define VERSION_2_06     0x0206u
#define VERSION_2_10     0x020au
#define VERSION_2_12     0x020cu
#define VERSION_2_14     0x020eu
#define LOADED_HIGH      0x01u
#define XLF_KERNEL_64    0x01u
#define LOADER_UNDEFINED 0xffu
#define VIDEO_NORMAL     0xffffu
#define ENTRY_64         0x200u
#define MIB              (1ull << 20)
#define PAGE             0x1000ull
#define MAX_ALIGNMENT    (1ull << 30)

#define CR0_PE    (1u << 0)
#define CR0_ET    (1u << 4)
#define CR0_PG    (1u << 31)
#define CR4_PAE   (1u << 5)
#define EFER_LME  (1u << 8)
#define EFER_LMA  (1u << 10)
#define PTE_TABLE 0x3u  /* present, writable */
#define PTE_LARGE 0x83u /* and 2 MiB */

/* The checked copy of what the file says. */
struct image {
    unsigned version;
    const uint8_t *payload;
    uint64_t payload_size;
    uint64_t pref_address;
    uint64_t init_size;
    uint64_t alignment;
    uint32_t initrd_max;
    uint32_t cmdline_size;
    size_t header_end;
    bool relocatable;
    bool entry_64;
};

struct placement {
    uint64_t kernel;
    uint64_t initrd;
};

struct loader {
    const struct guest_ram *ram;
    const struct linux_config *config;
    struct message_line message;
    struct image image;
    struct placement at;
};

static uint64_t get(const uint8_t *bytes, size_t offset, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i-- > 0;)
        value = value << 8 | bytes[offset + i];
    return value;
}

static void put(uint8_t *bytes, size_t offset, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        bytes[offset + i] = (uint8_t)(value >> i * 8);
}

static bool fail(struct loader *loader, const char *text)
{
    message_text(&loader->message, text);
    return false;
}

static bool fail_memory(struct loader *loader, uint64_t needed)
{
    message_text(&loader->message, "kernel and initrd: needs ");
    message_number(&loader->message, needed / MIB + (needed % MIB != 0), 10);
    message_text(&loader->message, " MiB of memory below 3 GiB, has ");
    message_number(&loader->message, loader->config->map->low_size / MIB, 10);
    message_text(&loader->message, " MiB");
    return false;
}

static bool check_magic(struct loader *loader)
{
    const uint8_t *file = loader->config->kernel;
    struct image *image = &loader->image;

    if (loader->config->kernel_size < HDR_END_MAX)
        return message_found(&loader->message, "kernel: expected a bzImage of at least 0x290 bytes",
                             loader->config->kernel_size);
    if (get(file, HDR_BOOT_FLAG, 2) != 0xaa55)
        return message_found(&loader->message, "kernel: expected boot flag 0xaa55 at 0x1fe",
                             get(file, HDR_BOOT_FLAG, 2));
    if (get(file, HDR_MAGIC, 4) != 0x53726448)
        return message_found(&loader->message, "kernel: expected \"HdrS\" (0x53726448) at 0x202",
                             get(file, HDR_MAGIC, 4));
    image->version = (unsigned)get(file, HDR_VERSION, 2);
    if (image->version < VERSION_2_06)
        return message_found(&loader->message, "kernel: expected boot protocol 2.06 (0x206) or later",
                             image->version);
    if (!(file[HDR_LOADFLAGS] & LOADED_HIGH))
        return message_found(&loader->message, "kernel: expected a bzImage (loadflags bit 0)",
                             file[HDR_LOADFLAGS]);
    if (file[HDR_JUMP] != 0xeb)
        return message_found(&loader->message, "kernel: expected a short jump (0xeb) at 0x200",
                             file[HDR_JUMP]);
    image->header_end = HDR_MAGIC + file[HDR_JUMP + 1];
    if (image->header_end < (image->version < VERSION_2_10 ? HDR_END_2_06 : HDR_END_2_10))
        return message_found(&loader->message, "kernel: setup header too short for its protocol: end",
                             image->header_end);
    if (image->header_end > HDR_END_MAX)
        image->header_end = HDR_END_MAX;
    return true;
}

/* Files may be longer than syssize says (a signature follows), and shorter by the padding of its 16-byte
 * unit. */
static bool check_payload(struct loader *loader)
{
    const uint8_t *file = loader->config->kernel;
    struct image *image = &loader->image;
    uint64_t sectors = file[HDR_SETUP_SECTS] ? file[HDR_SETUP_SECTS] : 4;
    uint64_t start = (sectors + 1) * 512;
    uint64_t expected = get(file, HDR_SYSSIZE, 4) * 16;
    uint64_t available = loader->config->kernel_size;

    if (start >= available)
        return message_found(&loader->message, "kernel: file ends within its setup sectors: size", available);
    available -= start;
    if (expected <= ENTRY_64)
        return message_found(&loader->message, "kernel: expected a syssize beyond 0x200 bytes", expected);
    if (expected > available + 15) {
        message_text(&loader->message, "kernel: truncated: expected 0x");
        message_number(&loader->message, expected, 16);
        return message_found(&loader->message, " bytes after the setup sectors", available);
    }
    image->payload = file + start;
    image->payload_size = expected < available ? expected : available;
    return true;
}

static bool check_addresses(struct loader *loader)
{
    const uint8_t *file = loader->config->kernel;
    struct image *image = &loader->image;

    image->alignment = get(file, HDR_ALIGNMENT, 4);
    image->relocatable = file[HDR_RELOCATABLE] != 0;
    image->initrd_max = (uint32_t)get(file, HDR_INITRD_MAX, 4);
    image->cmdline_size = (uint32_t)get(file, HDR_CMDLINE_SIZE, 4);
    image->entry_64 = image->version >= VERSION_2_12 && get(file, HDR_XLOADFLAGS, 2) & XLF_KERNEL_64;
    if (image->version >= VERSION_2_10) {
        image->pref_address = get(file, HDR_PREF_ADDRESS, 8);
        image->init_size = get(file, HDR_INIT_SIZE, 4);
    } else {
        /* Older kernels do not say what they need while they decompress: four times their size has been
         * enough. */
        image->pref_address = get(file, HDR_CODE32_START, 4);
        image->init_size = image->payload_size * 4;
    }
    if (image->relocatable && (image->alignment < PAGE || image->alignment > MAX_ALIGNMENT ||
                               (image->alignment & (image->alignment - 1)) != 0))
        return message_found(&loader->message,
                             "kernel: expected kernel_alignment to be a power of two from 4 KiB to 1 GiB",
                             image->alignment);
    if (!image->relocatable && image->pref_address < E820_HIGH_MEMORY)
        return message_found(&loader->message,
                             "kernel: not relocatable, expected its address in 1 MiB..3 GiB",
                             image->pref_address);
    if (image->pref_address >= E820_PCI_HOLE)
        return message_found(&loader->message, "kernel: expected its address below 3 GiB",
                             image->pref_address);
    if (image->init_size < image->payload_size)
        image->init_size = image->payload_size;
    return true;
}

/* End of what a loader may use in low memory: the ACPI tables follow. */
static uint64_t memory_end(const struct loader *loader)
{
    return loader->config->map->acpi_base;
}

/* Overhead beyond the kernel's end: initrd on a page boundary, ACPI tables. Both sizes are below 2^63. */
static uint64_t memory_needed(const struct loader *loader, uint64_t kernel)
{
    uint64_t initrd = (loader->config->initrd_size + PAGE - 1) & ~(PAGE - 1);

    return kernel + ((loader->image.init_size + PAGE - 1) & ~(PAGE - 1)) + initrd + E820_ACPI_LENGTH;
}

/* The kernel runs from pref_address or, if it can be moved and was loaded above, from there: never from below
 * (boot.rst, "init_size"). So the preferred place is also the one that needs least memory. */
static bool place_kernel(struct loader *loader)
{
    const struct image *image = &loader->image;
    uint64_t place = image->pref_address;

    if (loader->config->initrd_size > UINT32_MAX)
        return message_found(&loader->message, "initrd: expected less than 4 GiB",
                             loader->config->initrd_size);
    if (image->relocatable) {
        if (place < E820_HIGH_MEMORY)
            place = E820_HIGH_MEMORY;
        place = (place + image->alignment - 1) & ~(uint64_t)(image->alignment - 1);
    }
    loader->at.kernel = place;
    if (memory_needed(loader, place) > loader->config->map->low_size)
        return fail_memory(loader, memory_needed(loader, place));
    return true;
}

static bool place_initrd(struct loader *loader)
{
    uint64_t size = loader->config->initrd_size;
    uint64_t end = memory_end(loader);
    uint64_t kernel_end = loader->at.kernel + loader->image.init_size;

    loader->at.initrd = 0;
    if (!loader->config->initrd || size == 0)
        return true;
    if (end > (uint64_t)loader->image.initrd_max + 1)
        end = (uint64_t)loader->image.initrd_max + 1;
    if (size > end || ((end - size) & ~(PAGE - 1)) < kernel_end) {
        message_text(&loader->message, "initrd: expected to fit between the kernel's end 0x");
        message_number(&loader->message, kernel_end, 16);
        message_text(&loader->message, " and initrd_addr_max 0x");
        message_number(&loader->message, loader->image.initrd_max, 16);
        return message_found(&loader->message, "; size", size);
    }
    loader->at.initrd = (end - size) & ~(PAGE - 1);
    return true;
}

static bool write(struct loader *loader, uint64_t gpa, const void *bytes, size_t length)
{
    if (guest_ram_write(loader->ram, gpa, bytes, length))
        return true;
    return message_found(&loader->message, "guest memory: expected RAM", gpa);
}

static bool write_command_line(struct loader *loader)
{
    const char *line = loader->config->command_line ? loader->config->command_line : "";
    size_t length = strlen(line);
    size_t limit =
        loader->image.cmdline_size < LINUX_COMMAND_MAX ? loader->image.cmdline_size : LINUX_COMMAND_MAX;

    if (length > limit) {
        message_text(&loader->message, "command line: expected at most ");
        message_number(&loader->message, limit, 10);
        message_text(&loader->message, " bytes, found ");
        message_number(&loader->message, length, 10);
        return false;
    }
    return write(loader, LINUX_COMMAND_LINE, line, length + 1);
}

static void put_e820(uint8_t *params, const struct e820_map *map)
{
    params[BP_E820_ENTRIES] = (uint8_t)map->entries;
    for (size_t i = 0; i < map->entries; i++) {
        put(params, BP_E820_TABLE + i * 20, map->entry[i].base, 8);
        put(params, BP_E820_TABLE + i * 20 + 8, map->entry[i].length, 8);
        put(params, BP_E820_TABLE + i * 20 + 16, map->entry[i].type, 4);
    }
}

static void put_screen(uint8_t *params)
{
    params[BP_VIDEO_MODE] = 3;
    params[BP_VIDEO_COLS] = 80;
    params[BP_VIDEO_LINES] = 25;
    params[BP_VIDEO_IS_VGA] = 1;
    params[BP_VIDEO_POINTS] = 16;
}

static bool write_boot_params(struct loader *loader)
{
    const struct linux_config *config = loader->config;
    uint8_t *params = guest_ram_at(loader->ram, LINUX_BOOT_PARAMS, PAGE);

    if (!params)
        return message_found(&loader->message, "guest memory: expected RAM", LINUX_BOOT_PARAMS);
    memset(params, 0, PAGE);
    memcpy(params + HDR_START, config->kernel + HDR_START, loader->image.header_end - HDR_START);
    params[HDR_LOADER] = LOADER_UNDEFINED;
    put(params, HDR_VID_MODE, VIDEO_NORMAL, 2);
    put(params, HDR_CODE32_START, loader->at.kernel, 4);
    put(params, HDR_RAMDISK_IMAGE, loader->at.initrd, 4);
    put(params, HDR_RAMDISK_SIZE, loader->at.initrd ? config->initrd_size : 0, 4);
    put(params, HDR_CMD_LINE_PTR, LINUX_COMMAND_LINE, 4);
    if (loader->image.version >= 0x0209)
        put(params, HDR_SETUP_DATA, 0, 8);
    if (loader->image.version >= VERSION_2_14)
        put(params, BP_ACPI_RSDP, config->rsdp, 8);
    if (config->vga_text)
        put_screen(params);
    put_e820(params, config->map);
    return true;
}

/* 4 GiB one to one: PML4, one PDPT, four page directories of 2 MiB pages. */
static bool write_page_tables(struct loader *loader)
{
    uint8_t *tables = guest_ram_at(loader->ram, LINUX_PAGE_TABLES, 6 * PAGE);

    if (!tables)
        return message_found(&loader->message, "guest memory: expected RAM", LINUX_PAGE_TABLES);
    memset(tables, 0, 6 * PAGE);
    put(tables, 0, (LINUX_PAGE_TABLES + PAGE) | PTE_TABLE, 8);
    for (size_t i = 0; i < 4; i++)
        put(tables, PAGE + i * 8, (LINUX_PAGE_TABLES + (2 + i) * PAGE) | PTE_TABLE, 8);
    for (size_t i = 0; i < 4 * 512; i++)
        put(tables, 2 * PAGE + i * 8, i * 2 * MIB | PTE_LARGE, 8);
    return true;
}

/* __BOOT_CS 0x10 and __BOOT_DS 0x18, flat; a task state that nobody uses, as VM entry wants one. */
static bool write_gdt(struct loader *loader, struct guest_entry *entry)
{
    bool wide = loader->image.entry_64;
    uint8_t gdt[5 * 8] = {0};

    put(gdt, 0x10, wide ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull, 8);
    put(gdt, 0x18, 0x00cf93000000ffffull, 8);
    put(gdt, 0x20, 0x00008b0000000067ull, 8);
    entry->cs = (struct guest_segment){0x10, wide ? 0xa9b : 0xc9b, UINT32_MAX, 0};
    entry->data = (struct guest_segment){0x18, 0xc93, UINT32_MAX, 0};
    entry->tr = (struct guest_segment){0x20, 0x08b, 0x67, 0};
    entry->gdt_base = LINUX_GDT;
    entry->gdt_limit = sizeof gdt - 1;
    return write(loader, LINUX_GDT, gdt, sizeof gdt);
}

static void describe_entry(const struct loader *loader, struct guest_entry *entry)
{
    entry->rsi = LINUX_BOOT_PARAMS;
    entry->rsp = LINUX_STACK;
    entry->rip = loader->at.kernel;
    entry->cr0 = CR0_PE | CR0_ET;
    entry->long_mode = loader->image.entry_64;
    if (!entry->long_mode)
        return;
    entry->rip += ENTRY_64;
    entry->cr0 |= CR0_PG;
    entry->cr3 = LINUX_PAGE_TABLES;
    entry->cr4 = CR4_PAE;
    entry->efer = EFER_LME | EFER_LMA;
}

static bool write_images(struct loader *loader)
{
    const struct image *image = &loader->image;
    const struct linux_config *config = loader->config;

    if (!write(loader, loader->at.kernel, image->payload, (size_t)image->payload_size))
        return false;
    return !loader->at.initrd || write(loader, loader->at.initrd, config->initrd, config->initrd_size);
}

bool linux_load(const struct guest_ram *ram, const struct linux_config *config, struct guest_entry *entry,
                char message[MESSAGE_BYTES])
{
    struct loader loader = {.ram = ram, .config = config, .message = {message, MESSAGE_BYTES, 0}};

    message[0] = 0;
    *entry = (struct guest_entry){.rip = 0};
    if (!config->kernel)
        return fail(&loader, "kernel: none given");
    if (!check_magic(&loader) || !check_payload(&loader) || !check_addresses(&loader))
        return false;
    if (!place_kernel(&loader) || !place_initrd(&loader) || !write_images(&loader))
        return false;
    if (!write_command_line(&loader) || !write_boot_params(&loader) || !write_page_tables(&loader))
        return false;
    if (!write_gdt(&loader, entry))
        return false;
    describe_entry(&loader, entry);
    return true;
}
