/* SPDX-License-Identifier: ISC */
/*
 * The local APIC against the manual: priorities, both register faces, messages, timer arithmetic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/device/i82093aa.h"
#include "vmm/device/lapic.h"

#define CPUS 3
#define KHZ  2500000u

#define REFUSED 0xfec00000u /* where no page of registers may be */

struct machine {
    struct lapic lapic[CPUS];
    struct lapic *all[CPUS];
    struct i82093aa ioapic;
    unsigned events;
    unsigned event_cpu;
    enum lapic_delivery event;
    uint8_t event_vector;
    unsigned eois;
    uint8_t eoi_vector;
    unsigned wakes;
    unsigned moves;
    uint64_t base;
};

static void send(void *sink, const struct lapic_message *message)
{
    struct machine *m = sink;

    (void)lapic_route(m->all, CPUS, message);
}

static bool send_ioapic(void *sink, const struct lapic_message *message)
{
    struct machine *m = sink;

    return lapic_route(m->all, CPUS, message);
}

static void eoi(void *sink, uint8_t vector)
{
    struct machine *m = sink;

    m->eois++;
    m->eoi_vector = vector;
    i82093aa_eoi(&m->ioapic, vector);
}

static void wake(void *sink, unsigned cpu)
{
    struct machine *m = sink;

    assert_true(cpu < CPUS);
    m->wakes++;
}

static void event(void *sink, unsigned cpu, enum lapic_delivery delivery, uint8_t vector)
{
    struct machine *m = sink;

    m->events++;
    m->event_cpu = cpu;
    m->event = delivery;
    m->event_vector = vector;
}

static bool move(void *sink, uint64_t base)
{
    struct machine *m = sink;

    m->moves++;
    m->base = base;
    return base != REFUSED;
}

static void machine_init(struct machine *m)
{
    struct lapic_link link = {send, eoi, wake, event, move, m};
    struct i82093aa_wiring ioapic_link = {send_ioapic, m};

    memset(m, 0, sizeof *m);
    for (uint32_t i = 0; i < CPUS; i++) {
        struct lapic_config config = {i, i == 0, true, 40, KHZ, 0};

        lapic_init(&m->lapic[i], &config, &link);
        m->all[i] = &m->lapic[i];
    }
    i82093aa_init(&m->ioapic, &ioapic_link);
}

static uint32_t get(struct lapic *lapic, uint64_t offset, uint64_t now)
{
    struct bus_access access = {.offset = offset, .value = UINT64_MAX, .now = now, .size = 4};

    lapic_access(lapic, &access);
    return (uint32_t)access.value;
}

static void put(struct lapic *lapic, uint64_t offset, uint32_t value, uint64_t now)
{
    struct bus_access access = {.offset = offset, .value = value, .now = now, .size = 4, .write = true};

    lapic_access(lapic, &access);
}

static void enable(struct machine *m)
{
    for (unsigned i = 0; i < CPUS; i++)
        put(m->all[i], APIC_SVR, APIC_SVR_ENABLED | 0xff, 0);
}

static void x2apic(struct machine *m)
{
    for (unsigned i = 0; i < CPUS; i++) {
        uint64_t base = m->lapic[i].base;

        assert_true(lapic_msr_write(m->all[i], MSR_APIC_BASE, base | APIC_BASE_EXTD, 0));
    }
}

static bool msr_put(struct lapic *lapic, unsigned offset, uint64_t value)
{
    return lapic_msr_write(lapic, 0x800 + offset / 16, value, 0);
}

static void reset_values(void **state)
{
    struct machine m;

    (void)state;
    machine_init(&m);
    assert_int_equal(get(m.all[2], APIC_ID, 0), 2u << 24);
    assert_int_equal(get(m.all[0], APIC_VERSION, 0), 0x01050014);
    assert_int_equal(get(m.all[0], APIC_SVR, 0), 0xff);
    assert_int_equal(get(m.all[0], APIC_DFR, 0), UINT32_MAX);
    for (unsigned offset = APIC_LVT_TIMER; offset <= APIC_LVT_ERROR; offset += 16)
        assert_int_equal(get(m.all[0], offset, 0), APIC_LVT_MASKED);
    assert_int_equal(m.lapic[0].base, 0xfee00900u);
    assert_int_equal(m.lapic[1].base, 0xfee00800u);
    assert_int_equal(lapic_pending_vector(m.all[0]), -1);
    assert_true(lapic_deadline(m.all[0]) == BUS_NEVER);
}

