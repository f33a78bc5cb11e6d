/* SPDX-License-Identifier: ISC */
/* INIT, STARTUP, what CPUID and the tables say of the processors, what they share, and resets from any of
 * them. */
#include "tests/guest/smp/smp.h"

#if GUEST_MODE == MODE_LONG

#define ROUNDS 2000u
#define MAGIC  0x5109ca55u

static void count_processors(void)
{
    struct cpuid cores = cpuid(0xb, 1), size = cpuid(0x80000008, 0);

    (void)expect_between("processors", 2, CPUS_MAX, cpu_count);
    (void)expect("processors of leaf 0xb", cpu_count, cores.ebx & 0xffff);
    (void)expect("x2APIC ID of leaf 0xb", 0, cores.edx);
    (void)expect("HTT", 1, cpuid(1, 0).edx >> 28 & 1);
    if ((cpuid(0x80000001, 0).ecx >> 22 & 1) != 0) /* AMD */
        (void)expect("processors of leaf 0x80000008", cpu_count, (size.ecx & 0xff) + 1);
}

/* The others wait, whatever comes; nothing but STARTUP wakes them. */
static void wait_for_startup(void)
{
    ipi(0, ICR_OTHERS | VECTOR_PING);
    ipi(0, ICR_OTHERS | ICR_NMI);
    wait_us(5000);
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)expect("starts before STARTUP", 0, cpus[i].starts);
}

static void start_each(void)
{
    for (uint32_t i = 1; i < cpu_count; i++) {
        if (!expect("started", true, cpu_start(i)))
            return;
        (void)expect("NMIs left from before", 0, cpus[i].nmis);
    }
}

static volatile uint32_t seen_apic, seen_initial, seen_extended, seen_bsp;

static void look_at_id(uint32_t number)
{
    (void)number;
    seen_apic = lapic_get(APIC_ID) >> 24;
    seen_initial = cpu_self();
    seen_extended = cpuid(0xb, 0).edx;
    seen_bsp = (uint32_t)rdmsr(MSR_APIC_BASE) & 0x100;
}

static void have_ids(void)
{
    for (uint32_t i = 1; i < cpu_count; i++) {
        cpu_begin(i, look_at_id);
        (void)expect("done", true, cpu_finish(i, 1000));
        (void)expect("APIC ID", i, seen_apic);
        (void)expect("initial APIC ID", i, seen_initial);
        (void)expect("x2APIC ID", i, seen_extended);
        (void)expect("BSP flag", 0, seen_bsp);
    }
}

/* One that runs does not take a STARTUP. */
static void startup_while_running(void)
{
    uint32_t before = cpus[1].starts;

    ipi(1, ICR_STARTUP | START_VECTOR);
    ipi(1, ICR_STARTUP | START_VECTOR);
    wait_us(5000);
    (void)expect("starts", before, cpus[1].starts);
}

static void beat(uint32_t number)
{
    for (;;)
        cpus[number].beats++;
}

static void stop_and_start(void)
{
    uint32_t beats, starts = cpus[1].starts;

    cpu_begin(1, beat);
    for (unsigned i = 0; i < 1000 && !cpus[1].beats; i++)
        wait_us(1000);
    (void)expect("beats", true, cpus[1].beats != 0);
    cpu_stop(1);
    wait_us(5000);
    beats = cpus[1].beats;
    wait_us(5000);
    (void)expect("beats after INIT", beats, cpus[1].beats);
    ipi(1, ICR_STARTUP | (START_VECTOR + 2)); /* the third copy */
    (void)expect("started elsewhere", true, comes_to(&cpus[1].starts, starts + 1));
}

/* All others by one INIT and one STARTUP, as Linux did once. */
static void start_all(void)
{
    uint32_t before[CPUS_MAX];

    ipi(0, ICR_OTHERS | ICR_INIT);
    wait_us(1000);
    for (uint32_t i = 1; i < cpu_count; i++)
        before[i] = cpus[i].starts;
    ipi(0, ICR_OTHERS | ICR_STARTUP | START_VECTOR);
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)expect("started by broadcast", true, comes_to(&cpus[i].starts, before[i] + 1));
}

static volatile uint64_t shared_tsc, shared_count, plain_count;
static volatile uint32_t lock, backwards;

