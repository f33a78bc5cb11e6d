/* SPDX-License-Identifier: ISC */
/*
 * uart16550: serial ports as Terminal sessions, raw bytes both ways. The configuration says which ports there
 * are:
 *
 *   <config period="1000">
 *     <port service-label="com2" base="0x2f8" irq="3"/>
 *   </config>
 *
 * Signals of clients and news of sessions are served at most once in `period` microseconds (1000 without), as
 * the time of this CPU is not the clients' to spend; the chip's interrupts are served at once, and they alone
 * carry a stream.
 *
 * A session whose label is a port's service-label gets that port; any other label (a VM calls its terminal as
 * it likes) gets the first port that is free. One session a port. The driver asks its parent for IO_PORT
 * (label: base, arguments: 8) and IRQ (label: number) of each port; one that it does not get, or that has no
 * 16550, is left out with a line on the log.
 */
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "base/include/session/io_port.h"
#include "base/include/session/irq.h"
#include "base/include/session/terminal.h"
#include "drivers/uart16550/config.h"
#include "drivers/uart16550/uart.h"

#include <string.h>

/* Selectors and bits of CAP_NT of port i. */
#define CAP_IRQ(i)    (CAP_FREE + 2 * (i))
#define CAP_CLIENT(i) (CAP_FREE + 2 * (i) + 1)
#define BIT_IRQ(i)    (1ull << (2 * (i)))
#define BIT_CLIENT(i) (2ull << (2 * (i)))

#define REFUSALS_TOLD 16u

struct port {
    const struct uart_config *config;
    bool usable;
    struct uart uart;
    bool open; /* a client has it */
    struct session session;
    void *memory;
    struct ring received, transmit;
};

/* The kernel enters a handler with nothing but bits, so the state is here. */
static struct uart_configs configs;
static struct port ports[UART_CONFIGS];
static uint64_t period, clients; /* TSC ticks; the bits that clients signal, and the parent for them */

static uint8_t port_in(void *context, uint16_t number)
{
    uint8_t value;
    (void)context;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(number));
    return value;
}

static void port_out(void *context, uint16_t number, uint8_t value)
{
    (void)context;
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(number));
}

static const struct uart_ports port_access = {.in = port_in, .out = port_out};

/* A signal to a client that has just died reaches nobody; its session's end is told by the parent. */
static void port_service(unsigned number)
{
    struct port *port = &ports[number];
    if (port->usable && uart_service(&port->uart) && port->open) {
        enum status status = nt_signal(CAP_CLIENT(number));
        (void)status;
    }
}

static void port_close(struct port *port)
{
    struct dataspace dataspace = {.handle = port->session.dataspace, .bytes = port->session.bytes};
    port->open = false;
    uart_set_client(&port->uart, NULL, NULL);
    enum error error = port->memory != NULL ? dataspace_detach(port->memory) : ERROR_OK;
    enum error freed = dataspace_free(&dataspace);
    if (error != ERROR_OK || freed != ERROR_OK) {
        log_line("%s: closing: %s", port->config->label, error_text(error != ERROR_OK ? error : freed));
    }
    port->memory = NULL;
    port->session = (struct session){0};
}

static struct port *port_find(const char *label)
{
    struct port *spare = NULL;
    for (unsigned i = 0; i < configs.count; i++) {
        if (uart_label_equal(ports[i].config, label)) {
            return ports[i].usable && !ports[i].open ? &ports[i] : NULL;
        }
        if (spare == NULL && ports[i].usable && !ports[i].open) {
            spare = &ports[i];
        }
    }
    return spare;
}

/* The session's dataspace: first the ring from the client, then the ring to it. */
static enum error port_attach(struct port *port)
{
    enum error error = dataspace_attach(port->session.dataspace, 0, MEM_READ | MEM_WRITE, &port->memory);
    size_t half = port->session.bytes / 2;
    if (error != ERROR_OK) {
        port->memory = NULL;
        return error;
    }
    if (!ring_init(&port->transmit, port->memory, half, false) ||
        !ring_init(&port->received, (char *)port->memory + half, half, true)) {
        return ERROR_BAD_ARGUMENT;
    }
    uart_set_client(&port->uart, &port->received, &port->transmit);
    return ERROR_OK;
}

/* The lines are written on our time, so a client that asks again and again is not to have as many as it
 * likes. */
