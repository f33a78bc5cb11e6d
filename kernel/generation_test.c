/* SPDX-License-Identifier: ISC */
/*
 * Requests and answers (generation.h), and the shootdown built on them, against a model of processors. A CPU
 * is a machine that takes one step at a time, a step being one access to shared memory; whose turn it is,
 * when stores leave their buffers, when interrupts arrive and what the TLBs fetch unasked is drawn from a
 * seed. What smp.c, space.c and svm.c do around the header is repeated here step by step. A frame that was
 * taken out of a space is free after the wait and soon another's: a CPU that still uses it, or walks through
 * a table that is none any more, is the failure. Each protocol that is known to be wrong has to fail, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/generation.h"
#include "kernel/tag.h"

#define SEEDS       4000u
#define SEEDS_WRONG 20000u /* until which a wrong protocol has to have failed */
#define STEPS       3000u
#define LONG        1000u /* steps of a program that makes no call */
#define RARE        100u  /* how often there is one */
#define PATIENCE    400u  /* steps of one that waits until it counts as stuck */

#define CPUS_MAX    4u
#define SPACES      48u
#define LIVE_SPACES 4u
#define FRAMES      24u
#define ROOTS       2u /* entries of a root */
#define LEAVES      2u /* of a table below it */
#define PAGES       (ROOTS * LEAVES)
#define TAGS_MAX    4u
#define VCPUS       6u
#define BUFFER      8u
#define TRACE       48u
#define KERNEL_ROOT 0u /* frame 0, which maps nothing; as an entry: not present */
#define NO_SPACE    SPACES

/* What is done wrong. */
struct protocol {
    const char *name;
    bool not_raised, not_waited, no_interrupt, waiters_deaf, not_self; /* the shootdown */
    bool mask_first;                                                   /* before what it is for */
    bool tables_early;                                                 /* freed before the wait */
    bool generation_kept, generation_ignored;                          /* of a GST space */
    bool wrap_unflushed, refusal_forgotten;                            /* tags */
    bool dead_entered;                 /* not looked at again after an interrupt */
    bool root_new;                     /* the dead space's root is not asked for */
    bool join_unmarked, join_unlocked; /* the CPU's bit */
};

enum frame_kind { FREE, ROOT, TABLE, DATA };

struct frame {
    enum frame_kind kind;
    unsigned space, place; /* whose, and at which page or root entry */
};

struct space {
    bool live, freed, guest;
    uint64_t root;                             /* the model's own knowledge */
    uint64_t dead, physical, generation, cpus; /* shared memory */
};

/* What a TLB holds of one space: tables, leaves. */
struct translations {
    uint64_t table[ROOTS], leaf[PAGES];
};

struct vcpu {
    bool used, flush_all, flush_tag;
    unsigned space;
    uint64_t root, seen_generation;
    struct tag tag;
};

struct model;
struct cpu;
typedef void step_function(struct model *m, struct cpu *cpu);

struct cpu {
    unsigned number, waited;
    step_function *step, *locked, *answered, *shot; /* the next; what follows lock, answer, shootdown */
    struct {
        uint64_t *place, value;
    } buffer[BUFFER];
    unsigned buffered;
    bool interrupt, spins; /* the user's program: makes no calls, for long or until it is interrupted */

    uint64_t cr3;
    unsigned loaded; /* space */
    struct translations host, guest[TAGS_MAX];

    uint64_t ecs; /* bit a space */
    struct vcpu vcpus[VCPUS], *vcpu;
    struct tags tags;

    uint64_t seen, begun, wanted, ticket;   /* the protocol's */
    unsigned space, target, asked;          /* of a call; of an answer */
    uint64_t physical, mask, rest, joining; /* of a call */
    uint64_t taken[FRAMES];
    unsigned takens;
};

