/* SPDX-License-Identifier: ISC */
/*
 * The lengths of the kernel's paths, in core's place. Under deterministic counting (tools/bench.py) a
 * difference of RDTSC is the number of instructions executed, user stubs included; the two RDTSCs' own cost
 * is taken off. A path is run until it is warm and then many times: the least is printed, and a run that
 * needs more than that is counted, since a path that is always the same is what is promised. Lines: "bench:
 * NAME = VALUE UNIT".
 */
#include "tests/kernel/support/test.h"

#include "abi/vcpu.h"

#include <string.h>

#define WARM      16u
#define ROUNDS    64u
#define EXIT_PORT 0xf4
#define EXIT_CODE 0x10
#define CODE      0x1000u
#define OUT_PORT  0x80u

/*
 * Marks for the execution trace (tools/bench_trace.c): NOPs that stand around what is measured, never in it.
 * The numbers are those of a line "bench: path NUMBER = NAME", of which 0 is the measurement's own cost.
 */
#define MARK(kind, id)                                                                                       \
    __asm__ volatile("nopl %c0(%%rax)" : : "i"(0x0d0e0000 | (kind) << 12 | (id)) : "memory")
#define MARK_BEGIN 0
#define MARK_END   1
#define MARK_WATCH 2
#define MARK_REST  3
enum { PATH_OVERHEAD = __COUNTER__ };

static uint64_t overhead; /* of two RDTSCs next to each other */

static void figure(const char *name, uint64_t least, uint64_t more)
{
    say("bench: %s = %u instructions", name, least);
    if (more)
        say("bench: note: %s: %u of %u runs took longer", name, more, (uint64_t)ROUNDS);
}

/* `path` is inlined: what is measured has no call around it. */
#define MEASURE(name, path)                                                                                  \
    do {                                                                                                     \
        enum { ID = __COUNTER__ };                                                                           \
        uint64_t least = UINT64_MAX, more = 0, times[ROUNDS];                                                \
        for (unsigned round = 0; round < WARM + ROUNDS; round++) {                                           \
            MARK(MARK_BEGIN, ID);                                                                            \
            uint64_t begin = now();                                                                          \
            path;                                                                                            \
            uint64_t length = now() - begin - overhead;                                                      \
            MARK(MARK_END, ID);                                                                              \
            if (round >= WARM)                                                                               \
                times[round - WARM] = length;                                                                \
        }                                                                                                    \
        for (unsigned round = 0; round < ROUNDS; round++)                                                    \
            least = times[round] < least ? times[round] : least;                                             \
        for (unsigned round = 0; round < ROUNDS; round++)                                                    \
            more += times[round] != least;                                                                   \
        say("bench: path %u = %s", (uint64_t)ID, name);                                                      \
        figure(name, least, more);                                                                           \
    } while (0)

static void must(enum status status)
{
    if (status != STATUS_OK)
        say("bench: failed: %s", status_name(status));
}

static void measure_overhead(void)
{
    overhead = UINT64_MAX;
    for (unsigned round = 0; round < WARM; round++) {
        MARK(MARK_BEGIN, PATH_OVERHEAD);
        uint64_t begin = now(), length = now() - begin;
        MARK(MARK_END, PATH_OVERHEAD);

        overhead = length < overhead ? length : overhead;
    }
}

/* A server that answers as many words as it got: its loop is the entry and the reply. */
static _Noreturn void server(uint64_t id, uint64_t words)
{
    (void)id;
    reply(words);
}

static void bench_ipc(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector cross = portal(thread_local_ec(&child, 1, 0), server, 0);
    selector same = portal(thread_local_ec(&own, 2, 0), server, 0);
    unsigned back;

    MEASURE("ipc.cross_pd.words0", must(ipc_call(cross, 0, &back)));
    MEASURE("ipc.cross_pd.words10", must(ipc_call(cross, 10, &back)));
    MEASURE("ipc.same_pd.words0", must(ipc_call(same, 0, &back)));
    /* With a thousand portals in the space. */
    for (unsigned i = 0; i < 1000; i++)
        must(space_copy(ROOT_OBJ, cross, ROOT_OBJ, 1024 + i, 1, PERM_PT_CALL));
    MEASURE("ipc.cross_pd.words0.portals1000", must(ipc_call(2023, 0, &back)));
    clean();
}

/* There and back: a thread that answers each signal with another. */
static volatile selector ping, pong;