static void priorities(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];

    (void)state;
    machine_init(&m);
    lapic_set_irr(l, 0x40, false);
    assert_int_equal(lapic_pending_vector(l), -1); /* software-disabled */
    enable(&m);
    lapic_set_irr(l, 0x40, false);
    lapic_set_irr(l, 0x4f, false);
    lapic_set_irr(l, 0x91, true);
    assert_int_equal(m.wakes, 3);
    assert_int_equal(lapic_pending_vector(l), 0x91);
    lapic_cr8_write(l, 9);
    assert_int_equal(get(l, APIC_TPR, 0), 0x90);
    assert_int_equal(lapic_pending_vector(l), -1);
    lapic_cr8_write(l, 4);
    assert_int_equal(lapic_pending_vector(l), 0x91);
    lapic_accept(l, 0x91);
    assert_int_equal(get(l, APIC_PPR, 0), 0x90);
    assert_int_equal(get(l, APIC_ISR + 0x40, 0), 1u << 17);
    assert_int_equal(get(l, APIC_TMR + 0x40, 0), 1u << 17);
    put(l, APIC_TPR, 0x31, 0);
    assert_int_equal(lapic_cr8_read(l), 3);
    assert_int_equal(lapic_pending_vector(l), -1);
    lapic_set_irr(l, 0xa0, false);
    assert_int_equal(lapic_pending_vector(l), 0xa0);
    lapic_accept(l, 0xa0);
    put(l, APIC_EOI, 0, 0);
    assert_int_equal(m.eois, 0); /* edge */
    put(l, APIC_EOI, 0, 0);
    assert_int_equal(m.eois, 1);
    assert_int_equal(m.eoi_vector, 0x91);
    assert_int_equal(lapic_pending_vector(l), 0x4f);
    lapic_accept(l, 0x4f);
    assert_int_equal(lapic_pending_vector(l), -1); /* same class */
    assert_false(lapic_eoi_is_quiet(l, 0x4f));     /* but it waits */
    lapic_eoi(l);
    assert_int_equal(lapic_pending_vector(l), 0x40);
    lapic_accept(l, 0x40);
    assert_true(lapic_eoi_is_quiet(l, 0x40));
    assert_false(lapic_eoi_is_quiet(l, 0x3f));
    lapic_eoi(l);
    lapic_eoi(l); /* one too many */
    assert_int_equal(get(l, APIC_PPR, 0), 0x31);
    put(l, APIC_SVR, APIC_SVR_ENABLED | APIC_SVR_NO_EOI | 0xff, 0);
    lapic_set_irr(l, 0x91, true);
    lapic_accept(l, 0x91);
    assert_false(lapic_eoi_is_quiet(l, 0x91)); /* level */
    lapic_eoi(l);
    assert_int_equal(m.eois, 1); /* broadcast suppressed */
}

/* Kept back by the TPR alone: not by what is in service, and the highest alone counts. */
static void masked_class(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];

    (void)state;
    machine_init(&m);
    enable(&m);
    assert_int_equal(lapic_masked_class(l), 0);
    lapic_cr8_write(l, 15);
    assert_int_equal(lapic_masked_class(l), 0);
    lapic_set_irr(l, 0x1f, false);
    assert_int_equal(lapic_masked_class(l), 1);
    lapic_set_irr(l, 0x51, false);
    assert_int_equal(lapic_masked_class(l), 5);
    lapic_cr8_write(l, 5);
    assert_int_equal(lapic_masked_class(l), 5);
    lapic_cr8_write(l, 4);
    assert_int_equal(lapic_masked_class(l), 0);
    assert_int_equal(lapic_pending_vector(l), 0x51);
    lapic_accept(l, 0x51);
    lapic_set_irr(l, 0x52, false);
    lapic_cr8_write(l, 8);
    assert_int_equal(lapic_masked_class(l), 0); /* its end exits or is seen */
    lapic_eoi(l);
    assert_int_equal(lapic_masked_class(l), 5);
    lapic_set_irr(l, 0xff, false);
    lapic_cr8_write(l, 15);
    assert_int_equal(lapic_masked_class(l), 15);
}