struct model {
    const struct protocol *protocol;
    uint64_t random;
    unsigned cpus, spaces, live;
    struct cpu cpu[CPUS_MAX];
    struct space space[SPACES];
    struct frame frame[FRAMES];
    uint64_t memory[FRAMES][ROOTS];
    uint64_t lock_next, lock_owner;
    struct {
        uint64_t wanted, mask, space, physical;
    } shootdown;
    const char *failure;
    unsigned long steps, shootdowns, handed, entries, wraps;
    struct {
        unsigned cpu;
        const char *what;
        uint64_t value;
    } trace[TRACE];
    unsigned long traced;
};

static uint32_t draw(uint64_t *random, uint32_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return (uint32_t)(*random >> 16) % below;
}

static void note(struct model *m, const struct cpu *cpu, const char *what, uint64_t value)
{
    m->trace[m->traced % TRACE].cpu = cpu->number;
    m->trace[m->traced % TRACE].what = what;
    m->trace[m->traced++ % TRACE].value = value;
}

static void fail_run(struct model *m, const struct cpu *cpu, const char *what, uint64_t value)
{
    note(m, cpu, what, value);
    if (!m->failure)
        m->failure = what;
}

/* Memory: stores wait in order and are seen by their own CPU; atomic operations and the like drain them. */

static void drain_one(struct cpu *cpu)
{
    if (cpu->buffer[0].place == &cpu->seen)
        generation_answer(&cpu->seen, cpu->buffer[0].value);
    else
        *cpu->buffer[0].place = cpu->buffer[0].value;
    cpu->buffered--;
    memmove(cpu->buffer, cpu->buffer + 1, cpu->buffered * sizeof(cpu->buffer[0]));
}

static void drain(struct cpu *cpu)
{
    while (cpu->buffered)
        drain_one(cpu);
}

static void store(struct cpu *cpu, uint64_t *place, uint64_t value)
{
    if (cpu->buffered == BUFFER)
        drain_one(cpu);
    cpu->buffer[cpu->buffered].place = place;
    cpu->buffer[cpu->buffered++].value = value;
}

static uint64_t load(const struct cpu *cpu, const uint64_t *place)
{
    for (unsigned i = cpu->buffered; i--;) {
        if (cpu->buffer[i].place == place)
            return cpu->buffer[i].value;
    }
    return *place;
}

/* Frames and TLBs. */

static bool frame_is(const struct model *m, uint64_t frame, enum frame_kind kind, unsigned space,
                     unsigned place)
{
    const struct frame *f = &m->frame[frame];

    return f->kind == kind && f->space == space && f->place == place;
}

/* KERNEL_ROOT: none is free. */
static uint64_t frame_take(struct model *m, enum frame_kind kind, unsigned space, unsigned place)
{
    unsigned first = draw(&m->random, FRAMES);

    for (unsigned i = 0; i < FRAMES; i++) {
        unsigned frame = (first + i) % FRAMES;

        if (frame == KERNEL_ROOT || m->frame[frame].kind != FREE)
            continue;
        m->frame[frame] = (struct frame){kind, space, place};
        m->handed++;
        return frame;
    }
    return KERNEL_ROOT;
}

/* One access to memory for a page, or, if the translation is there already, its use. */
static void translate(struct model *m, struct cpu *cpu, struct translations *t, uint64_t root, unsigned space,
                      bool use)
{
    unsigned page = draw(&m->random, PAGES), place = page / LEAVES;

    if (t->leaf[page]) {
        if (use && !frame_is(m, t->leaf[page], DATA, space, page))
            fail_run(m, cpu, "uses a frame that was taken away", t->leaf[page]);
    } else if (!t->table[place]) {
        if (!frame_is(m, root, ROOT, space, 0))
            fail_run(m, cpu, "walks a root that was freed", root);
        t->table[place] = m->memory[root][place];
    } else {
        if (!frame_is(m, t->table[place], TABLE, space, place))
            fail_run(m, cpu, "walks a table that was freed", t->table[place]);
        t->leaf[page] = m->memory[t->table[place]][page % LEAVES];
    }
}

