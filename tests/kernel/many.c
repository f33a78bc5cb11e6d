/* SPDX-License-Identifier: ISC */
/*
 * Many of everything, one after another: objects of each type and whole address spaces leave nothing behind,
 * and who eats all the memory it can get eats its own. How many is for the configuration to say.
 */
#include "tests/kernel/tests.h"

#include <string.h>

#define FIRST   512u /* selector */
#define OBJECTS 20000u
#define SPACES  3000u
#define PAGES   400u

/* What is created has its place among eight, so that memory is handed out in more than one order. */
static void created_and_destroyed(void)
{
    struct kit kit = kit_create(PAGES);
    uint64_t rounds = parameter("objects", OBJECTS);

    for (unsigned type = OBJECT_ACCOUNT; type < OBJECT_PLATFORM; type++) {
        uint64_t before = free_pages();

        for (uint64_t i = 0; i < rounds && kit_has((enum object_type)type); i++) {
            enum status made = kit_make(&kit, (enum object_type)type, FIRST, i % 8);
            enum status gone = made == STATUS_OK ? destroy(FIRST) : made;

            /* Destroying what is dead, as an interrupted call does, changes nothing. */
            if (gone != STATUS_OK || (i % 4 == 3 && destroy(FIRST) != STATUS_OK) ||
                space_remove(ROOT_OBJ, FIRST, 1) != STATUS_OK) {
                expect("round", i, rounds);
                expect_status("status", gone, STATUS_OK);
                return;
            }
        }
        EXPECT(account_free(kit.account), PAGES);
        EXPECT(free_pages(), before);
    }
    say("ktest: %u objects of each type", rounds);
}

/* The same by dropping the last capability. */
static void dropped(void)
{
    struct kit kit = kit_create(PAGES);
    uint64_t rounds = parameter("objects", OBJECTS) / 10;

    for (unsigned type = OBJECT_ACCOUNT; type < OBJECT_PLATFORM; type++) {
        uint64_t before = free_pages(), good = 0;

        for (uint64_t i = 0; i < rounds && kit_has((enum object_type)type); i++) {
            good += kit_make(&kit, (enum object_type)type, FIRST, i % 8) == STATUS_OK &&
                    space_remove(ROOT_OBJ, FIRST, 1) == STATUS_OK;
        }
        EXPECT(good, kit_has((enum object_type)type) ? rounds : 0);
        EXPECT(free_pages(), before);
        EXPECT(account_free(kit.account), PAGES);
    }
}

/* Husks: destroyed, with their capabilities still there, many at a time. */
static void husks(void)
{
    struct kit kit = kit_create(PAGES);
    const unsigned count = 64;

    for (unsigned type = OBJECT_ACCOUNT; type < OBJECT_PLATFORM; type++) {
        uint64_t number = objects((enum object_type)type);
        bool single = type == OBJECT_SC || type == OBJECT_INTERRUPT;

        for (unsigned i = 0; i < count && kit_has((enum object_type)type); i++) {
            OK(kit_make(&kit, (enum object_type)type, FIRST + i, i));
            if (single)
                OK(destroy(FIRST + i));
        }
        EXPECT(objects((enum object_type)type), number + (kit_has((enum object_type)type) ? count : 0));
        for (unsigned i = 0; i < count && kit_has((enum object_type)type) && !single; i++)
            OK(destroy(FIRST + (i * 37) % count));
        for (unsigned i = 0; i < count; i++)
            OK(space_remove(ROOT_OBJ, FIRST + (i * 11) % count, 1));
        EXPECT(objects((enum object_type)type), number);
        EXPECT(account_free(kit.account), PAGES);
    }
}

/* A program without stack: it adds one to the word that its stack pointer points at, and dies. */
static const uint8_t code_count[] = {
    0x48, 0xff, 0x04, 0x24, /* incq (%rsp) */
    0x0f, 0x0b,             /* ud2 */
};

#define CODE_PAGE 40u /* of RAM */
#define DATA_PAGE                                                                                            \
    41u /* two, by turns at the same address: an old translation would count in the wrong one  \
                       */

