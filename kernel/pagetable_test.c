/* SPDX-License-Identifier: ISC */
/*
 * Page tables against a plain array, on a pool of the test's own. Whatever a processor may have cached before
 * an operation and may not use after it has to be announced by the removal, and tables that it may still walk
 * stay as they are until they are freed: a freed page is poisoned.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sanitizer/asan_interface.h>

#include "kernel/account.h"
#include "kernel/arch.h"
#include "kernel/pagetable.h"

#define POOL_PHYSICAL 0x7f000000ul
#define POOL_PAGES    64u
#define ENTRIES       512u
#define REGION        512u /* pages of a large leaf */
#define ROUNDS        30000u
#define MEM_ALL       (MEM_READ | MEM_WRITE | MEM_EXECUTE | MEM_UNCACHED | MEM_WRITE_COMBINE)
#define LEAF_BITS     (PTE_PRESENT | PTE_WRITE | PTE_USER)

static uint64_t memory[POOL_PAGES][ENTRIES] __attribute__((aligned(PAGE_SIZE)));
static struct {
    bool used, chained;
    void *next;
} pages[POOL_PAGES];
static unsigned pages_used, pages_freed;

/* What pagetable.c takes from account.c. */

static unsigned page_index(const void *page)
{
    uint64_t index = ((uint64_t)page - (uint64_t)memory) / PAGE_SIZE;

    assert_true(index < POOL_PAGES && (uint64_t)page % PAGE_SIZE == 0);
    return (unsigned)index;
}

void *account_page(struct account *account)
{
    if (!account->quota)
        return NULL;
    for (unsigned i = 0; i < POOL_PAGES; i++) {
        if (pages[i].used)
            continue;
        pages[i].used = true;
        pages_used++;
        account->quota--;
        __asan_unpoison_memory_region(memory[i], PAGE_SIZE);
        memset(memory[i], 0, PAGE_SIZE);
        return memory[i];
    }
    return NULL;
}

void page_free(void *page)
{
    unsigned index = page_index(page);

    assert_true(pages[index].used);
    pages[index].used = pages[index].chained = false;
    pages_used--;
    pages_freed++;
    __asan_poison_memory_region(page, PAGE_SIZE);
}

void page_chain(void *page, void **chain)
{
    assert_true(pages[page_index(page)].used && !pages[page_index(page)].chained);
    pages[page_index(page)].chained = true;
    pages[page_index(page)].next = *chain;
    *chain = page;
}

void *page_unchain(void **chain)
{
    void *page = *chain;

    if (page)
        *chain = pages[page_index(page)].next;
    return page;
}

uint64_t physical_address(const void *place)
{
    return (uint64_t)place - (uint64_t)memory + POOL_PHYSICAL;
}

void *pool_pointer(uint64_t physical)
{
    assert_in_range(physical, POOL_PHYSICAL, POOL_PHYSICAL + sizeof(memory) - 1);
    return (char *)memory + (physical - POOL_PHYSICAL);
}

/* The plain array: regions that share tables of each level or none, the first and the last there are. */
static const uint64_t bases[] = {0, REGION, 511 * REGION, 1ul << 18, 1ul << 27, (1ul << 36) - REGION};
#define REGIONS (sizeof(bases) / sizeof(*bases))
static struct {
    uint64_t large, small[REGION];
    bool table;
} model[REGIONS];

static uint64_t *root;
static struct account account;

static uint64_t model_leaf(unsigned region, unsigned page)
{
    return model[region].large ? model[region].large : model[region].small[page];
}

static void check_region(unsigned region)
{
    for (unsigned page = 0; page < REGION; page++)
        assert_int_equal(pagetable_leaf(root, bases[region] + page), model_leaf(region, page));
}

/* Some are used often, among them the ends. */
static unsigned random_page(void)
{
    static const unsigned often[] = {0, 1, 255, 256, 510, 511};

    return rand() % 2 ? often[(unsigned)rand() % 6] : (unsigned)rand() % REGION;
}

static uint64_t random_frame(void)
{
    return ((uint64_t)rand() & 0xffffff) * LARGE_SIZE;
}

/* The tables in the chain stay as they were, and are freed. */
static void settle(struct removal *removal, const uint64_t *before)
{
    void *table = page_unchain(&removal->tables);

    if (table)
        assert_memory_equal(table, before, PAGE_SIZE);
    if (table)
        page_free(table);
    assert_null(page_unchain(&removal->tables));
}

