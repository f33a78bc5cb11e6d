/* SPDX-License-Identifier: ISC */
/*
 * The shootdown: generation.h and tag.h with what smp.c, space.c, ec.c, svm.c and vmx.c do around them,
 * repeated here step by step on model processors. A step is one access to shared memory; whose turn it is,
 * when stores leave their buffers, when interrupts arrive and what the TLBs fetch unasked is drawn from a
 * seed. A frame that was taken out of a space is free after the wait and soon another's: a CPU that still
 * uses it, or walks through a table that is none any more, is the failure. Each protocol that is known to be
 * wrong has to fail, too. (That the answer's number is read before acting is shown by generation_test.c:
 * where the kernel's lock keeps others from asking until all have answered, nothing comes of it.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/generation.h"
#include "kernel/tag.h"
#include "tests/model/ept.h"
#include "tests/model/processor.h"

#define SEEDS       4000u
#define SEEDS_WRONG 20000u /* until which a wrong protocol has to have failed */
#define STEPS       3000u
#define LONG        1000u /* steps of a program that makes no call */
#define RARE        100u  /* how often there is one */
#define PATIENCE    400u  /* steps of one that waits until it counts as stuck */

#define CPUS_MAX    4u
#define SPACES      48u
#define LIVE_SPACES 4u
#define TAGS_MAX    EPT_VPIDS
#define VCPUS       6u
#define NO_SPACE    SPACES

/* What is done wrong. */
struct protocol {
    const char *name;
    bool not_raised, not_waited, no_interrupt, waiters_deaf, not_self; /* the shootdown */
    bool mask_first;                                                   /* before what it is for */
    bool tables_early;                                                 /* freed before the wait */
    bool generation_kept, generation_ignored;                          /* of a GST space */
    bool wrap_unflushed, refusal_forgotten;                            /* tags */
    bool ept;                          /* VT-x in place of SVM: INVEPT and INVVPID flush, not the entry */
    bool root_reused;                  /* the first entry does not flush what another space's root has left */
    bool invept_forgets_combined;      /* INVVPID does what INVEPT has to do */
    bool dead_entered;                 /* not looked at again after an interrupt */
    bool root_new;                     /* the dead space's root is not asked for */
    bool join_unmarked, join_unlocked; /* the CPU's bit */
};

struct space {
    bool live, freed, guest;
    uint64_t root;                             /* the model's own knowledge */
    uint64_t dead, physical, generation, cpus; /* shared memory */
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
    struct stores stores;
    bool interrupt, spins; /* the user's program: makes no calls, for long or until it is interrupted */

    uint64_t cr3;
    unsigned loaded;                           /* space */
    struct translations host, guest[TAGS_MAX]; /* SVM: by ASID */
    struct ept_tlb ept;                        /* VT-x */

    uint64_t ecs; /* bit a space */
    struct vcpu vcpus[VCPUS], *vcpu;
    struct tags tags;

    uint64_t seen, begun, wanted, ticket;   /* the protocol's */
    unsigned space, target, asked;          /* of a call; of an answer */
    uint64_t physical, mask, rest, joining; /* of a call */
    struct frame_list taken;
};

struct model {
    const struct protocol *protocol;
    uint64_t random;
    unsigned cpus, spaces, live;
    struct cpu cpu[CPUS_MAX];
    struct space space[SPACES];
    struct frames frames;
    uint64_t lock_next, lock_owner;
    struct {
        uint64_t wanted, mask, space, physical;
    } shootdown;
    const char *failure;
    unsigned long steps, shootdowns, entries, wraps;
    struct trace trace;
};

static void note(struct model *m, const struct cpu *cpu, const char *what, uint64_t value)
{
    trace_note(&m->trace, cpu->number, what, value);
}

static void fail_run(struct model *m, const struct cpu *cpu, const char *what, uint64_t value)
{
    note(m, cpu, what, value);
    if (!m->failure)
        m->failure = what;
}