static void load_root(struct model *m, struct cpu *cpu, uint64_t root, unsigned space)
{
    drain(cpu);
    note(m, cpu, "loads root", root);
    cpu->cr3 = root;
    cpu->loaded = root == KERNEL_ROOT ? NO_SPACE : space;
    cpu->host = (struct translations){0};
    if (root != KERNEL_ROOT && !frame_is(m, root, ROOT, space, 0))
        fail_run(m, cpu, "loads a root that was freed", root);
}

/* Answering: answer_shootdown and shoot of smp.c. */

static step_function user, guest_check, guest_compare, lock_wait;

static void answer_number(struct model *m, struct cpu *cpu)
{
    note(m, cpu, "answers", cpu->begun);
    (void)m;
    store(cpu, &cpu->seen, cpu->begun);
    cpu->step = cpu->answered;
}

static void answer_act(struct model *m, struct cpu *cpu)
{
    load_root(m, cpu, load(cpu, &m->space[cpu->asked].physical), cpu->asked);
    cpu->step = answer_number;
}

static void answer_compare(struct model *m, struct cpu *cpu)
{
    cpu->step = load(cpu, &m->shootdown.physical) == cpu->cr3 ? answer_act : answer_number;
}

static void answer_space(struct model *m, struct cpu *cpu)
{
    cpu->asked = (unsigned)load(cpu, &m->shootdown.space);
    if (m->space[cpu->asked].freed)
        fail_run(m, cpu, "looks at a space that was freed", cpu->asked);
    cpu->step = m->space[cpu->asked].guest ? answer_number : answer_compare;
}

static void answer_mask(struct model *m, struct cpu *cpu)
{
    cpu->step = load(cpu, &m->shootdown.mask) & 1ul << cpu->number ? answer_space : cpu->answered;
}

static void answer_begin(struct model *m, struct cpu *cpu)
{
    uint64_t seen = load(cpu, &cpu->seen);

    cpu->begun = generation_begin(&m->shootdown.wanted);
    cpu->step = generation_reached(&seen, cpu->begun) ? cpu->answered : answer_mask;
}

static void interrupt(struct model *m, struct cpu *cpu, step_function *then)
{
    note(m, cpu, "is interrupted", 0);
    (void)m;
    cpu->interrupt = cpu->spins = false;
    cpu->answered = then;
    cpu->step = answer_begin;
}

/* Asking: smp_shootdown. */

static void shoot_wait(struct model *m, struct cpu *cpu)
{
    if (cpu->rest && !generation_reached(&m->cpu[__builtin_ctzl(cpu->rest)].seen, cpu->wanted)) {
        if (++cpu->waited == PATIENCE)
            fail_run(m, cpu, "waits without end", cpu->rest);
        return;
    }
    cpu->rest &= cpu->rest - 1;
    if (!cpu->rest)
        cpu->step = cpu->shot;
}

static void shoot_interrupt(struct model *m, struct cpu *cpu)
{
    m->cpu[__builtin_ctzl(cpu->rest)].interrupt |= !m->protocol->no_interrupt;
    cpu->rest &= cpu->rest - 1;
    if (cpu->rest)
        return;
    cpu->rest = cpu->mask;
    cpu->waited = 0;
    cpu->step = m->protocol->not_waited ? cpu->shot : shoot_wait;
}

static void shoot_raise(struct model *m, struct cpu *cpu)
{
    drain(cpu);
    if (m->protocol->not_raised)
        cpu->wanted = generation_begin(&m->shootdown.wanted);
    else
        cpu->wanted = generation_raise(&m->shootdown.wanted);
    note(m, cpu, "raises to", cpu->wanted);
    m->shootdowns++;
    cpu->rest = cpu->mask;
    cpu->step = shoot_interrupt;
}

static void shoot_mask(struct model *m, struct cpu *cpu)
{
    if (!m->protocol->mask_first)
        store(cpu, &m->shootdown.mask, cpu->mask);
    cpu->step = shoot_raise;
}

