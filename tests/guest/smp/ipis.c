/* SPDX-License-Identifier: ISC */
/* Interrupts between processors: every delivery mode, destination and shorthand, in xAPIC and in x2APIC mode.
 */
#include "tests/guest/smp/smp.h"

#if GUEST_MODE == MODE_LONG

#define ROUND_TRIPS 20u

static uint32_t before[CPUS_MAX], before_nmis[CPUS_MAX];

static void remember(void)
{
    for (uint32_t i = 0; i < cpu_count; i++) {
        before[i] = cpus[i].pings;
        before_nmis[i] = cpus[i].nmis;
    }
}

/* Those in the mask have got one, the others nothing. */
static void expect_pings(const char *what, uint32_t mask)
{
    for (uint32_t i = 0; i < cpu_count; i++)
        if (mask >> i & 1)
            (void)comes_to(&cpus[i].pings, before[i] + 1);
    wait_us(2000);
    for (uint32_t i = 0; i < cpu_count; i++)
        (void)expect(what, before[i] + (mask >> i & 1), cpus[i].pings);
}

static void send(const char *what, uint32_t destination, uint32_t low, uint32_t mask)
{
    remember();
    irq_on();
    ipi(destination, low | VECTOR_PING);
    expect_pings(what, mask);
    irq_off();
}

static void one_by_one(void)
{
    for (uint32_t i = 0; i < cpu_count; i++)
        send("pings of one", i, 0, 1u << i);
    send("pings of one that is not there", 0x77, 0, 0);
}

static void shorthands(void)
{
    uint32_t all = (1u << cpu_count) - 1;

    send("pings of all", 0, ICR_ALL, all);
    send("pings of the others", 0, ICR_OTHERS, all & ~1u);
    send("pings of itself", 0, ICR_SELF, 1);
    send("pings of the broadcast", 0xff, 0, all);
}

static void logical(void)
{
    uint32_t all = (1u << cpu_count) - 1;

    for (uint32_t i = 0; i < cpu_count; i++)
        send("pings of one by its logical ID", 1u << i, ICR_LOGICAL, 1u << i);
    send("pings of two", 3, ICR_LOGICAL, 3);
    send("pings of all logical IDs", all, ICR_LOGICAL, all);
}

static uint32_t pings_since(void)
{
    uint32_t got = 0;

    for (uint32_t i = 0; i < cpu_count; i++)
        got += cpus[i].pings - before[i];
    return got;
}

static void lowest(void)
{
    remember();
    irq_on();
    for (unsigned i = 0; i < 8; i++) {
        ipi((1u << cpu_count) - 1, ICR_LOGICAL | ICR_LOWEST | VECTOR_PING);
        for (unsigned tries = 0; tries < 1000 && pings_since() == i; tries++)
            wait_us(100);
    }
    irq_off();
    (void)expect("pings of the lowest priority", 8, pings_since());
}

static void nmis(void)
{
    for (uint32_t i = 1; i < cpu_count; i++) {
        remember();
        ipi(i, ICR_NMI);
        (void)comes_to(&cpus[i].nmis, before_nmis[i] + 1);
        for (uint32_t j = 0; j < cpu_count; j++)
            (void)expect("NMIs", before_nmis[j] + (i == j), cpus[j].nmis);
    }
    remember();
    ipi(0, ICR_OTHERS | ICR_NMI);
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)expect("NMI of the others", true, comes_to(&cpus[i].nmis, before_nmis[i] + 1));
    (void)expect("NMIs of itself", before_nmis[0], cpus[0].nmis);
}

/* Until it has got more pings than the first knew of when it asked, however late this begins. */
static void sleep_once(uint32_t number)
{
    uint32_t pings = before[number];

    while (cpus[number].pings == pings)
        __asm__ volatile("cli; mov %0, %%eax; cmp %1, %%eax; jne 1f; sti; hlt; 1: sti"
                         :
                         : "m"(cpus[number].pings), "r"(pings)
                         : "eax", "memory");
}

/* Out of HLT. */
static void wakes(void)
{
    remember();
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_begin(i, sleep_once);
    wait_us(5000);
    for (uint32_t i = 1; i < cpu_count; i++) {
        (void)expect("asleep", true, cpus[i].task != NULL);
        ipi(i, VECTOR_PING);
        (void)expect("awake", true, cpu_finish(i, 1000));
    }
}

static void illegal(void)
{
    lapic_set(APIC_ESR, 0);
    lapic_set(APIC_ESR, 0);
    remember();
    ipi(0, ICR_OTHERS | 5);
    lapic_set(APIC_ESR, 0);
    (void)expect("send illegal vector", 0x20, lapic_get(APIC_ESR));
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)expect("pings", before[i], cpus[i].pings);
}

/* Tasks for round trips: the first asks, each answers. */
static volatile uint32_t asked[CPUS_MAX];

static void answer(uint32_t number)
{
    for (uint32_t i = 0; i < ROUND_TRIPS; i++) {
        while (cpus[number].pings - asked[number] == i)
            __asm__ volatile("pause");
        ipi(0, VECTOR_PING);
    }
}

static void round_trips(void)
{
    irq_on();
    for (uint32_t cpu = 1; cpu < cpu_count; cpu++) {
        asked[cpu] = cpus[cpu].pings;
        cpu_begin(cpu, answer);
        for (unsigned i = 0; i < ROUND_TRIPS; i++) {
            uint32_t own = cpus[0].pings;

            ipi(cpu, VECTOR_PING);
            if (!expect("an answer", true, comes_to(&cpus[0].pings, own + 1)))
                break;
        }
        (void)expect("done", true, cpu_finish(cpu, 1000));
    }
    irq_off();
}

static void go_x2apic(uint32_t number)
{
    (void)number;
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | X2APIC);
}

/* Logical IDs are fixed: cluster 0, a bit each. */
static void x2apic(void)
{
    uint32_t all = (1u << cpu_count) - 1;

    for (uint32_t i = 1; i < cpu_count; i++) {
        cpu_begin(i, go_x2apic);
        (void)expect("in x2APIC mode", true, cpu_finish(i, 1000));
    }
    go_x2apic(0);
    for (uint32_t i = 0; i < cpu_count; i++) {
        send("pings of one", i, 0, 1u << i);
        send("pings of one by its logical ID", 1u << i, ICR_LOGICAL, 1u << i);
    }
    send("pings of all", 0, ICR_ALL, all);
    send("pings of the broadcast", UINT32_MAX, 0, all);
    send("pings of the others", 0, ICR_OTHERS, all & ~1u);
    send("pings of cluster 1", 0x10000 | all, ICR_LOGICAL, 0);
    /* Back by way of off, for what comes next. */
    wrmsr(MSR_APIC_BASE, 0xfee00100);
    wrmsr(MSR_APIC_BASE, 0xfee00900);
    smp_prepare();
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)expect("in x2APIC mode it takes INIT and STARTUP", true, cpu_start(i));
}

const struct test ipi_tests[] = {
    {"ipi.fixed", one_by_one}, {"ipi.shorthand", shorthands},
    {"ipi.logical", logical},  {"ipi.lowest", lowest},
    {"ipi.nmi", nmis},         {"ipi.halt", wakes},
    {"ipi.illegal", illegal},  {"ipi.round-trips", round_trips},
    {"ipi.x2apic", x2apic},    {NULL, NULL},
};

#endif
