/* SPDX-License-Identifier: ISC */
/*
 * Tags of cached translations (tag.h), with very few of them, against model TLBs: a TLB keeps for each tag
 * what was fetched under it, and a guest that meets another's entry, or one that was taken away, is the
 * failure. What svm.c does around tag_renew is repeated here; done wrong in the ways that come to mind, it
 * has to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/tag.h"

#define SEEDS       5000u
#define SEEDS_WRONG 20000u
#define STEPS       600u
#define LIMIT_MAX   5u
#define CPUS        2u
#define VCPUS       6u
#define SPACES      3u

struct rules {
    const char *name;
    bool wrap_unflushed, wrap_flushes_tag, wrap_in_generation; /* when tags begin anew */
    bool refusal_forgotten, refused_tag_kept;                  /* the processor did not enter, nor flush */
    bool removal_ignored;                                      /* from the space */
    bool tag_inherited;                                        /* by another vCPU, perhaps of another CPU */
};

struct vcpu {
    unsigned cpu, space, life; /* a new life: another vCPU in the same place */
    struct tag tag;
    uint64_t generation; /* of the space, that it has flushed for */
};

/* What was fetched under a tag: for whom, and when. */
struct entry {
    bool valid;
    unsigned vcpu, life;
    uint64_t generation; /* of the space */
};

struct cpu {
    struct tags tags;
    struct entry tlb[LIMIT_MAX][VCPUS];
};

struct model {
    const struct rules *rules;
    uint64_t random;
    struct cpu cpu[CPUS];
    struct vcpu vcpu[VCPUS];
    uint64_t generation[SPACES];
    unsigned long entries, wraps;
    bool failed;
};

static uint32_t draw(struct model *m, uint32_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(m->random >> 16) % below;
}

/* The guest uses what the TLB has under its tag, and fetches some more. */
static void run_guest(struct model *m, struct cpu *cpu, unsigned number)
{
    const struct vcpu *vcpu = &m->vcpu[number];
    struct entry *tlb = cpu->tlb[vcpu->tag.number];

    for (unsigned i = 0; i < VCPUS; i++) {
        if (tlb[i].valid && (tlb[i].vcpu != number || tlb[i].life != vcpu->life ||
                             tlb[i].generation != m->generation[vcpu->space]))
            m->failed = true;
    }
    tlb[draw(m, VCPUS)] = (struct entry){true, number, vcpu->life, m->generation[vcpu->space]};
    m->entries++;
}

/* A wrap within the generation: what tag_renew must not do. */
static void undo_generation(struct cpu *cpu, struct tag *tag)
{
    cpu->tags.generation--;
    tag->generation = cpu->tags.generation;
}

static void enter(struct model *m, unsigned number)
{
    struct vcpu *vcpu = &m->vcpu[number];
    struct cpu *cpu = &m->cpu[vcpu->cpu];
    const struct rules *rules = m->rules;
    bool flush = false, flush_tag = false, flush_all = false;

    if (vcpu->generation != m->generation[vcpu->space]) {
        vcpu->generation = m->generation[vcpu->space];
        flush_tag = !rules->removal_ignored;
    }
    if (tag_renew(&cpu->tags, &vcpu->tag, &flush) && flush) {
        m->wraps++;
        flush_all = !rules->wrap_unflushed && !rules->wrap_flushes_tag;
        flush_tag |= rules->wrap_flushes_tag;
        if (rules->wrap_in_generation)
            undo_generation(cpu, &vcpu->tag);
    }
    if (!draw(m, 10)) { /* the processor refuses the state: any flush may be missing */
        if (!rules->refused_tag_kept)
            vcpu->tag.generation = 0;
        if (!rules->refusal_forgotten)
            cpu->tags.next = cpu->tags.limit; /* the next tag comes with a flush of all */
        return;
    }
    if (flush_all)
        memset(cpu->tlb, 0, sizeof(cpu->tlb));
    else if (flush_tag)
        memset(cpu->tlb[vcpu->tag.number], 0, sizeof(cpu->tlb[0]));
    run_guest(m, cpu, number);
}