/* No processor sees a TSC below what another has seen before. */
static void watch_tsc(uint32_t number)
{
    (void)number;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t last = __atomic_load_n(&shared_tsc, __ATOMIC_SEQ_CST), now;

        __asm__ volatile("lfence" : : : "memory");
        now = rdtsc();
        if (now < last)
            __atomic_add_fetch(&backwards, 1, __ATOMIC_RELAXED);
        else
            __atomic_compare_exchange_n(&shared_tsc, &last, now, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
}

static void together(void (*task)(uint32_t))
{
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_begin(i, task);
    task(0);
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)expect("done", true, cpu_finish(i, 2000));
}

static void one_tsc(void)
{
    shared_tsc = 0;
    backwards = 0;
    together(watch_tsc);
    (void)expect("times that the TSC went back", 0, backwards);
}

static void add(uint32_t number)
{
    (void)number;
    for (unsigned i = 0; i < ROUNDS; i++) {
        __atomic_add_fetch(&shared_count, 1, __ATOMIC_RELAXED);
        while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))
            __asm__ volatile("pause");
        plain_count = plain_count + 1;
        __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
    }
}

static void one_memory(void)
{
    shared_count = plain_count = 0;
    together(add);
    (void)expect("locked additions", (uint64_t)cpu_count * ROUNDS, shared_count);
    (void)expect("additions under a lock", (uint64_t)cpu_count * ROUNDS, plain_count);
}

const struct test start_tests[] = {
    {"smp.cpuid", count_processors},
    {"smp.waits-for-startup", wait_for_startup},
    {"smp.start", start_each},
    {"smp.ids", have_ids},
    {"smp.startup-while-running", startup_while_running},
    {"smp.init-and-startup", stop_and_start},
    {"smp.start-all", start_all},
    {"smp.tsc", one_tsc},
    {"smp.memory", one_memory},
    {NULL, NULL},
};

/* ---- resets */

struct persistent {
    uint32_t magic, stage, passed, failed, skipped;
};

static volatile struct persistent *persistent(void)
{
    return (volatile struct persistent *)mmio32(RAM_PERSISTENT);
}

static void die(uint32_t number)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } none = {0, 0};

    (void)number;
    __asm__ volatile("lidt %0\n int3" : : "m"(none) : "memory");
}

static void reset_port(uint32_t number)
{
    (void)number;
    out8(0xcf9, 6);
}

static void init_first(uint32_t number)
{
    (void)number;
    ipi(0, ICR_INIT);
}

/* By one while all others run, by the first while others run, by all at once. */
static const struct {
    const char *name;
    void (*way)(uint32_t);
    bool first, all;
} ways[] = {
    {"smp.reset.triple-fault", die, false, false},   {"smp.reset.first", die, true, false},
    {"smp.reset.port", reset_port, false, false},    {"smp.reset.init-of-first", init_first, false, false},
    {"smp.reset.all-ports", reset_port, true, true}, {"smp.reset.all-die", die, true, true},
};

#define WAYS (sizeof ways / sizeof *ways)

static void is_clean(void)
{
    wait_us(5000);
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)expect("starts after a reset", 0, cpus[i].starts);
    (void)expect("a processor can be started", true, cpu_start(cpu_count - 1));
}

bool resets_continue(void)
{
    volatile struct persistent *p = persistent();

    if (p->magic != MAGIC || p->stage == 0 || p->stage > WAYS)
        return false;
    counts.passed = p->passed;
    counts.failed = p->failed;
    counts.skipped = p->skipped;
    test_run(&(struct test){ways[p->stage - 1].name, is_clean});
    return true;
}

static void did_nothing(void)
{
    (void)expect("a reset", 1, 0);
}

void resets_make(void)
{
    volatile struct persistent *p = persistent();
    uint32_t stage = p->magic == MAGIC ? p->stage : 0;

    for (; stage < WAYS; stage++) {
        p->passed = counts.passed;
        p->failed = counts.failed;
        p->skipped = counts.skipped;
        p->stage = stage + 1;
        p->magic = MAGIC;
        for (uint32_t i = 1; i < cpu_count; i++)
            if (!cpu_start(i))
                say("guest: processor %u does not start before %s\n", i, ways[stage].name);
        for (uint32_t i = 1; i < cpu_count; i++)
            if (ways[stage].all || (!ways[stage].first && i == 1))
                cpu_begin(i, ways[stage].way);
        if (ways[stage].first)
            ways[stage].way(0);
        wait_us(200000);
        test_run(&(struct test){ways[stage].name, did_nothing});
    }
    p->magic = 0;
}

#endif
