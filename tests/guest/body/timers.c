/* SPDX-License-Identifier: ISC */
/* The 8254, the real-time clock, and whether all clocks go forward and agree. */
#include "tests/guest/body/apic.h"
#include "tests/guest/body/pit.h"
#include "tests/guest/body/suites.h"

#define PORT_B       0x61u
#define GATE2        1u
#define OUT2         0x20u
#define RTC_INDEX    0x70u
#define RTC_DATA     0x71u
#define RTC_A        10u
#define RTC_B        11u
#define RTC_C        12u
#define RTC_D        13u
#define RTC_UIP      0x80u
#define RTC_SET      0x80u
#define RTC_PIE      0x40u
#define RTC_AIE      0x20u
#define RTC_UIE      0x10u
#define RTC_BINARY   0x04u
#define RTC_24       0x02u
#define KVM_SYSTEM   0x4b564d01u
#define KVM_FEATURES 0x40000001u
#define SECOND       PM_HZ
#define TICK         0x30u

static uint32_t pit_read(unsigned channel)
{
    uint32_t low;

    out8(PIT_CONTROL, (uint8_t)(channel << 6));
    low = in8((uint16_t)PIT(channel));
    return low | (uint32_t)in8((uint16_t)PIT(channel)) << 8;
}

static uint32_t pit_status(unsigned channel)
{
    out8(PIT_CONTROL, (uint8_t)(0xe0 | 2u << channel)); /* read-back: status, not the count */
    return in8((uint16_t)PIT(channel));
}

/* Counts down at its rate, by the PM timer. */
static void pit_rate(void)
{
    uint32_t first, second;
    uint64_t start, ticks;

    pit_load(0, 2, 0);
    start = now_ticks();
    first = pit_read(0);
    wait_us(20000);
    second = pit_read(0);
    ticks = now_ticks() - start;
    (void)expect_between("ticks of the 8254 a 3 of the PM timer", ticks - (ticks >> 6) - 10,
                         ticks + (ticks >> 6) + 10, 3ull * ((first - second) & 0xffff));
    pit_stop();
}

static void pit_modes(void)
{
    uint32_t even = 0;

    pit_load(0, 3, 1000);
    for (unsigned i = 0; i < 50; i++)
        even += !(pit_read(0) & 1);
    (void)expect("mode 3 counts by two", 50, even);
    (void)expect("status of mode 3", 0x36, pit_status(0) & 0x3fu);
    pit_load(0, 2, 1000);
    (void)expect("status of mode 2", 0x34, pit_status(0) & 0x3fu);
    pit_load(0, 0, 2000);
    (void)expect("output of mode 0 at first", 0, pit_status(0) & 0x80u);
    wait_us(4000);
    (void)expect("output of mode 0 at last", 0x80, pit_status(0) & 0x80u);
    pit_load(0, 4, 2000);
    (void)expect("output of mode 4 at first", 0x80, pit_status(0) & 0x80u);
    pit_load(0, 1, 2000);
    (void)expect("status of mode 1", 0x32, pit_status(0) & 0x3fu);
    pit_stop();
    (void)expect("null count", 0x40, pit_status(0) & 0x40u);
}

/* A latched count stays until it is read; both bytes, one byte only. */
static void pit_latch(void)
{
    uint32_t first, second;

    pit_load(0, 2, 60000);
    out8(PIT_CONTROL, 0);
    first = in8(PIT(0));
    wait_us(2000);
    first |= (uint32_t)in8(PIT(0)) << 8;
    second = pit_read(0);
    (void)expect_between("count latched 2 ms before", second + 2000, second + 40000, first);
    out8(PIT_CONTROL, 0xc2); /* read-back of channel 0: count and status */
    (void)expect("status before count", 0x34, in8(PIT(0)) & 0x3fu);
    first = in8(PIT(0));
    first |= (uint32_t)in8(PIT(0)) << 8;
    (void)expect_between("count behind it", 1, 60000, first);
    out8(PIT_CONTROL, 0x14); /* low byte only, mode 2 */
    out8(PIT(0), 0x80);
    (void)expect("status of one byte", 0x14, pit_status(0) & 0x3fu);
    pit_stop();
}

static void pit_gate(void)
{
    uint32_t held;

    out8(PORT_B, 0);
    pit_load(2, 0, 5000);
    held = pit_read(2);
    wait_us(2000);
    (void)expect("counts with its gate low", held, pit_read(2));
    out8(PORT_B, GATE2);
    (void)expect("output at first", 0, in8(PORT_B) & OUT2);
    wait_us(6000);
    (void)expect("output at last", OUT2, in8(PORT_B) & OUT2);
    out8(PORT_B, 0);
}

/* ---- the real-time clock */

static uint8_t rtc_get(uint8_t index)
{
    out8(RTC_INDEX, index);
    return in8(RTC_DATA);
}

static void rtc_set(uint8_t index, uint8_t value)
{
    out8(RTC_INDEX, index);
    out8(RTC_DATA, value);
}

static volatile uint32_t rtc_count, rtc_flags;

