/* SPDX-License-Identifier: ISC */
/* The console (COM1, polled, reached through the root task's own PIO space) and the verdicts. */
#include "tests/kernel/support/test.h"

#include <stdarg.h>
#include <string.h>

#define COM1     0x3f8
#define COM_LSR  (COM1 + 5)
#define LSR_THRE 0x20

static uint64_t passed, failed;
static bool good; /* the test that runs */
static const char *running = "start";

void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void put(char c)
{
    while (!(in8(COM_LSR) & LSR_THRE))
        ;
    out8(COM1, (uint8_t)c);
}

static void put_string(const char *text)
{
    while (*text)
        put(*text++);
}

static void put_number(uint64_t value, unsigned base)
{
    char digits[24];
    unsigned at = sizeof(digits);

    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    put_string(digits + at);
}

void say(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        switch (*++format) {
        case 's':
            put_string(va_arg(list, const char *));
            break;
        case 'c':
            put((char)va_arg(list, int));
            break;
        case 'x':
            put_string("0x");
            put_number(va_arg(list, uint64_t), 16);
            break;
        default:
            put_number(va_arg(list, uint64_t), 10);
        }
    }
    put('\r');
    put('\n');
    va_end(list);
}

const char *status_name(enum status status)
{
    static const char *const names[STATUSES] = {"OK",        "TIMEOUT", "SIGNAL",  "BAD_CALL",    "BAD_CAP",
                                                "BAD_PERM",  "BAD_ARG", "DEAD",    "BUSY",        "EXISTS",
                                                "NO_MEMORY", "CHAIN",   "ABORTED", "UNSUPPORTED", "BAD_CPU"};

    return (unsigned)status < STATUSES && names[status] ? names[status] : "another status";
}

bool expect(const char *what, uint64_t got, uint64_t expected)
{
    if (got == expected)
        return true;
    good = false;
    say("FAIL %s: %s: expected %u (%x), got %u (%x)", running, what, expected, expected, got, got);
    return false;
}

bool expect_range(const char *what, uint64_t got, uint64_t low, uint64_t high)
{
    if (got >= low && got <= high)
        return true;
    good = false;
    say("FAIL %s: %s: expected %u to %u, got %u", running, what, low, high, got);
    return false;
}

bool expect_status(const char *what, enum status got, enum status expected)
{
    if (got == expected)
        return true;
    good = false;
    say("FAIL %s: %s: expected %s, got %s", running, what, status_name(expected), status_name(got));
    return false;
}

static bool covered[CALLS][STATUSES];

void covers(enum call call, enum status status)
{
    if ((unsigned)call < CALLS && (unsigned)status < STATUSES)
        covered[call][status] = true;
}

bool expect_call(const char *what, enum call call, enum status got, enum status expected)
{
    if (!expect_status(what, got, expected))
        return false;
    covers(call, expected);
    return true;
}

void say_coverage(void)
{
    for (unsigned call = 0; call < CALLS; call++) {
        put_string("ktest: call ");
        put_number(call, 10);
        put_string(" gives");
        for (unsigned status = 0; status < STATUSES; status++) {
            if (covered[call][status]) {
                put(' ');
                put_number(status, 10);
            }
        }
        say("");
    }
}

void verdict(const char *name, bool line_good)
{
    if (line_good)
        passed++;
    else
        failed++;
    if (line_good)
        say("PASS %s", name);
}

#define PATIENCE 10000u /* milliseconds, on a machine that is loaded */

void totals(uint64_t *all_passed, uint64_t *all_failed)
{
    *all_passed = passed;
    *all_failed = failed;
}

void numbers_take(struct numbers *numbers)
{
    numbers->pages = free_pages();
    numbers->account = account_free(ROOT_ACCOUNT);
    for (unsigned type = 1; type < OBJECT_TYPES; type++)
        numbers->objects[type] = objects((enum object_type)type);
}

static bool same_numbers(const struct numbers *a, const struct numbers *b)
{
    bool same = a->pages == b->pages && a->account == b->account;

    for (unsigned type = 1; type < OBJECT_TYPES; type++)
        same = same && a->objects[type] == b->objects[type];
    return same;
}

void numbers_settle(const struct numbers *before, struct numbers *numbers)
{
    numbers_take(numbers);
    for (unsigned i = 0; BOOT->cpus > 1 && i < PATIENCE / 5 && !same_numbers(before, numbers); i++) {
        pass(milliseconds(5));
        numbers_take(numbers);
    }
}

bool numbers_expect(const struct numbers *before, const struct numbers *after)
{
    static const char *const types[OBJECT_TYPES] = {"",           "accounts", "PDs",       "spaces",
                                                    "ECs",        "SCs",      "PTs",       "NTs",
                                                    "interrupts", "vCPUs",    "platforms", "devices"};
    bool same = expect("free pages of the kernel afterwards", after->pages, before->pages);

    same &= expect("free pages of the account afterwards", after->account, before->account);
    for (unsigned type = 1; type < OBJECT_TYPES; type++)
        same &= expect(types[type], after->objects[type], before->objects[type]);
    return same;
}

static void run_once(const struct test *test, struct numbers *before, struct numbers *after)
{
    numbers_take(before);
    test->run();
    clean();
    numbers_settle(before, after);
}

static void run_test(const struct test *test)
{
    struct numbers before, after;

    good = true;
    running = test->name;
    run_once(test, &before, &after);
    /* A page table of our own, made for a place in use for the first time, is no leak: a second run has it.
     */
    if (good && !same_numbers(&before, &after))
        run_once(test, &before, &after);
    (void)numbers_expect(&before, &after);
    verdict(test->name, good);
}

static bool contains(const char *text, const char *part)
{
    size_t bytes = strlen(part);

    for (; strlen(text) >= bytes; text++) {
        if (!memcmp(text, part, bytes))
            return true;
    }
    return false;
}

void run_tests(const struct test *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (contains(tests[i].name, parameter_text("only")))
            run_test(&tests[i]);
    }
}