static void enter_small(unsigned region)
{
    unsigned page = random_page();
    uint64_t leaf = (random_frame() + (uint64_t)rand() % REGION * PAGE_SIZE) | LEAF_BITS;
    bool taken = model_leaf(region, page);
    struct removal removal = {0};
    enum status status = pagetable_enter(root, &account, bases[region] + page, leaf & PTE_ADDRESS, 1,
                                         leaf & ~PTE_ADDRESS, &removal);

    if (model[region].large) { /* it goes whole, whether there is a page for the table or not */
        model[region].large = 0;
        assert_true(removal.translations);
    }
    if (status == STATUS_OK) {
        model[region].small[page] = leaf;
        model[region].table = true;
    } else {
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_int_equal(account.quota, 0);
    }
    assert_int_equal(removal.translations, taken);
    assert_null(removal.tables);
}

static void enter_large(unsigned region)
{
    uint64_t leaf = random_frame() | LEAF_BITS | PTE_LARGE, before[REGION];
    bool taken = model[region].large || model[region].table;
    struct removal removal = {0};
    enum status status;

    memcpy(before, model[region].small, sizeof(before));
    status = pagetable_enter(root, &account, bases[region], leaf & PTE_ADDRESS, REGION,
                             leaf & ~(PTE_ADDRESS | PTE_LARGE), &removal);
    if (status == STATUS_NO_MEMORY) {
        assert_int_equal(account.quota, 0);
        assert_false(removal.translations);
        return;
    }
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(removal.translations, taken);
    assert_int_equal(removal.tables != NULL, model[region].table);
    memset(&model[region], 0, sizeof(model[region]));
    model[region].large = leaf;
    settle(&removal, before);
}

/* From a page to another of the same region; a large leaf reaches beyond. */
static void remove_some(unsigned region)
{
    unsigned first = random_page(), last = random_page(), begin = first < last ? first : last,
             end = (first < last ? last : first) + 1;

    for (uint64_t page = begin; page < end;) {
        struct removal removal = {0};
        uint64_t next =
            pagetable_remove(root, bases[region] + page, bases[region] + end, &removal) - bases[region];

        assert_int_equal(removal.translations, model_leaf(region, (unsigned)page) != 0);
        assert_null(removal.tables);
        assert_in_range(next, page + 1, model[region].large ? REGION : end);
        if (model[region].large)
            assert_int_equal(next, REGION);
        model[region].large = 0;
        for (; page < next; page++) {
            if (!removal.translations) /* a hole */
                assert_int_equal(model[region].small[page], 0);
            model[region].small[page] = 0;
        }
    }
}

static void clear_all(unsigned entries)
{
    unsigned steps = 0;

    do
        pages_freed = 0;
    while (!pagetable_clear(root, entries) && ++steps < 100);
    assert_in_range(steps, 0, 4); /* a call for each table of level 2 */
}

static void begin(void)
{
    __asan_poison_memory_region(memory, sizeof(memory));
    memset(pages, 0, sizeof(pages));
    memset(model, 0, sizeof(model));
    pages_used = 0;
    account.quota = POOL_PAGES;
    root = account_page(&account);
    assert_non_null(root);
}

static void random_entries_and_removals(void **state)
{
    (void)state;
    srand(1);
    begin();
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned region = (unsigned)rand() % REGIONS, freed = pages_freed;

        account.quota = rand() % 8 ? 8 : (unsigned)rand() % 3;
        switch (rand() % 8) {
        case 0:
            enter_large(region);
            break;
        case 1:
        case 2:
            remove_some(region);
            assert_int_equal(pages_freed, freed);
            break;
        default:
            enter_small(region);
            assert_int_equal(pages_freed, freed);
        }
        check_region(region);
        if (round % 100 == 0) {
            for (unsigned i = 0; i < REGIONS; i++)
                check_region(i);
        }
        if (round % 1000 == 999) {
            clear_all(ENTRIES);
            memset(model, 0, sizeof(model));
            assert_int_equal(pages_used, 1);
        }
    }
}