static void rtc_interrupt(struct frame *frame)
{
    (void)frame;
    rtc_count++;
    rtc_flags |= rtc_get(RTC_C);
    pic_eoi(8);
}

static void rtc_begin(void)
{
    apic_enable();
    lapic_set(APIC_LVT_LINT0, APIC_EXTINT);
    pic_init();
    trap_handlers[VECTOR_PIC + 8] = rtc_interrupt;
    rtc_set(RTC_A, 0x26);
    rtc_set(RTC_B, RTC_24);
    (void)rtc_get(RTC_C);
    rtc_count = 0;
    rtc_flags = 0;
    pic_mask(8, false);
}

static void rtc_end(void)
{
    rtc_set(RTC_B, RTC_24);
    (void)rtc_get(RTC_C);
    pic_init();
}

static void rtc_periodic(void)
{
    rtc_begin();
    rtc_set(RTC_B, RTC_24 | RTC_PIE);
    irq_on();
    wait_us(50000);
    irq_off();
    (void)expect_between("interrupts of 1024 Hz in 50 ms", 40, 53, rtc_count);
    (void)expect("cause", 0xc0, rtc_flags & 0xf0u & ~0x10u);
    rtc_end();
}

static void tick(struct frame *frame)
{
    (void)frame;
    apic_eoi();
}

/* So many interrupts within so many ticks of the PM timer. Halted in between, at most for 50 ms: what counts
 * instructions as time jumps over that. */
static void wait_for(uint32_t interrupts, uint64_t limit)
{
    uint32_t ticks = apic_ticks_of_us(50000);
    uint64_t start = now_ticks();

    trap_handlers[TICK] = tick;
    lapic_set(APIC_LVT_TIMER, TICK | APIC_PERIODIC);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    while (rtc_count < interrupts && now_ticks() - start < limit)
        halt();
    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
    lapic_set(APIC_TIMER_INITIAL, 0);
}

/* Update-ended: one a second, and the seconds go on with it. */
static void rtc_update(void)
{
    uint64_t start;
    uint8_t second;

    rtc_begin();
    (void)expect("RAM and time are valid", 0x80, rtc_get(RTC_D));
    rtc_set(RTC_B, RTC_24 | RTC_BINARY | RTC_UIE);
    wait_for(1, 2 * SECOND);
    (void)expect("first", 1, rtc_count);
    (void)expect("cause", 0x90, rtc_flags & 0xb0u);
    (void)expect("no update now", 0, rtc_get(RTC_A) & RTC_UIP);
    second = rtc_get(0);
    start = now_ticks();
    wait_for(2, 2 * SECOND);
    (void)expect_between("PM ticks to the second", SECOND - SECOND / 20, SECOND + SECOND / 20,
                         now_ticks() - start);
    (void)expect("seconds", (second + 1u) % 60, rtc_get(0));
    rtc_end();
}

static void rtc_alarm(void)
{
    uint8_t at;

    rtc_begin();
    rtc_set(RTC_B, RTC_24 | RTC_BINARY | RTC_UIE);
    wait_for(1, 2 * SECOND);
    rtc_set(RTC_B, RTC_24 | RTC_BINARY | RTC_AIE);
    rtc_count = 0;
    rtc_flags = 0;
    at = (uint8_t)((rtc_get(0) + 1) % 60);
    rtc_set(1, at);
    rtc_set(3, 0xff);
    rtc_set(5, 0xff);
    wait_for(1, 3 * SECOND);
    (void)expect("alarms", 1, rtc_count);
    (void)expect("cause", 0xa0, rtc_flags & 0xa0u);
    (void)expect("seconds", at, rtc_get(0));
    rtc_end();
}

/* SET stops the clock; the time can be written, in both formats. */
static void rtc_format(void)
{
    uint8_t second, hour, minute;

    rtc_begin();
    second = rtc_get(0);
    minute = rtc_get(2);
    hour = rtc_get(4);
    rtc_set(RTC_B, RTC_24 | RTC_SET);
    rtc_set(0, 0x59);
    rtc_set(2, 0x47);
    rtc_set(4, 0x21);
    (void)expect("UIP while set", 0, rtc_get(RTC_A) & RTC_UIP);
    (void)expect("seconds as set", 0x59, rtc_get(0));
    rtc_set(RTC_B, RTC_24 | RTC_UIE);
    wait_for(1, 2 * SECOND);
    (void)expect("seconds after an update", 0, rtc_get(0));
    (void)expect("minutes after it", 0x48, rtc_get(2));
    (void)expect("hours after it", 0x21, rtc_get(4));
    rtc_set(RTC_B, RTC_24 | RTC_SET);
    rtc_set(0, second);
    rtc_set(2, minute);
    rtc_set(4, hour);
    rtc_end();
}

static void rtc_ram(void)
{
    uint8_t old = rtc_get(0x55);

    rtc_set(0x55, 0xa5);
    rtc_set(0x56, 0x5a);
    (void)expect("a byte of its RAM", 0xa5, rtc_get(0x55));
    rtc_set(0x55, old);
    rtc_set(RTC_D, 0);
    (void)expect("register D cannot be written", 0x80, rtc_get(RTC_D));
}

/* ---- all clocks together */