static void ponger(uint64_t argument)
{
    uint64_t bits;

    (void)argument;
    for (;;) {
        if (nt_wait(ping, DEADLINE_NEVER, &bits) != STATUS_OK || nt_signal(pong) != STATUS_OK)
            thread_end();
    }
}

static void bench_notifications(void)
{
    uint64_t bits;
    selector nt = notification();

    MEASURE("notification.signal", must(nt_signal(nt)));
    MEASURE("notification.signal_take", {
        must(nt_signal(nt));
        must(nt_wait(nt, 0, &bits));
    });
    ping = notification();
    pong = notification();
    (void)thread_start(&own, 1, ponger, 0, 40, 0);
    pass(milliseconds(1));
    /* Two signals and two waits, with two switches of threads. */
    MEASURE("notification.signal_wait", {
        must(nt_signal(ping));
        must(nt_wait(pong, DEADLINE_NEVER, &bits));
    });
    clean();
}

static void bench_objects(void)
{
    selector pd = fresh(), obj = fresh(), hst = fresh();

    /* A domain that could run: PD, OBJ, HST, and all of it away again. */
    MEASURE("pd.create_destroy", {
        must(create_pd(pd, ROOT_ACCOUNT));
        must(create_space(obj, ROOT_ACCOUNT, SPACE_OBJ, pd));
        must(create_space(hst, ROOT_ACCOUNT, SPACE_HST, pd));
        must(destroy(pd));
        must(space_remove(ROOT_OBJ, pd, 3));
    });
    MEASURE("nt.create_destroy", {
        must(create_nt(pd, ROOT_ACCOUNT));
        must(destroy(pd));
        must(space_remove(ROOT_OBJ, pd, 1));
    });
    clean();
    /* The place's table is there; the page is not. */
    must(space_copy(ROOT_MEM, ram_page(1), ROOT_HST, WINDOW / PAGE, 1, MEM_READ));
    must(space_remove(ROOT_HST, WINDOW / PAGE, 1));
    MEASURE("map.page", must(space_copy(ROOT_MEM, ram_page(1), ROOT_HST, WINDOW / PAGE, 1, MEM_READ)));
    MEASURE("map.page_remove", {
        must(space_copy(ROOT_MEM, ram_page(1), ROOT_HST, WINDOW / PAGE, 1, MEM_READ));
        must(space_remove(ROOT_HST, WINDOW / PAGE, 1));
    });
}

/* From the instruction at which the interrupt was to come, as a spinner saw it last, to the thread that
 * waits. */
static volatile uint64_t last_seen, woken_at;

static void spinner(uint64_t argument)
{
    (void)argument;
    for (;;)
        last_seen = now();
}

static void bench_interrupt(void)
{
    selector interrupt = fresh(), nt = notification();
    uint64_t least = UINT64_MAX, bits;

    must(create_interrupt(interrupt, ROOT_ACCOUNT, ROOT_PLATFORM, BOOT->isa_gsi[0] & 0xffff));
    must(interrupt_bind(interrupt, nt));
    (void)thread_start(&own, 1, spinner, 0, 5, 0);
    out8(0x43, 0x34);
    out8(0x40, 0xff);
    out8(0x40, 0x07);
    for (unsigned round = 0; round < ROUNDS; round++) {
        if (nt_wait(nt, now() + milliseconds(100), &bits) != STATUS_OK)
            continue;
        woken_at = now();
        if (woken_at - last_seen - overhead < least)
            least = woken_at - last_seen - overhead;
    }
    out8(0x43, 0x30);
    /* The spinner's own loop of a few instructions is part of it: the least is that of the luckiest moment.
     */
    say("bench: irq.to_user = %u instructions", least);
    clean();
}

/* A guest that does nothing but OUT, and a monitor that only steps over it. */
static void bench_exit(void)
{
    static const uint8_t code[] = {0xe6, OUT_PORT, 0xeb, 0xfc}; /* 1: out 0x80, al; jmp 1b */
    volatile struct vcpu_state *s = (volatile struct vcpu_state *)STATE_PAGE;
    selector gst = fresh(), vcpu = fresh(), nt = notification();
    uint64_t bits;

    must(create_space(gst, ROOT_ACCOUNT, SPACE_GST, 0));
    must(space_copy(ROOT_MEM, ram_page(16), gst, 0, 16, MEM_READ | MEM_WRITE | MEM_EXECUTE));
    must(create_vcpu(vcpu, ROOT_ACCOUNT, ROOT_PD, gst, STATE_PAGE));
    memcpy((uint8_t *)ram_map(16) + CODE, code, sizeof(code));
    s->cs.selector = 0;
    s->cs.base = 0;
    s->rip = CODE;
    s->dirty = VCPU_CS_SS | VCPU_RIP;
    MEASURE("vmexit.out.kernel-loop", {
        must(vcpu_run(vcpu, nt, DEADLINE_NEVER, &bits));
        if (s->exit != VCPU_EXIT_IO)
            say("bench: failed: exit %u", (uint64_t)s->exit);
        s->rip = s->next_rip;
        s->dirty = VCPU_RIP;
    });
    clean();
}