static void shoot_self(struct model *m, struct cpu *cpu)
{
    if (!m->space[cpu->space].guest && cpu->cr3 == cpu->physical && !m->protocol->not_self)
        load_root(m, cpu, load(cpu, &m->space[cpu->space].physical), cpu->space);
    cpu->step = cpu->mask ? shoot_mask : cpu->shot;
}

static void shoot_physical(struct model *m, struct cpu *cpu)
{
    store(cpu, &m->shootdown.physical, cpu->physical);
    cpu->step = shoot_self;
}

static void shoot_space(struct model *m, struct cpu *cpu)
{
    store(cpu, &m->shootdown.space, cpu->space);
    cpu->step = shoot_physical;
}

static void shoot(struct model *m, struct cpu *cpu, uint64_t physical, step_function *then)
{
    cpu->physical = physical;
    cpu->mask = load(cpu, &m->space[cpu->space].cpus) & ~(1ul << cpu->number);
    cpu->shot = then;
    note(m, cpu, "shoots down space", cpu->space);
    if (m->protocol->mask_first && cpu->mask)
        store(cpu, &m->shootdown.mask, cpu->mask);
    cpu->step = shoot_space;
}

/* The kernel's lock. */

static void lock_wait(struct model *m, struct cpu *cpu)
{
    if (load(cpu, &m->lock_owner) == cpu->ticket) {
        cpu->step = cpu->locked;
    } else if (!m->protocol->waiters_deaf) {
        cpu->answered = lock_wait;
        cpu->step = answer_begin;
    }
}

static void lock_take(struct model *m, struct cpu *cpu)
{
    drain(cpu);
    cpu->ticket = __atomic_fetch_add(&m->lock_next, 1, __ATOMIC_RELAXED);
    cpu->step = lock_wait;
}

static void unlock(struct model *m, struct cpu *cpu)
{
    store(cpu, &m->lock_owner, cpu->ticket + 1);
    cpu->step = user;
}

/* The calls that hold it: space.c, ec_create, vcpu_create. */

static bool choose_space(struct model *m, struct cpu *cpu)
{
    unsigned first = draw(&m->random, SPACES);

    for (unsigned i = 0; i < m->spaces; i++) {
        cpu->space = (first + i) % m->spaces;
        if (m->space[cpu->space].live)
            return true;
    }
    return false;
}

static void create(struct model *m, struct cpu *cpu)
{
    struct space *space = &m->space[m->spaces];
    uint64_t root;

    cpu->step = unlock;
    if (m->spaces == SPACES || m->live == LIVE_SPACES)
        return;
    root = frame_take(m, ROOT, m->spaces, 0);
    if (root == KERNEL_ROOT)
        return;
    for (unsigned i = 0; i < ROOTS; i++)
        store(cpu, &m->memory[root][i], 0);
    *space = (struct space){.live = true, .root = root, .guest = draw(&m->random, 2)};
    store(cpu, &space->physical, root);
    m->spaces++;
    m->live++;
}

static void map(struct model *m, struct cpu *cpu)
{
    unsigned page = draw(&m->random, PAGES), place = page / LEAVES;
    uint64_t *entry, table, frame;

    cpu->step = unlock;
    if (!choose_space(m, cpu))
        return;
    entry = &m->memory[m->space[cpu->space].root][place];
    table = load(cpu, entry);
    if (!table) {
        table = frame_take(m, TABLE, cpu->space, place);
        for (unsigned i = 0; table && i < LEAVES; i++)
            store(cpu, &m->memory[table][i], 0);
        store(cpu, entry, table);
    }
    if (!table || load(cpu, &m->memory[table][page % LEAVES]))
        return;
    frame = frame_take(m, DATA, cpu->space, page);
    store(cpu, &m->memory[table][page % LEAVES], frame);
    note(m, cpu, "maps frame", frame);
}

static void take(struct cpu *cpu, uint64_t frame)
{
    if (frame)
        cpu->taken[cpu->takens++] = frame;
}

