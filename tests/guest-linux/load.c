/* SPDX-License-Identifier: ISC */
/*
 * A parallel load for guests with several processors: for each of them a thread that maps, fills, checks and
 * unmaps memory beside others in the same address space (each unmapping has the others flush their TLBs), a
 * process that forks and waits, a pair that plays ping-pong through pipes, and a process that fills memory of
 * its own and finds it as it left it. After so many seconds it says what was done and what was found wrong.
 * "load: time N": the monotonic clock in ms, for who compares it with another.
 *
 * Made without a C library, as heartbeat.c.
 */
#include <stddef.h>
#include <stdint.h>

#define SYS_READ              0
#define SYS_WRITE             1
#define SYS_MMAP              9
#define SYS_MUNMAP            11
#define SYS_PIPE              22
#define SYS_SCHED_YIELD       24
#define SYS_NANOSLEEP         35
#define SYS_CLONE             56
#define SYS_FORK              57
#define SYS_EXIT              60
#define SYS_WAIT4             61
#define SYS_SCHED_GETAFFINITY 204
#define SYS_CLOCK_GETTIME     228

#define CLOCK_MONOTONIC 1
#define PROT_RW         3
#define MAP_SHARED      0x21 /* and anonymous */
#define MAP_PRIVATE     0x22
#define CLONE_VM        0x100
#define SIGCHLD         17

#define PAGE  4096
#define STACK 65536
#define BIG   (2l << 20)
#define SMALL (64l << 10)

enum { THREADS, FORKS, PINGS, BLOCKS, KINDS };
static const char *const names[KINDS] = {"mappings", "forks", "round trips", "blocks"};

static struct shared {
    volatile int stop, failures;
    volatile uint64_t done[KINDS];
} * shared;

static int64_t call(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t result;
    register int64_t r10 __asm__("r10") = d;
    register int64_t r8 __asm__("r8") = -1; /* mmap: no file */
    register int64_t r9 __asm__("r9") = 0;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static void say(const char *text)
{
    size_t length = 0;

    while (text[length])
        length++;
    call(SYS_WRITE, 1, (intptr_t)text, (int64_t)length, 0);
}

static void say_number(const char *text, uint64_t value, const char *behind)
{
    char line[160], digits[24];
    size_t at = 0, count = 0;

    for (; *text; text++)
        line[at++] = *text;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count)
        line[at++] = digits[--count];
    for (; *behind; behind++)
        line[at++] = *behind;
    line[at] = '\0';
    say(line);
}

static void fail(const char *what)
{
    __atomic_add_fetch(&shared->failures, 1, __ATOMIC_RELAXED);
    say_number("load: FAILED: ", (uint64_t)shared->failures, what);
}

static void count(int kind)
{
    __atomic_add_fetch(&shared->done[kind], 1, __ATOMIC_RELAXED);
}

static uint64_t *map(int64_t bytes, int64_t flags)
{
    int64_t place = call(SYS_MMAP, 0, bytes, PROT_RW, flags);

    return place < 0 && place > -PAGE ? NULL : (uint64_t *)place;
}

static int check(volatile uint64_t *memory, int64_t bytes, uint64_t seed)
{
    for (int64_t i = 0; i < bytes / 8; i += 8)
        if (memory[i] != seed + (uint64_t)i)
            return 0;
    return 1;
}

static void fill(volatile uint64_t *memory, int64_t bytes, uint64_t seed)
{
    for (int64_t i = 0; i < bytes / 8; i += 8)
        memory[i] = seed + (uint64_t)i;
}

static void do_mappings(void)
{
    for (uint64_t round = (uintptr_t)&round; !shared->stop; round++) {
        uint64_t *memory = map(SMALL, MAP_PRIVATE);

        if (!memory) {
            fail(" mmap\n");
            return;
        }
        fill(memory, SMALL, round);
        if (!check(memory, SMALL, round))
            fail(" what a thread wrote is not there\n");
        call(SYS_MUNMAP, (intptr_t)memory, SMALL, 0, 0);
        count(THREADS);
    }
}

static __attribute__((noreturn)) void thread_main(void)
{
    do_mappings();
    for (;;)
        call(SYS_EXIT, 0, 0, 0, 0);
}

/* One address space for all of them: only the stacks are their own. */
static void do_threads(int threads)
{
    for (int i = 1; i < threads; i++) {
        uint64_t *stack = map(STACK, MAP_PRIVATE), *top;
        int64_t result;

        if (!stack)
            break;
        top = stack + STACK / 8 - 2;
        *top = (uintptr_t)thread_main;
        __asm__ volatile(
            "xorl %%r10d, %%r10d; xorl %%r8d, %%r8d; syscall; testq %%rax, %%rax; jnz 1f; ret; 1:"
            : "=a"(result)
            : "0"((int64_t)SYS_CLONE), "D"((int64_t)(CLONE_VM | SIGCHLD)), "S"(top), "d"(0l)
            : "rcx", "r11", "r10", "r8", "memory");
        if (result < 0)
            fail(" clone\n");
    }
    do_mappings();
    while (call(SYS_WAIT4, -1, 0, 0, 0) > 0)
        ;
}

