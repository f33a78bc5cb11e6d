/* SPDX-License-Identifier: ISC */
/*
 * Random accesses of random sizes at random times, forwards and backwards, to three local APICs and an IOAPIC
 * that are wired to each other. Under the sanitizers this has to survive, and the model's own invariants to
 * hold.
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

struct machine {
    struct lapic lapic[CPUS];
    struct lapic *all[CPUS];
    struct i82093aa ioapic;
    unsigned events;
    unsigned wakes;
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

    (void)vector;
    assert_true(cpu < CPUS && delivery != LAPIC_FIXED);
    m->events++;
}

static bool move(void *sink, uint64_t base)
{
    (void)sink;
    assert_int_equal(base & 0xfff, 0);
    return true;
}

static void machine_init(struct machine *m)
{
    struct lapic_link link = {send, eoi, wake, event, move, m};
    struct i82093aa_wiring ioapic_link = {send_ioapic, m};

    memset(m, 0, sizeof *m);
    for (uint32_t i = 0; i < CPUS; i++) {
        struct lapic_config config = {i, i == 0, true, 0, 2394453, (uint64_t)i << 62};

        lapic_init(&m->lapic[i], &config, &link);
        m->all[i] = &m->lapic[i];
    }
    i82093aa_init(&m->ioapic, &ioapic_link);
}

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void check_invariants(const struct lapic *l)
{
    int top = -1;

    for (int v = 0; v < 256; v++)
        if (l->isr[v / 64] >> v % 64 & 1)
            top = v;
    assert_int_equal(top, l->isr_top);
    assert_true((l->ppr & 0xf0) >= (l->tpr & 0xf0));
    assert_true(top < 0 || (l->ppr & 0xf0) >= (top & 0xf0));
    assert_true(!(l->irr[0] & 0xffff) && !(l->isr[0] & 0xffff));
}

static unsigned hammer_step(struct machine *m, uint64_t *seed, uint64_t now)
{
    unsigned accepted = 0;
    struct lapic *l = m->all[next(seed) % CPUS];
    uint64_t r = next(seed), value = next(seed) >> next(seed) % 64;
    struct bus_access access = {.offset = r & 0xfff, .value = value, .now = now, .write = r >> 20 & 1};

    access.size = (uint8_t)(1u << (r >> 12 & 3));
    if (access.offset + access.size > 0x1000)
        access.offset = 0x1000 - access.size;
    if (r >> 32 & 3)
        access.offset &= 0xff0;
    switch (r >> 40 & 7) {
    case 0:
        accepted += lapic_msr_write(l, 0x800 + (uint32_t)(r >> 8 & 0xff), value, now);
        break;
    case 1:
        accepted += lapic_msr_read(l, 0x800 + (uint32_t)(r >> 8 & 0xff), now, &value);
        break;
    case 2:
        if (r >> 50 & 15)
            accepted += lapic_msr_write(l, MSR_TSC_DEADLINE, value, now);
        else
            accepted += lapic_msr_write(l, MSR_APIC_BASE, LAPIC_MMIO_BASE ^ (value & 0x10000d00), now);
        break;
    case 3:
        access.offset &= 0x7f;
        i82093aa_access(&m->ioapic, &access);
        break;
    case 4:
        i82093aa_set_irq(&m->ioapic, (unsigned)(r & 31), r >> 6 & 1);
        lapic_set_lint(l, (unsigned)(r >> 7 & 3), r >> 9 & 1);
        break;
    case 5:
        lapic_set_irr(l, (unsigned)(r & 0x1ff), r >> 10 & 1);
        lapic_advance(l, now);
        assert_true(lapic_deadline(l) > now || now == UINT64_MAX);
        if (lapic_pending_vector(l) >= 0)
            lapic_accept(l, (unsigned)lapic_pending_vector(l));
        break;
    case 6:
        lapic_access_moved(l, &access);
        break;
    default:
        lapic_access(l, &access);
    }
    check_invariants(l);
    return accepted;
}

static void enable(struct lapic *l, uint64_t now)
{
    struct bus_access svr = {.offset = APIC_SVR, .value = 0x1ff, .now = now, .size = 4, .write = true};

    if (lapic_mode(l) == LAPIC_MODE_X2APIC)
        assert_true(lapic_msr_write(l, 0x80f, 0x1ff, now));
    else
        lapic_access(l, &svr);
}

static void hammer(void **state)
{
    uint64_t seed = 0x2545f4914f6cdd1dull, now = 0;
    unsigned accepted = 0;
    struct machine m;

    (void)state;
    machine_init(&m);
    for (unsigned i = 0; i < 400000; i++) {
        now += next(&seed) >> (1 + next(&seed) % 63);
        if (next(&seed) % 1000 == 0)
            now = next(&seed) >> next(&seed) % 64;
        if (next(&seed) % 20 == 0)
            enable(m.all[next(&seed) % CPUS], now);
        if (next(&seed) % 200 == 0)
            lapic_reset(m.all[next(&seed) % CPUS]);
        accepted += hammer_step(&m, &seed, now);
    }
    assert_true(accepted > 1000);
    assert_true(m.wakes > 10000 && m.events > 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hammer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