/* What the CPU does with a translation; `use` is for user mode and guests. */
static void touch(struct model *m, struct cpu *cpu, struct translations *tlb, uint64_t root, unsigned space,
                  bool use)
{
    const char *wrong = translate(&m->frames, &m->random, tlb, root, space, use);

    if (wrong)
        fail_run(m, cpu, wrong, root);
}

static void load_root(struct model *m, struct cpu *cpu, uint64_t root, unsigned space)
{
    drain(&cpu->stores);
    note(m, cpu, "loads root", root);
    cpu->cr3 = root;
    cpu->loaded = root == KERNEL_ROOT ? NO_SPACE : space;
    cpu->host = (struct translations){0};
    if (root != KERNEL_ROOT && !frame_is(&m->frames, root, ROOT, space, 0))
        fail_run(m, cpu, "loads a root that was freed", root);
}

/* Answering: answer_shootdown and shoot of smp.c. */

static step_function user, guest_check, guest_compare, lock_wait;

static void answer_number(struct model *m, struct cpu *cpu)
{
    note(m, cpu, "answers", cpu->begun);
    store_answer(&cpu->stores, &cpu->seen, cpu->begun);
    cpu->step = cpu->answered;
}

static void answer_act(struct model *m, struct cpu *cpu)
{
    load_root(m, cpu, load(&cpu->stores, &m->space[cpu->asked].physical), cpu->asked);
    cpu->step = answer_number;
}

static void answer_compare(struct model *m, struct cpu *cpu)
{
    cpu->step = load(&cpu->stores, &m->shootdown.physical) == cpu->cr3 ? answer_act : answer_number;
}

static void answer_space(struct model *m, struct cpu *cpu)
{
    cpu->asked = (unsigned)load(&cpu->stores, &m->shootdown.space);
    if (m->space[cpu->asked].freed)
        fail_run(m, cpu, "looks at a space that was freed", cpu->asked);
    cpu->step = m->space[cpu->asked].guest ? answer_number : answer_compare;
}

static void answer_mask(struct model *m, struct cpu *cpu)
{
    cpu->step = load(&cpu->stores, &m->shootdown.mask) & 1ul << cpu->number ? answer_space : cpu->answered;
}

static void answer_begin(struct model *m, struct cpu *cpu)
{
    uint64_t seen = load(&cpu->stores, &cpu->seen);

    cpu->begun = generation_begin(&m->shootdown.wanted);
    cpu->step = generation_reached(&seen, cpu->begun) ? cpu->answered : answer_mask;
}

static void interrupt(struct model *m, struct cpu *cpu, step_function *then)
{
    note(m, cpu, "is interrupted", 0);
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
    drain(&cpu->stores);
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
        store(&cpu->stores, &m->shootdown.mask, cpu->mask);
    cpu->step = shoot_raise;
}

static void shoot_self(struct model *m, struct cpu *cpu)
{
    if (!m->space[cpu->space].guest && cpu->cr3 == cpu->physical && !m->protocol->not_self)
        load_root(m, cpu, load(&cpu->stores, &m->space[cpu->space].physical), cpu->space);
    cpu->step = cpu->mask ? shoot_mask : cpu->shot;
}

static void shoot_physical(struct model *m, struct cpu *cpu)
{
    store(&cpu->stores, &m->shootdown.physical, cpu->physical);
    cpu->step = shoot_self;
}

static void shoot_space(struct model *m, struct cpu *cpu)
{
    store(&cpu->stores, &m->shootdown.space, cpu->space);
    cpu->step = shoot_physical;
}

static void shoot(struct model *m, struct cpu *cpu, uint64_t physical, step_function *then)
{
    cpu->physical = physical;
    cpu->mask = load(&cpu->stores, &m->space[cpu->space].cpus) & ~(1ul << cpu->number);
    cpu->shot = then;
    note(m, cpu, "shoots down space", cpu->space);
    if (m->protocol->mask_first && cpu->mask)
        store(&cpu->stores, &m->shootdown.mask, cpu->mask);
    cpu->step = shoot_space;
}