/*
 * How long the kernel keeps interrupts off while it does much: only the trace can tell, so there is no figure
 * here but a name for the stretch.
 */
#define WATCH(name, work)                                                                                    \
    do {                                                                                                     \
        enum { ID = __COUNTER__ };                                                                           \
        say("bench: path %u = %s", (uint64_t)ID, name);                                                      \
        MARK(MARK_WATCH, ID);                                                                                \
        work;                                                                                                \
        MARK(MARK_REST, ID);                                                                                 \
    } while (0)

#define GIB_4       (1ul << 20) /* in pages */
#define FAR         (1ul << 24) /* a page of the user's half with nothing near it, on a border of 64 GiB */
#define PERM_ALL    0xffu
#define CHILD_NTS   4000u
#define CHILD_ECS   32u
#define CHILD_PLACE 0x60000000ul /* UTCBs in the child */

/* Pages above 4 GiB may be mapped by whoever has the MEM space, whether there is RAM or not. Where `from` is
 * odd they cannot be mapped as large ones. */
static void map_4g(selector space, uint64_t from, uint64_t to)
{
    must(space_copy(ROOT_MEM, GIB_4 + from, space, to, GIB_4, MEM_READ));
}

/* Capabilities that are the last of their objects, and many of one object; ECs with portals. */
static void fill(const struct pd_space *child)
{
    selector shared = notification(), mortal = fresh(), pt = fresh();

    for (uint64_t i = 0; i < CHILD_NTS; i++) {
        must(create_nt(mortal, ROOT_ACCOUNT));
        must(space_copy(ROOT_OBJ, mortal, child->obj, 64 + 2 * i, 1, PERM_ALL));
        must(space_remove(ROOT_OBJ, mortal, 1));
        must(space_copy(ROOT_OBJ, shared, child->obj, 65 + 2 * i, 1, PERM_NT_SIGNAL));
    }
    for (uint64_t i = 0; i < CHILD_ECS; i++) {
        must(create_ec(mortal, ROOT_ACCOUNT, child->pd, CHILD_PLACE + i * PAGE, 0, 0, 0));
        must(create_pt(pt, ROOT_ACCOUNT, mortal, (uint64_t)server, i));
        must(space_copy(ROOT_OBJ, mortal, child->obj, 2 * i, 1, PERM_ALL));
        must(space_copy(ROOT_OBJ, pt, child->obj, 2 * i + 1, 1, PERM_ALL));
        must(space_remove(ROOT_OBJ, mortal, 1));
        must(space_remove(ROOT_OBJ, pt, 1));
    }
    must(space_remove(ROOT_OBJ, shared, 1));
}

static void bench_interrupts_off(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);

    fill(&child);
    WATCH("irqoff.map_4g", {
        map_4g(child.hst, 1, FAR);     /* 4 KiB pages */
        map_4g(child.hst, 0, 2 * FAR); /* 2 MiB pages */
    });
    WATCH("irqoff.remove_4g", {
        must(space_remove(child.hst, FAR, GIB_4));
        must(space_remove(child.hst, 2 * FAR, GIB_4));
        must(space_remove(child.hst, 2 * FAR, GIB_4)); /* where nothing is */
    });
    map_4g(child.hst, 1, FAR);
    WATCH("irqoff.pd_destroy", {
        must(destroy(child.pd));
        must(space_remove(ROOT_OBJ, child.pd, 3));
        pass(milliseconds(1)); /* what is freed later */
    });
    clean();
}

void test_main(void)
{
    harness_begin();
    measure_overhead();
    say("bench: boot.to_root_task = %u instructions",
        entry_tsc); /* with the loader and the calibration of clocks */
    bench_ipc();
    bench_notifications();
    bench_objects();
    bench_interrupt();
    if (BOOT->features & BOOT_FEATURE_VM)
        bench_exit();
    bench_interrupts_off();
    say("bench: done");
    out8(EXIT_PORT, EXIT_CODE);
    for (;;)
        pass(milliseconds(1000));
}
