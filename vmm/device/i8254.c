/* SPDX-License-Identifier: ISC */
/*
 * 8254 counters in closed form.
 *
 * counter_advance takes any number of clocks in a constant number of steps: the clock that loads, the part of
 * a period that had begun, whole periods by division, the rest. It says whether OUT rose on the way; that is
 * all that an edge-triggered interrupt input can tell of it.
 */
#include "vmm/device/i8254.h"

#include "vmm/bus/bytes.h"
#include "vmm/bus/ticks.h"

#include <string.h>

#define CONTROL_BCD   0x01
#define CONTROL_WORD  0x3f /* the bits that status shows */
#define RW_LOW        1
#define RW_HIGH       2
#define RW_BOTH       3
#define READ_BACK     3    /* counter number that stands for the read-back command */
#define NO_COUNT      0x20 /* read-back: bits that are active low */
#define NO_STATUS     0x10
#define STATUS_OUT    0x80
#define STATUS_NULL   0x40
#define PORT61_GATE2  0x01
#define PORT61_STORED 0x0f
#define PORT61_TOGGLE 0x10
#define PORT61_OUT2   0x20

#define REFRESH_TICKS 18 /* clocks between two DRAM refresh requests, 15 microseconds */
#define NEVER         UINT64_MAX

static unsigned mode_of(const struct i8254_counter *c)
{
    unsigned mode = c->control >> 1 & 7;

    return mode > 5 ? mode & 3 : mode; /* M2 does not count for modes 2 and 3 */
}

static unsigned rw_of(const struct i8254_counter *c)
{
    return c->control >> 4 & 3;
}

static uint32_t modulus(const struct i8254_counter *c)
{
    return c->control & CONTROL_BCD ? 10000 : 0x10000;
}

static uint32_t count_decode(const struct i8254_counter *c, uint16_t value)
{
    uint32_t count = value;

    if (c->control & CONTROL_BCD)
        count = ((value >> 12) * 1000u + (value >> 8 & 15) * 100u + (value >> 4 & 15) * 10u + (value & 15)) %
                10000;
    return count ? count : modulus(c);
}

static uint16_t count_encode(const struct i8254_counter *c)
{
    uint32_t count = c->count % modulus(c);

    if (c->control & CONTROL_BCD)
        count = count / 1000 << 12 | count / 100 % 10 << 8 | count / 10 % 10 << 4 | count % 10;
    return (uint16_t)count;
}

static void load(struct i8254_counter *c)
{
    c->initial = c->next;
    c->count = c->next;
    c->null = false;
    c->loading = false;
    c->counting = true;
    c->armed = true;
}

/* Modes 0, 1, 4 and 5: down to zero once, then on around the clock without effect. */
static bool advance_once(struct i8254_counter *c, uint64_t clocks)
{
    unsigned mode = mode_of(c);
    bool strobe = mode == 4 || mode == 5, rose = false;

    if (strobe && !c->out) { /* a strobe lasts one clock, whatever the gate does */
        c->out = true;
        rose = true;
    }
    if (c->loading) {
        load(c);
        if (mode == 1)
            c->out = false;
        clocks--;
    }
    if (!c->counting || ((mode == 0 || mode == 4) && !c->gate) || (mode == 0 && c->write_high))
        return rose;
    if (clocks == 0)
        return rose; /* a full count just loaded must not turn into the zero that ends it */
    if (c->armed && clocks >= c->count) {
        c->armed = false;
        c->out = !strobe || clocks > c->count;
        rose |= c->out;
    }
    c->count = (uint32_t)((c->count + modulus(c) - clocks % modulus(c)) % modulus(c));
    return rose;
}

/* Mode 2: OUT is low while the count is one. A count of one is not allowed; OUT stays high then. */
static bool advance_rate(struct i8254_counter *c, uint64_t clocks)
{
    bool rose = false;

    if (c->loading) {
        load(c);
        clocks--;
    }
    if (!c->counting || !c->gate || clocks == 0)
        return false;
    if (clocks >= c->count) {
        rose = c->initial > 1;
        clocks -= c->count;
        c->initial = c->next;
        c->null = false;
        rose |= c->initial > 1 && clocks >= c->initial;
        c->count = (uint32_t)(c->initial - clocks % c->initial);
    } else {
        c->count -= (uint32_t)clocks;
    }
    c->out = c->count != 1 || c->initial == 1;
    return rose;
}