/* Free those of a kind, or all. */
static void release(struct model *m, struct cpu *cpu, enum frame_kind kind)
{
    for (unsigned i = 0; i < cpu->takens; i++) {
        struct frame *frame = &m->frame[cpu->taken[i]];

        if (frame->kind == kind || kind == FREE) {
            note(m, cpu, "frees frame", cpu->taken[i]);
            frame->kind = FREE;
            cpu->taken[i--] = cpu->taken[--cpu->takens];
        }
    }
}

static void remove_end(struct model *m, struct cpu *cpu)
{
    release(m, cpu, FREE);
    cpu->step = unlock;
}

static void remove_generation(struct model *m, struct cpu *cpu)
{
    struct space *space = &m->space[cpu->space];

    if (!m->protocol->generation_kept)
        store(cpu, &space->generation, load(cpu, &space->generation) + 1);
    shoot(m, cpu, load(cpu, &space->physical), remove_end);
}

/* A leaf, or a table with all its leaves, in whose place something else comes. */
static void remove_entry(struct model *m, struct cpu *cpu)
{
    unsigned page = draw(&m->random, PAGES);
    uint64_t *entry, table;

    cpu->step = unlock;
    if (!choose_space(m, cpu))
        return;
    entry = &m->memory[m->space[cpu->space].root][page / LEAVES];
    table = load(cpu, entry);
    if (!table)
        return;
    if (draw(&m->random, 3)) {
        entry = &m->memory[table][page % LEAVES];
        take(cpu, load(cpu, entry));
    } else {
        take(cpu, table);
        for (unsigned i = 0; i < LEAVES; i++)
            take(cpu, load(cpu, &m->memory[table][i]));
    }
    if (!cpu->takens)
        return;
    store(cpu, entry, 0);
    note(m, cpu, "clears entry of frame", cpu->taken[0]);
    if (m->protocol->tables_early)
        release(m, cpu, TABLE);
    cpu->step = remove_generation;
}

static void destroy_end(struct model *m, struct cpu *cpu)
{
    for (unsigned i = 0; i < FRAMES; i++) {
        if (m->frame[i].kind != FREE && m->frame[i].space == cpu->space)
            m->frame[i].kind = FREE;
    }
    m->space[cpu->space].freed = true;
    note(m, cpu, "has freed space", cpu->space);
    cpu->step = unlock;
}

static void destroy_retire(struct model *m, struct cpu *cpu)
{
    struct space *space = &m->space[cpu->space];
    uint64_t physical = load(cpu, &space->physical);

    store(cpu, &space->generation, load(cpu, &space->generation) + 1);
    store(cpu, &space->physical, KERNEL_ROOT);
    shoot(m, cpu, m->protocol->root_new ? KERNEL_ROOT : physical, destroy_end);
}

static void destroy(struct model *m, struct cpu *cpu)
{
    cpu->step = unlock;
    if (!choose_space(m, cpu))
        return;
    m->space[cpu->space].live = false;
    m->live--;
    store(cpu, &m->space[cpu->space].dead, 1);
    note(m, cpu, "destroys space", cpu->space);
    cpu->step = destroy_retire;
}

/* The EC or vCPU can run from now on; its CPU learns it by an atomic list. */
static void join_end(struct model *m, struct cpu *cpu)
{
    struct cpu *target = &m->cpu[cpu->target];
    const struct space *space = &m->space[cpu->space];

    drain(cpu);
    note(m, cpu, "has joined CPU", cpu->target);
    cpu->step = m->protocol->join_unlocked ? user : unlock;
    if (!space->guest) {
        target->ecs |= 1ul << cpu->space;
        return;
    }
    for (unsigned i = 0; i < VCPUS; i++) {
        if (target->vcpus[i].used)
            continue;
        target->vcpus[i] = (struct vcpu){.used = true, .space = cpu->space, .root = space->root};
        return;
    }
}

