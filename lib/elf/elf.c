/* SPDX-License-Identifier: ISC */
/*
 * Parsing of programs: lib/elf/elf.h. Headers are copied out before they are looked at.
 */
#include "lib/elf/elf.h"

#include <string.h>

#define ELF_VERSION    1
#define ELF_EXECUTABLE 2
#define ELF_X86_64     62
#define ELF_LOAD       1u
#define ELF_DYNAMIC    2u
#define ELF_INTERP     3u
#define ELF_X          1u
#define ELF_W          2u

struct file_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_offset, section_offset;
    uint32_t flags;
    uint16_t header_bytes, program_bytes, programs, section_bytes, sections, names;
};

struct program_header {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_bytes, memory_bytes, align;
};

_Static_assert(sizeof(struct file_header) == 64 && sizeof(struct program_header) == 56, "as in the file");

static const char *segment_parse(const struct program_header *program, size_t bytes, struct elf *elf)
{
    uint64_t end =
        elf->segments ? elf->segment[elf->segments - 1].address + elf->segment[elf->segments - 1].pages * 4096
                      : ELF_LOWEST;
    uint64_t address = program->address & ~0xfffull;

    if (program->file_bytes > program->memory_bytes)
        return "a segment has more in the file than in memory";
    if (program->memory_bytes == 0)
        return NULL;
    if (elf->segments == ELF_SEGMENTS)
        return "too many segments";
    if (program->file_bytes && (program->offset > bytes || program->file_bytes > bytes - program->offset))
        return "truncated: a segment ends beyond the file";
    if (address < end)
        return "a segment overlaps another or lies too low";
    if (program->address >= ELF_LIMIT || program->memory_bytes > ELF_LIMIT - program->address)
        return "a segment lies too high";
    if ((program->flags & ELF_W) && (program->flags & ELF_X))
        return "a segment is writable and executable";
    uint64_t pages = (program->address - address + program->memory_bytes + 0xfff) / 4096;
    if (pages > ELF_MEMORY / 4096 - elf->pages)
        return "the segments take more memory than 16 MiB";
    struct elf_segment *segment = &elf->segment[elf->segments++];
    segment->address = address;
    segment->skip = program->address - address;
    segment->pages = pages;
    segment->bytes = program->memory_bytes;
    segment->offset = program->file_bytes ? program->offset : 0; /* any, where there is nothing to read */
    segment->file_bytes = program->file_bytes;
    segment->writable = program->flags & ELF_W;
    segment->executable = program->flags & ELF_X;
    elf->pages += pages;
    return NULL;
}

static bool entry_valid(const struct elf *elf)
{
    for (unsigned i = 0; i < elf->segments; i++) {
        const struct elf_segment *segment = &elf->segment[i];
        if (segment->executable && elf->entry >= segment->address + segment->skip &&
            elf->entry < segment->address + segment->skip + segment->file_bytes)
            return true;
    }
    return false;
}

const char *elf_parse(const void *file, size_t bytes, struct elf *elf)
{
    static const uint8_t ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    struct file_header header;

    *elf = (struct elf){0};
    if (bytes < sizeof(header))
        return "no ELF file: too short";
    memcpy(&header, file, sizeof(header));
    if (memcmp(header.ident, ident, sizeof(ident)) != 0)
        return "no ELF file of 64 bits";
    if (header.version != ELF_VERSION)
        return "no ELF file of version 1";
    if (header.type != ELF_EXECUTABLE || header.machine != ELF_X86_64)
        return "no static program for x86-64";
    if (header.program_bytes != sizeof(struct program_header) || header.programs == 0)
        return "no program headers";
    if (header.program_offset > bytes ||
        header.programs > (bytes - header.program_offset) / sizeof(struct program_header))
        return "truncated: the program headers end beyond the file";
    for (unsigned i = 0; i < header.programs; i++) {
        struct program_header program;
        memcpy(&program, (const char *)file + header.program_offset + i * sizeof(program), sizeof(program));
        if (program.type == ELF_DYNAMIC || program.type == ELF_INTERP)
            return "a program that needs a dynamic linker";
        const char *reason = program.type == ELF_LOAD ? segment_parse(&program, bytes, elf) : NULL;
        if (reason)
            return reason;
    }
    elf->entry = header.entry;
    return entry_valid(elf) ? NULL : "the entry lies in no executable segment";
}
