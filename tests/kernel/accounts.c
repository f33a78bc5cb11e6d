/* SPDX-License-Identifier: ISC */
/* Accounts: who pays, what happens when nothing is left, and that all of it comes back. */
#include "tests/kernel/tests.h"

#include <string.h>

#define SMALL      60u /* pages of the account that is used up */
#define MANY_FIRST 512u
#define MANY       1500u

static void arithmetic(void)
{
    selector a = fresh(), b = fresh(), nt = fresh();
    uint64_t all = account_free(ROOT_ACCOUNT), free_now, used;

    OK(create_account(a, ROOT_ACCOUNT, 100));
    OK(account_info(a, &free_now, &used));
    EXPECT(free_now, 100);
    EXPECT(used, 0);
    EXPECT_STATUS(create_account(b, a, 101), STATUS_NO_MEMORY);
    EXPECT_STATUS(create_account(b, a, 100), STATUS_NO_MEMORY); /* the object itself has to be paid */
    EXPECT(account_free(a), 100);
    OK(create_account(b, a, 99));
    OK(account_info(a, &free_now, &used));
    EXPECT(free_now, 0);
    EXPECT(used, 1);
    EXPECT_STATUS(create_account(nt, b, UINT64_MAX), STATUS_NO_MEMORY);
    OK(create_nt(nt, b));
    OK(account_info(b, &free_now, &used));
    EXPECT(free_now, 98);
    EXPECT(used, 1);
    /* Dead: what is free goes to the parent, the rest when it comes back. */
    OK(destroy(b));
    EXPECT(account_free(a), 98);
    OK(destroy(a));
    expect_range("free of the root's", account_free(ROOT_ACCOUNT), all - 3, all - 1);
    OK(nt_signal(nt)); /* what they paid for lives */
    OK(destroy(nt));
    OK(space_remove(ROOT_OBJ, nt, 1));
}

/* A slab that was full and has one place again: the next object takes that, not another page. */
static void full_slab(void)
{
    selector account = fresh(), first = fresh();
    uint64_t free_now, used, made = 0;

    OK(create_account(account, ROOT_ACCOUNT, 20));
    for (selector s = first; account_free(account) > 18; s = fresh(), made++)
        OK(create_nt(s, account));
    OK(destroy(first + made - 1)); /* the one that took a second page */
    OK(space_remove(ROOT_OBJ, first + made - 1, 1));
    OK(account_info(account, &free_now, &used));
    EXPECT(free_now, 19);
    EXPECT(used, 1);
    OK(destroy(first));
    OK(space_remove(ROOT_OBJ, first, 1));
    OK(create_nt(first, account));
    EXPECT(account_free(account), 19);
    OK(create_nt(first + made - 1, account));
    EXPECT(account_free(account), 18);
}

/* An MSR space has two pages side by side beside its slab's: with fewer nothing of it is made or charged. */
static void page_pairs(void)
{
    for (uint64_t pages = 1; pages <= 4; pages++) {
        selector account = fresh(), space = fresh();
        uint64_t free_now, used;

        OK(create_account(account, ROOT_ACCOUNT, pages));
        EXPECT_STATUS(create_space(space, account, SPACE_MSR, 0), pages < 3 ? STATUS_NO_MEMORY : STATUS_OK);
        OK(account_info(account, &free_now, &used));
        EXPECT(free_now + used, pages);
        EXPECT(used, pages < 3 ? 0 : 3);
        if (pages >= 3) {
            OK(destroy(space));
            OK(space_remove(ROOT_OBJ, space, 1));
        }
        OK(destroy(account));
        OK(space_remove(ROOT_OBJ, account, 1));
    }
}

static void move(void)
{
    selector a = fresh(), b = fresh(), nt = fresh();
    uint64_t free_now, used;

    OK(create_account(a, ROOT_ACCOUNT, 50));
    OK(create_account(b, ROOT_ACCOUNT, 5));
    OK(system_call_status(CALL_ACCOUNT_MOVE, a, b, 20, 0, 0, 0));
    EXPECT(account_free(a), 30);
    EXPECT(account_free(b), 25);
    EXPECT_STATUS(system_call_status(CALL_ACCOUNT_MOVE, a, b, 31, 0, 0, 0), STATUS_NO_MEMORY);
    OK(system_call_status(CALL_ACCOUNT_MOVE, a, b, 30, 0, 0, 0));
    EXPECT_STATUS(create_nt(nt, a), STATUS_NO_MEMORY);
    OK(create_nt(nt, b));
    OK(account_info(b, &free_now, &used));
    EXPECT(free_now, 54);
    EXPECT(used, 1);
    OK(system_call_status(CALL_ACCOUNT_MOVE, b, b, 54, 0, 0, 0));
    EXPECT(account_free(b), 54);
    OK(destroy(a));
    EXPECT_STATUS(system_call_status(CALL_ACCOUNT_MOVE, b, a, 1, 0, 0, 0), STATUS_DEAD);
}