static void join_mark(struct model *m, struct cpu *cpu)
{
    if (!m->protocol->join_unmarked)
        store(cpu, &m->space[cpu->space].cpus, cpu->joining | 1ul << cpu->target);
    cpu->step = join_end;
}

static void join(struct model *m, struct cpu *cpu)
{
    cpu->step = m->protocol->join_unlocked ? user : unlock;
    if (!choose_space(m, cpu))
        return;
    cpu->target = draw(&m->random, m->cpus);
    cpu->joining = load(cpu, &m->space[cpu->space].cpus);
    cpu->step = join_mark;
}

/* Changing the address space, without the lock: ec_switch. */

static void switch_load(struct model *m, struct cpu *cpu)
{
    load_root(m, cpu, load(cpu, &m->space[cpu->space].physical), cpu->space);
    if (cpu->cr3 == KERNEL_ROOT)
        cpu->ecs &= ~(1ul << cpu->space); /* its next instruction is its last */
    cpu->step = user;
}

static void switch_compare(struct model *m, struct cpu *cpu)
{
    cpu->step = load(cpu, &m->space[cpu->space].physical) == cpu->cr3 ? user : switch_load;
    if (cpu->step == user && cpu->cr3 != KERNEL_ROOT && cpu->loaded != cpu->space)
        fail_run(m, cpu, "stays on a dead space's root", cpu->cr3);
}

static void switch_choose(struct model *m, struct cpu *cpu)
{
    unsigned skip;

    cpu->step = user;
    if (!cpu->ecs)
        return;
    skip = draw(&m->random, (uint32_t)__builtin_popcountl(cpu->ecs));
    for (unsigned i = 0; i < SPACES; i++) {
        if (!(cpu->ecs & 1ul << i) || skip--)
            continue;
        cpu->space = i;
        cpu->step = switch_compare;
        return;
    }
}

/* Guests: vcpu_run.c and prepare_tag of svm.c. */

static void guest(struct model *m, struct cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;

    if (cpu->interrupt && !draw(&m->random, 3)) {
        interrupt(m, cpu, m->protocol->dead_entered ? guest_compare : guest_check);
        return;
    }
    switch (draw(&m->random, 8)) {
    case 0:
        cpu->step = guest_compare; /* an interrupt that concerns nobody here */
        break;
    case 1:
        cpu->step = user; /* an exit for the monitor */
        break;
    default:
        translate(m, cpu, &cpu->guest[vcpu->tag.number], vcpu->root, vcpu->space, true);
    }
}

static void guest_enter(struct model *m, struct cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;

    drain(cpu);
    if (!draw(&m->random, 12)) { /* the processor refuses the state, and does not flush */
        note(m, cpu, "is refused with tag", vcpu->tag.number);
        vcpu->tag.generation = 0;
        if (!m->protocol->refusal_forgotten)
            cpu->tags.next =
                cpu->tags.limit; /* the flush may have been for all: it comes with the next tag */
        cpu->step = user;
        return;
    }
    note(m, cpu, "enters with tag", vcpu->tag.number);
    m->entries++;
    if (vcpu->flush_all) {
        memset(cpu->guest, 0, sizeof(cpu->guest));
        cpu->host = (struct translations){0};
    } else if (vcpu->flush_tag) {
        cpu->guest[vcpu->tag.number] = (struct translations){0};
    }
    cpu->step = guest;
}

static void guest_tag(struct model *m, struct cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;
    bool flush = false;

    if (tag_renew(&cpu->tags, &vcpu->tag, &flush) && flush) {
        m->wraps++;
        vcpu->flush_all = !m->protocol->wrap_unflushed;
    }
    cpu->step = guest_enter;
}

static void guest_flush(struct model *m, struct cpu *cpu)
{
    cpu->vcpu->seen_generation = load(cpu, &m->space[cpu->vcpu->space].generation);
    cpu->vcpu->flush_tag = !m->protocol->generation_ignored;
    cpu->step = guest_tag;
}