/* The kernel's lock. */

static void lock_wait(struct model *m, struct cpu *cpu)
{
    if (load(&cpu->stores, &m->lock_owner) == cpu->ticket) {
        cpu->step = cpu->locked;
    } else if (!m->protocol->waiters_deaf) {
        cpu->answered = lock_wait;
        cpu->step = answer_begin;
    }
}

static void lock_take(struct model *m, struct cpu *cpu)
{
    drain(&cpu->stores);
    cpu->ticket = __atomic_fetch_add(&m->lock_next, 1, __ATOMIC_RELAXED);
    cpu->step = lock_wait;
}

static void unlock(struct model *m, struct cpu *cpu)
{
    store(&cpu->stores, &m->lock_owner, cpu->ticket + 1);
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
    root = frame_take(&m->frames, &m->random, ROOT, m->spaces, 0);
    if (root == KERNEL_ROOT)
        return;
    for (unsigned i = 0; i < ROOTS; i++)
        store(&cpu->stores, &m->frames.memory[root][i], 0);
    *space = (struct space){.live = true, .root = root, .guest = draw(&m->random, 2)};
    store(&cpu->stores, &space->physical, root);
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
    entry = &m->frames.memory[m->space[cpu->space].root][place];
    table = load(&cpu->stores, entry);
    if (!table) {
        table = frame_take(&m->frames, &m->random, TABLE, cpu->space, place);
        for (unsigned i = 0; table && i < LEAVES; i++)
            store(&cpu->stores, &m->frames.memory[table][i], 0);
        store(&cpu->stores, entry, table);
    }
    if (!table || load(&cpu->stores, &m->frames.memory[table][page % LEAVES]))
        return;
    frame = frame_take(&m->frames, &m->random, DATA, cpu->space, page);
    store(&cpu->stores, &m->frames.memory[table][page % LEAVES], frame);
    note(m, cpu, "maps frame", frame);
}

static void remove_end(struct model *m, struct cpu *cpu)
{
    frames_free(&m->frames, &cpu->taken, FREE);
    cpu->step = unlock;
}

static void remove_generation(struct model *m, struct cpu *cpu)
{
    struct space *space = &m->space[cpu->space];

    if (!m->protocol->generation_kept)
        store(&cpu->stores, &space->generation, load(&cpu->stores, &space->generation) + 1);
    shoot(m, cpu, load(&cpu->stores, &space->physical), remove_end);
}

/* A leaf, or a table with all its leaves, in whose place something else comes. */
static void remove_entry(struct model *m, struct cpu *cpu)
{
    unsigned page = draw(&m->random, PAGES);
    uint64_t *entry, table;

    cpu->step = unlock;
    if (!choose_space(m, cpu))
        return;
    entry = &m->frames.memory[m->space[cpu->space].root][page / LEAVES];
    table = load(&cpu->stores, entry);
    if (!table)
        return;
    if (draw(&m->random, 3)) {
        entry = &m->frames.memory[table][page % LEAVES];
        frame_list(&cpu->taken, load(&cpu->stores, entry));
    } else {
        frame_list(&cpu->taken, table);
        for (unsigned i = 0; i < LEAVES; i++)
            frame_list(&cpu->taken, load(&cpu->stores, &m->frames.memory[table][i]));
    }
    if (!cpu->taken.count)
        return;
    store(&cpu->stores, entry, 0);
    note(m, cpu, "clears entry of frame", cpu->taken.frame[0]);
    if (m->protocol->tables_early)
        frames_free(&m->frames, &cpu->taken, TABLE);
    cpu->step = remove_generation;
}