static bool address_space(uint64_t i, selector nt)
{
    uint64_t where = (i % 97) << 18 | 0x400, bits;
    selector pd = FIRST, obj = FIRST + 1, hst = FIRST + 2, ec = FIRST + 3, sc = FIRST + 4;

    if (create_pd(pd, ROOT_ACCOUNT) != STATUS_OK ||
        create_space(obj, ROOT_ACCOUNT, SPACE_OBJ, pd) != STATUS_OK ||
        create_space(hst, ROOT_ACCOUNT, SPACE_HST, pd) != STATUS_OK || pd_watch(pd, nt) != STATUS_OK)
        return false;
    if (space_copy(ROOT_MEM, ram_page(CODE_PAGE), hst, where, 1, MEM_READ | MEM_EXECUTE) != STATUS_OK ||
        space_copy(ROOT_MEM, ram_page(DATA_PAGE + i % 2), hst, where + 1, 1, MEM_READ | MEM_WRITE) !=
            STATUS_OK)
        return false;
    if (i % 16 == 0 && (space_copy(ROOT_MEM, ram_page(0), hst, 0x8000, 600, MEM_READ) != STATUS_OK ||
                        space_copy(ROOT_OBJ, 0, obj, 300, 200, PERM_ALL) != STATUS_OK))
        return false;
    return create_ec(ec, ROOT_ACCOUNT, pd, (where + 2) * PAGE, EC_GLOBAL, (where + 1) * PAGE, where * PAGE) ==
               STATUS_OK &&
           create_sc(sc, ROOT_ACCOUNT, ec, 20, SC_BUDGET_MIN) == STATUS_OK &&
           nt_wait(nt, now() + milliseconds(1000), &bits) == STATUS_OK && destroy(pd) == STATUS_OK &&
           space_remove(ROOT_OBJ, FIRST, 5) == STATUS_OK;
}

static void address_spaces(void)
{
    uint64_t rounds = parameter("spaces", SPACES);
    volatile uint64_t *even = ram_map(DATA_PAGE), *odd = ram_map(DATA_PAGE + 1);
    selector nt = notification();

    memcpy(ram_map(CODE_PAGE), code_count, sizeof(code_count));
    *even = *odd = 0;
    for (uint64_t i = 0; i < rounds; i++) {
        if (!address_space(i, nt)) {
            expect("round", i, rounds);
            return;
        }
    }
    EXPECT(*even, (rounds + 1) / 2);
    EXPECT(*odd, rounds / 2);
    say("ktest: %u address spaces", rounds);
}

/* ---- A glutton and its neighbour, each with an account of its own and the same priority. */

#define GLUTTON_PAGES   300u
#define NEIGHBOUR_PAGES 40u
#define OWN_ACCOUNT     1u /* selectors of both children; PD, OBJ and HST follow */
#define OWN_MEM         5u
#define OWN_FIRST       16u
#define GLUTTON_TRIES   100000u

static volatile uint64_t eaten, refused, served, disturbed, idled;

static enum status glutton_bite(uint64_t i, selector target)
{
    switch (i % 8) {
    case 0:
        return create_account(target, OWN_ACCOUNT, 2);
    case 1:
        return create_pd(target, OWN_ACCOUNT);
    case 2:
        return create_space(target, OWN_ACCOUNT, SPACE_GST, 0);
    case 3:
        return create_ec(target, OWN_ACCOUNT, OWN_ACCOUNT + 1, WINDOW + i * PAGE, EC_FPU, 0, 0x400000);
    case 4:
        return create_nt(target, OWN_ACCOUNT);
    case 5:
        return space_copy(OWN_MEM, ram_page(0), OWN_ACCOUNT + 3, (i % 1000) << 18, 1, MEM_READ);
    case 6:
        return space_copy(OWN_ACCOUNT + 2, 1, OWN_ACCOUNT + 2, i * 256 % OBJ_SELECTORS, 1, PERM_ALL);
    default:
        return create_account(target, OWN_ACCOUNT, 1);
    }
}

