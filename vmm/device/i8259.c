/* SPDX-License-Identifier: ISC */
/*
 * 8259A pair: priorities, command words, acknowledge cycle.
 *
 * Requests are never stored: they are edges latched on edge inputs plus levels of level inputs, so that
 * changing the ELCR or dropping a line needs no repair of state. After everything that can change the
 * outcome, i8259_update recomputes the cascade from the slave up.
 */
#include "vmm/device/i8259.h"

#include "vmm/bus/bytes.h"

#include <string.h>

#define ICW1_IC4  0x01 /* ICW4 follows */
#define ICW1_SNGL 0x02 /* no slaves, no ICW3 */
#define ICW1      0x10
#define ICW4_AEOI 0x02
#define ICW4_SFNM 0x10
#define OCW3      0x08
#define OCW3_RIS  0x01
#define OCW3_RR   0x02
#define OCW3_P    0x04
#define OCW3_SMM  0x20
#define OCW3_ESMM 0x40

#define CASCADE  2 /* input of the master that the slave drives */
#define SPURIOUS 7
#define NO_IRQ   8

enum { MASTER, SLAVE };
enum { STEP_READY = 0, STEP_NEVER = 1, STEP_ICW2 = 2, STEP_ICW3 = 3, STEP_ICW4 = 4 };

static const uint8_t elcr_writable[2] = {0xf8, 0xde}; /* IRQ 0, 1, 2, 8 and 13 are always edges */

static bool is_cascaded(const struct i8259_chip *master)
{
    return !(master->icw1 & ICW1_SNGL);
}

static uint8_t bit(unsigned irq)
{
    return (uint8_t)(1u << irq);
}

static uint8_t level_inputs(const struct i8259 *pic, unsigned n)
{
    const struct i8259_chip *chip = &pic->reg.chip[n];

    /* The slave's output is looked at as a level: it stays up while the slave has anything to say. */
    return n == MASTER && is_cascaded(chip) ? chip->elcr | 1u << CASCADE : chip->elcr;
}

static uint8_t requests(const struct i8259 *pic, unsigned n)
{
    const struct i8259_chip *chip = &pic->reg.chip[n];
    unsigned level = level_inputs(pic, n);

    return (uint8_t)((chip->lines & level) | (chip->edges & ~level));
}

/* The input of highest priority in a set, or NO_IRQ. */
static unsigned highest(const struct i8259_chip *chip, uint8_t set)
{
    for (unsigned i = 1; i <= 8; i++) {
        unsigned irq = (chip->lowest + i) & 7;

        if (set & bit(irq))
            return irq;
    }
    return NO_IRQ;
}

static unsigned rank(const struct i8259_chip *chip, unsigned irq)
{
    return irq == NO_IRQ ? NO_IRQ : (irq - chip->lowest - 1) & 7;
}

/* The input that this chip would deliver now, or NO_IRQ. */
static unsigned resolve(const struct i8259 *pic, unsigned n)
{
    const struct i8259_chip *chip = &pic->reg.chip[n];
    unsigned wanted, blocking = chip->isr;

    if (chip->step != STEP_READY)
        return NO_IRQ;
    wanted = highest(chip, requests(pic, n) & (uint8_t)~chip->imr);
    if (wanted == NO_IRQ)
        return NO_IRQ;
    if (chip->special_mask)
        blocking &= ~(unsigned)chip->imr;
    if (n == MASTER && is_cascaded(chip) && (chip->icw4 & ICW4_SFNM))
        blocking &= ~(1u << CASCADE); /* the slave orders its own requests */
    return rank(chip, wanted) < rank(chip, highest(chip, (uint8_t)blocking)) ? wanted : NO_IRQ;
}

static void set_line(struct i8259_chip *chip, unsigned irq, bool level)
{
    if (!level) {
        chip->lines &= (uint8_t)~bit(irq);
    } else if (!(chip->lines & bit(irq))) {
        chip->lines |= bit(irq);
        chip->edges |= bit(irq);
    }
}

static void i8259_update(struct i8259 *pic)
{
    bool intr;

    set_line(&pic->reg.chip[MASTER], CASCADE, resolve(pic, SLAVE) != NO_IRQ);
    intr = resolve(pic, MASTER) != NO_IRQ;
    if (intr == pic->reg.intr)
        return;
    pic->reg.intr = intr;
    irq_line_set(&pic->intr, intr);
}

/* First INTA pulse on a chip: from requested to in service. */
static void take(struct i8259_chip *chip, unsigned irq)
{
    chip->edges &= (uint8_t)~bit(irq);
    if (!(chip->icw4 & ICW4_AEOI))
        chip->isr |= bit(irq);
    else if (chip->rotate_aeoi)
        chip->lowest = (uint8_t)irq;
}