static void step(struct model *m)
{
    unsigned number = draw(m, VCPUS);
    struct vcpu *vcpu = &m->vcpu[number];

    switch (draw(m, 12)) {
    case 0: /* something is removed from a space */
        m->generation[draw(m, SPACES)]++;
        break;
    case 1: /* another vCPU takes this one's place, perhaps on another CPU */
        *vcpu = (struct vcpu){.cpu = draw(m, CPUS),
                              .space = draw(m, SPACES),
                              .life = vcpu->life + 1,
                              .tag = m->rules->tag_inherited ? vcpu->tag : (struct tag){0}};
        break;
    default:
        enter(m, number);
    }
}

static void run(struct model *m, const struct rules *rules, unsigned seed)
{
    memset(m, 0, sizeof(*m));
    m->rules = rules;
    m->random = seed * 0x9e3779b97f4a7c15u + 1;
    draw(m, 2);
    for (unsigned i = 0; i < CPUS; i++)
        tags_init(&m->cpu[i].tags, 2 + draw(m, LIMIT_MAX - 1));
    for (unsigned i = 0; i < VCPUS; i++)
        m->vcpu[i] = (struct vcpu){.cpu = draw(m, CPUS), .space = draw(m, SPACES)};
    for (unsigned i = 0; i < STEPS && !m->failed; i++)
        step(m);
}

static void recycling(void **state)
{
    static const struct rules right = {.name = "right"};
    unsigned long entries = 0, wraps = 0;
    static struct model m;

    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        run(&m, &right, seed);
        if (m.failed)
            print_message("seed %u\n", seed);
        assert_false(m.failed);
        entries += m.entries;
        wraps += m.wraps;
    }
    print_message("%u seeds: %lu entries, %lu times anew\n", SEEDS, entries, wraps);
    assert_true(wraps > SEEDS * 10);
}

static void recycling_done_wrong(void **state)
{
    static const struct rules wrong[] = {
        {"tags begin anew without a flush", .wrap_unflushed = true},
        {"tags begin anew with a flush of one", .wrap_flushes_tag = true},
        {"tags begin anew in the same generation", .wrap_in_generation = true},
        {"the flush of a refused entry is forgotten", .refusal_forgotten = true},
        {"a refused entry keeps its tag", .refused_tag_kept = true},
        {"removals from the space are ignored", .removal_ignored = true},
        {"a new vCPU comes with an older one's tag", .tag_inherited = true},
    };
    static struct model m;

    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        unsigned seed = 0;

        do
            run(&m, &wrong[i], ++seed);
        while (!m.failed && seed < SEEDS_WRONG);
        print_message("%s: seed %u%s\n", wrong[i].name, seed, m.failed ? "" : ": NOT CAUGHT");
        assert_true(m.failed);
    }
}

/* Numbers and generations as the header promises them. */
static void numbers(void **state)
{
    (void)state;
    for (uint32_t limit = 2; limit < 10; limit++) {
        struct tags tags;
        uint32_t given = 0; /* bit a number: in this generation */
        uint64_t generation = 1;

        tags_init(&tags, limit);
        for (unsigned i = 0; i < 100; i++) {
            struct tag tag = {.number = 77, .generation = i % 3 ? generation - 1 : 0}, copy;
            bool flush = false, full = given == (1u << limit) - 2;

            assert_true(tag_renew(&tags, &tag, &flush));
            assert_int_equal(flush, full);
            if (full) {
                given = 0;
                generation++;
            }
            assert_in_range(tag.number, 1, limit - 1);
            assert_int_equal(tag.generation, generation);
            assert_int_equal(given & 1u << tag.number, 0);
            given |= 1u << tag.number;
            copy = tag;
            flush = false;
            assert_false(tag_renew(&tags, &tag, &flush));
            assert_false(flush);
            assert_memory_equal(&tag, &copy, sizeof(tag));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(recycling),
        cmocka_unit_test(recycling_done_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
