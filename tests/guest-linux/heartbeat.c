/* SPDX-License-Identifier: ISC */
/*
 * The heartbeat of a guest: sleeps for 10 ms by the monotonic clock, again and again, and keeps the longest
 * time between two beats. It says it each second, and at once when a line comes in on the console: then also
 * the longest gap since the line before.
 *
 * Made without a C library, so that the guest needs nothing but the compiler that everything else is built
 * with.
 */
#include <stddef.h>
#include <stdint.h>

#define SYS_READ            0
#define SYS_WRITE           1
#define SYS_POLL            7
#define SYS_IOCTL           16
#define SYS_CLOCK_GETTIME   228
#define SYS_CLOCK_NANOSLEEP 230

#define CLOCK_MONOTONIC 1
#define TIMER_ABSTIME   1
#define POLLIN          1
#define TCGETS          0x5401
#define TCSETS          0x5402
#define ECHO            010u

#define SECOND 1000000000
#define PERIOD 10000000 /* ns */

struct timespec {
    int64_t seconds, nanoseconds;
};

struct pollfd {
    int32_t descriptor;
    int16_t events, found;
};

struct termios { /* the kernel's */
    uint32_t input, output, control, local;
    uint8_t line, characters[19];
};

static int64_t call(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t result;
    register int64_t r10 __asm__("r10") = d;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

static int64_t now(void)
{
    struct timespec time;

    call(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (intptr_t)&time, 0, 0);
    return time.seconds * SECOND + time.nanoseconds;
}

static void sleep_until(int64_t when)
{
    struct timespec time = {when / SECOND, when % SECOND};

    while (call(SYS_CLOCK_NANOSLEEP, CLOCK_MONOTONIC, TIMER_ABSTIME, (intptr_t)&time, 0) != 0)
        ;
}

struct line {
    char text[120];
    size_t length;
};

static void put(struct line *line, const char *text)
{
    while (*text && line->length < sizeof line->text)
        line->text[line->length++] = *text++;
}

static void put_number(struct line *line, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(line, digits + at);
}

struct heart {
    int64_t beats, worst, since; /* ns; since: since it was asked last */
};

static void report(struct heart *heart, int asked)
{
    struct line line = {.length = 0};

    put(&line, "heartbeat: ");
    put_number(&line, heart->beats);
    put(&line, " beats, worst gap ");
    put_number(&line, heart->worst / 1000);
    put(&line, " us");
    if (asked) {
        put(&line, ", asked ");
        put_number(&line, heart->since / 1000);
        put(&line, " us");
        heart->since = 0;
    }
    put(&line, "\n");
    call(SYS_WRITE, 1, (intptr_t)line.text, (int64_t)line.length, 0);
}

static int is_asked(void)
{
    struct pollfd poll = {.descriptor = 0, .events = POLLIN};
    char text[64];

    if (call(SYS_POLL, (intptr_t)&poll, 1, 0, 0) != 1 || !(poll.found & POLLIN))
        return 0;
    return call(SYS_READ, 0, (intptr_t)text, sizeof text, 0) > 0;
}

static void silence_echo(void)
{
    struct termios modes;

    if (call(SYS_IOCTL, 0, TCGETS, (intptr_t)&modes, 0) != 0)
        return;
    modes.local &= ~ECHO;
    call(SYS_IOCTL, 0, TCSETS, (intptr_t)&modes, 0);
}

void beat(void) __attribute__((noreturn));
void beat(void)
{
    struct heart heart = {0};
    int64_t last, next;

    silence_echo();
    report(&heart, 0);
    last = now();
    next = last + PERIOD;
    for (;;) {
        int64_t time, gap;

        sleep_until(next);
        time = now();
        gap = time - last;
        last = time;
        heart.beats++;
        if (gap > heart.worst)
            heart.worst = gap;
        if (gap > heart.since)
            heart.since = gap;
        if (is_asked())
            report(&heart, 1);
        else if (heart.beats % (SECOND / PERIOD) == 0)
            report(&heart, 0);
        for (next += PERIOD; next <= time;)
            next += PERIOD;
    }
}

__asm__(".globl _start\n_start: and $-16, %rsp\n call beat\n");