static void do_forks(void)
{
    while (!shared->stop) {
        int32_t status = -1;
        int64_t child = call(SYS_FORK, 0, 0, 0, 0);

        if (child == 0)
            call(SYS_EXIT, 7, 0, 0, 0);
        if (child < 0 || call(SYS_WAIT4, child, (intptr_t)&status, 0, 0) != child || status != 7 << 8)
            fail(" fork\n");
        count(FORKS);
    }
}

static void do_pings(void)
{
    int32_t to[2], from[2];
    uint8_t byte = 0, back;

    call(SYS_PIPE, (intptr_t)to, 0, 0, 0);
    call(SYS_PIPE, (intptr_t)from, 0, 0, 0);
    if (call(SYS_FORK, 0, 0, 0, 0) == 0) {
        while (call(SYS_READ, to[0], (intptr_t)&byte, 1, 0) == 1 && byte != 0xff) {
            byte ^= 0x55;
            call(SYS_WRITE, from[1], (intptr_t)&byte, 1, 0);
        }
        call(SYS_EXIT, 0, 0, 0, 0);
    }
    for (; !shared->stop; byte = (uint8_t)((byte + 1) % 0xff)) {
        call(SYS_WRITE, to[1], (intptr_t)&byte, 1, 0);
        if (call(SYS_READ, from[0], (intptr_t)&back, 1, 0) != 1 || back != (byte ^ 0x55))
            fail(" pipe\n");
        count(PINGS);
    }
    byte = 0xff;
    call(SYS_WRITE, to[1], (intptr_t)&byte, 1, 0);
    call(SYS_WAIT4, -1, 0, 0, 0);
}

static void do_blocks(uint64_t seed)
{
    uint64_t *memory = map(BIG, MAP_PRIVATE);

    if (!memory) {
        fail(" mmap\n");
        return;
    }
    fill(memory, BIG, seed);
    while (!shared->stop) {
        if (!check(memory, BIG, seed))
            fail(" what a process wrote is not there\n");
        fill(memory, BIG, ++seed);
        count(BLOCKS);
    }
}

static void begin(int kind, int cpu, int cpus)
{
    if (call(SYS_FORK, 0, 0, 0, 0) != 0)
        return;
    if (kind == THREADS)
        do_threads(cpus);
    else if (kind == FORKS)
        do_forks();
    else if (kind == PINGS)
        do_pings();
    else
        do_blocks((uint64_t)(cpu + 1) << 32);
    call(SYS_EXIT, 0, 0, 0, 0);
}

static uint64_t milliseconds(void)
{
    int64_t time[2];

    call(SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (intptr_t)time, 0, 0);
    return (uint64_t)(time[0] * 1000 + time[1] / 1000000);
}

static int processors(void)
{
    uint64_t mask[16] = {0};
    int cpus = 0;

    call(SYS_SCHED_GETAFFINITY, 0, sizeof mask, (intptr_t)mask, 0);
    for (unsigned i = 0; i < sizeof mask * 8; i++)
        cpus += (int)(mask[i / 64] >> i % 64 & 1);
    return cpus;
}

__attribute__((used, noreturn)) static void load(long count_of_words, char **words)
{
    uint64_t seconds = 0, from, until;
    int cpus = processors();

    for (const char *digit = count_of_words > 1 ? words[1] : ""; *digit; digit++)
        seconds = seconds * 10 + (uint64_t)(*digit - '0');
    shared = (struct shared *)map(PAGE, MAP_SHARED);
    say_number("load: ", (uint64_t)cpus, " processors\n");
    from = milliseconds();
    say_number("load: time ", from, "\n");
    begin(THREADS, 0, cpus);
    for (int cpu = 0; cpu < cpus; cpu++)
        for (int kind = THREADS + 1; kind < KINDS; kind++)
            begin(kind, cpu, cpus);
    until = from + seconds * 1000;
    for (uint64_t next = from + 10000; milliseconds() < until;) {
        int64_t pause[2] = {0, 100000000};

        call(SYS_NANOSLEEP, (intptr_t)pause, 0, 0, 0);
        if (milliseconds() >= next) {
            say_number("load: ", (next - from) / 1000, " s\n");
            next += 10000;
        }
    }
    shared->stop = 1;
    while (call(SYS_WAIT4, -1, 0, 0, 0) > 0)
        ;
    say_number("load: time ", milliseconds(), "\n");
    for (int kind = 0; kind < KINDS; kind++) {
        say_number("load: ", shared->done[kind], " ");
        say(names[kind]);
        say("\n");
    }
    say_number("load: done, ", (uint64_t)shared->failures, " failures\n");
    for (;;)
        call(SYS_EXIT, 0, 0, 0, 0);
}

__asm__(".globl _start\n_start: xorl %ebp, %ebp\nmovq (%rsp), %rdi\nleaq 8(%rsp), %rsi\nandq $-16, "
        "%rsp\ncall load\n");
