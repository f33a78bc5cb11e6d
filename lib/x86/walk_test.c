/* SPDX-License-Identifier: ISC */
/*
 * The page-table walker in each paging mode: translation by every page size, and every reason for a fault
 * with its error code. Tables lie in 64 KiB of memory at address 0, a page each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/x86.h"

#include <string.h>

#define MEMORY_SIZE 0x10000u

#define P   0x1ull
#define RW  0x2ull
#define US  0x4ull
#define A   0x20ull
#define D   0x40ull
#define PS  0x80ull
#define NX  (1ull << 63)
#define ALL (P | RW | US)

static uint8_t memory[MEMORY_SIZE];
static bool lose_update;
static struct x86_paging paging;
static struct x86_walk_result result;

static bool test_read(void *context, uint64_t physical, unsigned size, uint64_t *value)
{
    (void)context;
    assert_true(physical % size == 0);
    if (physical > MEMORY_SIZE - size)
        return false;
    *value = 0;
    memcpy(value, &memory[physical], size);
    return true;
}

static bool test_update(void *context, uint64_t physical, unsigned size, uint64_t expected, uint64_t desired)
{
    uint64_t value = 0;

    assert_true(test_read(context, physical, size, &value));
    assert_true(value == expected);
    if (lose_update)
        return false;
    memcpy(&memory[physical], &desired, size);
    return true;
}

static void set4(uint64_t table, unsigned index, uint64_t entry)
{
    memcpy(&memory[table + 4 * index], &entry, 4);
}

static void set8(uint64_t table, unsigned index, uint64_t entry)
{
    memcpy(&memory[table + 8 * index], &entry, 8);
}

static uint64_t get8(uint64_t table, unsigned index)
{
    uint64_t entry;

    memcpy(&entry, &memory[table + 8 * index], 8);
    return entry;
}

static const struct x86_walk_access read_kernel = {0};
static const struct x86_walk_access write_kernel = {.write = true};
static const struct x86_walk_access fetch_kernel = {.fetch = true};
static const struct x86_walk_access implicit_read = {.implicit = true};
static const struct x86_walk_access read_user = {.user = true};
static const struct x86_walk_access write_user = {.user = true, .write = true};
static const struct x86_walk_access fetch_user = {.user = true, .fetch = true};

static enum x86_walk_status walk(uint64_t linear, struct x86_walk_access access)
{
    static const struct x86_walk_ops ops = {.read = test_read};

    return x86_walk(&paging, linear, access, &ops, NULL, &result);
}

static void walks_to(uint64_t linear, struct x86_walk_access access, uint64_t physical, uint64_t page_size)
{
    enum x86_walk_status status = walk(linear, access);

    if (status != X86_WALK_OK || result.physical != physical || result.page_size != page_size)
        fail_msg("%llx: status %d, error %x, physical %llx", (unsigned long long)linear, status, result.error,
                 (unsigned long long)result.physical);
}

static void walk_faults(uint64_t linear, struct x86_walk_access access, uint32_t error)
{
    enum x86_walk_status status = walk(linear, access);

    if (status != X86_WALK_FAULT || result.error != error)
        fail_msg("%llx: status %d, error %x", (unsigned long long)linear, status, result.error);
}

static void reset(uint64_t cr4, uint64_t efer)
{
    memset(memory, 0, sizeof(memory));
    lose_update = false;
    paging = (struct x86_paging){.cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_WP,
                                 .cr3 = 0x1000,
                                 .cr4 = cr4,
                                 .efer = efer,
                                 .physical_bits = 40,
                                 .has_1g_pages = true};
}

static void reset_long(void)
{
    reset(X86_CR4_PAE, X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE);
    set8(0x1000, 0, 0x2000 | ALL);
    set8(0x2000, 0, 0x3000 | ALL);
    set8(0x3000, 0, 0x4000 | ALL);
    set8(0x4000, 5, 0x7777000 | ALL);
}

static void no_paging(void **state)
{
    (void)state;
    reset(0, 0);
    paging.cr0 = X86_CR0_PE;
    walks_to(0x12345678, write_user, 0x12345678, 4096);
    walks_to(0x112345678, read_kernel, 0x12345678, 4096);
}

static void two_levels(void **state)
{
    (void)state;
    reset(X86_CR4_PSE, 0);
    paging.cr3 = 0x1018; /* PCD and PWT are no address */
    set4(0x1000, 1, 0x2000 | ALL);
    set4(0x2000, 3, 0xabcde000 | ALL);
    walks_to(0x00403123, write_user, 0xabcde123, 4096);
    walk_faults(0x00404000, read_kernel, 0);
    walk_faults(0x00404000, write_user, X86_PF_WRITE | X86_PF_USER);
    walk_faults(0x00800000, fetch_kernel, 0); /* I/D is not known without NX and SMEP */
    set4(0x1000, 2, 0xc0000000 | ALL | PS);
    walks_to(0x00812345, read_user, 0xc0012345, 1u << 22);
    set4(0x1000, 2, 0xc0000000 | ALL | PS | (0x12u << 13)); /* PSE-36 */
    walks_to(0x00812345, read_user, 0x12c0012345, 1u << 22);
    paging.physical_bits = 36;
    walk_faults(0x00812345, read_user, X86_PF_PRESENT | X86_PF_RESERVED | X86_PF_USER);
    paging.physical_bits = 40;
    set4(0x1000, 2, 0xc0000000 | ALL | PS | (1u << 21));
    walk_faults(0x00812345, read_kernel, X86_PF_PRESENT | X86_PF_RESERVED);
    paging.cr4 = 0; /* without PSE it is a table, and outside of memory */
    assert_int_equal(walk(0x00812345, read_kernel), X86_WALK_NO_MEMORY);
    assert_int_equal(result.table, 0xc0200048);
}