static void errors(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];

    (void)state;
    machine_init(&m);
    enable(&m);
    put(l, APIC_LVT_ERROR, 0xfe, 0);
    put(l, APIC_ICR, 0x40000 | 5, 0);
    assert_int_equal(get(l, APIC_ESR, 0), 0);
    put(l, APIC_ESR, 0, 0);
    assert_int_equal(get(l, APIC_ESR, 0), APIC_ESR_SEND_VEC);
    assert_int_equal(lapic_pending_vector(l), 0xfe);
    assert_int_equal(get(l, 0x3f0, 0), 0);
    lapic_set_irr(l, 3, false);
    put(l, APIC_ESR, 0, 0);
    assert_int_equal(get(l, APIC_ESR, 0), APIC_ESR_RECV_VEC | APIC_ESR_REGISTER);
    put(l, APIC_LVT_ERROR, 3, 0); /* an error vector that is an error */
    lapic_set_irr(l, 3, false);
    put(l, APIC_ESR, 0, 0);
    assert_int_equal(get(l, APIC_ESR, 0), APIC_ESR_RECV_VEC);
    put(l, APIC_ESR, 0, 0);
    assert_int_equal(get(l, APIC_ESR, 0), 0);
}

static void access_sizes(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[1];
    struct bus_access byte = {.offset = APIC_ID + 3, .value = UINT64_MAX, .size = 1};
    struct bus_access wide = {.offset = APIC_VERSION, .value = UINT64_MAX, .size = 8};
    struct bus_access hole = {.offset = APIC_VERSION + 4, .value = UINT64_MAX, .size = 4};
    struct bus_access narrow = {.offset = APIC_TPR, .value = 0x50, .size = 1, .write = true};

    (void)state;
    machine_init(&m);
    lapic_access(l, &byte);
    assert_int_equal(byte.value, 1);
    lapic_access(l, &wide);
    assert_int_equal(wide.value, 0x01050014);
    lapic_access(l, &hole);
    assert_int_equal(hole.value, 0);
    lapic_access(l, &narrow);
    assert_int_equal(get(l, APIC_TPR, 0), 0);
}

static void destinations_xapic(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[1];

    (void)state;
    machine_init(&m);
    enable(&m);
    assert_true(lapic_matches(l, 1, false));
    assert_false(lapic_matches(l, 2, false));
    assert_true(lapic_matches(l, LAPIC_BROADCAST, false));
    assert_true(lapic_matches(l, LAPIC_BROADCAST, true));
    put(l, APIC_LDR, 0x02000000, 0);
    assert_true(lapic_matches(l, 0x06, true));
    assert_false(lapic_matches(l, 0x05, true));
    assert_false(lapic_matches(l, 0x102, true));
    put(l, APIC_DFR, 0, 0);
    put(l, APIC_LDR, 0x32000000, 0);
    assert_true(lapic_matches(l, 0x3f, true));
    assert_false(lapic_matches(l, 0x3d, true));
    assert_false(lapic_matches(l, 0x22, true));
    put(l, APIC_ID, 0x07000000, 0);
    assert_true(lapic_matches(l, 7, false));
    assert_true(lapic_msr_write(l, MSR_APIC_BASE, LAPIC_MMIO_BASE, 0));
    assert_false(lapic_matches(l, LAPIC_BROADCAST, false));
}

/* The page goes where IA32_APIC_BASE says, below 2^40 here; what it holds, and its modes, go with it. */
static void relocation(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[1];
    struct bus_access read = {.offset = APIC_VERSION, .size = 4};
    uint64_t value;

    (void)state;
    machine_init(&m);
    put(l, APIC_TPR, 0x40, 0);
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 1ull << 40 | 0x800, 0));
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 0xfef00000 | 0x801, 0));
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 0xfef00000 | 0xa00, 0));
    assert_int_equal(m.moves, 0);
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, REFUSED | 0x800, 0));
    assert_int_equal(m.moves, 1);
    assert_int_equal(get(l, APIC_TPR, 0), 0x40);

    assert_true(lapic_msr_write(l, MSR_APIC_BASE, (1ull << 40) - 0x1000 + 0x800, 0));
    assert_int_equal(m.moves, 2);
    assert_true(m.base == (1ull << 40) - 0x1000);
    assert_true(lapic_msr_read(l, MSR_APIC_BASE, 0, &value));
    assert_true(value == (1ull << 40) - 0x1000 + 0x800);
    assert_int_equal(get(l, APIC_TPR, 0), 0xffffffff); /* nothing is left behind */
    lapic_access_moved(l, &read);
    assert_int_equal(read.value & 0xff, 0x14);
    assert_true(lapic_msr_write(l, MSR_APIC_BASE, 0xfef00800, 0));
    assert_true(lapic_msr_write(l, MSR_APIC_BASE, 0xfef00c00, 0)); /* x2APIC has no page */
    read.value = 0;
    lapic_access_moved(l, &read);
    assert_int_equal(read.value, 0);
    assert_true(lapic_msr_read(l, 0x808, 0, &value));
    assert_int_equal(value, 0x40);
    lapic_reset_init(l); /* INIT keeps it */
    assert_true(lapic_msr_read(l, MSR_APIC_BASE, 0, &value));
    assert_int_equal(value, 0xfef00c00);
    assert_true(lapic_msr_write(l, MSR_APIC_BASE, 0xfef00000, 0));
    assert_true(lapic_msr_read(l, MSR_APIC_BASE, 0, &value));
    assert_int_equal(value, 0xfef00000);
    m.moves = 0;
    assert_true(lapic_msr_write(l, MSR_APIC_BASE, 0xfef00800, 0));
    assert_int_equal(m.moves, 0);
    l->link.move = NULL;
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00800, 0));
}

