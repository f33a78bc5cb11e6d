/* SPDX-License-Identifier: ISC */
/* The book of memory: exhaustion, alignment, no page given twice, nothing lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/memory.h"

#include <string.h>

#define PAGES 8192u

#define MAP_WORDS(pages) ((pages) / 64 + 2 * (((pages) + 4095) / 4096))

static uint64_t map[MAP_WORDS(PAGES)];

static void all_comes_back(void **state)
{
    (void)state;
    struct memory memory;
    struct run run[RUNS];
    memory_init(&memory, map, PAGES);
    assert_int_equal(memory.free, 0);
    memory_give(&memory, 5, 4000);
    assert_int_equal(memory.free, 4000);
    assert_false(memory_alloc(&memory, 4001, run, RUNS));
    assert_int_equal(memory.free, 4000);
    assert_true(memory_alloc(&memory, 4000, run, RUNS));
    assert_int_equal(memory.free, 0);
    memory_free(&memory, run, RUNS);
    assert_int_equal(memory.free, 4000);
    assert_int_equal(run[0].count, 0);
}

static void large_runs_are_aligned(void **state)
{
    (void)state;
    struct memory memory;
    struct run run[RUNS];
    memory_init(&memory, map, PAGES);
    memory_give(&memory, 100, 3000);
    memory_give(&memory, 4100, 4000);
    assert_true(memory_alloc(&memory, 5000, run, RUNS));
    for (unsigned i = 0; i < RUNS && run[i].count; i++) {
        assert_int_equal(run[i].page % LARGE_PAGES, 0);
        if (i + 1 < RUNS && run[i + 1].count)
            assert_int_equal(run[i].count % LARGE_PAGES, 0);
    }
    memory_free(&memory, run, RUNS);
    /* Too much for aligned runs: better unaligned than not at all. */
    assert_true(memory_alloc(&memory, 6900, run, RUNS));
    assert_int_equal(memory.free, 100);
}

/* What has room for pages of 1 GiB gets them, and what has not is not the worse for it. */
static void giant_runs_are_aligned(void **state)
{
    (void)state;
    static uint64_t many[MAP_WORDS(5 * GIANT_PAGES)];
    struct memory memory;
    struct run run[RUNS];
    memory_init(&memory, many, 5 * GIANT_PAGES);
    memory_give(&memory, 1000, 4 * GIANT_PAGES);
    assert_true(memory_alloc(&memory, 2 * GIANT_PAGES + 77, run, RUNS));
    assert_int_equal(run[0].page, GIANT_PAGES);
    assert_int_equal(run[0].count, 2 * GIANT_PAGES + 77);
    memory_free(&memory, run, RUNS);
    assert_true(memory_alloc(&memory, 4 * GIANT_PAGES - LARGE_PAGES, run, RUNS));
    assert_int_equal(run[0].page % LARGE_PAGES, 0);
    assert_int_equal(memory.free, LARGE_PAGES);
}

static void best_fit_and_limits(void **state)
{
    (void)state;
    struct memory memory;
    struct run run[RUNS];
    memory_init(&memory, map, PAGES);
    memory_give(&memory, 1000, 1000);
    memory_give(&memory, 10, 20);
    memory_give(&memory, 50, 10);
    assert_true(memory_alloc(&memory, 10, run, 1));
    assert_int_equal(run[0].page, 50);
    assert_false(memory_alloc(&memory, 1010, run, 1)); /* in two runs only */
    assert_int_equal(memory.free, 1020);
    assert_true(memory_alloc(&memory, 1010, run, 2));
    /* Beyond the map: left out. */
    memory_give(&memory, PAGES - 2, UINT64_MAX);
    assert_int_equal(memory.free, 12);
    memory_give(&memory, PAGES, 5);
    assert_int_equal(memory.free, 12);
}

static void random_use(void **state)
{
    (void)state;
    enum { HELD = 40 };
    static uint8_t owner[PAGES];
    static struct run held[HELD][RUNS];
    struct memory memory;
    uint64_t seed = 1;
    memory_init(&memory, map, PAGES);
    memory_give(&memory, 64, PAGES - 64);
    memory_reserve(&memory, 3000, 77);
    uint64_t all = memory.free;
    for (unsigned step = 0; step < 20000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(seed >> 33) % HELD;
        uint64_t pages = 1 + (seed >> 40) % (step % 7 ? 60 : 1500);
        for (unsigned j = 0; j < RUNS; j++)
            memset(owner + held[i][j].page, 0, held[i][j].count);
        memory_free(&memory, held[i], RUNS);
        if (!memory_alloc(&memory, pages, held[i], RUNS))
            continue;
        uint64_t got = 0;
        for (unsigned j = 0; j < RUNS; j++)
            for (uint64_t k = 0; k < held[i][j].count; k++, got++) {
                assert_int_equal(owner[held[i][j].page + k], 0);
                owner[held[i][j].page + k] = 1;
            }
        assert_int_equal(got, pages);
    }
    for (unsigned i = 0; i < HELD; i++)
        memory_free(&memory, held[i], RUNS);
    assert_int_equal(memory.free, all);
    assert_int_equal(owner[10] + owner[3010], 0);
}

/* The bits of whole words tell what the words say, whatever is taken and given. */
static void even_words(void **state)
{
    static uint64_t many[MAP_WORDS(20000) + 1];
    static uint8_t shadow[20000];
    struct memory memory;
    uint64_t seed = 12345, count = 0;

    (void)state;
    assert_int_equal(memory_map_bytes(20000), (20000 + 63) / 64 * 8 + 2 * 5 * 8);
    memory_init(&memory, many, 20000);
    for (unsigned i = 0; i < 3000; i++) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t page = seed >> 33 & 1 ? (seed >> 40) % 5 * 4096 : (seed >> 40) % 20000;
        uint64_t pages = seed >> 34 & 1 ? 1 + (seed >> 50) % 9000 : 1 + (seed >> 50) % 200;
        bool give = seed >> 35 & 1;
        if (give)
            memory_give(&memory, page, pages);
        else
            memory_reserve(&memory, page, pages);
        for (uint64_t j = page; j < page + pages && j < 20000; j++) {
            count += (uint64_t)give - shadow[j];
            shadow[j] = give;
        }
        assert_int_equal(memory.free, count);
        for (uint64_t j = 0; j < 20000; j++)
            if ((memory.map[j / 64] >> j % 64 & 1) != shadow[j])
                fail_msg("page %lu", j);
        for (uint64_t j = 0; j < 4 * 4096 / 64; j++) { /* the last, which is not whole, is only searched */
            assert_int_equal(memory.even[0][j / 64] >> j % 64 & 1, memory.map[j] == 0);
            assert_int_equal(memory.even[1][j / 64] >> j % 64 & 1, memory.map[j] == UINT64_MAX);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_comes_back),      cmocka_unit_test(large_runs_are_aligned),
        cmocka_unit_test(even_words),          cmocka_unit_test(giant_runs_are_aligned),
        cmocka_unit_test(best_fit_and_limits), cmocka_unit_test(random_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
