/* SPDX-License-Identifier: ISC */
/*
 * The Multiboot loader; see multiboot.h. Each header is copied out of the file and checked before its numbers
 * are used; all segments are checked before the first is written.
 */
#include "vmm/firmware/multiboot.h"

#include <string.h>

#include "vmm/firmware/message.h"

#define HEADER_MAGIC  0x1badb002u
#define HEADER_SEARCH 8192u /* the header lies in so many bytes, on a multiple of four */
#define HEADER_BYTES  12u

/* Flags in the header: the low half must be understood. */
#define WANT_ALIGNED   0x00000001u /* modules on page boundaries: they always are */
#define WANT_MEMORY    0x00000002u
#define WANT_MANDATORY 0x0000ffffu
#define WANT_KLUDGE    0x00010000u

/* Flags in the information. */
#define HAVE_MEMORY       0x001u
#define HAVE_COMMAND_LINE 0x004u
#define HAVE_MODULES      0x008u
#define HAVE_MAP          0x040u
#define HAVE_NAME         0x200u

enum info_offset {
    INFO_FLAGS = 0,
    INFO_MEM_LOWER = 4,
    INFO_MEM_UPPER = 8,
    INFO_CMDLINE = 16,
    INFO_MODS_COUNT = 20,
    INFO_MODS_ADDR = 24,
    INFO_MMAP_LENGTH = 44,
    INFO_MMAP_ADDR = 48,
    INFO_LOADER_NAME = 64,
    INFO_BYTES = 116,
};

#define MAP_ENTRY_BYTES 24u /* with its size word, which does not count itself */

/* What the guest is told lies in one block, the command lines behind all else: the kernel's, the modules'. */
#define BLOCK_MAP     0x080u
#define BLOCK_NAME    0x1a0u
#define BLOCK_MODULES 0x1b0u
#define BLOCK_TEXTS   0x230u
#define MODULE_BYTES  16u