static void monotonic(void)
{
    uint64_t tsc = rdtsc(), last_tsc;
    uint64_t pm = now_ticks();
    uint32_t pit, backward = 0;

    lapic_set(APIC_TIMER_INITIAL, 0xffffffffu);
    uint32_t current = lapic_get(APIC_TIMER_CURRENT);
    pit_load(0, 2, 0);
    pit = pit_read(0);
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t c = lapic_get(APIC_TIMER_CURRENT), p = pit_read(0);
        uint64_t t;

        last_tsc = tsc;
        tsc = rdtsc();
        t = now_ticks();
        backward +=
            tsc < last_tsc || t < pm || t - pm > SECOND || c > current || ((pit - p) & 0xffff) > 0x8000;
        pm = t;
        current = c;
        pit = p;
    }
    (void)expect("steps backward", 0, backward);
    lapic_set(APIC_TIMER_INITIAL, 0);
    pit_stop();
}

/* Two stretches of 40 ms by the PM timer: TSC, APIC timer and 8254 say the same of each, within a percent. */
static void agree(void)
{
    uint64_t tsc[2], apic[2];

    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
    lapic_set(APIC_TIMER_DIVIDE, 0xb);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t start = now_ticks(), ticks;
        uint32_t rest;

        lapic_set(APIC_TIMER_INITIAL, 0xffffffffu);
        tsc[i] = rdtsc();
        wait_us(40000);
        tsc[i] = rdtsc() - tsc[i];
        apic[i] = 0xffffffffu - lapic_get(APIC_TIMER_CURRENT);
        ticks = now_ticks() - start;
        tsc[i] = divide(tsc[i] * 1000, (uint32_t)ticks, &rest);
        apic[i] = divide(apic[i] * 1000, (uint32_t)ticks, &rest);
    }
    lapic_set(APIC_TIMER_INITIAL, 0);
    (void)expect_between("TSC ticks a PM tick, second time", tsc[0] - (tsc[0] >> 6), tsc[0] + (tsc[0] >> 6),
                         tsc[1]);
    (void)expect_between("APIC ticks a PM tick, second time", apic[0] - (apic[0] >> 6),
                         apic[0] + (apic[0] >> 6), apic[1]);
}

struct kvm_time {
    uint32_t version, pad;
    uint64_t tsc, ns;
    uint32_t factor;
    int8_t shift;
    uint8_t flags, padding[2];
};

static uint64_t kvm_now(const volatile struct kvm_time *time)
{
    uint64_t delta = rdtsc() - time->tsc, high;

    delta = time->shift >= 0 ? delta << time->shift : delta >> -time->shift;
    high = (delta >> 32) * time->factor;
    return time->ns + high + (((delta & 0xffffffffu) * time->factor) >> 32);
}

/* The clock page agrees with the PM timer, and stays put over rereads. */
static void kvm_clock(void)
{
    const volatile struct kvm_time *time = (const volatile struct kvm_time *)(uintptr_t)mmio32(RAM_SCRATCH);
    uint64_t first, start, last, passed;
    uint32_t rest;

    if (cpuid(0x40000000, 0).ebx != 0x4b4d564b || !(cpuid(KVM_FEATURES, 0).eax & 8)) {
        test_skip("no KVM clock");
        return;
    }
    wrmsr(KVM_SYSTEM, RAM_SCRATCH | 1);
    (void)expect("version is even", 0, time->version & 1);
    first = kvm_now(time);
    start = now_ticks();
    for (last = first; now_ticks() - start < SECOND / 20;) {
        uint64_t now = kvm_now(time);

        if (!expect("backward", 0, now < last))
            break;
        last = now;
    }
    passed = divide((now_ticks() - start) * 1000, PM_HZ / 1000, &rest) * 1000;
    (void)expect_between("ns in 50 ms", passed - (passed >> 6), passed + (passed >> 6),
                         kvm_now(time) - first);
    wrmsr(KVM_SYSTEM, 0);
}

/* The processor's counter can be set; ADJUST keeps account. */
static void tsc_write(void)
{
    uint64_t before = rdtsc();

    wrmsr(0x10, 1ull << 40);
    (void)expect_between("TSC behind a write", 1ull << 40, (1ull << 40) + (1ull << 36), rdtsc());
    (void)expect_between("the same by RDMSR", 1ull << 40, (1ull << 40) + (1ull << 36), rdmsr(0x10));
    wrmsr(0x10, before + 1000000);
    (void)expect_between("and back", before, before + (1ull << 36), rdtsc());
}

const struct test timer_tests[] = {
    {"pit.rate", pit_rate},         {"pit.modes", pit_modes},
    {"pit.latch", pit_latch},       {"pit.gate", pit_gate},
    {"rtc.ram", rtc_ram},           {"rtc.periodic", rtc_periodic},
    {"rtc.update", rtc_update},     {"rtc.alarm", rtc_alarm},
    {"rtc.format", rtc_format},     {"clock.monotonic", monotonic},
    {"clock.agree", agree},         {"clock.kvm", kvm_clock},
    {"clock.tsc-write", tsc_write}, {NULL, NULL},
};
