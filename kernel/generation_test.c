/* SPDX-License-Identifier: ISC */
/*
 * The contract of generation.h, with several who ask at the same time, as for grace periods: what was posted
 * before the number was raised has been seen by every other CPU when its answer has reached the number. A
 * step is one access to shared memory; the seed says whose turn it is and when stores leave their buffers.
 * Ways to do it wrong have to fail. The shootdown as a whole: shootdown_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/generation.h"
#include "tests/model/processor.h"

#define SEEDS       4000u
#define SEEDS_WRONG 20000u /* until which a wrong protocol has to have failed */
#define STEPS       3000u
#define CPUS_MAX    4u

struct contract {
    const char *name;
    bool number_after, answered_first, raised_first, not_waited;
};

struct party {
    uint64_t posted, seen, begun, wanted, looked[CPUS_MAX];
    unsigned looking;
    bool asks, posting;
    enum { AT_REST, POST, RAISE, LOOK, ANSWER } at;
    struct stores stores;
};

struct parties {
    uint64_t wanted, random;
    unsigned count;
    unsigned long rounds;
    struct party party[CPUS_MAX];
};

static void rest(struct parties *all, struct party *p, const struct contract *contract)
{
    if (!p->asks) {
        p->at = contract->raised_first ? RAISE : POST;
        return;
    }
    for (unsigned i = 0; i < all->count && !contract->not_waited; i++) {
        if (&all->party[i] != p && !generation_reached(&all->party[i].seen, p->wanted))
            return;
    }
    for (unsigned i = 0; i < all->count; i++) {
        if (&all->party[i] != p && all->party[i].looked[p - all->party] < p->posted)
            all->rounds = 0; /* it has not seen what was posted */
    }
    p->asks = false;
    if (all->rounds)
        all->rounds++;
}

static void party_step(struct parties *all, struct party *p, const struct contract *contract)
{
    switch (p->at) {
    case AT_REST:
        if (draw(&all->random, 2)) {
            rest(all, p, contract);
            break;
        }
        p->begun = generation_begin(&all->wanted);
        p->looking = 0;
        p->at = contract->answered_first ? ANSWER : LOOK;
        break;
    case POST:
        store(&p->stores, &all->party[p - all->party].posted, p->posted + 1);
        p->asks = contract->raised_first;
        p->at = contract->raised_first ? AT_REST : RAISE;
        break;
    case RAISE:
        drain(&p->stores);
        p->wanted = generation_raise(&all->wanted);
        p->asks = !contract->raised_first;
        p->at = contract->raised_first ? POST : AT_REST;
        break;
    case LOOK:
        p->looked[p->looking] = all->party[p->looking].posted;
        if (++p->looking == all->count)
            p->at = contract->answered_first ? AT_REST : ANSWER;
        break;
    case ANSWER:
        if (contract->number_after)
            p->begun = generation_begin(&all->wanted);
        store_answer(&p->stores, &p->seen, p->begun);
        p->at = contract->answered_first ? LOOK : AT_REST;
        break;
    }
}

/* How often it was waited to the end; 0: once too short. */
static unsigned long run_parties(const struct contract *contract, unsigned seed)
{
    static struct parties all;

    memset(&all, 0, sizeof(all));
    all.random = draw_begin(seed);
    all.rounds = 1;
    all.count = 2 + draw(&all.random, CPUS_MAX - 1);
    for (unsigned step = 0; step < STEPS && all.rounds; step++) {
        struct party *p = &all.party[draw(&all.random, all.count)];

        if (p->stores.count && draw(&all.random, 2))
            drain_one(&p->stores);
        else
            party_step(&all, p, contract);
    }
    return all.rounds;
}

static void requests(void **state)
{
    static const struct contract right = {.name = "right"};
    unsigned long rounds = 0;

    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        unsigned long waited = run_parties(&right, seed);

        if (!waited)
            print_message("seed %u\n", seed);
        assert_int_not_equal(waited, 0);
        rounds += waited - 1;
    }
    print_message("%u seeds: %lu requests\n", SEEDS, rounds);
    assert_true(rounds > SEEDS);
}

static void requests_done_wrong(void **state)
{
    static const struct contract wrong[] = {
        {"the answer's number is read after acting", .number_after = true},
        {"answered before acting", .answered_first = true},
        {"raised before what is asked for is there", .raised_first = true},
        {"nobody waits", .not_waited = true},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        unsigned seed = 1;

        while (run_parties(&wrong[i], seed) && seed < SEEDS_WRONG)
            seed++;
        print_message("%s: seed %u\n", wrong[i].name, seed);
        assert_true(seed < SEEDS_WRONG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(requests_done_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
