/* SPDX-License-Identifier: ISC */
/*
 * The local APIC's timer: one-shot, periodic, TSC-deadline (Intel SDM vol. 3, 11.5.4).
 *
 * Nothing counts here. The count is a function of the caller's time and the time at which it would have been
 * the initial count; an expiry is one absolute deadline. Conversion between TSC ticks and nanoseconds splits
 * off whole milliseconds first, so that no product exceeds 64 bits and the result is exact; a deadline is
 * rounded up, thus it is never seen by the guest before its TSC has got there.
 */
#include "vmm/device/lapic.h"

#define NS_PER_MS 1000000u

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Wraps as a TSC does. */
static uint64_t ns_to_ticks(uint64_t ns, uint32_t khz)
{
    return ns / NS_PER_MS * khz + ns % NS_PER_MS * khz / NS_PER_MS;
}

/* First ns at which `ticks` have passed; saturates. */
static uint64_t ticks_to_ns(uint64_t ticks, uint32_t khz)
{
    uint64_t ms = ticks / khz;
    uint64_t rest = (ticks % khz * NS_PER_MS + khz - 1) / khz;

    if (ms > UINT64_MAX / NS_PER_MS)
        return UINT64_MAX;
    return add_saturated(ms * NS_PER_MS, rest);
}

/* DCR bits 3, 1, 0: 2, 4, .. 128, 1. */
static unsigned divide_shift(const struct lapic *lapic)
{
    uint32_t code = (lapic->timer_divide & 3) | (lapic->timer_divide >> 1 & 4);

    return (code + 1) & 7;
}

static uint64_t period(const struct lapic *lapic)
{
    return (uint64_t)lapic->timer_initial << divide_shift(lapic);
}

/* timer_start may lie before time 0 and is a wrapping value for that. */
static uint64_t elapsed(const struct lapic *lapic, uint64_t now)
{
    uint64_t distance = now - lapic->timer_start;

    return distance <= INT64_MAX ? distance : 0;
}

uint64_t lapic_tsc(const struct lapic *lapic, uint64_t now)
{
    return lapic->config.tsc_at_zero + ns_to_ticks(now, lapic->config.tsc_khz);
}

static void arm_tsc_deadline(struct lapic *lapic, uint64_t now)
{
    uint64_t tsc = lapic_tsc(lapic, now);
    uint64_t ticks = ns_to_ticks(now, lapic->config.tsc_khz);

    if (lapic->tsc_deadline == 0)
        lapic->deadline = BUS_NEVER;
    else if (lapic->tsc_deadline <= tsc)
        lapic->deadline = now;
    else
        lapic->deadline = ticks_to_ns(add_saturated(ticks, lapic->tsc_deadline - tsc), lapic->config.tsc_khz);
}

static void arm_count(struct lapic *lapic, uint64_t now)
{
    uint64_t length = period(lapic);
    uint64_t passed = elapsed(lapic, now);

    if (length == 0)
        lapic->deadline = BUS_NEVER;
    else
        lapic->deadline = passed < length ? add_saturated(now, length - passed) : now;
}

void lapic_timer_reset(struct lapic *lapic)
{
    lapic->timer_initial = 0;
    lapic->timer_divide = 0;
    lapic->timer_start = 0;
    lapic->tsc_deadline = 0;
    lapic->deadline = BUS_NEVER;
}

uint32_t lapic_timer_current(const struct lapic *lapic, uint64_t now)
{
    uint64_t ticks;

    if (lapic->timer_initial == 0 || lapic->deadline == BUS_NEVER)
        return 0;
    ticks = elapsed(lapic, now) >> divide_shift(lapic);
    if ((lapic->lvt[0] & APIC_TIMER_MODE) == APIC_TIMER_PERIODIC)
        ticks %= lapic->timer_initial;
    return ticks < lapic->timer_initial ? lapic->timer_initial - (uint32_t)ticks : 0;
}

static void advance_periodic(struct lapic *lapic, uint64_t now)
{
    uint64_t length = period(lapic);
    uint64_t earliest = add_saturated(now, LAPIC_MIN_PERIOD_NS);

    lapic->timer_start += elapsed(lapic, now) / length * length;
    arm_count(lapic, now);
    if (lapic->deadline < earliest)
        lapic->deadline = earliest;
}

void lapic_advance(struct lapic *lapic, uint64_t now)
{
    if (now < lapic->deadline || lapic->deadline == BUS_NEVER)
        return;
    lapic->deadline = BUS_NEVER;
    lapic->tsc_deadline = 0;
    if ((lapic->lvt[0] & APIC_TIMER_MODE) == APIC_TIMER_PERIODIC)
        advance_periodic(lapic, now);
    lapic_fire(lapic, 0);
}

void lapic_timer_set_initial(struct lapic *lapic, uint32_t count, uint64_t now)
{
    if ((lapic->lvt[0] & APIC_TIMER_MODE) == APIC_TIMER_DEADLINE)
        return;
    lapic_advance(lapic, now);
    lapic->timer_initial = count;
    lapic->timer_start = now;
    arm_count(lapic, now);
}

/* A running count goes on from where it is, at the new rate. A one-shot that has expired stays expired. */
void lapic_timer_set_divide(struct lapic *lapic, uint32_t divide, uint64_t now)
{
    uint32_t current;

    lapic_advance(lapic, now);
    current = lapic_timer_current(lapic, now);
    lapic->timer_divide = divide & 0xb;
    if (lapic->deadline == BUS_NEVER || (lapic->lvt[0] & APIC_TIMER_MODE) == APIC_TIMER_DEADLINE)
        return;
    lapic->timer_start = now - ((uint64_t)(lapic->timer_initial - current) << divide_shift(lapic));
    arm_count(lapic, now);
}

/* Between one-shot and periodic the count goes on; to and from TSC-deadline the timer is disarmed (11.5.4.1).
 */
void lapic_timer_set_lvt(struct lapic *lapic, uint32_t value, uint64_t now)
{
    uint32_t changed = lapic->lvt[0] ^ value;
    bool running;

    lapic_advance(lapic, now);
    running = lapic->deadline != BUS_NEVER;
    lapic->lvt[0] = value;
    if (changed & APIC_TIMER_DEADLINE) {
        lapic->timer_initial = 0;
        lapic->tsc_deadline = 0;
        lapic->deadline = BUS_NEVER;
    } else if (changed & APIC_TIMER_PERIODIC) {
        if (running || !(value & APIC_TIMER_PERIODIC))
            return;
        lapic->timer_initial = 0;
    }
}

void lapic_timer_set_deadline(struct lapic *lapic, uint64_t tsc, uint64_t now)
{
    if ((lapic->lvt[0] & APIC_TIMER_MODE) != APIC_TIMER_DEADLINE)
        return;
    lapic_advance(lapic, now);
    lapic->tsc_deadline = tsc;
    arm_tsc_deadline(lapic, now);
    lapic_advance(lapic, now);
}

void lapic_tsc_move(struct lapic *lapic, uint64_t delta, uint64_t now)
{
    lapic->config.tsc_at_zero += delta;
    if ((lapic->lvt[0] & APIC_TIMER_MODE) != APIC_TIMER_DEADLINE || lapic->tsc_deadline == 0)
        return;
    arm_tsc_deadline(lapic, now);
    lapic_advance(lapic, now);
}
