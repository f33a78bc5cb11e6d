/* SPDX-License-Identifier: ISC */
/* Messages on COM1. See print.h. */
#include "kernel/print.h"

#include "kernel/arch.h"
#include "lib/format/format.h"

#define COM1           0x3f8
#define COM_IER        (COM1 + 1)
#define COM_FCR        (COM1 + 2)
#define COM_LCR        (COM1 + 3)
#define COM_MCR        (COM1 + 4)
#define COM_LSR        (COM1 + 5)
#define LCR_8N1        0x03
#define LCR_DLAB       0x80
#define MCR_DTR_RTS    0x03
#define FCR_ENABLE     0x07
#define LSR_THRE       0x20
#define DIVISOR_115200 1
#define LINE           256u
#define POLLS          100000 /* then the UART is taken for absent or stuck */

void print_init(void)
{
    port_out8(COM_IER, 0);
    port_out8(COM_LCR, LCR_8N1 | LCR_DLAB);
    port_out8(COM1, DIVISOR_115200);
    port_out8(COM_IER, 0);
    port_out8(COM_LCR, LCR_8N1);
    port_out8(COM_FCR, FCR_ENABLE);
    port_out8(COM_MCR, MCR_DTR_RTS);
}

static void put(char c)
{
    for (unsigned i = 0; i < POLLS && !(port_in8(COM_LSR) & LSR_THRE); i++)
        pause();
    port_out8(COM1, (uint8_t)c);
}

static void put_string(const char *s)
{
    for (; *s; s++)
        put(*s);
}

static void vprint(const char *head, const char *format, va_list arguments)
{
    char line[LINE];

    format_list(line, sizeof(line), format, arguments);
    put_string(head);
    put_string(line);
    put_string("\r\n");
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprint("[kernel] ", format, arguments);
    va_end(arguments);
}

void (*panic_interrupts_others)(void);

static bool panicking;

void panic_stop(void)
{
    while (__atomic_load_n(&panicking, __ATOMIC_RELAXED))
        __asm__ volatile("cli; hlt");
}

void panic(const char *format, ...)
{
    va_list arguments;

    panicking = true;
    if (panic_interrupts_others)
        panic_interrupts_others();
    va_start(arguments, format);
    vprint("[kernel] fatal: ", format, arguments);
    va_end(arguments);
    for (;;)
        __asm__ volatile("cli; hlt");
}