/* Mode 3: the clocks that a half period takes from its start. Odd counts are high for one clock more. */
static uint32_t half_period(uint32_t initial, bool out)
{
    return out ? (initial + 1) / 2 : initial / 2;
}

static uint32_t half_left(const struct i8254_counter *c)
{
    return c->out ? c->count / 2 + (c->initial & 1) : c->count / 2;
}

static bool advance_square(struct i8254_counter *c, uint64_t clocks)
{
    bool rose = false;

    if (c->loading) {
        load(c);
        c->count &= ~1u;
        clocks--;
    }
    if (!c->counting || !c->gate || (c->initial == 1 && !c->null))
        return false;
    /* The half that runs, then whole periods at once, then at most two halves of what is left. */
    while (clocks > 0 && clocks >= half_left(c)) {
        clocks -= half_left(c);
        rose |= !c->out;
        c->out = !c->out || c->next == 1; /* one is not allowed; OUT stays high */
        c->initial = c->next;
        c->null = false;
        c->count = c->initial & ~1u;
        if (c->initial == 1)
            return rose;
        if (clocks >= c->initial) {
            clocks %= c->initial;
            rose = true;
        }
    }
    c->count -= (uint32_t)clocks * 2;
    return rose;
}

/* Let the counter run up to a tick; true if OUT rose. Time that does not advance (two vCPUs read the clock in
 * one order and came here in the other) changes nothing. */
static bool counter_advance(struct i8254_counter *c, uint64_t tick)
{
    uint64_t clocks;

    if (tick <= c->tick)
        return false;
    clocks = tick - c->tick;
    c->tick = tick;
    switch (mode_of(c)) {
    case 2:
        return advance_rate(c, clocks);
    case 3:
        return advance_square(c, clocks);
    default:
        return advance_once(c, clocks);
    }
}

/* Clocks from c->tick until OUT rises next, if nobody touches the counter. */
static uint64_t counter_next_rise(const struct i8254_counter *c)
{
    unsigned mode = mode_of(c);
    bool runs = c->gate || mode == 1 || mode == 5;

    if ((mode == 4 || mode == 5) && !c->out)
        return 1;
    if ((!c->loading && !c->counting) || !runs || (mode == 0 && c->write_high))
        return NEVER;
    switch (mode) {
    case 2:
        if (c->loading)
            return c->next > 1 ? UINT64_C(1) + c->next : NEVER;
        return c->initial > 1 || c->null ? c->count + (c->initial > 1 ? 0 : c->next) : NEVER;
    case 3:
        if (c->loading)
            return c->next > 1 ? UINT64_C(1) + c->next : NEVER;
        if (c->initial == 1)
            return c->null ? UINT64_C(1) + c->next : NEVER;
        return half_left(c) + (c->out ? half_period(c->next, false) : 0);
    default:
        if (c->loading)
            return UINT64_C(1) + c->next + (mode >= 4);
        return c->armed ? UINT64_C(0) + c->count + (mode >= 4) : NEVER;
    }
}

static void i8254_sync(struct i8254 *pit, unsigned n, uint64_t now)
{
    struct i8254_counter *c = &pit->reg.counter[n];
    bool rose = counter_advance(c, ticks_from_ns(now, I8254_HZ));

    if (n != 0)
        return;
    if (rose) {
        irq_line_set(&pit->irq, false);
        irq_line_set(&pit->irq, true);
    }
    irq_line_set(&pit->irq, c->out);
}

static void latch_count(struct i8254_counter *c)
{
    if (c->latched_bytes)
        return; /* a second latch command before the read is ignored */
    c->latch = count_encode(c);
    c->latched_bytes = rw_of(c) == RW_BOTH ? 2 : 1;
}

static void latch_status(struct i8254_counter *c)
{
    if (c->status_latched)
        return;
    c->status = (uint8_t)((c->out ? STATUS_OUT : 0) | (c->null ? STATUS_NULL : 0) | c->control);
    c->status_latched = true;
}

static void set_control(struct i8254_counter *c, uint8_t control)
{
    *c = (struct i8254_counter){.tick = c->tick,
                                .count = c->count,
                                .initial = c->initial,
                                .next = c->next,
                                .gate = c->gate,
                                .control = control & CONTROL_WORD,
                                .null = true};
    c->out = mode_of(c) != 0;
}