static void request_refuse(const struct server_request *request, enum error reason)
{
    static unsigned lines;
    if (lines < REFUSALS_TOLD) {
        log_line("Terminal '%s' refused: %s%s", request->label, error_text(reason),
                 ++lines == REFUSALS_TOLD ? "; further refusals are not told" : "");
    }
    enum error error = server_refuse(request->id, reason);
    (void)error; /* the client has gone meanwhile */
}

static void request_open(const struct server_request *request)
{
    struct port *port = port_find(request->label);
    if (port == NULL) {
        request_refuse(request, ERROR_BUSY);
        return;
    }
    unsigned number = (unsigned)(port - ports);
    enum error error = server_ready(request->id, CAP_CLIENT(number), BIT_CLIENT(number), &port->session);
    if (error == ERROR_CLOSED) {
        return;
    }
    if (error != ERROR_OK) {
        request_refuse(request, error);
        return;
    }
    port->open = true;
    error = port_attach(port);
    if (error != ERROR_OK) {
        log_line("%s: Terminal '%s': %s", port->config->label, request->label, error_text(error));
    }
    port_service(number);
}

static void request_close(uint64_t id)
{
    for (unsigned i = 0; i < configs.count; i++) {
        if (ports[i].open && ports[i].session.id == id) {
            port_close(&ports[i]);
        }
    }
}

static void requests_serve(void)
{
    struct server_request request;
    while (server_next(&request) == ERROR_OK) {
        if (request.kind == REQUEST_CLOSE) {
            request_close(request.id);
        } else {
            request_open(&request);
        }
    }
}

static uint64_t notified(uint64_t bits)
{
    if (bits == 0 || (bits & NT_PARENT_NEWS) != 0) {
        requests_serve();
    }
    for (unsigned i = 0; i < configs.count; i++) {
        if ((bits & BIT_IRQ(i)) != 0 && ports[i].usable) {
            /* Acknowledged first: an edge that comes while we serve the chip must not be missed. */
            enum status status = interrupt_ack(CAP_IRQ(i));
            (void)status;
        }
        if ((bits & (BIT_IRQ(i) | BIT_CLIENT(i))) != 0) {
            port_service(i);
        }
    }
    if ((bits & clients) != 0) {
        component_defer(clients, tsc_read() + period);
    }
    return DEADLINE_NEVER;
}

static enum error port_open_io(unsigned number)
{
    const struct uart_config *config = ports[number].config;
    char base[16], irq[16];
    struct session session;
    format_text(base, sizeof base, "0x%x", (unsigned)config->base);
    format_text(irq, sizeof irq, "%u", config->irq);
    enum error error = session_open(
        &(struct session_request){.service = IO_PORT_SERVICE, .label = base, .arguments = "8"}, &session);
    if (error == ERROR_OK) {
        error = session_open(
            &(struct session_request){
                .service = IRQ_SERVICE, .label = irq, .base = CAP_IRQ(number), .bits = BIT_IRQ(number)},
            &session);
    }
    return error;
}

static void port_init(unsigned number)
{
    struct port *port = &ports[number];
    port->config = &configs.port[number];
    enum error error = port_open_io(number);
    if (error != ERROR_OK) {
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
    }
}

static bool read_config(void)
{
    static char text[UART_CONFIG_BYTES];
    struct xml_error wrong;
    struct rom rom;
    enum error error = rom_open("config", &rom);
    if (error != ERROR_OK || rom.bytes == 0 || rom.bytes > sizeof text) {
        log_line("config: %s", error != ERROR_OK ? error_text(error) : "empty or too long");
        return false;
    }
    memcpy(text, rom.data, rom.bytes);
    if (!uart_config_read(text, rom.bytes, &configs, &wrong)) {
        log_line("config:%u: %s", wrong.line, wrong.reason);
        return false;
    }
    error = rom_close(&rom);
    (void)error;
    return true;
}

int component_main(void)
{
    struct pd_info info;
    if (!read_config()) {
        return 1;
    }
    enum error error = pd_info(&info);
    if (error == ERROR_OK) {
        error = component_serve(NULL);
    }
    if (error != ERROR_OK) {
        log_line("cannot serve: %s", error_text(error));
        return 1;
    }
    period = info.tsc_hz / 1000000 * configs.period;
    clients = NT_PARENT_NEWS;
    for (unsigned i = 0; i < configs.count; i++) {
        clients |= BIT_CLIENT(i);
        port_init(i);
    }
    component_loop(notified);
}