static void ipis(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];

    (void)state;
    machine_init(&m);
    enable(&m);
    put(l, APIC_ICR_HIGH, 2u << 24, 0);
    put(l, APIC_ICR, 0x4000 | 0x61, 0);
    assert_int_equal(lapic_pending_vector(m.all[2]), 0x61);
    assert_int_equal(lapic_pending_vector(m.all[1]), -1);
    put(l, APIC_ICR, 3u << 18 | 0x71, 0); /* all but self */
    assert_int_equal(lapic_pending_vector(l), -1);
    assert_int_equal(lapic_pending_vector(m.all[1]), 0x71);
    put(l, APIC_ICR, 2u << 18 | 0x81, 0);
    assert_int_equal(lapic_pending_vector(l), 0x81);
    put(l, APIC_ICR, 1u << 18 | 0x91, 0);
    assert_int_equal(lapic_pending_vector(l), 0x91);
    assert_int_equal(m.events, 0);
    put(l, APIC_ICR, LAPIC_INIT << 8 | 1u << 15 | 1u << 14, 0);
    assert_int_equal(m.events, 1);
    assert_int_equal(m.event_cpu, 2);
    assert_int_equal(m.event, LAPIC_INIT);
    put(l, APIC_ICR, LAPIC_INIT << 8 | 1u << 15, 0); /* de-assert */
    assert_int_equal(m.events, 1);
    put(l, APIC_ICR, LAPIC_STARTUP << 8 | 0x9a, 0);
    assert_int_equal(m.event, LAPIC_STARTUP);
    assert_int_equal(m.event_vector, 0x9a);
    put(l, APIC_ICR, 3u << 18 | LAPIC_NMI << 8, 0);
    assert_int_equal(m.events, 4);
    assert_int_equal(m.event, LAPIC_NMI);
    assert_int_equal(get(l, APIC_ICR_HIGH, 0), 2u << 24);
    put(l, APIC_ICR, 2u << 18 | 3u << 8 | 0x55, 0); /* reserved delivery mode */
    assert_int_equal(m.events, 4);
}

static void lowest_priority(void **state)
{
    struct machine m;
    struct lapic_message message = {LAPIC_BROADCAST, LAPIC_NO_CPU, 0x55, LAPIC_LOWEST, 0, false, false};

    (void)state;
    machine_init(&m);
    assert_false(lapic_route(m.all, CPUS, &message));
    enable(&m);
    lapic_cr8_write(m.all[0], 3);
    lapic_cr8_write(m.all[2], 3);
    assert_true(lapic_route(m.all, CPUS, &message));
    assert_int_equal(lapic_pending_vector(m.all[1]), 0x55);
    assert_int_equal(lapic_pending_vector(m.all[0]), -1);
    assert_int_equal(lapic_pending_vector(m.all[2]), -1);
}

