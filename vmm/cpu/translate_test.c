/* SPDX-License-Identifier: ISC */
/* Linear addresses: kept walks are used, and only while nothing that they depend on has changed. */
#include "vmm/cpu/test_bench.h"

#define TABLES 0x300000u
#define PAGES  0x400000u
#define LINEAR 0xffff800012345000ull

static const struct x86_walk_access reading = {0}, writing = {.write = true}, fetching = {.fetch = true},
                                    by_user = {.user = true};

static uint64_t entry_place(unsigned level)
{
    static const unsigned shifts[] = {39, 30, 21, 12};

    return TABLES + level * 0x1000 + (LINEAR >> shifts[level] & 511) * 8;
}

static void set_entry(struct bench *bench, unsigned level, uint64_t value)
{
    memcpy(bench->ram + entry_place(level), &value, 8);
}

static uint64_t entry(const struct bench *bench, unsigned level)
{
    uint64_t value;

    memcpy(&value, bench->ram + entry_place(level), 8);
    return value;
}

/* Long mode, four levels, accessed and dirty bits clear. */
static void enter_long_mode(struct bench *bench)
{
    for (unsigned level = 0; level < 3; level++)
        set_entry(bench, level, (TABLES + (level + 1) * 0x1000) | 7);
    set_entry(bench, 3, PAGES | 7);
    bench->state.cr0 = 0x80010011;
    bench->state.cr3 = TABLES;
    bench->state.cr4 = 0x20;
    bench->state.efer = 0xd00;
    bench->state.cs.attributes = 0xa9b;
}

static uint64_t translate(struct bench *bench, uint64_t linear, struct x86_walk_access access)
{
    struct x86_fault fault;
    uint64_t physical;

    if (vcpu_translate(&bench->vcpu, linear, access, &physical, &fault) == X86_DONE)
        return physical;
    return fault.vector == X86_VECTOR_PF ? UINT64_MAX : UINT64_MAX - 1;
}

/* Twice: the first walk sets accessed bits, and only one that sets none finds its entries again. */
static void keep(struct bench *bench, struct x86_walk_access access)
{
    assert_int_equal(translate(bench, LINEAR + 0x10, access), PAGES + 0x10);
    assert_int_equal(translate(bench, LINEAR + 0x20, access), PAGES + 0x20);
    assert_int_equal(bench->vcpu.walk[access.fetch][(LINEAR >> 12) % VCPU_WALKS].levels, 4);
}

static void test_each_entry_is_looked_at(void **state)
{
    struct bench *bench = *state;

    enter_long_mode(bench);
    for (unsigned level = 0; level < 4; level++) {
        uint64_t old;

        keep(bench, reading);
        old = entry(bench, level);
        set_entry(bench, level, old & ~1ull);
        assert_int_equal(translate(bench, LINEAR, reading), UINT64_MAX);
        set_entry(bench, level, old);
    }
    keep(bench, reading);
    set_entry(bench, 3, (PAGES + 0x3000) | 7);
    assert_int_equal(translate(bench, LINEAR + 8, reading), PAGES + 0x3008);
}

static void test_mode_and_access_count(void **state)
{
    struct bench *bench = *state;

    enter_long_mode(bench);
    set_entry(bench, 3, PAGES | 1 | 1ull << 63); /* to be read by the supervisor only */
    keep(bench, reading);
    assert_int_equal(translate(bench, LINEAR, writing), UINT64_MAX);
    assert_int_equal(translate(bench, LINEAR, by_user), UINT64_MAX);
    assert_int_equal(translate(bench, LINEAR, fetching), UINT64_MAX);
    assert_int_equal(translate(bench, LINEAR, reading), PAGES);

    set_entry(bench, 3, PAGES | 7);
    keep(bench, reading);
    bench->state.cr4 |= X86_CR4_SMAP;
    assert_int_equal(translate(bench, LINEAR, reading), UINT64_MAX);
    bench->state.rflags |= X86_RFLAGS_AC;
    keep(bench, reading);
    bench->state.rflags &= ~X86_RFLAGS_AC;
    assert_int_equal(translate(bench, LINEAR, reading), UINT64_MAX);

    bench->state.cr4 = 0x20;
    set_entry(bench, 3, PAGES | 5);
    bench->state.cr0 &= ~X86_CR0_WP;
    keep(bench, writing);
    bench->state.cr0 |= X86_CR0_WP;
    assert_int_equal(translate(bench, LINEAR, writing), UINT64_MAX);

    set_entry(bench, 3, PAGES | 7);
    keep(bench, reading);
    bench->state.cr3 = TABLES + 0x8000; /* nothing is there */
    assert_int_equal(translate(bench, LINEAR, reading), UINT64_MAX);
    bench->state.cr3 = TABLES;
    keep(bench, reading);
    bench->state.efer &= ~X86_EFER_NXE;
    set_entry(bench, 3, PAGES | 7 | 1ull << 63); /* reserved without NXE */
    assert_int_equal(translate(bench, LINEAR, reading), UINT64_MAX);
}

/* A kept walk must not hide that the guest has cleared them. */
static void test_accessed_and_dirty(void **state)
{
    struct bench *bench = *state;

    enter_long_mode(bench);
    assert_int_equal(translate(bench, LINEAR, writing), PAGES);
    assert_int_equal(entry(bench, 0), (TABLES + 0x1000) | 0x27);
    assert_int_equal(entry(bench, 3), PAGES | 0x67);
    keep(bench, writing);
    set_entry(bench, 3, PAGES | 7);
    assert_int_equal(translate(bench, LINEAR, writing), PAGES);
    assert_int_equal(entry(bench, 3), PAGES | 0x67);
}

static void test_not_canonical(void **state)
{
    struct bench *bench = *state;

    enter_long_mode(bench);
    keep(bench, reading);
    assert_int_equal(translate(bench, LINEAR & 0xffffffffffff, reading), UINT64_MAX - 1);
}

static void test_without_paging(void **state)
{
    struct bench *bench = *state;

    enter_long_mode(bench);
    keep(bench, reading);
    bench->state.cr0 = 0x11;
    assert_int_equal(translate(bench, 0x1234567, reading), 0x1234567);
}

/* Entries of 32 bits are walked each time. */
static void test_two_levels(void **state)
{
    struct bench *bench = *state;
    uint32_t table = (TABLES + 0x1000) | 0x27, page = PAGES | 0x67;

    memcpy(bench->ram + TABLES + 4, &table, 4);
    memcpy(bench->ram + TABLES + 0x1000 + 8, &page, 4);
    bench->state.cr0 = 0x80000011;
    bench->state.cr3 = TABLES;
    bench->state.cr4 = 0;
    bench->state.efer = 0;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(translate(bench, 0x402123, reading), PAGES + 0x123);
    page = 0;
    memcpy(bench->ram + TABLES + 0x1000 + 8, &page, 4);
    assert_int_equal(translate(bench, 0x402123, reading), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_entry_is_looked_at), TEST(test_mode_and_access_count), TEST(test_accessed_and_dirty),
        TEST(test_not_canonical),           TEST(test_without_paging),        TEST(test_two_levels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
