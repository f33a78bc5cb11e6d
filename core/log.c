/* SPDX-License-Identifier: ISC */
/*
 * The log on COM1, a 16550, without interrupts: core's main thread alone sends the queue. The kernel has used
 * the UART for its boot messages before, so core sets it up again.
 */
#include "base/include/log.h"

#include "abi/port.h"
#include "base/include/component.h"
#include "base/include/session/log.h"
#include "core/core.h"
#include "core/log_queue.h"

#include <string.h>

#define COM1      0x3f8u
#define UART_THR  0u
#define UART_IER  1u
#define UART_FCR  2u
#define UART_LCR  3u
#define UART_MCR  4u
#define LOG_BYTES (0x10000u + RING_OVERHEAD) /* of lines that wait: 5.7 s at 115200 baud */

/* The requests that say something and the main thread that sends share these. */
static uint8_t memory[LOG_BYTES] __attribute__((aligned(64)));
static struct log_queue queue;

static void out(void *context, unsigned reg, uint8_t value)
{
    (void)context;
    port_out8((uint16_t)(COM1 + reg), value);
}

static uint8_t in(void *context, unsigned reg)
{
    (void)context;
    return port_in8((uint16_t)(COM1 + reg));
}

static const struct log_port port = {.in = in, .out = out};

void log_init(void)
{
    if (!log_queue_init(&queue, memory, sizeof(memory)) ||
        space_copy(ROOT_PORTS, COM1, ROOT_PIO, COM1, 8, MEM_READ | MEM_WRITE) != STATUS_OK)
        return;
    log_flush(); /* the kernel's last line is not to be cut off */
    out(NULL, UART_IER, 0);
    out(NULL, UART_LCR, 0x80);
    out(NULL, UART_THR, 1); /* divisor 1: 115200 baud */
    out(NULL, UART_IER, 0);
    out(NULL, UART_LCR, 0x03);
    out(NULL, UART_FCR, 0x07);
    out(NULL, UART_MCR, 0x03);
}

static void put(const char *line, size_t length)
{
    if (log_queue_put(&queue, line, length)) {
        enum status status = nt_signal(CORE_LOG);
        (void)status; /* there is none yet: the main thread begins by sending */
    }
}

void log_text(const char *label, const char *session, const char *text, size_t length, struct rate *rate)
{
    char line[LABEL_SIZE + LOG_LABEL + LOG_LINE + 16];
    uint64_t dropped = 0, lost;
    size_t at = format_text(line, sizeof(line), "[%s%s%s] ", label, *session ? " -> " : "", session);
    for (size_t i = 0; i < length && i < LOG_LINE; i++)
        line[at++] = text[i] == '\t' || (text[i] >= 0x20 && text[i] < 0x7f) ? text[i] : '?';
    at += format_text(line + at, sizeof(line) - at, length > LOG_LINE ? "...\r\n" : "\r\n");
    if (rate && !rate_take(rate, tsc_read(), BOOT_INFO->tsc_hz, at, &dropped))
        return; /* who floods the log is not told */
    if (dropped)
        log_core("%s: %lu lines left out, they came too fast", label, dropped);
    if (!log_queue_room(&queue, at, &lost))
        return;
    if (lost) {
        char note[LOG_QUEUE_NOTE];
        put(note, format_text(note, sizeof(note), "[core] %lu lines lost, the log is full\r\n", lost));
    }
    put(line, at);
}

bool log_send(void)
{
    return log_queue_send(&queue, &port);
}

void log_flush(void)
{
    log_queue_flush(&queue, &port);
}

enum error log_open(struct pd *pd, const struct open_request *request, unsigned handle)
{
    memcpy(pd->handle[handle].label, request->label, strnlen(request->label, LOG_LABEL - 1));
    return ERROR_OK;
}

enum error log_request(struct pd *pd, unsigned handle, const struct request *request, struct reply *reply)
{
    char text[2 * LOG_LINE];
    struct message message = request->message;
    (void)reply;
    if (request->operation != LOG_WRITE)
        return ERROR_BAD_OPERATION;
    size_t length = message_get_bytes(&message, text, sizeof(text));
    if (message.bad)
        return ERROR_BAD_ARGUMENT;
    log_text(pd->label, pd->handle[handle].label, text, length, &pd->log_rate);
    return ERROR_OK;
}

void log_core(const char *format, ...)
{
    char text[LOG_LINE + 1];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_list(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_text("core", "", text, length, NULL);
}
