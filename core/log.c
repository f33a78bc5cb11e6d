/* SPDX-License-Identifier: ISC */
/*
 * The log: COM1, a 16550 driven by polling. Polled, because the log must work when nothing else does. The
 * kernel has used the UART for its own boot messages before; core sets it up again.
 */
#include "base/include/log.h"

#include "base/include/session/log.h"
#include "core/core.h"

#define COM1          0x3f8u
#define UART_THR      0u
#define UART_IER      1u
#define UART_FCR      2u
#define UART_LCR      3u
#define UART_MCR      4u
#define UART_LSR      5u
#define UART_LSR_THRE 0x20u
#define PATIENCE      1000000u /* polls; a UART that never gets ready is left alone */

static inline void out(unsigned port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"((uint16_t)port));
}

static inline uint8_t in(unsigned port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"((uint16_t)port));
    return value;
}

static void put(char c)
{
    for (unsigned i = 0; i < PATIENCE && !(in(COM1 + UART_LSR) & UART_LSR_THRE); i++)
        ;
    out(COM1 + UART_THR, (uint8_t)c);
}

static void put_string(const char *text)
{
    while (*text)
        put(*text++);
}

void log_init(void)
{
    enum status status = space_copy(ROOT_PORTS, COM1, ROOT_PIO, COM1, 8, MEM_READ | MEM_WRITE);
    if (status != STATUS_OK)
        return;
    out(COM1 + UART_IER, 0);
    out(COM1 + UART_LCR, 0x80);
    out(COM1 + UART_THR, 1); /* divisor 1: 115200 baud */
    out(COM1 + UART_IER, 0);
    out(COM1 + UART_LCR, 0x03);
    out(COM1 + UART_FCR, 0x07);
    out(COM1 + UART_MCR, 0x03);
}

void log_text(const char *label, const char *session, const char *text, size_t length)
{
    put('[');
    put_string(label);
    if (*session) {
        put_string(" -> ");
        put_string(session);
    }
    put_string("] ");
    for (size_t i = 0; i < length && i < LOG_LINE; i++)
        put(text[i] == '\t' || (text[i] >= 0x20 && text[i] < 0x7f) ? text[i] : '?');
    put_string(length > LOG_LINE ? "...\r\n" : "\r\n");
}

void log_core(const char *format, ...)
{
    char text[LOG_LINE + 1];
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_list(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_text("core", "", text, length);
}
