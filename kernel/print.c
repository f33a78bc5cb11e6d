/* SPDX-License-Identifier: ISC */
/* Messages on COM1. See print.h. */
#include "kernel/print.h"

#include <stdarg.h>

#include "kernel/arch.h"

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
#define POLLS          100000 /* then the UART is taken for absent or stuck */

void print_init(void)
{
    out8(COM_IER, 0);
    out8(COM_LCR, LCR_8N1 | LCR_DLAB);
    out8(COM1, DIVISOR_115200);
    out8(COM_IER, 0);
    out8(COM_LCR, LCR_8N1);
    out8(COM_FCR, FCR_ENABLE);
    out8(COM_MCR, MCR_DTR_RTS);
}

static void put(char c)
{
    for (unsigned i = 0; i < POLLS && !(in8(COM_LSR) & LSR_THRE); i++)
        pause();
    out8(COM1, (uint8_t)c);
}

static void put_string(const char *s)
{
    for (; *s; s++)
        put(*s);
}

static void put_number(uint64_t value, unsigned base, unsigned width, char fill)
{
    char digits[20];
    unsigned n = 0;

    do
        digits[n++] = "0123456789abcdef"[value % base];
    while (value /= base);
    for (unsigned i = n; i < width; i++)
        put(fill);
    while (n)
        put(digits[--n]);
}

static void put_signed(int64_t value, unsigned width, char fill)
{
    uint64_t magnitude = (uint64_t)value;

    if (value < 0) {
        put('-');
        magnitude = 0 - magnitude;
    }
    put_number(magnitude, 10, width, fill);
}

static void vprint(const char *format, va_list *arguments)
{
    for (; *format; format++) {
        unsigned width = 0;
        char fill = ' ';
        bool wide = false;

        if (*format != '%') {
            put(*format);
            continue;
        }
        format++;
        if (*format == '0')
            fill = '0';
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (unsigned)(*format - '0');
        for (; *format == 'l'; format++)
            wide = true;
        switch (*format) {
        case 's':
            put_string(va_arg(*arguments, const char *));
            break;
        case 'c':
            put((char)va_arg(*arguments, int));
            break;
        case 'd':
            put_signed(wide ? va_arg(*arguments, long) : va_arg(*arguments, int), width, fill);
            break;
        case 'u':
            put_number(wide ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned), 10, width,
                       fill);
            break;
        case 'x':
            put_number(wide ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned), 16, width,
                       fill);
            break;
        default:
            put(*format);
            break;
        }
        if (!*format)
            return;
    }
}

void print(const char *format, ...)
{
    va_list arguments;

    put_string("[kernel] ");
    va_start(arguments, format);
    vprint(format, &arguments);
    va_end(arguments);
    put_string("\r\n");
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
    put_string("[kernel] fatal: ");
    va_start(arguments, format);
    vprint(format, &arguments);
    va_end(arguments);
    put_string("\r\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}
