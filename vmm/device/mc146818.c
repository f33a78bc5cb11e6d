/* SPDX-License-Identifier: ISC */
/*
 * MC146818A: time keeping in the registers, alarm, periodic and update-ended interrupts.
 *
 * All elapsed seconds are added at once, and whether the alarm matched one of them is computed, not searched.
 * A deadline exists only while an interrupt is enabled and its flag is down: a guest that does not read
 * register C gets no second interrupt, and a paused VM gets one for all that it missed.
 */
#include "vmm/device/mc146818.h"

#include "vmm/bus/bytes.h"
#include "vmm/bus/ticks.h"

#include <string.h>

#define A_UIP     0x80
#define A_DIVIDER 0x60 /* both bits set: divider held in reset */
#define A_RATE    0x0f
#define B_SET     0x80
#define B_PIE     0x40
#define B_AIE     0x20
#define B_UIE     0x10
#define B_SQWE    0x08
#define B_DM      0x04 /* binary */
#define B_24H     0x02
#define C_IRQF    0x80
#define C_PF      0x40
#define C_AF      0x20
#define C_UF      0x10
#define D_VRT     0x80
#define HOUR_PM   0x80
#define DONT_CARE 0xc0

#define CRYSTAL_HZ   32768
#define UIP_NS       244000
#define FIRST_UPDATE (NS_PER_SECOND / 2) /* after the divider was released */
#define DAY          86400u
#define NO_MATCH     UINT32_MAX

static bool is_running(const struct mc146818 *rtc)
{
    return (rtc->reg.cmos[RTC_A] & A_DIVIDER) != A_DIVIDER;
}

static bool is_updating(const struct mc146818 *rtc)
{
    return is_running(rtc) && !(rtc->reg.cmos[RTC_B] & B_SET);
}

static uint8_t encode(const struct mc146818 *rtc, uint32_t value)
{
    return (uint8_t)(rtc->reg.cmos[RTC_B] & B_DM ? value : value / 10 << 4 | value % 10);
}

static uint32_t decode(const struct mc146818 *rtc, uint8_t value)
{
    return rtc->reg.cmos[RTC_B] & B_DM ? value : (value >> 4) * 10u + (value & 15);
}

static uint32_t decode_hours(const struct mc146818 *rtc, uint8_t value)
{
    if (rtc->reg.cmos[RTC_B] & B_24H)
        return decode(rtc, value);
    return decode(rtc, value & (uint8_t)~HOUR_PM) % 12 + (value & HOUR_PM ? 12 : 0);
}

static uint8_t encode_hours(const struct mc146818 *rtc, uint32_t hours)
{
    if (rtc->reg.cmos[RTC_B] & B_24H)
        return encode(rtc, hours);
    return (uint8_t)(encode(rtc, hours % 12 ? hours % 12 : 12) | (hours >= 12 ? HOUR_PM : 0));
}

/* Days since 1 March of year 0, by years that begin in March so that the leap day comes last. */
static uint32_t days_of_date(uint32_t year, uint32_t month, uint32_t date)
{
    uint32_t shifted = (month + 9) % 12; /* March is 0 */
    uint32_t y = year + 400 - (month <= 2);

    return y * 365 + y / 4 - y / 100 + y / 400 + (shifted * 153 + 2) / 5 + date - 1;
}

static void date_of_days(uint32_t days, uint32_t *year, uint32_t *month, uint32_t *date)
{
    uint32_t cycle = days / 146097, rest = days % 146097; /* 400 years */
    uint32_t y = (rest - rest / 1460 + rest / 36524 - rest / 146096) / 365;
    uint32_t day = rest - (y * 365 + y / 4 - y / 100);
    uint32_t shifted = (day * 5 + 2) / 153;

    *date = day - (shifted * 153 + 2) / 5 + 1;
    *month = (shifted + 2) % 12 + 1;
    *year = cycle * 400 + y - 400 + (*month <= 2);
}

static uint32_t time_of_day(const struct mc146818 *rtc)
{
    const uint8_t *cmos = rtc->reg.cmos;

    return decode_hours(rtc, cmos[RTC_HOURS]) % 24 * 3600 + decode(rtc, cmos[RTC_MINUTES]) % 60 * 60 +
           decode(rtc, cmos[RTC_SECONDS]) % 60;
}