static void guest_compare(struct model *m, struct cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;

    vcpu->flush_all = vcpu->flush_tag = false;
    cpu->step =
        load(cpu, &m->space[vcpu->space].generation) != vcpu->seen_generation ? guest_flush : guest_tag;
}

static void guest_check(struct model *m, struct cpu *cpu)
{
    cpu->step = guest_compare;
    if (!load(cpu, &m->space[cpu->vcpu->space].dead))
        return;
    cpu->vcpu->used = false;
    cpu->step = user;
}

static void guest_choose(struct model *m, struct cpu *cpu)
{
    unsigned first = draw(&m->random, VCPUS);

    cpu->step = user;
    for (unsigned i = 0; i < VCPUS && cpu->step == user; i++) {
        cpu->vcpu = &cpu->vcpus[(first + i) % VCPUS];
        if (cpu->vcpu->used)
            cpu->step = guest_check;
    }
}

/* User mode, or the idle loop. */
static void user(struct model *m, struct cpu *cpu)
{
    static const struct {
        step_function *step;
        bool locked;
    } calls[] = {{create, true},        {map, true},           {map, true},
                 {map, true},           {remove_entry, true},  {join, true},
                 {remove_entry, true},  {join, true},          {switch_choose, false},
                 {guest_choose, false}, {guest_choose, false}, {switch_choose, false}};
    unsigned call = draw(&m->random, 1 + 2 * sizeof(calls) / sizeof(*calls));

    if (cpu->interrupt && !draw(&m->random, 3)) {
        interrupt(m, cpu, user);
        return;
    }
    if (!draw(&m->random, cpu->spins ? LONG : RARE))
        cpu->spins = !cpu->spins;
    if (cpu->spins || call >= sizeof(calls) / sizeof(*calls)) {
        if (cpu->loaded != NO_SPACE)
            translate(m, cpu, &cpu->host, cpu->cr3, cpu->loaded, true);
        return;
    }
    cpu->locked = calls[call].step;
    if (cpu->locked == create && m->live > 1 && draw(&m->random, 2))
        cpu->locked = destroy;
    cpu->step =
        calls[call].locked && !(cpu->locked == join && m->protocol->join_unlocked) ? lock_take : cpu->locked;
}

static void run(struct model *m, const struct protocol *protocol, unsigned seed)
{
    memset(m, 0, sizeof(*m));
    m->protocol = protocol;
    m->random = seed * 0x9e3779b97f4a7c15u + 1;
    draw(&m->random, 2);
    m->cpus = 2 + draw(&m->random, CPUS_MAX - 1);
    for (unsigned i = 0; i < m->cpus; i++) {
        struct cpu *cpu = &m->cpu[i];

        cpu->number = i;
        cpu->step = user;
        cpu->loaded = NO_SPACE;
        tags_init(&cpu->tags, 2 + draw(&m->random, TAGS_MAX - 1));
    }
    for (; m->steps < STEPS && !m->failure; m->steps++) {
        struct cpu *cpu = &m->cpu[draw(&m->random, m->cpus)];

        if (cpu->buffered && draw(&m->random, 2))
            drain_one(cpu);
        else if (cpu->loaded != NO_SPACE && !draw(&m->random, 4))
            translate(m, cpu, &cpu->host, cpu->cr3, cpu->loaded, false); /* unasked, in the kernel, too */
        else
            cpu->step(m, cpu);
    }
}

static void print_run(const struct model *m, unsigned seed)
{
    print_message("seed %u, %u CPUs, step %lu: %s\n", seed, m->cpus, m->steps, m->failure);
    for (unsigned long i = m->traced < TRACE ? 0 : m->traced - TRACE; i < m->traced; i++)
        print_message("  CPU %u %s %lu\n", m->trace[i % TRACE].cpu, m->trace[i % TRACE].what,
                      (unsigned long)m->trace[i % TRACE].value);
}