_Static_assert(BLOCK_MAP >= INFO_BYTES && BLOCK_MAP + E820_MAX_ENTRIES * MAP_ENTRY_BYTES <= BLOCK_NAME &&
                   BLOCK_MODULES + MULTIBOOT_MODULES_MAX * MODULE_BYTES <= BLOCK_TEXTS,
               "the block's parts are apart");

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf_segment {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

_Static_assert(sizeof(struct elf_header) == 52 && sizeof(struct elf_segment) == 32, "as in the file");

#define ELF_32BIT      1u
#define ELF_LITTLE     1u
#define ELF_CURRENT    1u
#define ELF_EXECUTABLE 2u
#define ELF_386        3u
#define ELF_LOAD       1u
#define IDENT_CLASS    4u
#define IDENT_DATA     5u
#define IDENT_VERSION  6u
#define BOOT_CS        0x08u
#define BOOT_DS        0x10u
#define CODE_32        0xc9bu
#define DATA_32        0xc93u
#define BUSY_TSS_32    0x08bu
#define TSS_LIMIT      0x67u
#define CR0_PE_ET      0x11u
#define KIB            1024u
#define PAGE           0x1000ull

static const uint8_t elf_magic[4] = {0x7f, 'E', 'L', 'F'};

struct loader {
    const struct guest_ram *ram;
    const struct multiboot_config *config;
    struct message_line message;
    struct elf_header elf;
    struct elf_segment segment[MULTIBOOT_SEGMENTS_MAX];
    size_t segments; /* that are loaded */
    uint64_t entry;
    uint64_t block;
    uint64_t module[MULTIBOOT_MODULES_MAX];
};

static void put32(uint8_t *bytes, size_t offset, uint32_t value)
{
    memcpy(bytes + offset, &value, sizeof value);
}

static uint32_t get32(const uint8_t *bytes, size_t offset)
{
    uint32_t value;

    memcpy(&value, bytes + offset, sizeof value);
    return value;
}

bool multiboot_is(const void *image, size_t size)
{
    return size >= sizeof elf_magic && memcmp(image, elf_magic, sizeof elf_magic) == 0;
}

static bool check_elf(struct loader *loader)
{
    const struct multiboot_config *config = loader->config;
    struct elf_header *elf = &loader->elf;

    if (config->size < sizeof *elf)
        return message_found(&loader->message, "kernel: expected an ELF32 file of at least 0x34 bytes",
                             config->size);
    memcpy(elf, config->image, sizeof *elf);
    if (!multiboot_is(config->image, config->size))
        return message_found(&loader->message, "kernel: expected an ELF file (0x464c457f)",
                             get32(elf->ident, 0));
    if (elf->ident[IDENT_CLASS] != ELF_32BIT)
        return message_found(&loader->message, "kernel: expected an ELF32 file (class 1)",
                             elf->ident[IDENT_CLASS]);
    if (elf->ident[IDENT_DATA] != ELF_LITTLE)
        return message_found(&loader->message, "kernel: expected a little-endian ELF file (data 1)",
                             elf->ident[IDENT_DATA]);
    if (elf->ident[IDENT_VERSION] != ELF_CURRENT || elf->version != ELF_CURRENT)
        return message_found(&loader->message, "kernel: expected ELF version 1", elf->version);
    if (elf->type != ELF_EXECUTABLE)
        return message_found(&loader->message, "kernel: expected an executable ELF file (type 2)", elf->type);
    if (elf->machine != ELF_386)
        return message_found(&loader->message, "kernel: expected an ELF file for the 80386 (machine 3)",
                             elf->machine);
    if (elf->phentsize != sizeof loader->segment[0])
        return message_found(&loader->message, "kernel: expected ELF program headers of 0x20 bytes",
                             elf->phentsize);
    if (elf->phnum == 0 || elf->phnum > MULTIBOOT_SEGMENTS_MAX)
        return message_found(&loader->message, "kernel: expected 0x1 to 0x10 ELF program headers",
                             elf->phnum);
    if (elf->phoff > config->size || elf->phnum * sizeof loader->segment[0] > config->size - elf->phoff)
        return message_found(&loader->message, "kernel: expected the ELF program headers within the file",
                             elf->phoff);
    memcpy(loader->segment, config->image + elf->phoff, elf->phnum * sizeof loader->segment[0]);
    return true;
}

/* The magic alone is no header: it may be an operand of the code that comes first. */
static bool is_header(const uint8_t *bytes)
{
    return get32(bytes, 0) == HEADER_MAGIC && HEADER_MAGIC + get32(bytes, 4) + get32(bytes, 8) == 0;
}

static bool check_header(struct loader *loader)
{
    const struct multiboot_config *config = loader->config;
    size_t end = config->size < HEADER_SEARCH ? config->size : HEADER_SEARCH;
    size_t at = 0;
    uint32_t flags;

    while (at + HEADER_BYTES <= end && !is_header(config->image + at))
        at += 4;
    if (at + HEADER_BYTES > end)
        return message_found(&loader->message,
                             "kernel: expected a Multiboot header (0x1badb002, sum 0) before", end);
    flags = get32(config->image, at + 4);
    if (flags & WANT_MANDATORY & ~(WANT_ALIGNED | WANT_MEMORY))
        return message_found(&loader->message, "kernel: expected no Multiboot flags in 0xfffc", flags);
    if (flags & WANT_KLUDGE)
        return message_found(&loader->message,
                             "kernel: expected Multiboot flag 0x10000 clear, for addresses are in ELF",
                             flags);
    return true;
}

static uint64_t segment_end(const struct elf_segment *segment)
{
    return (uint64_t)segment->paddr + segment->memsz;
}

static bool check_segment(struct loader *loader, const struct elf_segment *segment)
{
    uint64_t end = segment_end(segment);

    if (segment->filesz > segment->memsz)
        return message_found(&loader->message,
                             "kernel: expected segments not shorter in memory than in the file",
                             segment->filesz);
    if (segment->filesz != 0 &&
        (segment->offset > loader->config->size || segment->filesz > loader->config->size - segment->offset))
        return message_found(&loader->message,
                             "kernel: truncated: expected a segment's bytes within the file, at",
                             segment->offset);
    if (segment->paddr < MULTIBOOT_LOWEST || (segment->paddr < E820_HIGH_MEMORY && end > E820_EBDA))
        return message_found(&loader->message, "kernel: expected segments in 0x500..0x9fc00 or from 1 MiB on",
                             segment->paddr);
    if (end > loader->config->map->acpi_base) {
        message_text(&loader->message, "kernel: expected segments below 0x");
        message_number(&loader->message, loader->config->map->acpi_base, 16);
        return message_found(&loader->message, " (end of memory)", end);
    }
    return true;
}

/* What is not loaded is dropped. */
static bool check_segments(struct loader *loader)
{
    for (size_t i = 0; i < loader->elf.phnum; i++) {
        const struct elf_segment *segment = &loader->segment[i];

        if (segment->type != ELF_LOAD || (segment->memsz == 0 && segment->filesz == 0))
            continue;
        if (!check_segment(loader, segment))
            return false;
        loader->segment[loader->segments++] = *segment;
    }
    return true;
}

/* A linker gives the virtual address; paging is off, so the physical one is entered. Where it lies in no
 * segment by that measure, it is a physical address already. */
static bool find_entry(struct loader *loader)
{
    uint32_t entry = loader->elf.entry;

    for (size_t i = 0; i < loader->segments; i++) {
        const struct elf_segment *segment = &loader->segment[i];

        if (entry >= segment->vaddr && entry - segment->vaddr < segment->memsz) {
            loader->entry = (uint64_t)segment->paddr + (entry - segment->vaddr);
            return true;
        }
    }
    for (size_t i = 0; i < loader->segments; i++)
        if (entry >= loader->segment[i].paddr &&
            entry - loader->segment[i].paddr < loader->segment[i].memsz) {
            loader->entry = entry;
            return true;
        }
    return message_found(&loader->message, "kernel: expected the entry in a loaded segment", entry);
}

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE - 1) & ~(PAGE - 1);
}

