/* SPDX-License-Identifier: ISC */
/*
 * 8042: commands, output buffer, port 0x92.
 *
 * There is one output buffer. The controller's own answers go before the devices' bytes; devices are asked
 * for their next byte only when the buffer is free, so no queue can overflow. Nothing is ever busy: IBF reads
 * zero.
 */
#include "vmm/device/i8042.h"

#include <string.h>

#define STATUS_OBF     0x01
#define STATUS_SYS     0x04
#define STATUS_A2      0x08 /* last write was a command */
#define STATUS_UNLOCK  0x10
#define STATUS_AUX     0x20
#define STATUS_TIMEOUT 0x40
#define SOURCE         (STATUS_AUX | STATUS_TIMEOUT)

#define COMMAND_IRQ1    0x01
#define COMMAND_IRQ12   0x02
#define COMMAND_SYS     0x04
#define COMMAND_NO_KBD  0x10
#define COMMAND_NO_AUX  0x20
#define COMMAND_DEFAULT (COMMAND_NO_KBD | COMMAND_NO_AUX)

#define OUTPUT_RUN   0x01 /* 0 resets the CPU */
#define OUTPUT_A20   0x02
#define OUTPUT_IRQ1  0x10 /* follow the output buffer */
#define OUTPUT_IRQ12 0x20
#define OUTPUT_IDLE  0xcc

#define NO_DEVICE    0xfe
#define AUX_STUCK    0x01 /* interface test: clock line stuck low */
#define PORT92_RESET 0x01
#define PORT92_A20   0x02
#define SELF_TEST_OK 0x55
#define INPUT_PORT   0x80 /* keyboard not locked */

enum {
    CMD_READ_RAM = 0x20,
    CMD_WRITE_RAM = 0x60,
    CMD_AUX_DISABLE = 0xa7,
    CMD_AUX_ENABLE = 0xa8,
    CMD_AUX_TEST = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_KBD_TEST = 0xab,
    CMD_KBD_DISABLE = 0xad,
    CMD_KBD_ENABLE = 0xae,
    CMD_READ_INPUT = 0xc0,
    CMD_READ_OUTPUT = 0xd0,
    CMD_WRITE_OUTPUT = 0xd1,
    CMD_ECHO_KBD = 0xd2,
    CMD_ECHO_AUX = 0xd3,
    CMD_SEND_AUX = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_TEST_INPUTS = 0xe0,
    CMD_PULSE = 0xf0
};

static bool is_plugged(const struct i8042 *kbc, enum i8042_port port)
{
    return kbc->device[port].write;
}

static void update_irq(struct i8042 *kbc)
{
    bool full = kbc->reg.status & STATUS_OBF, aux = kbc->reg.status & STATUS_AUX;

    irq_line_set(&kbc->wiring.irq[I8042_KEYBOARD], full && !aux && kbc->reg.command & COMMAND_IRQ1);
    irq_line_set(&kbc->wiring.irq[I8042_AUX], full && aux && kbc->reg.command & COMMAND_IRQ12);
}

static void fill(struct i8042 *kbc, uint8_t byte, uint8_t source)
{
    kbc->reg.data = byte;
    kbc->reg.status = (uint8_t)((kbc->reg.status & ~SOURCE) | STATUS_OBF | source);
}

/* Put the next byte in the output buffer if that is free: an answer of ours, the keyboard's, the mouse's. */
static void refill(struct i8042 *kbc)
{
    static const uint8_t disabled[] = {COMMAND_NO_KBD, COMMAND_NO_AUX};
    static const uint8_t source[] = {0, STATUS_AUX};
    uint8_t byte;

    if (!(kbc->reg.status & STATUS_OBF)) {
        if (kbc->reg.responding) {
            kbc->reg.responding = false;
            fill(kbc, kbc->reg.response, kbc->reg.response_status);
        } else {
            for (unsigned port = 0; port < I8042_PORTS; port++) {
                const struct i8042_device *device = &kbc->device[port];

                if (!device->write || !device->read || kbc->reg.command & disabled[port])
                    continue;
                if (!device->read(device->device, &byte))
                    continue;
                fill(kbc, byte, source[port]);
                break;
            }
        }
    }
    update_irq(kbc);
}

/* Our own answer. It waits if a byte is in the output buffer; a second one that waits replaces the first. */
static void respond(struct i8042 *kbc, uint8_t byte, uint8_t source)
{
    kbc->reg.response = byte;
    kbc->reg.response_status = source;
    kbc->reg.responding = true;
}

static void request_reset(struct i8042 *kbc)
{
    if (kbc->wiring.reset)
        kbc->wiring.reset(kbc->wiring.context);
}