/* The accounts' husks go in any order. */
static void generations(void)
{
    for (unsigned order = 0; order < 2; order++) {
        selector first = fresh(), last = first;

        OK(create_account(first, ROOT_ACCOUNT, 40));
        for (unsigned i = 1; i < 8; i++, last++)
            OK(create_account(fresh(), last, 36 - 4 * i));
        for (unsigned i = 0; i < 8; i++)
            OK(destroy(order ? last - i : first + i));
        for (unsigned i = 0; i < 8; i++)
            OK(space_remove(ROOT_OBJ, order ? first + i : last - i, 1));
    }
}

static void exhaust(void)
{
    struct kit kit = kit_create(SMALL);

    for (unsigned type = OBJECT_ACCOUNT; type < OBJECT_PLATFORM; type++) {
        uint64_t before = free_pages(), left = 0, payer, none;
        enum status status = STATUS_OK;
        unsigned made = 0;

        /* There is one SC for an EC and one object for a pin. */
        if (type == OBJECT_SC || type == OBJECT_INTERRUPT)
            continue;
        while (made < MANY &&
               (status = kit_make(&kit, (enum object_type)type, MANY_FIRST + made, made)) == STATUS_OK)
            made++;
        if (made == MANY) { /* small ones: the rest by accounts that take the quota */
            OK(create_account(SELECTOR_END - 1, kit.account, account_free(kit.account) - 1));
        } else {
            EXPECT_STATUS(status, STATUS_NO_MEMORY);
            left = account_free(kit.account); /* less than one of the type needs */
            expect_range("pages left", left, 0, 4);
            if (left > 1)
                OK(create_account(SELECTOR_END - 1, kit.account, left - 1));
            status = system_call(CALL_CREATE_SPACE, MANY_FIRST + made, kit.account, SPACE_PIO, kit.pd, 0, 0,
                                 &payer, &none);
            expect_range("status", status, STATUS_NO_MEMORY, STATUS_NO_MEMORY);
            EXPECT(payer, PAYER_NAMED);
        }
        for (unsigned i = 0; i < made; i++) {
            if (destroy(MANY_FIRST + i) != STATUS_OK)
                expect_status("destroy", STATUS_BAD_CAP, STATUS_OK);
        }
        if (made == MANY || left > 1)
            OK(destroy(SELECTOR_END - 1));
        OK(space_remove(ROOT_OBJ, MANY_FIRST, SELECTOR_END - MANY_FIRST));
        EXPECT(account_free(kit.account), SMALL);
        EXPECT(free_pages(), before);
    }
}

/* The payer is named: selectors, and the space that a page goes to. */
static void payers(void)
{
    selector poor = fresh(), nt = notification(), gst = fresh();
    uint64_t payer, none;
    struct pd_space child;

    OK(create_account(poor, ROOT_ACCOUNT, 12));
    child = (struct pd_space){.pd = fresh(), .obj = fresh(), .hst = fresh()};
    OK(create_pd(child.pd, poor));
    OK(create_space(child.obj, poor, SPACE_OBJ, child.pd));
    OK(create_space(child.hst, poor, SPACE_HST, child.pd));
    OK(create_space(gst, poor, SPACE_GST, 0));
    while (account_free(poor)) {
        OK(space_copy(ROOT_OBJ, nt, child.obj, 256 * account_free(poor), 1, PERM_ALL));
    }
    EXPECT_CALL(CALL_SPACE_COPY,
                system_call(CALL_SPACE_COPY, ROOT_OBJ, nt, child.obj, 256 * 100, 1, PERM_ALL, &payer, &none),
                STATUS_NO_MEMORY);
    EXPECT(payer, PAYER_SPACE);
    EXPECT(system_call(CALL_SPACE_COPY, ROOT_MEM, ram_page(0), child.hst, 0, 1, MEM_READ, &payer, &none),
           STATUS_NO_MEMORY);
    EXPECT(payer, PAYER_SPACE);
    EXPECT(system_call(CALL_SPACE_COPY, ROOT_MEM, ram_page(0), gst, 0, 512, MEM_READ, &payer, &none),
           STATUS_NO_MEMORY);
    EXPECT(system_call(CALL_CREATE_EC, fresh(), ROOT_ACCOUNT, child.pd, UTCB_BASE | EC_FPU, 0, 0x400000,
                       &payer, &none),
           STATUS_NO_MEMORY);
    EXPECT(payer, PAYER_SPACE);
    EXPECT(system_call(CALL_CREATE_VCPU, fresh(), ROOT_ACCOUNT, child.pd, gst, UTCB_BASE, 0, &payer, &none),
           STATUS_NO_MEMORY);
    EXPECT(payer, PAYER_SPACE);
    /* Removal needs no memory; afterwards there is some. */
    OK(space_remove(child.obj, 0, OBJ_SELECTORS));
    OK(destroy(child.obj));
    OK(space_copy(ROOT_MEM, ram_page(0), gst, 0, 512, MEM_READ));
}

void test_accounts(void)
{
    static const struct test tests[] = {
        {"accounts: arithmetic", arithmetic},
        {"accounts: pages moved", move},
        {"accounts: a full slab", full_slab},
        {"accounts: pages by pairs", page_pairs},
        {"accounts: generations", generations},
        {"accounts: each type of object until nothing is left", exhaust},
        {"accounts: who pays", payers},
    };

    run_tests(tests, COUNT(tests));
}