static void pae(void **state)
{
    (void)state;
    reset(X86_CR4_PAE, X86_EFER_NXE);
    paging.cr3 = 0x1020; /* 32-byte alignment */
    set8(0x1020, 3, 0x2000 | P);
    set8(0x2000, 1, 0x3000 | ALL);
    set8(0x3000, 2, 0x1234567000 | ALL);
    set8(0x2000, 2, 0x1200000000 | ALL | PS | NX);
    walks_to(0xc0202abc, write_user, 0x1234567abc, 4096);
    walks_to(0xc0412345, write_user, 0x1200012345, 1u << 21);
    walk_faults(0xc0412345, fetch_user, X86_PF_PRESENT | X86_PF_USER | X86_PF_FETCH);
    walk_faults(0x00000000, read_kernel, 0);
    set8(0x2000, 2, 0x1200002000 | ALL | PS);
    walk_faults(0xc0412345, read_kernel, X86_PF_PRESENT | X86_PF_RESERVED);
    set8(0x3000, 2, 0x1234567000 | ALL | (1ull << 52)); /* reserved here, ignored in long mode */
    walk_faults(0xc0202abc, read_kernel, X86_PF_PRESENT | X86_PF_RESERVED);
    set8(0x1020, 3, 0x2000 | P | RW);
    walk_faults(0xc0202abc, read_kernel, X86_PF_PRESENT | X86_PF_RESERVED);
}

static void four_levels(void **state)
{
    (void)state;
    reset_long();
    walks_to(0x5123, write_user, 0x7777123, 4096);
    assert_true(result.writable && result.user && result.executable && !result.dirty);
    set8(0x4000, 5, 0x7777000 | ALL | (1ull << 52) | PS); /* ignored; PAT */
    walks_to(0x5123, write_user, 0x7777123, 4096);
    set8(0x3000, 1, 0x40000000 | ALL | PS);
    walks_to(0x212345, fetch_user, 0x40012345, 1u << 21);
    set8(0x2000, 1, 0x80000000 | ALL | PS);
    walks_to(0x40123456, read_user, 0x80123456, 1u << 30);
    paging.has_1g_pages = false;
    walk_faults(0x40123456, read_kernel, X86_PF_PRESENT | X86_PF_RESERVED);
    set8(0x1000, 511, 0x2000 | ALL);
    walks_to(0xffffff8000005123, read_kernel, 0x7777123, 4096);
    assert_int_equal(walk(0x0000800000000000, read_kernel), X86_WALK_NON_CANONICAL);
    set8(0x1000, 1, 0x2000 | ALL | PS);
    walk_faults(0x8000005123, read_kernel, X86_PF_PRESENT | X86_PF_RESERVED);
    set8(0x1000, 1, 0x10000 | ALL);
    assert_int_equal(walk(0x8000005123, read_kernel), X86_WALK_NO_MEMORY);
    assert_int_equal(result.table, 0x10000);
}