static void shootdown(void **state)
{
    static const struct protocol right = {.name = "right"};
    static struct model m;
    unsigned long steps = 0, shootdowns = 0, handed = 0, entries = 0, wraps = 0;

    (void)state;
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        run(&m, &right, seed);
        if (m.failure)
            print_run(&m, seed);
        assert_null(m.failure);
        steps += m.steps;
        shootdowns += m.shootdowns;
        handed += m.handed;
        entries += m.entries;
        wraps += m.wraps;
    }
    print_message(
        "%u seeds: %lu steps, %lu shootdowns, %lu frames handed out, %lu entries, %lu wraps of tags\n", SEEDS,
        steps, shootdowns, handed, entries, wraps);
    assert_true(shootdowns > SEEDS && entries > SEEDS && wraps > SEEDS);
}

static void shootdown_done_wrong(void **state)
{
    static const struct protocol wrong[] = {
        {"the number is not raised", .not_raised = true},
        {"nobody waits", .not_waited = true},
        {"nobody is interrupted", .no_interrupt = true},
        {"who waits for the lock does not answer", .waiters_deaf = true},
        {"the asking CPU does not flush", .not_self = true},
        {"the mask is there before the space", .mask_first = true},
        {"tables are freed before the wait", .tables_early = true},
        {"the GST space's generation stays", .generation_kept = true},
        {"the GST space's generation is ignored", .generation_ignored = true},
        {"tags begin anew without a flush", .wrap_unflushed = true},
        {"the flush of a refused entry is forgotten", .refusal_forgotten = true},
        {"a guest goes on after an interrupt though its space is dead", .dead_entered = true},
        {"a dead space's new root is asked for", .root_new = true},
        {"an EC's CPU is not marked", .join_unmarked = true},
        {"an EC's CPU is marked without the lock", .join_unlocked = true},
    };
    static struct model m;

    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        unsigned seed = 0;

        do
            run(&m, &wrong[i], ++seed);
        while (!m.failure && seed < SEEDS_WRONG);
        print_message("%s: seed %u: %s\n", wrong[i].name, seed, m.failure ? m.failure : "NOT CAUGHT");
        assert_non_null(m.failure);
    }
}

/*
 * The contract of generation.h alone, with several who ask at the same time, as for grace periods: what was
 * posted before the number was raised has been seen by every other CPU when its answer has reached the
 * number.
 */
struct contract {
    const char *name;
    bool number_after, answered_first, raised_first, not_waited;
};

struct party {
    uint64_t posted, seen, begun, wanted, looked[CPUS_MAX];
    unsigned looking;
    bool asks, posting;
    enum { AT_REST, POST, RAISE, LOOK, ANSWER } at;
    struct cpu cpu; /* for its stores */
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
        store(&p->cpu, &all->party[p - all->party].posted, p->posted + 1);
        p->asks = contract->raised_first;
        p->at = contract->raised_first ? AT_REST : RAISE;
        break;
    case RAISE:
        drain(&p->cpu);
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
        store(&p->cpu, &p->seen, p->begun);
        p->at = contract->answered_first ? LOOK : AT_REST;
        break;
    }
}

/* How often it was waited to the end; 0: once too short. */
static unsigned long run_parties(const struct contract *contract, unsigned seed)
{
    static struct parties all;

    memset(&all, 0, sizeof(all));
    all.random = seed * 0x9e3779b97f4a7c15u + 1;
    all.rounds = 1;
    draw(&all.random, 2);
    all.count = 2 + draw(&all.random, CPUS_MAX - 1);
    for (unsigned step = 0; step < STEPS && all.rounds; step++) {
        struct party *p = &all.party[draw(&all.random, all.count)];

        if (p->cpu.buffered && draw(&all.random, 2))
            drain_one(&p->cpu);
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
        cmocka_unit_test(shootdown),
        cmocka_unit_test(shootdown_done_wrong),
        cmocka_unit_test(requests),
        cmocka_unit_test(requests_done_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
