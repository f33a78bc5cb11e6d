/* SPDX-License-Identifier: ISC */
/* Text on COM1, and the bookkeeping of tests. */
#include <stdarg.h>

#include "tests/guest/guest.h"

#define COM1 0x3f8u
#define LCR  3u
#define LSR  5u
#define THRE 0x20u

struct counts counts;
static const char *current;
static bool failed, skipped;

static void put(char c)
{
    while (!(in8(COM1 + LSR) & THRE))
        ;
    out8(COM1, (uint8_t)c);
}

static void put_number(uint64_t value, uint32_t base)
{
    char digits[24];
    size_t at = sizeof digits;

    do {
        uint32_t digit;

        value = divide(value, base, &digit);
        digits[--at] = "0123456789abcdef"[digit];
    } while (value);
    while (at < sizeof digits)
        put(digits[at++]);
}

static void put_text(const char *text)
{
    while (*text)
        put(*text++);
}

static void put_item(char kind, va_list *arguments)
{
    switch (kind) {
    case 's':
        put_text(va_arg(*arguments, const char *));
        return;
    case 'u':
    case 'x':
        put_number(va_arg(*arguments, uint32_t), kind == 'u' ? 10 : 16);
        return;
    case 'U':
    case 'X':
        put_number(va_arg(*arguments, uint64_t), kind == 'U' ? 10 : 16);
        return;
    default:
        put(kind);
    }
}

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    out8(COM1 + LCR, 3);
    for (; *format; format++) {
        if (*format == '%' && format[1])
            put_item(*++format, &arguments);
        else
            put(*format);
    }
    va_end(arguments);
}

static void complain(const char *what)
{
    say("guest: " MODE_NAME ": %s FAILED: %s: ", current, what);
    failed = true;
}

bool expect(const char *what, uint64_t expected, uint64_t found)
{
    if (expected == found)
        return true;
    complain(what);
    say("expected 0x%X, found 0x%X\n", expected, found);
    return false;
}

bool expect_between(const char *what, uint64_t low, uint64_t high, uint64_t found)
{
    if (low <= found && found <= high)
        return true;
    complain(what);
    say("expected %U to %U, found %U\n", low, high, found);
    return false;
}

void test_skip(const char *why)
{
    say("guest: " MODE_NAME ": %s skipped: %s\n", current, why);
    skipped = true;
}

void test_run(const struct test *test)
{
    current = test->name;
    failed = false;
    skipped = false;
    if (option("trace"))
        say("guest: " MODE_NAME ": %s ...\n", current);
    test->run();
    if (skipped && !failed) {
        counts.skipped++;
        return;
    }
    if (failed)
        counts.failed++;
    else
        counts.passed++;
    if (!failed)
        say("guest: " MODE_NAME ": %s ok\n", current);
}

void verdict(void)
{
    say("guest: verdict " MODE_NAME ": %u passed, %u failed\n", counts.passed, counts.failed);
}

bool expect_trap_at(const char *what, uint32_t vector, uint32_t error, unsigned offset)
{
    if (trap.vector == NO_TRAP && vector == NO_TRAP)
        return true;
    if (trap.vector == vector && (IS_REAL || trap.error == error) && trap.ip == trap_start + offset)
        return true;
    complain(what);
    say("expected trap %x error %x at %X, found %x error %x at %X\n", vector, error,
        (uint64_t)trap_start + offset, trap.vector, trap.error, trap.ip);
    return false;
}

bool expect_trap(const char *what, uint32_t vector, uint32_t error)
{
    return expect_trap_at(what, vector, error, 0);
}