static void destroy_end(struct model *m, struct cpu *cpu)
{
    frames_free_space(&m->frames, cpu->space);
    m->space[cpu->space].freed = true;
    note(m, cpu, "has freed space", cpu->space);
    cpu->step = unlock;
}

static void destroy_retire(struct model *m, struct cpu *cpu)
{
    struct space *space = &m->space[cpu->space];
    uint64_t physical = load(&cpu->stores, &space->physical);

    store(&cpu->stores, &space->generation, load(&cpu->stores, &space->generation) + 1);
    store(&cpu->stores, &space->physical, KERNEL_ROOT);
    shoot(m, cpu, m->protocol->root_new ? KERNEL_ROOT : physical, destroy_end);
}

static void destroy(struct model *m, struct cpu *cpu)
{
    cpu->step = unlock;
    if (!choose_space(m, cpu))
        return;
    m->space[cpu->space].live = false;
    m->live--;
    store(&cpu->stores, &m->space[cpu->space].dead, 1);
    note(m, cpu, "destroys space", cpu->space);
    cpu->step = destroy_retire;
}

/* The EC or vCPU can run from now on; its CPU learns it by an atomic list. */
static void join_end(struct model *m, struct cpu *cpu)
{
    struct cpu *target = &m->cpu[cpu->target];
    const struct space *space = &m->space[cpu->space];

    drain(&cpu->stores);
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
        if (m->protocol->ept && !m->protocol->root_reused) /* vmx_init */
            target->vcpus[i].seen_generation = load(&cpu->stores, &space->generation) - 1;
        return;
    }
}

static void join_mark(struct model *m, struct cpu *cpu)
{
    if (!m->protocol->join_unmarked)
        store(&cpu->stores, &m->space[cpu->space].cpus, cpu->joining | 1ul << cpu->target);
    cpu->step = join_end;
}

static void join(struct model *m, struct cpu *cpu)
{
    cpu->step = m->protocol->join_unlocked ? user : unlock;
    if (!choose_space(m, cpu))
        return;
    cpu->target = draw(&m->random, m->cpus);
    cpu->joining = load(&cpu->stores, &m->space[cpu->space].cpus);
    cpu->step = join_mark;
}

/* Changing the address space, without the lock: ec_switch. */

static void switch_load(struct model *m, struct cpu *cpu)
{
    load_root(m, cpu, load(&cpu->stores, &m->space[cpu->space].physical), cpu->space);
    if (cpu->cr3 == KERNEL_ROOT)
        cpu->ecs &= ~(1ul << cpu->space); /* its next instruction is its last */
    cpu->step = user;
}

static void switch_compare(struct model *m, struct cpu *cpu)
{
    cpu->step = load(&cpu->stores, &m->space[cpu->space].physical) == cpu->cr3 ? user : switch_load;
    if (cpu->step == user && cpu->cr3 != KERNEL_ROOT && cpu->loaded != cpu->space)
        fail_run(m, cpu, "stays on a dead space's root", cpu->cr3);
}

static void switch_choose(struct model *m, struct cpu *cpu)
{
    uint64_t ecs = cpu->ecs;

    cpu->step = ecs ? switch_compare : user;
    for (unsigned skip = draw(&m->random, SPACES); (ecs & (ecs - 1)) && skip; skip--)
        ecs &= ecs - 1;
    cpu->space = ecs ? (unsigned)__builtin_ctzl(ecs) : 0;
}

/* Guests: vcpu_run.c and prepare_tag of svm.c and vmx.c. */

static void guest(struct model *m, struct cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;
    const char *wrong;

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
        wrong = m->protocol->ept ? ept_translate(&m->frames, &m->random, &cpu->ept, vcpu->tag.number,
                                                 vcpu->root, vcpu->space, vcpu)
                                 : translate(&m->frames, &m->random, &cpu->guest[vcpu->tag.number],
                                             vcpu->root, vcpu->space, true);
        if (wrong)
            fail_run(m, cpu, wrong, vcpu->root);
    }
}