static void write_control(struct i8254 *pit, uint8_t value, uint64_t now)
{
    if (value >> 6 == READ_BACK) {
        for (unsigned n = 0; n < 3; n++) {
            if (!(value & 2u << n))
                continue;
            i8254_sync(pit, n, now);
            if (!(value & NO_COUNT))
                latch_count(&pit->reg.counter[n]);
            if (!(value & NO_STATUS))
                latch_status(&pit->reg.counter[n]);
        }
        return;
    }
    i8254_sync(pit, value >> 6, now);
    if ((value >> 4 & 3) == 0)
        latch_count(&pit->reg.counter[value >> 6]);
    else
        set_control(&pit->reg.counter[value >> 6], value);
    i8254_sync(pit, value >> 6, now);
}

static void set_count(struct i8254_counter *c, uint16_t value)
{
    unsigned mode = mode_of(c);

    c->next = count_decode(c, value);
    c->null = true;
    c->written = true;
    if (mode == 0)
        c->out = false;
    /* Modes 1 and 5 wait for the gate; modes 2 and 3 finish the period or half period that runs. */
    if (mode == 0 || mode == 4 || ((mode == 2 || mode == 3) && !c->counting))
        c->loading = true;
}

static void counter_write(struct i8254_counter *c, uint8_t value)
{
    switch (rw_of(c)) {
    case RW_LOW:
        set_count(c, value);
        break;
    case RW_HIGH:
        set_count(c, (uint16_t)(value << 8));
        break;
    case RW_BOTH:
        c->write_high = !c->write_high;
        if (!c->write_high) {
            set_count(c, (uint16_t)(value << 8 | c->write_low));
            break;
        }
        c->write_low = value;
        if (mode_of(c) == 0) { /* the first byte stops mode 0 */
            c->out = false;
            c->loading = false;
        }
        break;
    }
}

static uint8_t counter_read(struct i8254_counter *c)
{
    uint16_t count;
    bool high;

    if (c->status_latched) {
        c->status_latched = false;
        return c->status;
    }
    if (c->latched_bytes) {
        high = rw_of(c) == RW_HIGH || (rw_of(c) == RW_BOTH && c->latched_bytes == 1);
        c->latched_bytes--;
        count = c->latch;
    } else {
        high = rw_of(c) == RW_HIGH || (rw_of(c) == RW_BOTH && c->read_high);
        if (rw_of(c) == RW_BOTH)
            c->read_high = !c->read_high;
        count = count_encode(c);
    }
    return (uint8_t)(high ? count >> 8 : count);
}

static void set_gate(struct i8254_counter *c, bool gate)
{
    unsigned mode = mode_of(c);

    if (gate == c->gate)
        return;
    c->gate = gate;
    if (gate && c->written && mode != 0 && mode != 4)
        c->loading = true; /* a trigger */
    if (!gate && (mode == 2 || mode == 3))
        c->out = true;
}

static void timer_byte(void *device, struct bus_access *access)
{
    struct i8254 *pit = device;
    unsigned n = access->offset & 3;

    if (n == 3) {
        if (access->write)
            write_control(pit, (uint8_t)access->value, access->now);
        return; /* the control word cannot be read */
    }
    i8254_sync(pit, n, access->now);
    if (!access->write) {
        access->value = counter_read(&pit->reg.counter[n]);
        return;
    }
    counter_write(&pit->reg.counter[n], (uint8_t)access->value);
    i8254_sync(pit, n, access->now);
}

static void timer_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, timer_byte);
}

/* System control port B: gate of counter 2, speaker and two NMI enables that are only kept. */
static void port61_access(void *device, struct bus_access *access)
{
    struct i8254 *pit = device;
    uint64_t tick = ticks_from_ns(access->now, I8254_HZ);

    i8254_sync(pit, 2, access->now);
    if (access->write) {
        pit->reg.port61 = (uint8_t)access->value & PORT61_STORED;
        set_gate(&pit->reg.counter[2], pit->reg.port61 & PORT61_GATE2);
        return;
    }
    access->value = pit->reg.port61;
    if (tick / REFRESH_TICKS & 1)
        access->value |= PORT61_TOGGLE;
    if (pit->reg.counter[2].out)
        access->value |= PORT61_OUT2;
}

