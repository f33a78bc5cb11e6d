/* SPDX-License-Identifier: ISC */
/*
 * uart16550: serial ports as Terminal sessions, raw bytes both ways. The configuration says which ports there
 * are:
 *
 *   <config period="1000">
 *     <port service-label="com2" base="0x2f8" irq="3"/>
 *   </config>
 *
 * Clients' signals and requests are served at most once in `period` microseconds (1000 without), because they
 * cost this CPU's time; the chip's interrupts are served at once, and they alone carry a stream.
 *
 * A session whose label is a port's service-label gets that port; any other label (a VM calls its terminal as
 * it likes) gets the first port that is free. One session a port. The driver asks its parent for IO_PORT
 * (label: base, arguments: 8) and IRQ (label: number) of each port; one that it does not get, or that has no
 * 16550, is left out with a line on the log.
 */
#include "abi/port.h"
#include "base/include/config.h"
#include "base/include/log.h"
#include "base/include/server.h"
#include "base/include/session/io_port.h"
#include "base/include/session/irq.h"
#include "base/include/session/terminal.h"
#include "drivers/uart16550/config.h"
#include "drivers/uart16550/uart.h"

/* Port i: its interrupt's selector and bit of CAP_NT. The clients' come behind those. */
#define CAP_IRQ(i) (CAP_FREE + (i))
#define BIT_IRQ(i) (1ull << (i))

struct port {
    const struct uart_config *config;
    bool usable;
    struct uart uart;
    struct ring received, transmit;
    struct event interrupt;
};

static struct uart_configs configs;
static struct port ports[UART_CONFIGS];
static struct server_place places[UART_CONFIGS]; /* of the sessions: that of port i is place i */

static unsigned choose(void *context, const struct server_request *request);
static enum error opened(void *context, unsigned number);
static void closed(void *context, unsigned number);
static void service(void *context, unsigned number);

static struct server server = {
    .service = TERMINAL_SERVICE,
    .place = places,
    .signal = CAP_FREE + UART_CONFIGS,
    .bit = UART_CONFIGS,
    .choose = choose,
    .open = opened,
    .close = closed,
    .serve = service,
};

static uint8_t chip_in(void *context, uint16_t number)
{
    (void)context;
    return port_in8(number);
}

static void chip_out(void *context, uint16_t number, uint8_t value)
{
    (void)context;
    port_out8(number, value);
}

static const struct uart_ports port_access = {.in = chip_in, .out = chip_out};

static void service(void *context, unsigned number)
{
    (void)context;
    if (uart_service(&ports[number].uart))
        server_signal(&server, number);
}

static void interrupted(void *context, uint64_t bits)
{
    unsigned number = (unsigned)((struct port *)context - ports);
    enum status status;

    (void)bits;
    /* Acknowledged first: an edge that comes while we serve the chip must not be missed. */
    status = interrupt_ack(CAP_IRQ(number));
    (void)status; /* it was good once, and nobody takes it away */
    service(NULL, number);
}

static unsigned choose(void *context, const struct server_request *request)
{
    unsigned spare = configs.count;

    (void)context;
    for (unsigned i = configs.count; i-- > 0;) {
        bool free = ports[i].usable && !places[i].open;

        if (uart_label_equal(ports[i].config, request->label))
            return free ? i : configs.count;
        if (free)
            spare = i;
    }
    return spare;
}

/* The session's dataspace: first the ring from the client, then the ring to it. */
static enum error opened(void *context, unsigned number)
{
    struct port *port = &ports[number];
    char *memory = places[number].memory;
    size_t half = places[number].session.bytes / 2;

    (void)context;
    if (!ring_init(&port->transmit, memory, half, false) ||
        !ring_init(&port->received, memory + half, half, true))
        return ERROR_BAD_ARGUMENT;
    uart_set_client(&port->uart, &port->received, &port->transmit);
    service(NULL, number);
    return ERROR_OK;
}

static void closed(void *context, unsigned number)
{
    (void)context;
    uart_set_client(&ports[number].uart, NULL, NULL);
}

static enum error port_open(unsigned number)
{
    const struct uart_config *config = ports[number].config;
    char base[16], irq[16];
    struct session session;
    enum error error;

    format_text(base, sizeof(base), "0x%x", (unsigned)config->base);
    format_text(irq, sizeof(irq), "%u", config->irq);
    error = session_open(
        &(struct session_request){.service = IO_PORT_SERVICE, .label = base, .arguments = "8"}, &session);
    if (error)
        return error;
    return session_open(
        &(struct session_request){
            .service = IRQ_SERVICE, .label = irq, .base = CAP_IRQ(number), .bits = BIT_IRQ(number)},
        &session);
}

static void port_init(unsigned number)
{
    struct port *port = &ports[number];
    enum error error;

    port->config = &configs.port[number];
    error = port_open(number);
    if (error) {
        log_line("%s: ports or interrupt: %s", port->config->label, error_text(error));
        return;
    }
    if (!uart_init(&port->uart, &port_access, NULL, port->config->base)) {
        log_line("%s: no 16550 at 0x%x", port->config->label, (unsigned)port->config->base);
        return;
    }
    port->usable = interrupt_ack(CAP_IRQ(number)) == STATUS_OK; /* unmasks it */
    if (!port->usable) {
        log_line("%s: interrupt %u cannot be used", port->config->label, port->config->irq);
        return;
    }
    port->interrupt = (struct event){
        .bits = BIT_IRQ(number), .deadline = DEADLINE_NEVER, .handle = interrupted, .context = port};
    event_add(&port->interrupt);
}

int component_main(void)
{
    struct pd_info info;
    enum error error;

    if (!config_load(uart_config_read, &configs))
        return 1;
    error = pd_info(&info);
    if (error) {
        log_line("cannot serve: %s", error_text(error));
        return 1;
    }
    for (unsigned i = 0; i < configs.count; i++)
        port_init(i);
    server.places = configs.count;
    server.period = info.tsc_hz / 1000000 * configs.period;
    server_start(&server);
    event_loop();
}
