/* SPDX-License-Identifier: ISC */
/*
 * 16550A: registers, FIFO, interrupt priorities.
 *
 * What the guest can read is derived wherever possible (LSR, IIR) and only events that the chip itself
 * remembers are kept. Order within an access: change, set the interrupt line, and last tell the owner of
 * room, since that may bring new bytes in.
 */
#include "vmm/device/uart16550.h"

#include "vmm/bus/bytes.h"
#include "vmm/bus/ticks.h"

#include <string.h>

#define IER_RDA       0x01
#define IER_THRE      0x02
#define IER_RLS       0x04
#define IER_MSR       0x08
#define IER_ALL       0x0f
#define IIR_NONE      0x01
#define IIR_MSR       0x00
#define IIR_THRE      0x02
#define IIR_RDA       0x04
#define IIR_RLS       0x06
#define IIR_TIMEOUT   0x0c
#define IIR_FIFO      0xc0
#define FCR_ENABLE    0x01
#define FCR_CLEAR_RX  0x02
#define FCR_TRIGGER   0xc0
#define LCR_BITS      0x03
#define LCR_STOP      0x04
#define LCR_PARITY    0x08
#define LCR_BREAK     0x40
#define LCR_DLAB      0x80
#define MCR_DTR       0x01
#define MCR_RTS       0x02
#define MCR_OUT1      0x04
#define MCR_OUT2      0x08
#define MCR_LOOP      0x10
#define MCR_ALL       0x1f
#define LSR_DR        0x01
#define LSR_OE        0x02
#define LSR_BI        0x10
#define LSR_ERRORS    0x1e
#define LSR_THRE      0x20
#define LSR_TEMT      0x40
#define LSR_FIFO      0x80
#define MSR_DELTAS    0x0f
#define MSR_TERI      0x04
#define MSR_LEVELS    0xf0
#define CRYSTAL_HZ    1843200
#define CLOCKS_A_BIT  16
#define TIMEOUT_CHARS 4

static bool has_fifo(const struct uart16550 *uart)
{
    return uart->reg.fcr & FCR_ENABLE;
}

static size_t capacity(const struct uart16550 *uart)
{
    return has_fifo(uart) ? UART16550_FIFO : 1;
}

static size_t trigger(const struct uart16550 *uart)
{
    static const uint8_t levels[] = {1, 4, 8, 14};

    return has_fifo(uart) ? levels[uart->reg.fcr >> 6] : 1;
}

static uint8_t data_mask(const struct uart16550 *uart)
{
    return (uint8_t)(0xff >> (3 - (uart->reg.lcr & LCR_BITS)));
}

/* Four character times in ns. A divisor of zero stops the real baud generator; here it counts as one, so that
 * no byte waits for ever. */
static uint64_t timeout_ns(const struct uart16550 *uart)
{
    uint64_t bits = 1u + 5 + (uart->reg.lcr & LCR_BITS) + (uart->reg.lcr & LCR_PARITY ? 1 : 0) +
                    (uart->reg.lcr & LCR_STOP ? 2 : 1);
    uint64_t divisor = uart->reg.divisor ? uart->reg.divisor : 1;

    return TIMEOUT_CHARS * bits * CLOCKS_A_BIT * divisor * NS_PER_SECOND / CRYSTAL_HZ;
}

static bool timeout_is_running(const struct uart16550 *uart)
{
    return has_fifo(uart) && uart->reg.rx_count > 0 && !uart->reg.timeout;
}

static uint64_t timeout_at(const struct uart16550 *uart)
{
    uint64_t wait = timeout_ns(uart);

    return uart->reg.rx_time > UINT64_MAX - wait ? UINT64_MAX : uart->reg.rx_time + wait;
}

static void sync_timeout(struct uart16550 *uart, uint64_t now)
{
    if (timeout_is_running(uart) && now >= timeout_at(uart))
        uart->reg.timeout = true;
}

static uint8_t line_status(const struct uart16550 *uart)
{
    const struct uart16550_registers *reg = &uart->reg;
    unsigned lsr = reg->lsr | LSR_THRE | LSR_TEMT, any = 0;

    for (unsigned i = 0; i < reg->rx_count; i++)
        any |= reg->rx_error[(reg->rx_first + i) % UART16550_FIFO];
    if (reg->rx_count) /* errors show when their byte is at the top */
        lsr |= LSR_DR | reg->rx_error[reg->rx_first % UART16550_FIFO];
    if (has_fifo(uart) && any)
        lsr |= LSR_FIFO;
    return (uint8_t)lsr;
}