static uint64_t i8254_deadline(void *device)
{
    const struct i8254 *pit = device;
    const struct i8254_counter *c = &pit->reg.counter[0];
    uint64_t clocks = counter_next_rise(c);

    return clocks == NEVER ? BUS_NEVER : ns_from_ticks(c->tick + clocks, I8254_HZ);
}

static void i8254_advance(void *device, uint64_t now)
{
    i8254_sync(device, 0, now);
}

void i8254_init(struct i8254 *pit, const struct irq_line *irq)
{
    memset(pit, 0, sizeof *pit);
    pit->irq = *irq;
    i8254_reset(pit, 0);
}

void i8254_reset(struct i8254 *pit, uint64_t now)
{
    memset(&pit->reg, 0, sizeof pit->reg);
    for (unsigned n = 0; n < 3; n++) {
        struct i8254_counter *c = &pit->reg.counter[n];

        c->tick = ticks_from_ns(now, I8254_HZ);
        c->gate = n != 2;
        set_control(c, RW_BOTH << 4 | 3 << 1);
        set_count(c, 0);
    }
    irq_line_set(&pit->irq, true);
}

enum bus_status i8254_attach(struct i8254 *pit, struct bus *bus)
{
    const struct bus_region timer = {
        .name = "i8254", .base = 0x40, .length = 4, .handler = timer_access, .device = pit};
    const struct bus_region port61 = {
        .name = "port 0x61", .base = 0x61, .length = 1, .handler = port61_access, .device = pit};
    const struct bus_clock clock = {.deadline = i8254_deadline, .advance = i8254_advance, .device = pit};
    enum bus_status status = bus_attach(bus, BUS_PORT, &timer);

    if (status == BUS_OK)
        status = bus_attach(bus, BUS_PORT, &port61);
    if (status == BUS_OK)
        status = bus_attach_clock(bus, &clock);
    return status;
}

static void reset_device(void *device, uint64_t now)
{
    i8254_reset(device, now);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    return i8254_attach(device, bus);
}

static void counter_fields(struct state *state, struct i8254_counter *c)
{
    state_u64(state, &c->tick);
    state_u32(state, &c->count);
    state_u32(state, &c->initial);
    state_u32(state, &c->next);
    state_u16(state, &c->latch);
    state_u8(state, &c->control);
    state_u8(state, &c->write_low);
    state_u8(state, &c->latched_bytes);
    state_u8(state, &c->status);
    state_bool(state, &c->status_latched);
    state_bool(state, &c->write_high);
    state_bool(state, &c->read_high);
    state_bool(state, &c->gate);
    state_bool(state, &c->out);
    state_bool(state, &c->written);
    state_bool(state, &c->null);
    state_bool(state, &c->loading);
    state_bool(state, &c->counting);
    state_bool(state, &c->armed);
}

static void fields(struct state *state, struct i8254_registers *reg)
{
    for (unsigned n = 0; n < 3; n++)
        counter_fields(state, &reg->counter[n]);
    state_u8(state, &reg->port61);
}

/* Counts stay when a control word changes to BCD, so all may be as high as in binary. */
static bool is_count(uint32_t count)
{
    return count >= 1 && count <= 0x10000;
}

static bool is_valid(const struct i8254_registers *reg, uint64_t now)
{
    for (unsigned n = 0; n < 3; n++) {
        const struct i8254_counter *c = &reg->counter[n];

        if (c->tick > ticks_from_ns(now, I8254_HZ) || c->count > 0x10000 || !is_count(c->next) ||
            (c->initial ? !is_count(c->initial) : c->counting) || c->control & ~CONTROL_WORD ||
            rw_of(c) == 0 || c->latched_bytes > 2)
            return false;
    }
    return !(reg->port61 & ~PORT61_STORED);
}

static void save_device(const void *device, struct state *state)
{
    struct i8254_registers reg = ((const struct i8254 *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct i8254 *pit = device;
    struct i8254_registers reg = pit->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(&reg, state->now))
        return false;
    pit->reg = reg;
    return true;
}

const struct device_class i8254_class = {.name = "i8254",
                                         .version = 1,
                                         .save = save_device,
                                         .load = load_device,
                                         .reset = reset_device,
                                         .attach = attach_device};