static void base_transitions(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[1];
    uint64_t value;

    (void)state;
    machine_init(&m);
    enable(&m);
    assert_false(lapic_msr_read(l, 0x802, 0, &value));
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00400, 0));
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, REFUSED | 0x800, 0));
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00801, 0));
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 1ull << 52 | 0xfee00800, 0));
    assert_true(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00c00, 0));
    assert_true(lapic_msr_read(l, 0x802, 0, &value));
    assert_int_equal(value, 1);
    assert_int_equal(get(l, APIC_ID, 0), UINT32_MAX); /* the page is gone */
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00800, 0));
    assert_true(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00000, 0));
    assert_false(lapic_msr_read(l, 0x802, 0, &value));
    assert_true(lapic_accepts_extint(l));
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00c00, 0));
    assert_true(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00900, 0)); /* BSP bit cannot be set */
    assert_true(lapic_msr_read(l, MSR_APIC_BASE, 0, &value));
    assert_int_equal(value, 0xfee00800);
    assert_int_equal(get(l, APIC_SVR, 0), 0xff); /* state was lost */
    l->config.x2apic = false;
    assert_false(lapic_msr_write(l, MSR_APIC_BASE, 0xfee00c00, 0));
}

static void x2apic_registers(void **state)
{
    static const unsigned readonly[] = {APIC_ID,  APIC_VERSION, APIC_PPR, APIC_LDR,
                                        APIC_ISR, APIC_TMR,     APIC_IRR, APIC_TIMER_CURRENT};
    static const unsigned absent[] = {0,     0x10,  0x40,  APIC_APR, APIC_RRD, APIC_DFR, APIC_ICR_HIGH,
                                      0x2f0, 0x3a0, 0x400, 0xff0};
    static const unsigned lvts[] = {APIC_LVT_TIMER, APIC_LVT_THERMAL, APIC_LVT_PERF,
                                    APIC_LVT_LINT0, APIC_LVT_LINT1,   APIC_LVT_ERROR};
    struct machine m;
    struct lapic *l = &m.lapic[0];
    uint64_t value;

    (void)state;
    machine_init(&m);
    x2apic(&m);
    for (size_t i = 0; i < sizeof readonly / sizeof *readonly; i++) {
        assert_true(lapic_msr_read(l, 0x800 + readonly[i] / 16, 0, &value));
        assert_false(msr_put(l, readonly[i], 0));
    }
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        assert_false(lapic_msr_read(l, 0x800 + absent[i] / 16, 0, &value));
        assert_false(msr_put(l, absent[i], 0));
    }
    for (size_t i = 0; i < sizeof lvts / sizeof *lvts; i++) {
        assert_false(msr_put(l, lvts[i], 1u << 20));
        assert_false(msr_put(l, lvts[i], 1ull << 32));
        assert_true(msr_put(l, lvts[i], APIC_LVT_MASKED | 0x20));
    }
    assert_false(msr_put(l, APIC_EOI, 1));
    assert_true(msr_put(l, APIC_EOI, 0));
    assert_false(msr_put(l, APIC_ESR, 1));
    assert_false(msr_put(l, APIC_TPR, 0x100));
    assert_false(msr_put(l, APIC_SVR, 0x400));
    assert_false(msr_put(l, APIC_TIMER_INITIAL, 1ull << 32));
    assert_false(msr_put(l, APIC_TIMER_DIVIDE, 4));
    assert_false(msr_put(l, APIC_ICR, 1u << 20));
    assert_false(msr_put(l, APIC_SELF_IPI, 0x100));
    assert_false(lapic_msr_read(l, 0x83f, 0, &value));
    assert_false(lapic_msr_read(l, 0x80b, 0, &value));
    assert_true(msr_put(l, APIC_SVR, 0x1ff));
    assert_true(msr_put(l, APIC_SELF_IPI, 0x77));
    assert_int_equal(lapic_pending_vector(l), 0x77);
    assert_true(lapic_msr_read(m.all[2], 0x80d, 0, &value));
    assert_int_equal(value, 4);
}

static void x2apic_messages(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];
    uint64_t value;

    (void)state;
    machine_init(&m);
    enable(&m);
    x2apic(&m);
    assert_true(msr_put(l, APIC_ICR, 2ull << 32 | 0x41));
    assert_int_equal(lapic_pending_vector(m.all[2]), 0x41);
    assert_true(msr_put(l, APIC_ICR, 0x00000006ull << 32 | 1u << 11 | 0x51)); /* cluster 0, IDs 1 and 2 */
    assert_int_equal(lapic_pending_vector(l), -1);
    assert_int_equal(lapic_pending_vector(m.all[1]), 0x51);
    assert_int_equal(lapic_pending_vector(m.all[2]), 0x51);
    assert_true(msr_put(l, APIC_ICR, 0x00010001ull << 32 | 1u << 11 | 0x61)); /* cluster 1 */
    assert_int_equal(lapic_pending_vector(l), -1);
    assert_true(msr_put(l, APIC_ICR, 0xffull << 32 | 0x61)); /* not a broadcast here */
    assert_int_equal(lapic_pending_vector(l), -1);
    assert_true(msr_put(l, APIC_ICR, 0xffffffffull << 32 | 0x61));
    assert_int_equal(lapic_pending_vector(l), 0x61);
    assert_true(lapic_msr_read(l, 0x830, 0, &value));
    assert_true(value == (0xffffffffull << 32 | 0x61));
    m.lapic[2].config.cpu = m.lapic[2].id = 0x123;
    assert_true(lapic_matches(m.all[2], 0x120008, true));
    assert_true(lapic_matches(m.all[2], 0x123, false));
}