/* Interrupt identification by priority (table 8.6.2). */
static uint8_t interrupt(const struct uart16550 *uart)
{
    const struct uart16550_registers *reg = &uart->reg;

    if (reg->ier & IER_RLS && line_status(uart) & LSR_ERRORS)
        return IIR_RLS;
    if (reg->ier & IER_RDA && reg->rx_count >= trigger(uart))
        return IIR_RDA;
    if (reg->ier & IER_RDA && reg->timeout)
        return IIR_TIMEOUT;
    if (reg->ier & IER_THRE && reg->thre_pending)
        return IIR_THRE;
    if (reg->ier & IER_MSR && reg->msr & MSR_DELTAS)
        return IIR_MSR;
    return IIR_NONE;
}

static void update_irq(struct uart16550 *uart)
{
    irq_line_set(&uart->wiring.irq, interrupt(uart) != IIR_NONE && uart->reg.mcr & MCR_OUT2);
}

static void clear_rx(struct uart16550 *uart)
{
    uart->reg.rx_first = 0;
    uart->reg.rx_count = 0;
    uart->reg.timeout = false;
}

/* A character has been shifted in. Into a full FIFO it is lost, over a full RBR it wins (8.6.3, OE). */
static void push(struct uart16550 *uart, uint8_t byte, uint8_t error, uint64_t now)
{
    struct uart16550_registers *reg = &uart->reg;
    unsigned at = (reg->rx_first + reg->rx_count) % UART16550_FIFO;

    if (reg->rx_count >= capacity(uart)) {
        reg->lsr |= LSR_OE;
        if (has_fifo(uart))
            return;
        at = reg->rx_first % UART16550_FIFO;
    } else {
        reg->rx_count++;
    }
    reg->rx[at] = byte & data_mask(uart);
    reg->rx_error[at] = error;
    reg->rx_time = now;
    reg->timeout = false;
}

static uint8_t pop(struct uart16550 *uart, uint64_t now)
{
    struct uart16550_registers *reg = &uart->reg;
    uint8_t byte = reg->rx[reg->rx_first % UART16550_FIFO];

    if (reg->rx_count == 0)
        return byte; /* the last one again */
    reg->lsr |= reg->rx_error[reg->rx_first % UART16550_FIFO];
    reg->rx_error[reg->rx_first % UART16550_FIFO] = 0;
    reg->rx_count--;
    if (reg->rx_count)
        reg->rx_first = (uint8_t)((reg->rx_first + 1) % UART16550_FIFO);
    reg->rx_time = now;
    reg->timeout = false;
    return byte;
}

static void transmit(struct uart16550 *uart, uint8_t byte, uint64_t now)
{
    /* The line falls while the transmitter is busy, for no time at all: an edge for the interrupt controller.
     */
    uart->reg.thre_pending = false;
    update_irq(uart);
    if (uart->reg.mcr & MCR_LOOP)
        push(uart, byte, 0, now);
    else if (uart->wiring.transmit)
        uart->wiring.transmit(uart->wiring.context, byte & data_mask(uart));
    uart->reg.thre_pending = true;
}

/* Take over new levels of the modem lines and note what changed. */
static void update_modem(struct uart16550 *uart)
{
    unsigned mcr = uart->reg.mcr, levels = uart->reg.modem, old = uart->reg.msr & MSR_LEVELS, changed;

    if (mcr & MCR_LOOP)
        levels = (mcr & MCR_RTS ? UART_MSR_CTS : 0u) | (mcr & MCR_DTR ? UART_MSR_DSR : 0u) |
                 (mcr & MCR_OUT1 ? UART_MSR_RI : 0u) | (mcr & MCR_OUT2 ? UART_MSR_DCD : 0u);
    changed = (levels ^ old) >> 4;
    if (levels & UART_MSR_RI)
        changed &= ~(unsigned)MSR_TERI; /* only the trailing edge counts */
    uart->reg.msr = (uint8_t)(levels | (uart->reg.msr & MSR_DELTAS) | changed);
}

/* A change of FCR0 clears the FIFOs; while it is written as 0 no other bit counts, so that the byte in RBR
 * survives a reset of FIFOs that are off (PC16550D, 8.5). */