static void glutton(uint64_t argument)
{
    for (uint64_t i = argument; i < GLUTTON_TRIES; i++) {
        if (glutton_bite(i, OWN_FIRST + i % 4000) == STATUS_OK)
            eaten++;
        else
            refused++;
    }
    for (;;)
        refused++;
}

/* Makes, uses and destroys again and again. */
static void neighbour(uint64_t argument)
{
    for (uint64_t i = argument;; i++) {
        selector pd = OWN_FIRST, obj = OWN_FIRST + 1, hst = OWN_FIRST + 2, nt = OWN_FIRST + 3;
        uint64_t bits = 0;

        if (create_pd(pd, OWN_ACCOUNT) != STATUS_OK ||
            create_space(obj, OWN_ACCOUNT, SPACE_OBJ, pd) != STATUS_OK ||
            create_space(hst, OWN_ACCOUNT, SPACE_HST, pd) != STATUS_OK ||
            space_copy(OWN_MEM, ram_page(0), hst, (i % 100) << 18, 1, MEM_READ) != STATUS_OK ||
            create_nt(nt, OWN_ACCOUNT) != STATUS_OK || nt_signal(nt) != STATUS_OK ||
            nt_wait(nt, 0, &bits) != STATUS_OK || destroy(pd) != STATUS_OK ||
            space_remove(OWN_ACCOUNT + 2, OWN_FIRST, 4) != STATUS_OK)
            disturbed++;
        else
            served++;
    }
}

static void idler(uint64_t argument)
{
    for (;;)
        idled += argument;
}

static struct pd_space eater(uint64_t pages, thread_function *function, unsigned slot, selector *account)
{
    struct pd_space child;

    *account = fresh();
    OK(create_account(*account, ROOT_ACCOUNT, pages));
    child = child_create(*account);
    give(&child, *account, OWN_ACCOUNT, PERM_ALL);
    give(&child, child.pd, OWN_ACCOUNT + 1, PERM_ALL);
    give(&child, child.obj, OWN_ACCOUNT + 2, PERM_ALL);
    give(&child, child.hst, OWN_ACCOUNT + 3, PERM_ALL);
    give(&child, ROOT_MEM, OWN_MEM, PERM_ALL);
    (void)thread_start(&child, slot, function, 0, 10, 0);
    return child;
}

static void glutton_and_neighbour(void)
{
    uint64_t before = free_pages(), alone;
    selector account, other, spinning;
    struct pd_space victim;

    eaten = refused = served = disturbed = 0;
    (void)eater(NEIGHBOUR_PAGES, neighbour, 1, &other);
    spinning = thread_start(&own, 2, idler, 1, 10, 0);
    pass(milliseconds(20));
    alone = served; /* with one that only spins: half of the time */
    OK(destroy(spinning));
    served = 0;
    victim = eater(GLUTTON_PAGES, glutton, 3, &account);
    pass(milliseconds(20));
    expect_range("what the glutton got", eaten, 20, GLUTTON_PAGES * 64);
    expect_range("what it was refused", refused, 100, UINT64_MAX);
    expect_range("pages left to it", account_free(account), 0, 2);
    expect_range("pages taken from all", before - free_pages(), GLUTTON_PAGES / 2,
                 GLUTTON_PAGES + NEIGHBOUR_PAGES + 20);
    EXPECT(disturbed, 0);
    expect_range("what the neighbour did meanwhile", served, alone * 3 / 4, alone * 5 / 4);
    OK(create_nt(fresh(), other));
    OK(destroy(victim.pd));
    pass(milliseconds(2));
    EXPECT(disturbed, 0);
}

void test_many(void)
{
    static const struct test tests[] = {
        {"many: objects of each type, created and destroyed", created_and_destroyed},
        {"many: objects of each type, dropped", dropped},
        {"many: husks", husks},
        {"many: address spaces that run", address_spaces},
        {"many: a glutton and its neighbour", glutton_and_neighbour},
    };

    run_tests(tests, COUNT(tests));
}