static void five_levels(void **state)
{
    (void)state;
    reset_long();
    paging.cr4 |= X86_CR4_LA57;
    paging.cr3 = 0x5000;
    set8(0x5000, 0, 0x1000 | ALL);
    set8(0x5000, 256, 0x1000 | ALL);
    walks_to(0x5123, read_user, 0x7777123, 4096);
    walks_to(0xff00000000005123, read_user, 0x7777123, 4096);
    walk_faults(0x0000800000005123, read_user, X86_PF_USER);
    assert_int_equal(walk(0x0100000000000000, read_kernel), X86_WALK_NON_CANONICAL);
}

static void reserved_bits(void **state)
{
    (void)state;
    for (unsigned bit = 40; bit < 52; bit++) {
        reset_long();
        set8(0x4000, 5, 0x7777000 | ALL | (1ull << bit));
        walk_faults(0x5000, write_kernel, X86_PF_PRESENT | X86_PF_RESERVED | X86_PF_WRITE);
    }
    reset_long();
    set8(0x4000, 5, 0x7777000 | ALL | NX);
    walks_to(0x5000, read_kernel, 0x7777000, 4096);
    paging.efer &= ~X86_EFER_NXE;
    walk_faults(0x5000, read_kernel, X86_PF_PRESENT | X86_PF_RESERVED);
    set8(0x4000, 5, 0x7777000 | NX); /* not present comes first */
    walk_faults(0x5000, read_kernel, 0);
    reset_long();
    set8(0x3000, 0, 0x40002000 | ALL | PS);
    walk_faults(0x5000, read_kernel, X86_PF_PRESENT | X86_PF_RESERVED);
    set8(0x3000, 0, 0x40001000 | ALL | PS); /* bit 12 is PAT */
    walks_to(0x5000, read_kernel, 0x40005000, 1u << 21);
}

static void rights(void **state)
{
    (void)state;
    for (unsigned level = 0; level < 4; level++) { /* each level can withhold each right */
        static const uint64_t tables[] = {0x1000, 0x2000, 0x3000, 0x4000};
        unsigned index = level == 3 ? 5 : 0;
        uint64_t entry;

        reset_long();
        entry = get8(tables[level], index);
        set8(tables[level], index, entry & ~RW);
        walks_to(0x5000, read_user, 0x7777000, 4096);
        walk_faults(0x5000, write_user, X86_PF_PRESENT | X86_PF_WRITE | X86_PF_USER);
        walk_faults(0x5000, write_kernel, X86_PF_PRESENT | X86_PF_WRITE);
        paging.cr0 &= ~X86_CR0_WP;
        walks_to(0x5000, write_kernel, 0x7777000, 4096);
        walk_faults(0x5000, write_user, X86_PF_PRESENT | X86_PF_WRITE | X86_PF_USER);
        set8(tables[level], index, entry & ~US);
        walk_faults(0x5000, read_user, X86_PF_PRESENT | X86_PF_USER);
        walks_to(0x5000, write_kernel, 0x7777000, 4096);
        set8(tables[level], index, entry | NX);
        walk_faults(0x5000, fetch_kernel, X86_PF_PRESENT | X86_PF_FETCH);
        walk_faults(0x5000, fetch_user, X86_PF_PRESENT | X86_PF_FETCH | X86_PF_USER);
        walks_to(0x5000, read_user, 0x7777000, 4096);
        set8(tables[level], index, entry & ~P);
        walk_faults(0x5000, fetch_user, X86_PF_FETCH | X86_PF_USER);
    }
}