/* 0: the kernel's, from 1 on the modules'. */
static const char *command_line(const struct loader *loader, size_t number)
{
    const struct multiboot_config *config = loader->config;
    const char *line = number ? config->module[number - 1].command_line : config->command_line;

    return line ? line : "";
}

static uint64_t block_bytes(const struct loader *loader)
{
    uint64_t bytes = BLOCK_TEXTS;

    for (size_t i = 0; i <= loader->config->modules; i++)
        bytes += strlen(command_line(loader, i)) + 1;
    return bytes;
}

/* The first pages below the EBDA that no segment meets. Each segment moves the place on at most once. */
static bool place_block(struct loader *loader)
{
    uint64_t size = block_bytes(loader);
    size_t i = 0;

    loader->block = MULTIBOOT_INFO;
    while (i < loader->segments) {
        const struct elf_segment *segment = &loader->segment[i++];

        if (segment->paddr < loader->block + size && segment_end(segment) > loader->block) {
            loader->block = whole_pages(segment_end(segment));
            i = 0;
        }
    }
    if (loader->block + size <= E820_EBDA)
        return true;
    return message_found(&loader->message,
                         "kernel: expected room below 0x9fc00 beside its segments, for bytes", size);
}

static bool place_modules(struct loader *loader)
{
    const struct multiboot_config *config = loader->config;
    uint64_t place = E820_HIGH_MEMORY, end = config->map->acpi_base;

    for (size_t i = 0; i < loader->segments; i++)
        if (place < segment_end(&loader->segment[i]))
            place = segment_end(&loader->segment[i]);
    for (size_t i = 0; i < config->modules; i++) {
        uint64_t size = config->module[i].size;

        place = whole_pages(place);
        if (place > end || size > end - place) {
            message_text(&loader->message, "module ");
            message_number(&loader->message, i + 1, 10);
            message_text(&loader->message, ": expected to fit between 0x");
            message_number(&loader->message, place, 16);
            message_text(&loader->message, " and the end of memory 0x");
            message_number(&loader->message, end, 16);
            return message_found(&loader->message, "; size", size);
        }
        loader->module[i] = place;
        place += size;
    }
    return true;
}

static bool check_lines(struct loader *loader)
{
    if (loader->config->modules > MULTIBOOT_MODULES_MAX)
        return message_found(&loader->message, "expected at most 0x8 modules", loader->config->modules);
    for (size_t i = 0; i <= loader->config->modules; i++) {
        size_t length = strlen(command_line(loader, i));

        if (length > MULTIBOOT_COMMAND_MAX)
            return message_found(&loader->message, "command line: expected at most 0x7ff bytes", length);
    }
    return true;
}

static bool write(struct loader *loader, uint64_t gpa, const void *bytes, size_t length)
{
    if (guest_ram_write(loader->ram, gpa, bytes, length))
        return true;
    return message_found(&loader->message, "guest memory: expected RAM", gpa);
}

static bool write_segments(struct loader *loader)
{
    for (size_t i = 0; i < loader->segments; i++) {
        const struct elf_segment *segment = &loader->segment[i];

        if (segment->filesz != 0 &&
            !write(loader, segment->paddr, loader->config->image + segment->offset, segment->filesz))
            return false;
        if (!guest_ram_fill(loader->ram, (uint64_t)segment->paddr + segment->filesz, 0,
                            segment->memsz - segment->filesz))
            return message_found(&loader->message, "guest memory: expected RAM", segment->paddr);
    }
    return true;
}