static void set_time_of_day(struct mc146818 *rtc, uint32_t time)
{
    rtc->reg.cmos[RTC_SECONDS] = encode(rtc, time % 60);
    rtc->reg.cmos[RTC_MINUTES] = encode(rtc, time / 60 % 60);
    rtc->reg.cmos[RTC_HOURS] = encode_hours(rtc, time / 3600);
}

static void set_date(struct mc146818 *rtc, uint32_t days)
{
    uint32_t year, month, date;

    date_of_days(days, &year, &month, &date);
    rtc->reg.cmos[RTC_DATE] = encode(rtc, date);
    rtc->reg.cmos[RTC_MONTH] = encode(rtc, month);
    rtc->reg.cmos[RTC_YEAR] = encode(rtc, year % 100);
    rtc->reg.cmos[RTC_CENTURY] = encode(rtc, year / 100 % 100);
}

/* Midnight passed `days` times. Registers may hold any byte; what is no date is brought to one. */
static void add_days(struct mc146818 *rtc, uint32_t days)
{
    uint8_t *cmos = rtc->reg.cmos;
    uint32_t year = decode(rtc, cmos[RTC_CENTURY]) % 100 * 100 + decode(rtc, cmos[RTC_YEAR]) % 100;
    uint32_t month = decode(rtc, cmos[RTC_MONTH]), date = decode(rtc, cmos[RTC_DATE]);
    uint32_t weekday = decode(rtc, cmos[RTC_DAY_OF_WEEK]);

    month = month < 1 ? 1 : month > 12 ? 12 : month;
    date = date < 1 ? 1 : date > 31 ? 31 : date;
    weekday = weekday < 1 ? 1 : weekday;
    set_date(rtc, days_of_date(year, month, date) + days);
    cmos[RTC_DAY_OF_WEEK] = encode(rtc, (weekday - 1 + days % 7) % 7 + 1);
}

/* One field of the alarm: true and the value it asks for, or true with `any`; false: it never matches. */
static bool alarm_field(const struct mc146818 *rtc, unsigned index, uint32_t limit, bool *any,
                        uint32_t *value)
{
    uint8_t raw = rtc->reg.cmos[index];

    *any = (raw & DONT_CARE) == DONT_CARE;
    *value = index == RTC_HOURS_ALARM ? decode_hours(rtc, raw) : decode(rtc, raw);
    return *any || *value < limit;
}

/* Seconds from the time in the registers to the next that matches the alarm, 1 to 86400, or NO_MATCH. Each
 * turn of the loop moves to the next time at which one more field matches, so a few suffice. */
static uint32_t alarm_distance(const struct mc146818 *rtc)
{
    bool any_hour, any_minute, any_second;
    uint32_t hour, minute, second, start = time_of_day(rtc), t = start + 1;

    if (!alarm_field(rtc, RTC_HOURS_ALARM, 24, &any_hour, &hour) ||
        !alarm_field(rtc, RTC_MINUTES_ALARM, 60, &any_minute, &minute) ||
        !alarm_field(rtc, RTC_SECONDS_ALARM, 60, &any_second, &second))
        return NO_MATCH;
    for (unsigned turn = 0; turn < 16; turn++) {
        uint32_t h = t / 3600 % 24, m = t / 60 % 60, s = t % 60;

        if (!any_hour && h != hour)
            t = (t / 3600 + (hour + 24 - h) % 24) * 3600;
        else if (!any_minute && m != minute)
            t = (t / 60 + (minute + 60 - m) % 60) * 60;
        else if (!any_second && s != second)
            t += (second + 60 - s) % 60;
        else
            return t - start;
    }
    return NO_MATCH;
}

static void add_seconds(struct mc146818 *rtc, uint64_t seconds)
{
    uint64_t time = time_of_day(rtc) + seconds;

    if (alarm_distance(rtc) <= seconds)
        rtc->reg.cmos[RTC_C] |= C_AF;
    rtc->reg.cmos[RTC_C] |= C_UF;
    set_time_of_day(rtc, (uint32_t)(time % DAY));
    if (time >= DAY)
        add_days(rtc, (uint32_t)(time / DAY));
}

static void update_irq(struct mc146818 *rtc)
{
    uint8_t flags = rtc->reg.cmos[RTC_C] & rtc->reg.cmos[RTC_B] & (C_PF | C_AF | C_UF);

    rtc->reg.cmos[RTC_C] = (uint8_t)((rtc->reg.cmos[RTC_C] & ~C_IRQF) | (flags ? C_IRQF : 0));
    irq_line_set(&rtc->irq, flags);
}

