/* SPDX-License-Identifier: ISC */
/* Any bytes as a program: what is accepted must lie in the file and in the range for programs. */
#include "lib/elf/elf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf elf;
    uint64_t end = ELF_LOWEST, pages = 0;
    if (elf_parse(data, size, &elf))
        return 0;
    for (unsigned i = 0; i < elf.segments; i++) {
        const struct elf_segment *segment = &elf.segment[i];
        if (segment->address < end || segment->address % 4096 || segment->pages > ELF_LIMIT / 4096 ||
            segment->skip + segment->file_bytes > segment->pages * 4096 || segment->offset > size ||
            segment->file_bytes > size - segment->offset || (segment->writable && segment->executable))
            abort();
        end = segment->address + segment->pages * 4096;
        pages += segment->pages;
    }
    if (end > ELF_LIMIT || pages != elf.pages || elf.entry >= end)
        abort();
    return 0;
}
