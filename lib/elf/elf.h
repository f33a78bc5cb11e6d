/* SPDX-License-Identifier: ISC */
/*
 * Programs: ELF64, x86-64, ET_EXEC (System V ABI, chapters 4 and 5). The file may be anything: every number
 * in it is checked against the file's length and against where programs may lie.
 */
#pragma once

#include "base/include/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_SEGMENTS 8u
#define ELF_LOWEST   0x400000u /* where programs may lie */
#define ELF_LIMIT    0x40000000u
#define ELF_MEMORY   0x1000000u /* of all segments: it is filled at one go. More comes from dataspaces */

struct elf_segment {
    uint64_t address, pages;     /* address: multiple of 4096 */
    uint64_t skip;               /* zero bytes before the file's, in the first page */
    uint64_t offset, file_bytes; /* in the file; 0, 0: nothing */
    uint64_t bytes;              /* from address + skip on */
    bool writable, executable;   /* never both */
};

struct elf {
    uint64_t entry; /* in an executable segment */
    uint64_t pages; /* of all segments */
    unsigned segments;
    struct elf_segment segment[ELF_SEGMENTS]; /* ascending, no two on one page */
};

/* NULL: *elf is filled in. Else the reason why the file cannot be run. */
MUST_CHECK const char *elf_parse(const void *file, size_t bytes, struct elf *elf);
