/* SPDX-License-Identifier: ISC */
/* Requests with random words, by init and two of its children, with a kernel that has no memory now and then:
 * whatever comes of it, the book adds up. */
#include "core/core.h"

#include "base/include/session/pd.h"
#include "tests/core/machine.h"

#include <cmocka.h>

#define REQUESTS 100000u
#define CHECKED  50u /* requests from one look at everything to the next */

static unsigned served[64]; /* by operation; 0: those of sessions */
static uint64_t seed = 0x9e3779b97f4a7c15ull;

static uint64_t number(uint64_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % limit;
}

/* Mostly what can be meant by something. */
static uint64_t word(void)
{
    switch (number(12)) {
    case 0:
        return number(5);
    case 1:
        return 16 + number(8);
    case 2:
        return number(4) * 0x100000 + number(300) * PAGE;
    case 3:
        return ATTACH_BASE + number(600) * PAGE;
    case 4:
        return MEM_READ | number(8);
    case 5:
        return 0x400000 + number(4096);
    case 6:
        return 0ul - number(40) * PAGE;
    case 7:
        return number(pds[1]->places + 2);
    case 8:
        return number(UINT64_MAX);
    case 9:
        return 0;
    default:
        return 1 + number(24);
    }
}

static void open_random(uint64_t child)
{
    static const char *const service[] = {"ROM", "LOG", "IRQ", "IO_PORT", "VM", "INFO", "DEVICE", "NONE"};
    static const char *const label[] = {"data", "4", "0x60", "010802", "00:05.0", "00:00.0", ""};
    static const char *const arguments[] = {"", "5", "0x10"};

    (void)!machine_open(child, 16 + number(8), number(4), service[number(8)], label[number(7)],
                        arguments[number(3)]);
}

/* A handle that is in use, 0: none was met. */
static uint64_t handle_random(const struct pd *pd, bool session)
{
    unsigned from = 1 + (unsigned)number(pd->places - 1);

    for (unsigned i = 0; i < pd->places; i++) {
        unsigned handle = (from + i) % pd->places, kind = pd->handle[handle].kind;
        if (session ? services[kind].request != NULL
                    : kind == HANDLE_RAM || kind == HANDLE_SHARE || kind == HANDLE_ROM || kind == HANDLE_BAR)
            return handle;
    }
    return 0;
}

static uint64_t place_random(const struct pd *pd)
{
    const struct attachment *attachment = &pd->attachment[number(16)];

    return attachment->page * PAGE;
}

static void request_random(struct pd *pd, uint64_t *child, unsigned children)
{
    uint64_t words[8];

    if (number(8) == 0) {
        open_random(number(2) ? child[number(children)] : 0);
        return;
    }
    for (unsigned i = 1; i < 8; i++)
        words[i] = word();
    words[0] = number(3)                         ? 1 + number(14)
               : pd == machine_init && number(2) ? 0x20 + number(14)
                                                 : session_operation(handle_random(pd, true), number(8));
    if (words[0] == PD_DETACH && number(4))
        words[1] = place_random(pd);
    else if (number(3) && (words[0] < 0x20 || words[0] > UINT16_MAX))
        words[1] = handle_random(pd, false);
    if (words[0] == PD_ATTACH && number(2))
        words[2] = words[3] = words[4] = 0;
    if (number(2))
        words[5] = MEM_READ | number(2) * MEM_WRITE;
    if (pd == machine_init && words[0] >= 0x20 && number(2))
        words[1] = child[number(children)];
    if (pd == machine_init && words[0] == CHILD_DESTROY && number(8))
        return;
    if (number(20) == 0)
        model.fail = 1 + (unsigned)number(6);
    uint64_t work = model.work;
    enum error error = machine_call(pd, words);
    served[words[0] < 64 ? words[0] : 0] += error == ERROR_OK || error == ERROR_MORE;
    assert_in_range(model.work - work, 0, 700);
    model.fail = 0;
}

/* A child that is gone comes again. */
static struct pd *child_again(uint64_t *handle)
{
    struct pd *child = NULL;

    if (handle_get(machine_init, *handle, HANDLE_CHILD))
        return machine_init->handle[*handle].child;
    while (handle_kind(machine_init, *handle) == HANDLE_CHILD)
        (void)!handle_close(machine_init, (unsigned)*handle);
    if (machine_child_create("child", 1500, 300, 4000 + number(60000), handle) == ERROR_OK) {
        (void)!WHOLE(machine_init, CHILD_START, *handle, 1);
        child = machine_init->handle[*handle].child;
        (void)!CALL(child, PD_ENTRY, 0x400000, 0x1000);
    } else {
        *handle = 0;
    }
    return child;
}

/* Init gives back what it has piled up, so that there is always something to ask for. */
static void tidy(void)
{
    for (unsigned i = 1; i < machine_init->places; i++)
        if (number(2) && machine_init->handle[i].kind != HANDLE_CHILD)
            while (machine_init->handle[i].kind != HANDLE_NONE && handle_close(machine_init, i) == ERROR_MORE)
                ;
}

static void test_random(void **state)
{
    uint64_t child[2] = {0, 0};

    (void)state;
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct pd *pd[3] = {machine_init, child_again(&child[0]), child_again(&child[1])};
        unsigned who = (unsigned)number(3);
        if (i % 2000 == 0)
            tidy();
        if (pd[who])
            request_random(pd[who], child, 2);
        if (i % CHECKED == 0)
            machine_check();
    }
    machine_check();
    for (unsigned i = PD_INFO; i <= PD_DROP; i++)
        assert_in_range(served[i] + (i == PD_ENTRY) * 20u, 20, REQUESTS); /* every child has made its entry */
    assert_in_range(served[0], 1000, REQUESTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, machine_start, machine_end);
}
