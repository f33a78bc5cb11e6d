/* SPDX-License-Identifier: ISC */
/*
 * NMIs to a processor that loops through shadows of STI and MOV SS and has no other events: each is sent when
 * the one before has arrived, and all must.
 */
#include "tests/guest/smp/smp.h"

#if GUEST_MODE == MODE_LONG

#define NMIS 150u

static volatile uint32_t over;

#define LOOP(name, text)                                                                                     \
    static void name(uint32_t number)                                                                        \
    {                                                                                                        \
        (void)number;                                                                                        \
        __asm__ volatile("mov %%ss, %%eax\n 1: " text "\n cmpl $0, over\n jz 1b\n sti"                       \
                         :                                                                                   \
                         :                                                                                   \
                         : "eax", "cc", "memory");                                                           \
    }

LOOP(loop_sti, "sti")
LOOP(loop_cli_sti, "cli\n sti")
LOOP(loop_mov_ss, "cli\n mov %%eax, %%ss")
LOOP(loop_mov_ss_if, "mov %%eax, %%ss")

static void send_to(const char *what, void (*loop)(uint32_t))
{
    uint32_t before = cpus[1].nmis, arrived = 0;

    over = 0;
    cpu_begin(1, loop);
    wait_us(1000);
    while (arrived < NMIS) {
        ipi(1, ICR_NMI);
        for (unsigned i = 0; i < 100000 && cpus[1].nmis == before + arrived; i++)
            wait_us(10);
        if (cpus[1].nmis == before + arrived)
            break;
        arrived++;
    }
    (void)expect(what, NMIS, arrived);
    over = 1;
    (void)expect("ended", true, cpu_finish(1, 1000));
}

static void in_shadows(void)
{
    send_to("in the shadow of STI, IF set before", loop_sti);
    send_to("in the shadow of STI", loop_cli_sti);
    send_to("in the shadow of MOV SS, IF clear", loop_mov_ss);
    send_to("in the shadow of MOV SS, IF set", loop_mov_ss_if);
}

const struct test nmi_tests[] = {{"nmi.shadow", in_shadows}, {NULL, NULL}};

#endif
