/* SPDX-License-Identifier: ISC */
/*
 * Walks arbitrary page tables under arbitrary control registers. A walk must end within five entries, read
 * aligned, keep its result within the processor's physical width, and give the same answer to an access that
 * it allowed when it is asked again, accessed and dirty bits being set by then.
 */
#include "lib/x86/x86.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TABLE_BYTES 512u /* entries repeat: any address is some entry */

struct tables {
    uint8_t bytes[TABLE_BYTES];
    unsigned reads;
};

struct input {
    struct x86_paging paging;
    struct x86_walk_access access;
    uint64_t linear;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool fuzz_read(void *context, uint64_t physical, unsigned size, uint64_t *value)
{
    struct tables *tables = context;

    require((size == 4 || size == 8) && physical % size == 0);
    require(++tables->reads <= 5);
    if (physical >> 52)
        return false;
    *value = 0;
    memcpy(value, &tables->bytes[physical % TABLE_BYTES], size);
    return true;
}

static bool fuzz_update(void *context, uint64_t physical, unsigned size, uint64_t expected, uint64_t desired)
{
    struct tables *tables = context;
    uint8_t *entry = &tables->bytes[physical % TABLE_BYTES];

    require((expected & ~desired) == 0 && ((expected ^ desired) & ~0x60ull) == 0);
    if (memcmp(entry, &expected, size) != 0)
        return false;
    memcpy(entry, &desired, size);
    return true;
}

static void make_input(const uint8_t *data, struct input *input)
{
    uint64_t words[5];

    memcpy(words, data, sizeof(words));
    input->paging = (struct x86_paging){.cr0 = words[0] & (X86_CR0_PE | X86_CR0_WP | X86_CR0_PG),
                                        .cr3 = words[1],
                                        .cr4 = words[2],
                                        .efer = words[0] >> 32,
                                        .rflags = words[3],
                                        .physical_bits = (uint8_t)(32 + (words[3] >> 32) % 21),
                                        .has_1g_pages = (words[3] >> 63) != 0};
    input->access = (struct x86_walk_access){.write = words[2] >> 60 & 1,
                                             .user = words[2] >> 61 & 1,
                                             .fetch = words[2] >> 62 & 1,
                                             .implicit = words[2] >> 63};
    input->linear = words[4];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct x86_walk_ops ops = {.read = fuzz_read, .update = fuzz_update};
    struct tables tables = {.reads = 0};
    struct input input;
    struct x86_walk_result result, again;
    enum x86_walk_status status;

    if (size < 40)
        return 0;
    make_input(data, &input);
    memcpy(tables.bytes, data + 40, size - 40 < TABLE_BYTES ? size - 40 : TABLE_BYTES);
    status = x86_walk(&input.paging, input.linear, input.access, &ops, &tables, &result);
    require(status <= X86_WALK_RETRY);
    require(status != X86_WALK_FAULT || result.error <= 0x1f);
    if (status != X86_WALK_OK)
        return 0;
    require(!(input.paging.cr0 & X86_CR0_PG) || result.physical >> input.paging.physical_bits == 0);
    require(result.writable || !input.access.write || !(input.access.user || input.paging.cr0 & X86_CR0_WP));
    require(result.user || !input.access.user);
    require(result.executable || !input.access.fetch);
    tables.reads = 0;
    status = x86_walk(&input.paging, input.linear, input.access, &ops, &tables, &again);
    if (status == X86_WALK_OK)
        require(again.physical == result.physical && again.page_size == result.page_size);
    return 0;
}
