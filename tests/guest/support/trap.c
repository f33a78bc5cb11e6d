/* SPDX-License-Identifier: ISC */
/* Where all gates end. */
#include "tests/guest/guest.h"

trap_handler *volatile trap_handlers[256];
volatile uint32_t trap_counts[256];
volatile struct trap trap;
volatile word_t trap_resume, trap_start;

static void record(const struct frame *frame)
{
    trap.vector = (uint32_t)frame->vector;
    trap.error = (uint32_t)frame->error;
    trap.ip = frame->ip;
    trap.cs = frame->cs;
    trap.flags = frame->flags;
    trap.cr2 = read_cr2();
}

void trap_entry(struct frame *frame)
{
    unsigned vector = frame->vector & 0xff;
    trap_handler *handler = trap_handlers[vector];

    trap_counts[vector]++;
    if (handler) {
        handler(frame);
        return;
    }
    record(frame);
    if (trap_resume && vector < 32) {
        frame->ip = (__typeof__(frame->ip))trap_resume;
        trap_resume = 0;
        return;
    }
    say("guest: " MODE_NAME ": nobody expected trap %x error %x at %X\n", trap.vector, trap.error, trap.ip);
    say("guest: verdict " MODE_NAME ": %u passed, %u failed\n", counts.passed, counts.failed + 1);
    power_off();
}