static void one_shot(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];

    (void)state;
    machine_init(&m);
    enable(&m);
    put(l, APIC_LVT_TIMER, 0x30, 0);
    put(l, APIC_TIMER_DIVIDE, 3, 0); /* 16 */
    put(l, APIC_TIMER_INITIAL, 1000, 5000);
    assert_true(lapic_deadline(l) == 5000 + 16000);
    assert_int_equal(get(l, APIC_TIMER_CURRENT, 5000), 1000);
    assert_int_equal(get(l, APIC_TIMER_CURRENT, 5015), 1000);
    assert_int_equal(get(l, APIC_TIMER_CURRENT, 5016), 999);
    put(l, APIC_TIMER_DIVIDE, 0xb, 13000); /* by 1, 500 left */
    assert_int_equal(get(l, APIC_TIMER_CURRENT, 13000), 500);
    assert_true(lapic_deadline(l) == 13500);
    put(l, APIC_TIMER_DIVIDE, 0xa, 13100); /* by 128, 400 left, began before time 0 */
    assert_int_equal(get(l, APIC_TIMER_CURRENT, 13100), 400);
    assert_true(lapic_deadline(l) == 13100 + 400 * 128);
    lapic_advance(l, lapic_deadline(l) - 1);
    assert_int_equal(lapic_pending_vector(l), -1);
    lapic_advance(l, lapic_deadline(l));
    assert_int_equal(lapic_pending_vector(l), 0x30);
    assert_true(lapic_deadline(l) == BUS_NEVER);
    assert_int_equal(get(l, APIC_TIMER_CURRENT, 13100 + 400 * 128), 0);
    put(l, APIC_TIMER_DIVIDE, 0xa, 70000);
    assert_int_equal(get(l, APIC_TIMER_CURRENT, 70000), 0);
    assert_int_equal(get(l, APIC_TIMER_INITIAL, 70000), 1000);
    put(l, APIC_TIMER_INITIAL, 0, 70000);
    assert_true(lapic_deadline(l) == BUS_NEVER);
    put(l, APIC_TIMER_INITIAL, UINT32_MAX, UINT64_MAX - 5); /* the end of time */
    assert_true(lapic_deadline(l) == BUS_NEVER);
}

static void divides(void **state)
{
    static const unsigned divide[16] = {
        [0] = 2, [1] = 4, [2] = 8, [3] = 16, [8] = 32, [9] = 64, [10] = 128, [11] = 1};
    struct machine m;
    struct lapic *l = &m.lapic[0];

    (void)state;
    machine_init(&m);
    for (unsigned i = 0; i < 16; i++) {
        if (!divide[i])
            continue;
        put(l, APIC_TIMER_DIVIDE, i, 0);
        put(l, APIC_TIMER_INITIAL, 10, 0);
        assert_int_equal(lapic_deadline(l), 10 * divide[i]);
    }
}

static void periodic(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];

    (void)state;
    machine_init(&m);
    enable(&m);
    put(l, APIC_LVT_TIMER, APIC_TIMER_PERIODIC | 0x31, 0);
    put(l, APIC_TIMER_DIVIDE, 0xb, 0);
    put(l, APIC_TIMER_INITIAL, 1000000, 500);
    assert_true(lapic_deadline(l) == 1000500);
    lapic_advance(l, 1000500);
    assert_int_equal(lapic_pending_vector(l), 0x31);
    assert_true(lapic_deadline(l) == 2000500);
    m.wakes = 0;
    lapic_advance(l, 1000000000000500ull + 7); /* many periods missed: one interrupt, phase kept */
    assert_int_equal(m.wakes, 1);
    assert_true(lapic_deadline(l) == 1000000000000500ull + 1000000);
    assert_int_equal(get(l, APIC_TIMER_CURRENT, 1000000000000500ull + 7), 1000000 - 7);
    put(l, APIC_TIMER_INITIAL, 1, 1000000000000600ull); /* a period of 1 ns */
    for (uint64_t now = 1000000000000601ull, i = 0; i < 100; i++, now = lapic_deadline(l)) {
        lapic_advance(l, now);
        assert_true(lapic_deadline(l) >= now + LAPIC_MIN_PERIOD_NS);
    }
    put(l, APIC_LVT_TIMER, APIC_TIMER_DEADLINE | 0x31, 1000000000000700ull);
    assert_true(lapic_deadline(l) == BUS_NEVER);
}