int i8259_acknowledge(struct i8259 *pic)
{
    struct i8259_chip *chip = &pic->reg.chip[MASTER];
    unsigned irq = resolve(pic, MASTER);
    int vector;

    if (irq != NO_IRQ)
        take(chip, irq);
    if (irq == CASCADE && is_cascaded(chip)) {
        chip = &pic->reg.chip[SLAVE];
        irq = resolve(pic, SLAVE);
        if (irq != NO_IRQ)
            take(chip, irq);
    }
    vector = chip->vector | (int)(irq == NO_IRQ ? SPURIOUS : irq);
    i8259_update(pic);
    return vector;
}

/* A read after a poll command is an acknowledge cycle of this chip alone; bit 7 says whether there was one.
 */
static uint8_t poll(struct i8259 *pic, unsigned n)
{
    struct i8259_chip *chip = &pic->reg.chip[n];
    unsigned irq = resolve(pic, n);

    chip->poll = false;
    if (irq == NO_IRQ)
        return 0;
    take(chip, irq);
    return (uint8_t)(0x80 | irq);
}

static void write_icw1(struct i8259_chip *chip, uint8_t value)
{
    chip->icw1 = value;
    chip->edges = 0; /* an input must fall and rise again to be seen */
    chip->isr = 0;
    chip->imr = 0;
    chip->icw4 = 0;
    chip->lowest = 7;
    chip->read_isr = false;
    chip->poll = false;
    chip->special_mask = false;
    chip->step = STEP_ICW2;
}

static void end_of_interrupt(struct i8259_chip *chip, unsigned irq, bool rotate)
{
    if (irq == NO_IRQ)
        return;
    chip->isr &= (uint8_t)~bit(irq);
    if (rotate)
        chip->lowest = (uint8_t)irq;
}

static void write_ocw2(struct i8259_chip *chip, uint8_t value)
{
    unsigned irq = value & 7;
    /* In special mask mode a masked level is not what a non-specific EOI ends. */
    unsigned serving = chip->special_mask ? chip->isr & ~(unsigned)chip->imr : chip->isr;

    switch (value >> 5) {
    case 0: /* rotate in automatic EOI mode: clear */
        chip->rotate_aeoi = false;
        break;
    case 1: /* non-specific EOI */
        end_of_interrupt(chip, highest(chip, (uint8_t)serving), false);
        break;
    case 2: /* no operation */
        break;
    case 3: /* specific EOI */
        end_of_interrupt(chip, irq, false);
        break;
    case 4: /* rotate in automatic EOI mode: set */
        chip->rotate_aeoi = true;
        break;
    case 5: /* rotate on non-specific EOI */
        end_of_interrupt(chip, highest(chip, (uint8_t)serving), true);
        break;
    case 6: /* set priority */
        chip->lowest = (uint8_t)irq;
        break;
    case 7: /* rotate on specific EOI */
        end_of_interrupt(chip, irq, true);
        break;
    }
}

static void write_ocw3(struct i8259_chip *chip, uint8_t value)
{
    if (value & OCW3_ESMM)
        chip->special_mask = value & OCW3_SMM;
    if (value & OCW3_P)
        chip->poll = true; /* overrides a register selection in the same word */
    else if (value & OCW3_RR)
        chip->read_isr = value & OCW3_RIS;
}

static void write_port1(struct i8259_chip *chip, uint8_t value)
{
    switch (chip->step) {
    case STEP_ICW2:
        chip->vector = value & 0xf8;
        if (!(chip->icw1 & ICW1_SNGL))
            chip->step = STEP_ICW3;
        else
            chip->step = chip->icw1 & ICW1_IC4 ? STEP_ICW4 : STEP_READY;
        break;
    case STEP_ICW3:
        chip->icw3 = value; /* the wiring of a PC is fixed: kept, not used */
        chip->step = chip->icw1 & ICW1_IC4 ? STEP_ICW4 : STEP_READY;
        break;
    case STEP_ICW4:
        chip->icw4 = value;
        chip->step = STEP_READY;
        break;
    default:
        chip->imr = value;
        break;
    }
}

static void chip_byte(struct i8259 *pic, unsigned n, struct bus_access *access)
{
    struct i8259_chip *chip = &pic->reg.chip[n];
    uint8_t value = (uint8_t)access->value;

    if (!access->write) {
        if (chip->poll)
            access->value = poll(pic, n);
        else if (access->offset & 1)
            access->value = chip->imr;
        else
            access->value = chip->read_isr ? chip->isr : requests(pic, n);
    } else if (access->offset & 1) {
        write_port1(chip, value);
    } else if (value & ICW1) {
        write_icw1(chip, value);
    } else if (value & OCW3) {
        write_ocw3(chip, value);
    } else {
        write_ocw2(chip, value);
    }
    i8259_update(pic);
}