static void send(struct i8042 *kbc, enum i8042_port port, uint8_t byte, uint64_t now)
{
    if (is_plugged(kbc, port))
        kbc->device[port].write(kbc->device[port].device, byte, now);
    else
        respond(kbc, NO_DEVICE, port == I8042_AUX ? STATUS_AUX | STATUS_TIMEOUT : STATUS_TIMEOUT);
}

static void set_a20(struct i8042 *kbc, bool on)
{
    kbc->reg.output = (uint8_t)((kbc->reg.output & ~OUTPUT_A20) | (on ? OUTPUT_A20 : 0));
}

static uint8_t read_output_port(const struct i8042 *kbc)
{
    uint8_t value = kbc->reg.output;

    if (kbc->reg.status & STATUS_OBF)
        value |= kbc->reg.status & STATUS_AUX ? OUTPUT_IRQ12 : OUTPUT_IRQ1;
    return value;
}

static void write_output_port(struct i8042 *kbc, uint8_t value)
{
    kbc->reg.output = (uint8_t)((value & ~(OUTPUT_IRQ1 | OUTPUT_IRQ12)) | OUTPUT_RUN);
    if (!(value & OUTPUT_RUN))
        request_reset(kbc);
}

static void write_ram(struct i8042 *kbc, unsigned index, uint8_t value)
{
    if (index != 0) {
        kbc->reg.ram[index] = value;
        return;
    }
    kbc->reg.command = value;
    kbc->reg.status = (uint8_t)((kbc->reg.status & ~STATUS_SYS) | (value & COMMAND_SYS ? STATUS_SYS : 0));
}

static void self_test(struct i8042 *kbc)
{
    kbc->reg.status |= STATUS_SYS;
    kbc->reg.command |= COMMAND_SYS;
    respond(kbc, SELF_TEST_OK, 0);
}

static void write_command(struct i8042 *kbc, uint8_t command)
{
    kbc->reg.expected = 0;
    if (command >= CMD_PULSE) { /* bits that are 0 pulse low; only the reset line is wired */
        if (!(command & OUTPUT_RUN))
            request_reset(kbc);
        return;
    }
    if ((command & 0xe0) == CMD_READ_RAM) {
        respond(kbc, command & 31 ? kbc->reg.ram[command & 31] : kbc->reg.command, 0);
        return;
    }
    if ((command & 0xe0) == CMD_WRITE_RAM) {
        kbc->reg.expected = command;
        return;
    }
    switch (command) {
    case CMD_AUX_DISABLE:
        kbc->reg.command |= COMMAND_NO_AUX;
        break;
    case CMD_AUX_ENABLE:
        kbc->reg.command &= (uint8_t)~COMMAND_NO_AUX;
        break;
    case CMD_AUX_TEST:
        respond(kbc, is_plugged(kbc, I8042_AUX) ? 0 : AUX_STUCK, 0);
        break;
    case CMD_SELF_TEST:
        self_test(kbc);
        break;
    case CMD_KBD_TEST:
        respond(kbc, 0, 0);
        break;
    case CMD_KBD_DISABLE:
        kbc->reg.command |= COMMAND_NO_KBD;
        break;
    case CMD_KBD_ENABLE:
        kbc->reg.command &= (uint8_t)~COMMAND_NO_KBD;
        break;
    case CMD_READ_INPUT:
        respond(kbc, INPUT_PORT, 0);
        break;
    case CMD_READ_OUTPUT:
        respond(kbc, read_output_port(kbc), 0);
        break;
    case CMD_A20_OFF:
    case CMD_A20_ON:
        set_a20(kbc, command == CMD_A20_ON);
        break;
    case CMD_TEST_INPUTS:
        respond(kbc, 0, 0);
        break;
    case CMD_WRITE_OUTPUT:
    case CMD_ECHO_KBD:
    case CMD_ECHO_AUX:
    case CMD_SEND_AUX:
        kbc->reg.expected = command;
        break;
    default: /* commands that no controller knows are ignored */
        break;
    }
}

static void write_data(struct i8042 *kbc, uint8_t value, uint64_t now)
{
    uint8_t command = kbc->reg.expected;

    kbc->reg.expected = 0;
    switch (command) {
    case 0:
        kbc->reg.command &= (uint8_t)~COMMAND_NO_KBD; /* sending enables the interface */
        send(kbc, I8042_KEYBOARD, value, now);
        break;
    case CMD_WRITE_OUTPUT:
        write_output_port(kbc, value);
        break;
    case CMD_ECHO_KBD:
        respond(kbc, value, 0);
        break;
    case CMD_ECHO_AUX:
        /* Without an auxiliary port the byte comes back as if from the keyboard: how drivers find out. */
        respond(kbc, value, is_plugged(kbc, I8042_AUX) ? STATUS_AUX : 0);
        break;
    case CMD_SEND_AUX:
        send(kbc, I8042_AUX, value, now);
        break;
    default:
        write_ram(kbc, command & 31, value);
        break;
    }
}