static void tsc_deadline(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];
    uint64_t value;

    (void)state;
    machine_init(&m);
    enable(&m);
    assert_true(lapic_msr_write(l, MSR_TSC_DEADLINE, 5, 10)); /* other mode: no effect */
    assert_true(lapic_deadline(l) == BUS_NEVER);
    put(l, APIC_LVT_TIMER, APIC_TIMER_DEADLINE | 0x32, 0);
    put(l, APIC_TIMER_INITIAL, 5, 0);
    assert_true(lapic_deadline(l) == BUS_NEVER);
    assert_int_equal(lapic_tsc(l, 1000), 2500);
    assert_true(lapic_msr_write(l, MSR_TSC_DEADLINE, 2501, 10));
    assert_true(lapic_deadline(l) == 1001); /* rounded up: 1000.4 ns */
    assert_true(lapic_msr_read(l, MSR_TSC_DEADLINE, 1000, &value));
    assert_int_equal(value, 2501);
    lapic_advance(l, 1001);
    assert_int_equal(lapic_pending_vector(l), 0x32);
    assert_true(lapic_msr_read(l, MSR_TSC_DEADLINE, 1001, &value));
    assert_int_equal(value, 0);
    lapic_accept(l, 0x32);
    lapic_eoi(l);
    assert_true(lapic_msr_write(l, MSR_TSC_DEADLINE, 1, 2000)); /* past: at once */
    assert_int_equal(lapic_pending_vector(l), 0x32);
    assert_true(lapic_msr_write(l, MSR_TSC_DEADLINE, UINT64_MAX, 2000)); /* beyond all time */
    assert_true(lapic_deadline(l) > 1ull << 62);
    assert_true(lapic_msr_write(l, MSR_TSC_DEADLINE, 0, 2000));
    assert_true(lapic_deadline(l) == BUS_NEVER);
    assert_true(lapic_msr_write(l, MSR_TSC_DEADLINE, 10000, 2000));
    assert_true(lapic_deadline(l) == 4000);
    lapic_tsc_move(l, (uint64_t)-2500, 2000); /* guest TSC set back by 1 us */
    assert_true(lapic_deadline(l) == 5000);
    assert_true(lapic_msr_write(l, MSR_TSC_DEADLINE, 100ull * 86400 * KHZ * 1000, 2000));
    assert_true(lapic_deadline(l) == 100ull * 86400 * 1000000000 + 1000);
}

/* For each TSC frequency, a deadline is the first ns whose TSC has reached it. */
static void tsc_conversion_exact(void **state)
{
    static const uint32_t khz[] = {1, 999, 1000000, 1190000, 2394453, 2500000, 3999999, UINT32_MAX};
    uint64_t seed = 1;
    struct machine m;

    (void)state;
    for (size_t k = 0; k < sizeof khz / sizeof *khz; k++) {
        struct lapic *l = &m.lapic[0];

        machine_init(&m);
        enable(&m);
        l->config.tsc_khz = khz[k];
        put(l, APIC_LVT_TIMER, APIC_TIMER_DEADLINE | 0x32, 0);
        for (unsigned i = 0; i < 2000; i++) {
            uint64_t target;

            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            target = seed >> 20 >> seed % 40;
            assert_true(lapic_msr_write(l, MSR_TSC_DEADLINE, target, 0));
            if (target == 0 || lapic_deadline(l) == BUS_NEVER)
                continue;
            assert_true(lapic_tsc(l, lapic_deadline(l)) >= target);
            assert_true(lapic_tsc(l, lapic_deadline(l) - 1) < target);
        }
    }
}