static void guest_enter(struct model *m, struct cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;

    drain(&cpu->stores);
    if (!draw(&m->random, 12)) { /* the processor refuses the state, and does not flush */
        note(m, cpu, "is refused with tag", vcpu->tag.number);
        if (m->protocol->ept) {
            cpu->step = user;
            return;
        }
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
        if (m->protocol->ept && vcpu->flush_all)
            ept_invvpid(&cpu->ept);
    }
    cpu->step = guest_enter;
}

static void guest_flush(struct model *m, struct cpu *cpu)
{
    cpu->vcpu->seen_generation = load(&cpu->stores, &m->space[cpu->vcpu->space].generation);
    cpu->vcpu->flush_tag = !m->protocol->generation_ignored;
    if (m->protocol->ept && cpu->vcpu->flush_tag)
        ept_invept(&cpu->ept, cpu->vcpu->root, !m->protocol->invept_forgets_combined);
    cpu->step = guest_tag;
}

static void guest_compare(struct model *m, struct cpu *cpu)
{
    struct vcpu *vcpu = cpu->vcpu;

    vcpu->flush_all = vcpu->flush_tag = false;
    cpu->step = load(&cpu->stores, &m->space[vcpu->space].generation) != vcpu->seen_generation ? guest_flush
                                                                                               : guest_tag;
}

static void guest_check(struct model *m, struct cpu *cpu)
{
    cpu->step = guest_compare;
    if (!load(&cpu->stores, &m->space[cpu->vcpu->space].dead))
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
            touch(m, cpu, &cpu->host, cpu->cr3, cpu->loaded, true);
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
    m->random = draw_begin(seed);
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

        if (cpu->stores.count && draw(&m->random, 2))
            drain_one(&cpu->stores);
        else if (cpu->loaded != NO_SPACE && !draw(&m->random, 4))
            touch(m, cpu, &cpu->host, cpu->cr3, cpu->loaded, false); /* unasked, in the kernel, too */
        else
            cpu->step(m, cpu);
    }
}

static void print_run(const struct model *m, unsigned seed)
{
    print_message("seed %u, %u CPUs, step %lu: %s\n", seed, m->cpus, m->steps, m->failure);
    trace_print(&m->trace);
}

static void right_for(const struct protocol *right)
{
    static struct model m;
    unsigned long steps = 0, shootdowns = 0, handed = 0, entries = 0, wraps = 0;

    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        run(&m, right, seed);
        if (m.failure)
            print_run(&m, seed);
        assert_null(m.failure);
        steps += m.steps;
        shootdowns += m.shootdowns;
        handed += m.frames.taken;
        entries += m.entries;
        wraps += m.wraps;
    }
    print_message(
        "%s, %u seeds: %lu steps, %lu shootdowns, %lu frames handed out, %lu entries, %lu wraps of tags\n",
        right->name, SEEDS, steps, shootdowns, handed, entries, wraps);
    assert_true(shootdowns > SEEDS && entries > SEEDS && wraps > SEEDS);
}

static void shootdown_svm(void **state)
{
    (void)state;
    right_for(&(const struct protocol){.name = "SVM"});
}

static void shootdown_vtx(void **state)
{
    (void)state;
    right_for(&(const struct protocol){.name = "VT-x", .ept = true});
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
        {"VT-x: the GST space's generation stays", .ept = true, .generation_kept = true},
        {"VT-x: no INVEPT", .ept = true, .generation_ignored = true},
        {"VT-x: INVEPT by a type that leaves what is combined", .ept = true, .invept_forgets_combined = true},
        {"VT-x: no INVVPID when VPIDs begin anew", .ept = true, .wrap_unflushed = true},
        {"VT-x: no INVEPT for a root that another had", .ept = true, .root_reused = true},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shootdown_svm),
        cmocka_unit_test(shootdown_vtx),
        cmocka_unit_test(shootdown_done_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