static void data_access(void *device, struct bus_access *access)
{
    struct i8042 *kbc = device;

    if (access->write) {
        kbc->reg.status &= (uint8_t)~STATUS_A2;
        write_data(kbc, (uint8_t)access->value, access->now);
    } else {
        access->value = kbc->reg.data;
        kbc->reg.status &= (uint8_t)~STATUS_OBF;
        update_irq(kbc); /* the line falls before the next byte raises it */
    }
    refill(kbc);
}

static void command_access(void *device, struct bus_access *access)
{
    struct i8042 *kbc = device;

    if (!access->write) {
        access->value = kbc->reg.status | STATUS_UNLOCK;
        return;
    }
    kbc->reg.status |= STATUS_A2;
    write_command(kbc, (uint8_t)access->value);
    refill(kbc);
}

static void port92_access(void *device, struct bus_access *access)
{
    struct i8042 *kbc = device;

    if (!access->write) {
        access->value = kbc->reg.output & OUTPUT_A20 ? PORT92_A20 : 0;
        return;
    }
    set_a20(kbc, access->value & PORT92_A20);
    if (access->value & PORT92_RESET)
        request_reset(kbc);
}

void i8042_plug(struct i8042 *kbc, enum i8042_port port, const struct i8042_device *device)
{
    static const struct i8042_device none;

    kbc->device[port] = device ? *device : none;
    refill(kbc);
}

void i8042_notify(struct i8042 *kbc)
{
    refill(kbc);
}

bool i8042_a20(const struct i8042 *kbc)
{
    return kbc->reg.output & OUTPUT_A20;
}

void i8042_init(struct i8042 *kbc, const struct i8042_wiring *wiring)
{
    memset(kbc, 0, sizeof *kbc);
    kbc->wiring = *wiring;
    i8042_reset(kbc);
}

void i8042_reset(struct i8042 *kbc)
{
    memset(&kbc->reg, 0, sizeof kbc->reg);
    kbc->reg.command = COMMAND_DEFAULT;
    kbc->reg.output = OUTPUT_IDLE | OUTPUT_RUN | OUTPUT_A20;
    update_irq(kbc);
}

enum bus_status i8042_attach(struct i8042 *kbc, struct bus *bus)
{
    const struct bus_region regions[] = {
        {.name = "i8042 data", .base = 0x60, .length = 1, .handler = data_access, .device = kbc},
        {.name = "i8042 command", .base = 0x64, .length = 1, .handler = command_access, .device = kbc},
        {.name = "port 0x92", .base = 0x92, .length = 1, .handler = port92_access, .device = kbc},
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
    i8042_reset(device);
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    return i8042_attach(device, bus);
}

static void fields(struct state *state, struct i8042_registers *reg)
{
    state_u8(state, &reg->command);
    state_bytes(state, reg->ram, sizeof(reg->ram));
    state_u8(state, &reg->expected);
    state_u8(state, &reg->output);
    state_u8(state, &reg->data);
    state_u8(state, &reg->status);
    state_u8(state, &reg->response);
    state_u8(state, &reg->response_status);
    state_bool(state, &reg->responding);
}

static bool is_valid(const struct i8042_registers *reg)
{
    bool expects = reg->expected == 0 || (reg->expected & 0xe0) == CMD_WRITE_RAM ||
                   (reg->expected >= CMD_WRITE_OUTPUT && reg->expected <= CMD_SEND_AUX);

    return expects && reg->output & OUTPUT_RUN && !(reg->output & (OUTPUT_IRQ1 | OUTPUT_IRQ12)) &&
           !(reg->status & ~(STATUS_OBF | STATUS_SYS | STATUS_A2 | SOURCE)) &&
           !(reg->response_status & ~SOURCE);
}

static void save_device(const void *device, struct state *state)
{
    struct i8042_registers reg = ((const struct i8042 *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct i8042 *kbc = device;
    struct i8042_registers reg = kbc->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || !is_valid(&reg))
        return false;
    kbc->reg = reg;
    return true;
}

const struct device_class i8042_class = {.name = "i8042",
                                         .version = 1,
                                         .save = save_device,
                                         .load = load_device,
                                         .reset = reset_device,
                                         .attach = attach_device};
