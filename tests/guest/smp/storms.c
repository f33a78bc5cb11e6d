/* SPDX-License-Identifier: ISC */
/*
 * What processors can do to each other and to their monitor: floods of interrupts, STARTUP and INIT storms,
 * code that changes under another's exits. Afterwards all of them can be started and answer.
 */
#include "tests/guest/smp/smp.h"

#if GUEST_MODE == MODE_LONG

#define STORM_MS 50u
#define NMIS     200u
#define ROUNDS   10u

static volatile bool over;

/* Nobody may storm on while others start, nor still be about to start. Who was stopped in the middle does not
 * end by itself. */
static void calm(void)
{
    over = true;
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)cpu_finish(i, 100);
    ipi(0, ICR_OTHERS | ICR_INIT);
    wait_us(2000);
    for (uint32_t i = 1; i < cpu_count; i++)
        (void)expect("started after the storm", true, cpu_start(i));
    over = false;
}

/* All others do it, the first keeps the time. */
static void storm(void (*task)(uint32_t))
{
    over = false;
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_begin(i, task);
    irq_on();
    for (unsigned i = 0; i < STORM_MS; i++)
        wait_us(1000);
    irq_off();
    calm();
}

static void flood(uint32_t number)
{
    (void)number;
    while (!over)
        ipi(0, ICR_ALL | VECTOR_PING);
}

static void flood_nmis(uint32_t number)
{
    (void)number;
    for (unsigned i = 0; i < NMIS && !over; i++)
        ipi(0, ICR_OTHERS | ICR_NMI);
}

static void startups(uint32_t number)
{
    for (uint32_t i = 0; !over; i++)
        ipi(i % cpu_count, ICR_STARTUP | (START_VECTOR + (number + i) % 3));
}

/* Each stops the next but the first, which would be a reset; who is stopped is out of it. */
static void kill_each_other(uint32_t number)
{
    while (!over) {
        uint32_t next = number % (cpu_count - 1) + 1;

        ipi(next, ICR_INIT);
        ipi(next, ICR_STARTUP | START_VECTOR);
    }
}

static void ipi_flood(void)
{
    storm(flood);
}

static void nmi_flood(void)
{
    storm(flood_nmis);
}

static void startup_storm(void)
{
    storm(startups);
}

static void init_storm(void)
{
    storm(kill_each_other);
    for (unsigned i = 0; i < 2000; i++) { /* and by the first */
        ipi(0, ICR_OTHERS | ICR_INIT);
        ipi(0, ICR_OTHERS | ICR_STARTUP | START_VECTOR);
    }
    calm();
}

/*
 * Moves from and to the APIC's page, then IN and OUT and a NOP: executed by one, while the others write them.
 * They differ in their first byte alone, since a processor need not fetch several bytes at once: each mixture
 * is an instruction of the test.
 */
static uint8_t changing[16] __attribute__((aligned(16)));
static const uint8_t first_bytes[2][4] = {{0x8b, 0x89, 0x8a, 0x88}, {0xec, 0xee, 0xef, 0x90}};
static volatile uint32_t executed, set_of_bytes;

static void change(uint32_t number)
{
    for (uint32_t i = number; !over; i++)
        __atomic_store_n(&changing[0], first_bytes[set_of_bytes][i % 4], __ATOMIC_RELAXED);
}

static void execute_changing(uint32_t set, uint8_t second, uint8_t third)
{
    set_of_bytes = set;
    changing[0] = first_bytes[set][0];
    changing[1] = second;
    changing[2] = third;
    over = false;
    for (uint32_t i = 1; i < cpu_count; i++)
        cpu_begin(i, change);
    executed = 0;
    /* Longer where the machine is so busy that it gets nowhere. */
    for (uint64_t began = rdtsc(), span = (uint64_t)STORM_MS * 1000000;
         rdtsc() - began < (executed < ROUNDS ? 40 * span : span); executed++) {
        uint32_t value = 0, port = 0x80;

        __asm__ volatile("call *%2"
                         : "+a"(value), "+d"(port)
                         : "S"(changing), "D"((uint64_t)LAPIC_BASE + APIC_ESR)
                         : "memory");
    }
    (void)expect_between("rounds", ROUNDS, UINT32_MAX, executed);
    calm();
}

static void changing_code(void)
{
    execute_changing(0, 0x07, 0xc3); /* (%rdi); ret */
    execute_changing(1, 0xc3, 0xc3);
}

const struct test storm_tests[] = {
    {"storm.ipi", ipi_flood},   {"storm.nmi", nmi_flood},      {"storm.startup", startup_storm},
    {"storm.init", init_storm}, {"storm.code", changing_code}, {NULL, NULL},
};

#endif