static void put_map(uint8_t *bytes, const struct e820_map *map)
{
    for (size_t i = 0; i < map->entries; i++, bytes += MAP_ENTRY_BYTES) {
        put32(bytes, 0, MAP_ENTRY_BYTES - 4);
        memcpy(bytes + 4, &map->entry[i].base, 8);
        memcpy(bytes + 12, &map->entry[i].length, 8);
        put32(bytes, 20, map->entry[i].type);
    }
}

static bool write_modules(struct loader *loader)
{
    for (size_t i = 0; i < loader->config->modules; i++)
        if (!write(loader, loader->module[i], loader->config->module[i].data, loader->config->module[i].size))
            return false;
    return true;
}

/* The command lines, and the modules' list, whose entries point to them. */
static void put_modules(const struct loader *loader, uint8_t *block)
{
    const struct multiboot_config *config = loader->config;
    uint32_t at = BLOCK_TEXTS;

    for (size_t i = 0; i <= config->modules; i++) {
        const char *line = command_line(loader, i);
        size_t length = strlen(line);

        memcpy(block + at, line, length);
        if (i) {
            uint8_t *entry = block + BLOCK_MODULES + (i - 1) * MODULE_BYTES;

            put32(entry, 0, (uint32_t)loader->module[i - 1]);
            put32(entry, 4, (uint32_t)(loader->module[i - 1] + config->module[i - 1].size));
            put32(entry, 8, (uint32_t)loader->block + at);
        }
        at += (uint32_t)length + 1;
    }
}

static bool write_block(struct loader *loader)
{
    static const char name[] = "Donjon";
    const struct e820_map *map = loader->config->map;
    uint32_t place = (uint32_t)loader->block;
    uint32_t modules = loader->config->modules ? HAVE_MODULES : 0;
    size_t size = (size_t)block_bytes(loader);
    uint8_t *block = guest_ram_at(loader->ram, place, size);

    if (!block)
        return message_found(&loader->message, "guest memory: expected RAM", place);
    memset(block, 0, size);
    put32(block, INFO_FLAGS, HAVE_MEMORY | HAVE_COMMAND_LINE | HAVE_MAP | HAVE_NAME | modules);
    put32(block, INFO_MEM_LOWER, E820_EBDA / KIB);
    put32(block, INFO_MEM_UPPER, (uint32_t)((map->acpi_base - E820_HIGH_MEMORY) / KIB));
    put32(block, INFO_CMDLINE, place + BLOCK_TEXTS);
    put32(block, INFO_MODS_COUNT, (uint32_t)loader->config->modules);
    put32(block, INFO_MODS_ADDR, modules ? place + BLOCK_MODULES : 0);
    put32(block, INFO_MMAP_LENGTH, (uint32_t)map->entries * MAP_ENTRY_BYTES);
    put32(block, INFO_MMAP_ADDR, place + BLOCK_MAP);
    put32(block, INFO_LOADER_NAME, place + BLOCK_NAME);
    put_map(block + BLOCK_MAP, map);
    memcpy(block + BLOCK_NAME, name, sizeof(name));
    put_modules(loader, block);
    return true;
}

static struct guest_entry entry_of(const struct loader *loader)
{
    return (struct guest_entry){
        .rip = loader->entry,
        .rax = MULTIBOOT_MAGIC,
        .rbx = loader->block,
        .cr0 = CR0_PE_ET,
        .cs = {BOOT_CS, CODE_32, UINT32_MAX, 0},
        .data = {BOOT_DS, DATA_32, UINT32_MAX, 0},
        .tr = {0, BUSY_TSS_32, TSS_LIMIT, 0},
    };
}

bool multiboot_load(const struct guest_ram *ram, const struct multiboot_config *config,
                    struct guest_entry *entry, char message[MESSAGE_BYTES])
{
    struct loader loader = {.ram = ram, .config = config, .message = {message, MESSAGE_BYTES, 0}};

    message[0] = 0;
    *entry = (struct guest_entry){.rip = 0};
    if (!check_elf(&loader) || !check_header(&loader) || !check_segments(&loader) || !find_entry(&loader))
        return false;
    if (!check_lines(&loader) || !place_block(&loader) || !place_modules(&loader))
        return false;
    if (!write_segments(&loader) || !write_modules(&loader) || !write_block(&loader))
        return false;
    *entry = entry_of(&loader);
    return true;
}
