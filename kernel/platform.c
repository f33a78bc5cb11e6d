/* SPDX-License-Identifier: ISC */
/* Power, reset and clocks. See platform.h. */
#include "kernel/platform.h"

#include <stdbool.h>

#include "kernel/arch.h"
#include "kernel/memory.h"
#include "kernel/print.h"

struct acpi_platform platform;
struct object platform_object = {.type = OBJECT_PLATFORM, .references = 1}; /* never without one */
const struct object_operations platform_operations;

#define PM_TIMER_HZ   3579545u
#define PM_TIMER_MASK 0xffffffu
#define MEASURE_TICKS (PM_TIMER_HZ / 250) /* 4 ms */

#define PIT_HZ       1193182u
#define PIT_CHANNEL2 0x42
#define PIT_COMMAND  0x43
#define PIT_LATCH    (PIT_HZ / 100) /* 10 ms */
#define PIT_ONE_SHOT 0xb0           /* channel 2, low and high byte, mode 0 */
#define PORT_B       0x61
#define PORT_B_GATE2 0x01
#define PORT_B_OUT2  0x20

#define PM1_SLP_EN      0x2000u
#define PM1_SLP_TYP(t)  ((uint16_t)(((t)&7u) << 10))
#define RESET_CONTROL   0xcf9
#define KBD_COMMAND     0x64
#define KBD_PULSE_RESET 0xfe
#define RESET_WAIT      10000000u

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71
#define UIP        0x80

/* One measurement; the span is counted from the edge of one timer tick to that of another. */
static uint64_t measure_pm_timer(void)
{
    uint32_t start = port_in32(platform.pm_timer), now;
    uint64_t begin, end;

    for (unsigned i = 0; (now = port_in32(platform.pm_timer)) == start; i++)
        if (i == RESET_WAIT)
            panic("the PM timer at port 0x%x stands still", platform.pm_timer);
    begin = rdtsc();
    start = now;
    do
        now = port_in32(platform.pm_timer);
    while (((now - start) & PM_TIMER_MASK) < MEASURE_TICKS);
    end = rdtsc();
    return (end - begin) * PM_TIMER_HZ / ((now - start) & PM_TIMER_MASK);
}

static uint64_t measure_pit(void)
{
    uint64_t begin;

    port_out8(PORT_B, (uint8_t)((port_in8(PORT_B) & ~2u) | PORT_B_GATE2));
    port_out8(PIT_COMMAND, PIT_ONE_SHOT);
    port_out8(PIT_CHANNEL2, PIT_LATCH & 0xff);
    port_out8(PIT_CHANNEL2, PIT_LATCH >> 8);
    begin = rdtsc();
    while (!(port_in8(PORT_B) & PORT_B_OUT2))
        pause();
    return (rdtsc() - begin) * PIT_HZ / PIT_LATCH;
}

static uint64_t median(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t low = a < b ? a : b, high = a < b ? b : a;

    return c < low ? low : c < high ? c : high;
}

uint64_t platform_measure_tsc(void)
{
    /* What disturbs a measurement lengthens it at one end or the other. */
    if (platform.pm_timer)
        return median(measure_pm_timer(), measure_pm_timer(), measure_pm_timer());
    return median(measure_pit(), measure_pit(), measure_pit());
}

static uint8_t cmos(uint8_t index)
{
    port_out8(CMOS_INDEX, index);
    return port_in8(CMOS_DATA);
}

struct cmos_time {
    uint8_t second, minute, hour, day, month, year;
};

static struct cmos_time cmos_read(void)
{
    for (unsigned i = 0; i < RESET_WAIT && (cmos(0x0a) & UIP); i++)
        pause();
    return (struct cmos_time){cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9)};
}

static unsigned decimal(uint8_t value, bool binary)
{
    return binary ? value : (value >> 4) * 10u + (value & 15u);
}

uint64_t platform_wall_seconds(void)
{
    struct cmos_time a = cmos_read(), b = cmos_read();
    uint8_t status = cmos(0x0b);
    bool binary = status & 0x04, pm;
    unsigned year, month, hour;
    uint64_t days;

    /* An update between two fields shows as a difference; two equal readings are one moment. */
    for (unsigned i = 0; i < 16; i++, a = b, b = cmos_read())
        if (a.second == b.second && a.minute == b.minute && a.hour == b.hour && a.day == b.day)
            break;
    year = 2000 + decimal(b.year, binary);
    month = decimal(b.month, binary);
    pm = b.hour & 0x80;
    hour = decimal(b.hour & 0x7f, binary);
    if (!(status & 0x02)) /* 12-hour clock */
        hour = hour % 12 + (pm ? 12 : 0);
    /* Days since 1970 by the civil calendar, the year beginning in March. */
    if (month <= 2) {
        year--;
        month += 12;
    }
    days = year * 365ul + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 +
           decimal(b.day, binary) - 1 - 719468;
    return ((days * 24 + hour) * 60 + decimal(b.minute, binary)) * 60 + decimal(b.second, binary);
}

void platform_power_off(uint8_t type_a, uint8_t type_b)
{
    if (platform.pm1a_control)
        port_out16(platform.pm1a_control, (uint16_t)(PM1_SLP_TYP(type_a) | PM1_SLP_EN));
    if (platform.pm1b_control)
        port_out16(platform.pm1b_control, (uint16_t)(PM1_SLP_TYP(type_b) | PM1_SLP_EN));
    for (unsigned i = 0; i < RESET_WAIT; i++)
        pause();
}

static void reset_wait(void)
{
    for (unsigned i = 0; i < RESET_WAIT; i++)
        pause();
}

void platform_reset(void)
{
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) nothing = {0};

    if (platform.reset_space == ACPI_SPACE_IO && platform.reset_address <= UINT16_MAX) {
        port_out8((uint16_t)platform.reset_address, platform.reset_value);
        reset_wait();
    }
    port_out8(RESET_CONTROL, 0x02);
    port_out8(RESET_CONTROL, 0x06);
    reset_wait();
    port_out8(KBD_COMMAND, KBD_PULSE_RESET);
    reset_wait();
    __asm__ volatile("lidt %0; int3" : : "m"(nothing)); /* a triple fault */
    for (;;)
        __asm__ volatile("cli; hlt");
}