static void write_fcr(struct uart16550 *uart, uint8_t value)
{
    bool clears = value & FCR_ENABLE && value & FCR_CLEAR_RX;

    if ((value ^ uart->reg.fcr) & FCR_ENABLE || clears)
        clear_rx(uart);
    uart->reg.fcr = value & FCR_ENABLE ? value & (FCR_ENABLE | FCR_TRIGGER) : 0;
}

static void write_ier(struct uart16550 *uart, uint8_t value)
{
    /* Enabling the transmitter interrupt while the transmitter is empty raises it (8.6.4). */
    if (value & ~uart->reg.ier & IER_THRE)
        uart->reg.thre_pending = true;
    uart->reg.ier = value & IER_ALL;
}

static void write_lcr(struct uart16550 *uart, uint8_t value, uint64_t now)
{
    if (uart->reg.mcr & MCR_LOOP && value & ~uart->reg.lcr & LCR_BREAK)
        push(uart, 0, LSR_BI, now);
    uart->reg.lcr = value;
}

static void write_byte(struct uart16550 *uart, unsigned offset, uint8_t value, uint64_t now)
{
    struct uart16550_registers *reg = &uart->reg;
    bool dlab = reg->lcr & LCR_DLAB;

    switch (offset) {
    case 0:
        if (dlab)
            reg->divisor = (uint16_t)((reg->divisor & 0xff00) | value);
        else
            transmit(uart, value, now);
        break;
    case 1:
        if (dlab)
            reg->divisor = (uint16_t)((reg->divisor & 0xff) | value << 8);
        else
            write_ier(uart, value);
        break;
    case 2:
        write_fcr(uart, value);
        break;
    case 3:
        write_lcr(uart, value, now);
        break;
    case 4:
        reg->mcr = value & MCR_ALL;
        update_modem(uart);
        break;
    case 7:
        reg->scratch = value;
        break;
    default: /* LSR and MSR: writing is for factory tests */
        break;
    }
}

static uint8_t read_byte(struct uart16550 *uart, unsigned offset, uint64_t now)
{
    struct uart16550_registers *reg = &uart->reg;
    bool dlab = reg->lcr & LCR_DLAB;
    uint8_t value;

    switch (offset) {
    case 0:
        return dlab ? (uint8_t)reg->divisor : pop(uart, now);
    case 1:
        return dlab ? (uint8_t)(reg->divisor >> 8) : reg->ier;
    case 2:
        value = interrupt(uart);
        if (value == IIR_THRE)
            reg->thre_pending = false;
        return value | (has_fifo(uart) ? IIR_FIFO : 0);
    case 3:
        return reg->lcr;
    case 4:
        return reg->mcr;
    case 5:
        value = line_status(uart);
        reg->lsr = 0;
        if (reg->rx_count)
            reg->rx_error[reg->rx_first % UART16550_FIFO] = 0;
        return value;
    case 6:
        value = reg->msr;
        reg->msr &= MSR_LEVELS;
        return value;
    default:
        return reg->scratch;
    }
}

static void uart_byte(void *device, struct bus_access *access)
{
    struct uart16550 *uart = device;
    unsigned offset = access->offset & 7;

    sync_timeout(uart, access->now);
    if (access->write)
        write_byte(uart, offset, (uint8_t)access->value, access->now);
    else
        access->value = read_byte(uart, offset, access->now);
    update_irq(uart);
    if (uart->reg.starved && uart->reg.rx_count == 0 && uart16550_room(uart)) {
        uart->reg.starved = false;
        if (uart->wiring.room)
            uart->wiring.room(uart->wiring.context, access->now);
    }
}

static void uart_access(void *device, struct bus_access *access)
{
    bus_split_bytes(device, access, uart_byte);
}

size_t uart16550_room(const struct uart16550 *uart)
{
    size_t limit = capacity(uart);

    if (uart->reg.mcr & MCR_LOOP || uart->reg.rx_count >= limit)
        return 0;
    return limit - uart->reg.rx_count;
}

size_t uart16550_receive(struct uart16550 *uart, const uint8_t *data, size_t count, uint64_t now)
{
    size_t room = uart16550_room(uart), taken = count < room ? count : room;

    for (size_t i = 0; i < taken; i++)
        push(uart, data[i], 0, now);
    if (taken < count)
        uart->reg.starved = true;
    sync_timeout(uart, now);
    update_irq(uart);
    return taken;
}

bool uart16550_receive_break(struct uart16550 *uart, uint64_t now)
{
    if (uart16550_room(uart) == 0) {
        uart->reg.starved = true;
        return false;
    }
    push(uart, 0, LSR_BI, now);
    update_irq(uart);
    return true;
}

