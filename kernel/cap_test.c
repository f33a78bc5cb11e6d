/* SPDX-License-Identifier: ISC */
/*
 * The OBJ space against a plain array: what stands at each selector, who holds how many references, which
 * pages the account pays for. Pages and objects are the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/account.h"
#include "kernel/cap.h"
#include "kernel/space.h"

#define OBJECTS   5u
#define ROUNDS    200000u
#define PAGE_SIZE 4096u
#define LEAVES    (OBJ_SELECTORS / CAPS_PER_LEAF)
#define PERM_BITS 0xffffu

static struct object objects[OBJECTS];
static struct account account;
static unsigned pages_used;

/* What cap.c takes from account.c and object.c. */

void *account_page(struct account *from)
{
    if (!from->quota)
        return NULL;
    from->quota--;
    pages_used++;
    return calloc(1, PAGE_SIZE);
}

void object_free_page(void *page)
{
    pages_used--;
    free(page);
}

/* A capability gives the address back as the kernel's, whose upper bits are ones. */
void object_release(struct object *object)
{
    object = (struct object *)((uint64_t)object & 0xffffffffffff);
    assert_in_range(object - objects, 0, OBJECTS - 1);
    assert_int_not_equal(object->references, 0);
    object->references--;
}

static struct {
    unsigned object; /* number + 1; 0: empty */
    unsigned permissions;
    uint64_t bits;
} model[OBJ_SELECTORS];
static bool leaf_used[LEAVES];
static struct space space;

static void begin(void)
{
    account = (struct account){.quota = LEAVES + 1};
    pages_used = 0;
    memset(objects, 0, sizeof(objects));
    memset(model, 0, sizeof(model));
    memset(leaf_used, 0, sizeof(leaf_used));
    space = (struct space){.kind = SPACE_OBJ, .object.account = &account};
    space.obj.table = account_page(&account);
    assert_non_null(space.obj.table);
}

static void check(uint64_t selector)
{
    const struct cap *cap = cap_place(space.obj.table, selector);
    uint64_t word = cap_lookup(space.obj.table, selector);

    if (selector >= OBJ_SELECTORS || !leaf_used[selector / CAPS_PER_LEAF]) {
        assert_null(cap);
        assert_int_equal(word, 0);
    } else if (!model[selector].object) {
        assert_int_equal(word, 0);
    } else {
        assert_ptr_equal((uint64_t)cap_object(word) & 0xffffffffffff, &objects[model[selector].object - 1]);
        assert_int_equal(cap_permissions(word), model[selector].permissions);
        assert_int_equal(cap->bits, model[selector].bits);
    }
}

static void check_references(void)
{
    unsigned references[OBJECTS] = {0};

    for (uint64_t i = 0; i < OBJ_SELECTORS; i++) {
        if (model[i].object)
            references[model[i].object - 1]++;
    }
    for (unsigned i = 0; i < OBJECTS; i++)
        assert_int_equal(objects[i].references, references[i]);
}

static unsigned leaves_used(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < LEAVES; i++)
        count += leaf_used[i];
    return count;
}

/* Near each other, the first, the last, or beyond. */
static uint64_t random_selector(void)
{
    static const uint64_t ends[] = {0,
                                    1,
                                    CAPS_PER_LEAF - 1,
                                    CAPS_PER_LEAF,
                                    OBJ_SELECTORS - 1,
                                    OBJ_SELECTORS,
                                    OBJ_SELECTORS + CAPS_PER_LEAF,
                                    UINT64_MAX};

    switch (rand() % 8) {
    case 0:
        return ends[(unsigned)rand() % (sizeof(ends) / sizeof(*ends))];
    case 1:
        return (uint64_t)rand() % OBJ_SELECTORS;
    default:
        return (uint64_t)rand() % (2 * CAPS_PER_LEAF);
    }
}

static enum status expected_status(uint64_t selector)
{
    if (selector >= OBJ_SELECTORS)
        return STATUS_BAD_ARG;
    if (space.object.dead)
        return STATUS_DEAD;
    if (!leaf_used[selector / CAPS_PER_LEAF] && !account.quota)
        return STATUS_NO_MEMORY;
    return model[selector].object ? STATUS_EXISTS : STATUS_OK;
}

static void insert(uint64_t selector)
{
    unsigned object = (unsigned)rand() % OBJECTS, permissions = (unsigned)rand() & PERM_BITS;
    uint64_t bits = (uint64_t)rand() << 40 | (uint64_t)rand();
    enum status expected = expected_status(selector);

    assert_int_equal(cap_prepare(&space, selector), expected);
    if (expected == STATUS_OK || expected == STATUS_EXISTS)
        leaf_used[selector / CAPS_PER_LEAF] = true;
    if (expected != STATUS_OK)
        return;
    cap_insert(&space, selector, &objects[object], permissions, bits);
    model[selector].object = object + 1;
    model[selector].permissions = permissions;
    model[selector].bits = bits;
}

/* A bounded part of the work a call: one leaf. Nothing remains but the table. */
static void clear(void)
{
    unsigned leaves = leaves_used(), calls = 0;

    space.object.dead = true;
    while (!cap_clear(&space)) {
        calls++;
        assert_int_equal(pages_used, 1 + leaves - calls);
    }
    assert_int_equal(calls, leaves);
    assert_true(cap_clear(&space));
    memset(model, 0, sizeof(model));
    memset(leaf_used, 0, sizeof(leaf_used));
    check_references();
    assert_int_equal(cap_prepare(&space, 0), STATUS_DEAD);
    for (uint64_t i = 0; i < OBJ_SELECTORS; i += CAPS_PER_LEAF / 2)
        check(i);
    free(space.obj.table);
}

static void random_insertions_and_removals(void **state)
{
    (void)state;
    srand(1);
    begin();
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t selector = random_selector(), quota = account.quota;

        if (rand() % 16 == 0)
            account.quota = 0;
        if (rand() % 2) {
            insert(selector);
        } else {
            cap_remove(&space, selector);
            if (selector < OBJ_SELECTORS)
                model[selector].object = 0;
        }
        if (!account.quota)
            account.quota = quota;
        check(selector);
        check(random_selector());
        if (round % 10000 == 0)
            check_references();
        assert_int_equal(pages_used, 1 + leaves_used());
        if (round % 50000 == 49999) {
            clear();
            begin();
        }
    }
    clear();
}

/* Every selector there is. */
static void full(void **state)
{
    (void)state;
    srand(2);
    begin();
    for (uint64_t selector = 0; selector < OBJ_SELECTORS; selector++)
        insert(selector);
    assert_int_equal(account.quota, 0);
    for (uint64_t selector = 0; selector < OBJ_SELECTORS; selector++)
        check(selector);
    check_references();
    clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_insertions_and_removals),
        cmocka_unit_test(full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