static void smep_and_smap(void **state)
{
    (void)state;
    reset_long();
    paging.cr4 |= X86_CR4_SMEP;
    walk_faults(0x5000, fetch_kernel, X86_PF_PRESENT | X86_PF_FETCH);
    walks_to(0x5000, fetch_user, 0x7777000, 4096);
    walks_to(0x5000, read_kernel, 0x7777000, 4096);
    paging.cr4 = X86_CR4_PAE | X86_CR4_SMAP;
    walks_to(0x5000, fetch_kernel, 0x7777000, 4096);
    walk_faults(0x5000, read_kernel, X86_PF_PRESENT);
    walk_faults(0x5000, write_kernel, X86_PF_PRESENT | X86_PF_WRITE);
    walks_to(0x5000, write_user, 0x7777000, 4096);
    paging.rflags = X86_RFLAGS_AC;
    walks_to(0x5000, write_kernel, 0x7777000, 4096);
    walk_faults(0x5000, implicit_read, X86_PF_PRESENT);
    set8(0x4000, 5, 0x7777000 | P | RW); /* a supervisor's page */
    walks_to(0x5000, implicit_read, 0x7777000, 4096);
}

static void accessed_and_dirty(void **state)
{
    static const struct x86_walk_ops ops = {.read = test_read, .update = test_update};

    (void)state;
    reset_long();
    assert_int_equal(x86_walk(&paging, 0x5000, read_kernel, &ops, NULL, &result), X86_WALK_OK);
    assert_false(result.dirty);
    assert_true(get8(0x1000, 0) == (0x2000 | ALL | A));
    assert_true(get8(0x3000, 0) == (0x4000 | ALL | A));
    assert_true(get8(0x4000, 5) == (0x7777000 | ALL | A));
    assert_int_equal(x86_walk(&paging, 0x5000, write_kernel, &ops, NULL, &result), X86_WALK_OK);
    assert_true(result.dirty);
    assert_true(get8(0x3000, 0) == (0x4000 | ALL | A));
    assert_true(get8(0x4000, 5) == (0x7777000 | ALL | A | D));
    lose_update = true; /* all are set: nothing to lose */
    assert_int_equal(x86_walk(&paging, 0x5000, write_kernel, &ops, NULL, &result), X86_WALK_OK);
    set8(0x4000, 5, 0x7777000 | ALL);
    assert_int_equal(x86_walk(&paging, 0x5000, write_kernel, &ops, NULL, &result), X86_WALK_RETRY);
    set8(0x4000, 5, 0x7777000 | P); /* a fault sets nothing */
    assert_int_equal(x86_walk(&paging, 0x5000, write_user, &ops, NULL, &result), X86_WALK_FAULT);
    assert_true(get8(0x4000, 5) == (0x7777000 | P));

    reset(X86_CR4_PAE, 0); /* PDPTEs of PAE have no accessed bit; in them the bit is reserved */
    set8(0x1000, 0, 0x2000 | P);
    set8(0x2000, 0, 0x200000 | ALL | PS);
    assert_int_equal(x86_walk(&paging, 0x5000, write_kernel, &ops, NULL, &result), X86_WALK_OK);
    assert_true(get8(0x1000, 0) == (0x2000 | P));
    assert_true(get8(0x2000, 0) == (0x200000 | ALL | PS | A | D));
    set8(0x1000, 0, 0x2000 | P | A); /* and yet some set it */
    assert_int_equal(x86_walk(&paging, 0x5000, write_kernel, &ops, NULL, &result), X86_WALK_OK);
    set8(0x1000, 0, 0x2000 | P | D);
    assert_int_equal(x86_walk(&paging, 0x5000, write_kernel, &ops, NULL, &result), X86_WALK_FAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_paging),   cmocka_unit_test(two_levels),    cmocka_unit_test(pae),
        cmocka_unit_test(four_levels), cmocka_unit_test(five_levels),   cmocka_unit_test(reserved_bits),
        cmocka_unit_test(rights),      cmocka_unit_test(smep_and_smap), cmocka_unit_test(accessed_and_dirty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