/* The kernel's half is in the root, too, and stays. */
static void user_half_cleared(void **state)
{
    struct removal removal = {0};
    uint64_t kernel[ENTRIES / 2];

    (void)state;
    begin();
    for (unsigned i = 0; i < ENTRIES / 2; i++)
        kernel[i] = root[ENTRIES / 2 + i] = (uint64_t)i << PAGE_SHIFT | PTE_PRESENT | PTE_WRITE;
    assert_int_equal(pagetable_enter(root, &account, (1ul << 35) - 1, 0x1000, 1, LEAF_BITS, &removal),
                     STATUS_OK);
    assert_int_equal(pagetable_enter(root, &account, 0, 0, REGION, LEAF_BITS, &removal), STATUS_OK);
    assert_int_equal(pages_used, 6);
    assert_false(removal.translations);
    clear_all(ENTRIES / 2);
    assert_int_equal(pages_used, 1);
    assert_memory_equal(root + ENTRIES / 2, kernel, sizeof(kernel));
    for (unsigned i = 0; i < ENTRIES / 2; i++)
        assert_int_equal(root[i], 0);
}

#define GIANT (REGION * REGION)

/* Leaves of 1 GiB: where no table hangs, replaced and removed whole, and not taken for tables. */
static void giant_leaves(void **state)
{
    const uint64_t leaf = (7ul << 30) | LEAF_BITS, base = 3ul * GIANT;
    struct removal removal = {0};

    (void)state;
    begin();
    assert_true(pagetable_takes_giant(root, base));
    assert_int_equal(pagetable_enter(root, &account, base, 7ul << 30, GIANT, LEAF_BITS, &removal), STATUS_OK);
    assert_false(removal.translations);
    assert_int_equal(pages_used, 2);
    assert_int_equal(pagetable_leaf(root, base), leaf | PTE_LARGE);
    assert_int_equal(pagetable_leaf(root, base + GIANT - 1), leaf | PTE_LARGE);
    assert_int_equal(pagetable_leaf(root, base + GIANT), 0);
    assert_int_equal(pagetable_leaf(root, base - 1), 0);
    /* Over itself. */
    assert_true(pagetable_takes_giant(root, base));
    assert_int_equal(pagetable_enter(root, &account, base, 5ul << 30, GIANT, LEAF_BITS, &removal), STATUS_OK);
    assert_true(removal.translations);
    assert_null(removal.tables);
    assert_int_equal(pages_used, 2);
    /* A page within takes its place; there is no room for another then, but beside it. */
    removal = (struct removal){0};
    assert_int_equal(pagetable_enter(root, &account, base + 700, 0x1000, 1, LEAF_BITS, &removal), STATUS_OK);
    assert_true(removal.translations);
    assert_int_equal(pagetable_leaf(root, base), 0);
    assert_false(pagetable_takes_giant(root, base));
    assert_true(pagetable_takes_giant(root, base + GIANT));
    assert_int_equal(pages_used, 4);
    /* Removal goes whole, and beyond what was asked for. */
    assert_int_equal(pagetable_enter(root, &account, base + GIANT, 0, GIANT, LEAF_BITS, &removal), STATUS_OK);
    removal = (struct removal){0};
    assert_int_equal(pagetable_remove(root, base + GIANT + 5, base + GIANT + 6, &removal), base + 2 * GIANT);
    assert_true(removal.translations);
    assert_int_equal(pagetable_leaf(root, base + GIANT), 0);
    assert_int_equal(pagetable_enter(root, &account, base + GIANT, 0, GIANT, LEAF_BITS, &removal), STATUS_OK);
    clear_all(ENTRIES);
    assert_int_equal(pages_used, 1);
}

static void rights(void **state)
{
    (void)state;
    for (unsigned r = 0; r < 256; r++) {
        uint64_t bits = pagetable_bits(r), expected = PTE_PRESENT | PTE_USER;
        bool both = (r & MEM_UNCACHED) && (r & MEM_WRITE_COMBINE);
        bool sensible = (r & (MEM_READ | MEM_EXECUTE)) && !(r & ~MEM_ALL) && !both;

        expected |= r & MEM_WRITE ? PTE_WRITE : 0;
        expected |= r & MEM_EXECUTE ? 0 : PTE_NX;
        expected |= r & MEM_UNCACHED ? PTE_PCD | PTE_PWT : 0;
        expected |= r & MEM_WRITE_COMBINE ? PTE_PWT : 0;
        assert_int_equal(bits, sensible ? expected : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_entries_and_removals),
        cmocka_unit_test(user_half_cleared),
        cmocka_unit_test(giant_leaves),
        cmocka_unit_test(rights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