static void lint(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[0];

    (void)state;
    machine_init(&m);
    assert_false(lapic_accepts_extint(l)); /* masked after reset */
    enable(&m);
    put(l, APIC_LVT_LINT0, LAPIC_EXTINT << 8, 0);
    assert_true(lapic_accepts_extint(l));
    lapic_set_lint(l, 0, true);
    assert_int_equal(m.wakes, 0); /* the 8259 is asked, nothing is set here */
    put(l, APIC_LVT_LINT1, LAPIC_NMI << 8, 0);
    lapic_set_lint(l, 1, true);
    lapic_set_lint(l, 1, true);
    assert_int_equal(m.events, 1);
    assert_int_equal(m.event, LAPIC_NMI);
    lapic_set_lint(l, 1, false);
    lapic_set_lint(l, 2, true);
    lapic_set_lint(l, 0, false);
    put(l, APIC_LVT_LINT0, 1u << 15 | 0x44, 0); /* fixed, level */
    lapic_set_lint(l, 0, true);
    assert_int_equal(lapic_pending_vector(l), 0x44);
    assert_int_equal(get(l, APIC_LVT_LINT0, 0), 1u << 15 | 1u << 14 | 0x44);
    lapic_accept(l, 0x44);
    lapic_eoi(l);
    assert_int_equal(lapic_pending_vector(l), 0x44); /* still high */
    lapic_set_lint(l, 0, false);
    lapic_accept(l, 0x44);
    lapic_eoi(l);
    assert_int_equal(lapic_pending_vector(l), -1);
    put(l, APIC_SVR, 0xff, 0); /* software-disable masks all, and they cannot be unmasked */
    assert_true(get(l, APIC_LVT_LINT0, 0) & APIC_LVT_MASKED);
    put(l, APIC_LVT_LINT0, LAPIC_EXTINT << 8, 0);
    assert_false(lapic_accepts_extint(l));
}

static void extint_message(void **state)
{
    struct machine m;
    struct lapic_message message = {0, LAPIC_NO_CPU, 0, LAPIC_EXTINT, 0, false, false};

    (void)state;
    machine_init(&m);
    assert_true(lapic_route(m.all, CPUS, &message));
    assert_true(lapic_accepts_extint(m.all[0]));
    assert_false(lapic_accepts_extint(m.all[1]));
    lapic_extint_done(m.all[0]);
    assert_false(lapic_accepts_extint(m.all[0]));
}

static void msi(void **state)
{
    struct lapic_message message;

    (void)state;
    assert_false(lapic_message_from_msi(0xfef00000, 0, &message));
    assert_false(lapic_message_from_msi(0x1fee00000, 0, &message));
    assert_true(lapic_message_from_msi(0xfee02004, 0x8141, &message));
    assert_int_equal(message.destination, 2);
    assert_true(message.logical && message.level);
    assert_int_equal(message.delivery, LAPIC_LOWEST);
    assert_int_equal(message.vector, 0x41);
    assert_true(lapic_message_from_msi(0xfeeff000, 0x41, &message));
    assert_int_equal(message.destination, LAPIC_BROADCAST);
}

static void init_keeps_identity(void **state)
{
    struct machine m;
    struct lapic *l = &m.lapic[1];
    uint64_t value;

    (void)state;
    machine_init(&m);
    enable(&m);
    x2apic(&m);
    lapic_set_irr(l, 0x40, false);
    lapic_reset_init(l);
    assert_int_equal(lapic_pending_vector(l), -1);
    assert_true(lapic_msr_read(l, 0x802, 0, &value));
    assert_int_equal(value, 1);
    lapic_reset(l);
    assert_int_equal(l->base, 0xfee00800);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_values),
        cmocka_unit_test(priorities),
        cmocka_unit_test(masked_class),
        cmocka_unit_test(errors),
        cmocka_unit_test(access_sizes),
        cmocka_unit_test(destinations_xapic),
        cmocka_unit_test(relocation),
        cmocka_unit_test(ipis),
        cmocka_unit_test(lowest_priority),
        cmocka_unit_test(base_transitions),
        cmocka_unit_test(x2apic_registers),
        cmocka_unit_test(x2apic_messages),
        cmocka_unit_test(one_shot),
        cmocka_unit_test(divides),
        cmocka_unit_test(periodic),
        cmocka_unit_test(tsc_deadline),
        cmocka_unit_test(tsc_conversion_exact),
        cmocka_unit_test(lint),
        cmocka_unit_test(extint_message),
        cmocka_unit_test(msi),
        cmocka_unit_test(init_keeps_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