void uart16550_set_modem(struct uart16550 *uart, uint8_t lines)
{
    uart->reg.modem = lines & MSR_LEVELS;
    update_modem(uart);
    update_irq(uart);
}

static uint64_t uart16550_deadline(void *device)
{
    const struct uart16550 *uart = device;

    /* Of no interest while the trigger level interrupts anyway, or while nothing may interrupt. */
    if (!timeout_is_running(uart) || !(uart->reg.ier & IER_RDA) || uart->reg.rx_count >= trigger(uart))
        return BUS_NEVER;
    return timeout_at(uart);
}

static void uart16550_advance(void *device, uint64_t now)
{
    sync_timeout(device, now);
    update_irq(device);
}

void uart16550_init(struct uart16550 *uart, uint16_t base, const struct uart16550_wiring *wiring)
{
    memset(uart, 0, sizeof *uart);
    uart->wiring = *wiring;
    uart->config.base = base;
    uart->reg.divisor = 12; /* 9600 baud, as firmware leaves it */
    uart->reg.modem = UART_MSR_CTS | UART_MSR_DSR | UART_MSR_DCD;
    uart16550_reset(uart);
}

void uart16550_reset(struct uart16550 *uart)
{
    struct uart16550_registers old = uart->reg;

    memset(&uart->reg, 0, sizeof uart->reg);
    uart->reg.divisor = old.divisor;
    uart->reg.scratch = old.scratch;
    uart->reg.modem = old.modem;
    uart->reg.msr = old.modem;
    uart->reg.starved = old.starved;
    update_irq(uart);
}

enum bus_status uart16550_attach(struct uart16550 *uart, struct bus *bus)
{
    const struct bus_region region = {
        .name = "uart16550", .base = uart->config.base, .length = 8, .handler = uart_access, .device = uart};
    const struct bus_clock clock = {
        .deadline = uart16550_deadline, .advance = uart16550_advance, .device = uart};
    enum bus_status status = bus_attach(bus, BUS_PORT, &region);

    return status == BUS_OK ? bus_attach_clock(bus, &clock) : status;
}

static void reset_device(void *device, uint64_t now)
{
    (void)now;
    uart16550_reset(device);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    return uart16550_attach(device, bus);
}

static void fields(struct state *state, struct uart16550_registers *reg)
{
    state_bytes(state, reg->rx, sizeof(reg->rx));
    state_bytes(state, reg->rx_error, sizeof(reg->rx_error));
    state_u8(state, &reg->rx_first);
    state_u8(state, &reg->rx_count);
    state_u8(state, &reg->ier);
    state_u8(state, &reg->fcr);
    state_u8(state, &reg->lcr);
    state_u8(state, &reg->mcr);
    state_u8(state, &reg->lsr);
    state_u8(state, &reg->scratch);
    state_u8(state, &reg->modem);
    state_u8(state, &reg->msr);
    state_u16(state, &reg->divisor);
    state_bool(state, &reg->thre_pending);
    state_bool(state, &reg->timeout);
    state_bool(state, &reg->starved);
    state_u64(state, &reg->rx_time);
}

static bool is_valid(const struct uart16550_registers *reg, uint64_t now)
{
    unsigned limit = reg->fcr & FCR_ENABLE ? UART16550_FIFO : 1;

    for (unsigned i = 0; i < UART16550_FIFO; i++)
        if (reg->rx_error[i] & ~LSR_ERRORS)
            return false;
    return reg->rx_first < UART16550_FIFO && reg->rx_count <= limit && !(reg->ier & ~IER_ALL) &&
           !(reg->fcr & ~(FCR_ENABLE | FCR_TRIGGER)) && (reg->fcr & FCR_ENABLE || !reg->fcr) &&
           !(reg->mcr & ~MCR_ALL) && !(reg->lsr & ~LSR_ERRORS) && !(reg->modem & ~MSR_LEVELS) &&
           reg->rx_time <= now;
}

static void save_device(const void *device, struct state *state)
{
    struct uart16550_registers reg = ((const struct uart16550 *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct uart16550 *uart = device;
    struct uart16550_registers reg = uart->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(&reg, state->now))
        return false;
    uart->reg = reg;
    return true;
}

const struct device_class uart16550_class = {.name = "uart16550",
                                             .version = 1,
                                             .save = save_device,
                                             .load = load_device,
                                             .reset = reset_device,
                                             .attach = attach_device};