/* Log2 of the periodic rate in ticks of 32768 Hz, or -1 for none. Rates 1 and 2 are those of 8 and 9. */
static int rate_shift(const struct mc146818 *rtc)
{
    int rate = rtc->reg.cmos[RTC_A] & A_RATE;

    if (rate == 0 || !is_running(rtc))
        return -1;
    return rate <= 2 ? rate + 6 : rate - 1;
}

static void sync_time(struct mc146818 *rtc, uint64_t now)
{
    struct mc146818_registers *reg = &rtc->reg;
    uint64_t ticks = ticks_from_ns(now, CRYSTAL_HZ), seconds;
    int shift = rate_shift(rtc);

    if (ticks > reg->ticks) {
        if (shift >= 0 && ticks >> shift != reg->ticks >> shift)
            reg->cmos[RTC_C] |= C_PF;
        reg->ticks = ticks;
    }
    if (is_running(rtc) && now >= reg->next_update) {
        seconds = (now - reg->next_update) / NS_PER_SECOND + 1;
        if (reg->next_update > UINT64_MAX - seconds * NS_PER_SECOND)
            return; /* the end of time */
        reg->next_update += seconds * NS_PER_SECOND;
        if (is_updating(rtc))
            add_seconds(rtc, seconds);
    }
}

static void write_register(struct mc146818 *rtc, uint8_t index, uint8_t value, uint64_t now)
{
    bool was_running = is_running(rtc);

    switch (index) {
    case RTC_A:
        rtc->reg.cmos[RTC_A] = value & (uint8_t)~A_UIP;
        if (!was_running && is_running(rtc))
            rtc->reg.next_update = now > UINT64_MAX - FIRST_UPDATE ? UINT64_MAX : now + FIRST_UPDATE;
        break;
    case RTC_B:
        rtc->reg.cmos[RTC_B] = value & B_SET ? value & (uint8_t)~B_UIE : value;
        break;
    case RTC_C:
    case RTC_D:
        break;
    default:
        rtc->reg.cmos[index] = value;
        break;
    }
}

static uint8_t read_register(struct mc146818 *rtc, uint8_t index, uint64_t now)
{
    uint8_t value = rtc->reg.cmos[index];

    if (index == RTC_A && is_updating(rtc) && rtc->reg.next_update > now &&
        rtc->reg.next_update - now <= UIP_NS)
        value |= A_UIP;
    if (index == RTC_C)
        rtc->reg.cmos[RTC_C] = 0;
    return value;
}

static void rtc_byte(void *device, struct bus_access *access)
{
    struct mc146818 *rtc = device;
    unsigned bank = access->offset >> 1 & 1;
    uint8_t index = (uint8_t)((rtc->reg.index[bank] & 0x7f) | bank << 7);

    if (!(access->offset & 1)) {
        if (access->write)
            rtc->reg.index[bank] = (uint8_t)access->value;
        return; /* the index ports cannot be read */
    }
    sync_time(rtc, access->now);
    update_irq(rtc);
    if (access->write)
        write_register(rtc, index, (uint8_t)access->value, access->now);
    else
        access->value = read_register(rtc, index, access->now);
    update_irq(rtc);
}

static void rtc_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, rtc_byte);
}

static uint64_t mc146818_deadline(void *device)
{
    const struct mc146818 *rtc = device;
    const struct mc146818_registers *reg = &rtc->reg;
    uint64_t deadline = BUS_NEVER;
    int shift = rate_shift(rtc);
    uint32_t distance;

    if (reg->cmos[RTC_C] & C_IRQF)
        return BUS_NEVER; /* the line is up already */
    if (reg->cmos[RTC_B] & B_PIE && shift >= 0)
        deadline = ns_from_ticks(((reg->ticks >> shift) + 1) << shift, CRYSTAL_HZ);
    if (!is_updating(rtc))
        return deadline;
    if (reg->cmos[RTC_B] & B_UIE && reg->next_update < deadline)
        deadline = reg->next_update;
    if (reg->cmos[RTC_B] & B_AIE && reg->next_update < deadline) {
        distance = alarm_distance(rtc);
        if (distance != NO_MATCH && (deadline - reg->next_update) / NS_PER_SECOND >= distance - 1)
            deadline = reg->next_update + (distance - 1) * NS_PER_SECOND;
    }
    return deadline;
}