static void master_byte(void *device, struct bus_access *access)
{
    chip_byte(device, MASTER, access);
}

static void slave_byte(void *device, struct bus_access *access)
{
    chip_byte(device, SLAVE, access);
}

static void elcr_byte(void *device, struct bus_access *access)
{
    struct i8259 *pic = device;
    unsigned n = access->offset & 1;

    if (!access->write) {
        access->value = pic->reg.chip[n].elcr;
        return;
    }
    pic->reg.chip[n].elcr = (uint8_t)access->value & elcr_writable[n];
    i8259_update(pic);
}

static void master_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, master_byte);
}

static void slave_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, slave_byte);
}

static void elcr_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, elcr_byte);
}

void i8259_set_irq(void *device, unsigned pin, bool level)
{
    struct i8259 *pic = device;

    if (pin > 15 || pin == CASCADE)
        return;
    set_line(&pic->reg.chip[pin >> 3], pin & 7, level);
    i8259_update(pic);
}

void i8259_init(struct i8259 *pic, const struct irq_line *intr)
{
    memset(pic, 0, sizeof *pic);
    pic->intr = *intr;
    i8259_reset(pic);
}

void i8259_reset(struct i8259 *pic)
{
    for (unsigned n = 0; n < 2; n++) {
        struct i8259_chip *chip = &pic->reg.chip[n];
        uint8_t lines = chip->lines;

        memset(chip, 0, sizeof *chip);
        chip->lines = lines;
        chip->lowest = 7;
        chip->step = STEP_NEVER;
    }
    pic->reg.chip[MASTER].lines &= (uint8_t)~bit(CASCADE);
    pic->reg.intr = false;
    irq_line_set(&pic->intr, false);
}

enum bus_status i8259_attach(struct i8259 *pic, struct bus *bus)
{
    const struct bus_region regions[] = {
        {.name = "i8259 master", .base = 0x20, .length = 2, .handler = master_access, .device = pic},
        {.name = "i8259 slave", .base = 0xa0, .length = 2, .handler = slave_access, .device = pic},
        {.name = "i8259 elcr", .base = 0x4d0, .length = 2, .handler = elcr_access, .device = pic},
    };

    for (size_t i = 0; i < sizeof regions / sizeof regions[0]; i++) {
        enum bus_status status = bus_attach(bus, BUS_PORT, &regions[i]);

        if (status != BUS_OK)
            return status;
    }
    return BUS_OK;
}

static void reset_device(void *device, uint64_t now)
{
    (void)now;
    i8259_reset(device);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    return i8259_attach(device, bus);
}

static void chip_fields(struct state *state, struct i8259_chip *chip)
{
    state_u8(state, &chip->lines);
    state_u8(state, &chip->edges);
    state_u8(state, &chip->elcr);
    state_u8(state, &chip->isr);
    state_u8(state, &chip->imr);
    state_u8(state, &chip->vector);
    state_u8(state, &chip->icw1);
    state_u8(state, &chip->icw3);
    state_u8(state, &chip->icw4);
    state_u8(state, &chip->step);
    state_u8(state, &chip->lowest);
    state_bool(state, &chip->read_isr);
    state_bool(state, &chip->poll);
    state_bool(state, &chip->special_mask);
    state_bool(state, &chip->rotate_aeoi);
}

static void fields(struct state *state, struct i8259_registers *reg)
{
    chip_fields(state, &reg->chip[MASTER]);
    chip_fields(state, &reg->chip[SLAVE]);
    state_bool(state, &reg->intr);
}

/* The two outputs follow from the rest. */
static bool is_valid(const struct i8259_registers *reg)
{
    const struct i8259 pic = {.reg = *reg};

    for (unsigned n = 0; n < 2; n++) {
        const struct i8259_chip *chip = &reg->chip[n];

        if (chip->vector & 7 || chip->step > STEP_ICW4 || chip->lowest > 7 ||
            chip->elcr & (uint8_t)~elcr_writable[n])
            return false;
    }
    return !!(reg->chip[MASTER].lines & bit(CASCADE)) == (resolve(&pic, SLAVE) != NO_IRQ) &&
           reg->intr == (resolve(&pic, MASTER) != NO_IRQ);
}

static void save_device(const void *device, struct state *state)
{
    struct i8259_registers reg = ((const struct i8259 *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct i8259 *pic = device;
    struct i8259_registers reg = pic->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(&reg))
        return false;
    pic->reg = reg;
    return true;
}

const struct device_class i8259_class = {.name = "i8259",
                                         .version = 1,
                                         .save = save_device,
                                         .load = load_device,
                                         .reset = reset_device,
                                         .attach = attach_device};