static void mc146818_advance(void *device, uint64_t now)
{
    struct mc146818 *rtc = device;

    sync_time(rtc, now);
    update_irq(rtc);
}

void mc146818_init(struct mc146818 *rtc, const struct irq_line *irq, int64_t unix_seconds_at_zero)
{
    const int64_t first = -62167219200, last = 253402300799; /* 0000-01-01 and the end of 9999 */
    int64_t seconds = unix_seconds_at_zero < first  ? first
                      : unix_seconds_at_zero > last ? last
                                                    : unix_seconds_at_zero;
    uint64_t since = (uint64_t)(seconds - first);
    uint32_t days = (uint32_t)(since / DAY);

    memset(rtc, 0, sizeof *rtc);
    rtc->irq = *irq;
    rtc->reg.cmos[RTC_A] = 0x26; /* 32768 Hz, periodic rate 1024 Hz */
    rtc->reg.cmos[RTC_B] = B_24H;
    rtc->reg.cmos[RTC_D] = D_VRT;
    rtc->reg.next_update = NS_PER_SECOND;
    set_time_of_day(rtc, (uint32_t)(since % DAY));
    set_date(rtc, days_of_date(0, 1, 1) + days);
    rtc->reg.cmos[RTC_DAY_OF_WEEK] =
        encode(rtc, (days + 6) % 7 + 1); /* 0000-01-01 is a Saturday; Sunday is 1 */
    mc146818_reset(rtc);
}

void mc146818_reset(struct mc146818 *rtc)
{
    rtc->reg.cmos[RTC_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    rtc->reg.cmos[RTC_C] = 0;
    memset(rtc->reg.index, 0, sizeof rtc->reg.index);
    irq_line_set(&rtc->irq, false);
}

void mc146818_cmos_set(struct mc146818 *rtc, uint8_t index, uint8_t value)
{
    if (index > RTC_D && index != RTC_CENTURY)
        rtc->reg.cmos[index] = value;
}

uint8_t mc146818_cmos_get(const struct mc146818 *rtc, uint8_t index)
{
    return rtc->reg.cmos[index];
}

enum bus_status mc146818_attach(struct mc146818 *rtc, struct bus *bus)
{
    const struct bus_region region = {
        .name = "mc146818", .base = 0x70, .length = 4, .handler = rtc_access, .device = rtc};
    const struct bus_clock clock = {
        .deadline = mc146818_deadline, .advance = mc146818_advance, .device = rtc};
    enum bus_status status = bus_attach(bus, BUS_PORT, &region);

    return status == BUS_OK ? bus_attach_clock(bus, &clock) : status;
}

static void reset_device(void *device, uint64_t now)
{
    (void)now;
    mc146818_reset(device);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    return mc146818_attach(device, bus);
}

static void fields(struct state *state, struct mc146818_registers *reg)
{
    state_bytes(state, reg->index, sizeof(reg->index));
    state_bytes(state, reg->cmos, sizeof(reg->cmos));
    state_u64(state, &reg->next_update);
    state_u64(state, &reg->ticks);
}

/* The time registers may hold any byte. The next second lies at most a second ahead. */
static bool is_valid(const struct mc146818_registers *reg, uint64_t now)
{
    const uint8_t *cmos = reg->cmos;
    bool flags = cmos[RTC_C] & cmos[RTC_B] & (C_PF | C_AF | C_UF);

    return !(cmos[RTC_A] & A_UIP) && !(cmos[RTC_B] & B_SET && cmos[RTC_B] & B_UIE) &&
           !(cmos[RTC_C] & ~(C_IRQF | C_PF | C_AF | C_UF)) && !!(cmos[RTC_C] & C_IRQF) == flags &&
           cmos[RTC_D] == D_VRT && reg->ticks <= ticks_from_ns(now, CRYSTAL_HZ) &&
           (reg->next_update <= now || reg->next_update - now <= NS_PER_SECOND);
}

static void save_device(const void *device, struct state *state)
{
    struct mc146818_registers reg = ((const struct mc146818 *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct mc146818 *rtc = device;
    struct mc146818_registers reg = rtc->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(&reg, state->now))
        return false;
    rtc->reg = reg;
    return true;
}

const struct device_class mc146818_class = {.name = "mc146818",
                                            .version = 1,
                                            .save = save_device,
                                            .load = load_device,
                                            .reset = reset_device,
                                            .attach = attach_device};
