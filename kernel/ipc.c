/* SPDX-License-Identifier: ISC */
/*
 * IPC: a call through a portal runs a local EC on the caller's time, and the reply runs the caller again. No
 * queue, no lock, no reference is touched on the way: caller and callee point at each other, and the death of
 * either mends the other's pointer (ec_destroy).
 */
#include "kernel/sched.h"
#include "kernel/switch.h"
#include "kernel/syscall.h"

/* Calls inside calls; the scheduler follows them one by one. */
#define EC_DEPTH_MAX 64

static inline void copy_words(uint64_t *to, const uint64_t *from, uint64_t words)
{
    if (words)
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* The callee serves somebody else: lend it time until it is free, unless that waits for us. */
static void help(struct ec *ec, struct ec *callee, uint64_t selector, uint64_t words)
{
    const struct ec *end = callee;

    for (unsigned hops = 0; end->state == EC_CALLING || end->state == EC_HELPING; hops++) {
        end = end->partner;
        if (end == ec || hops == EC_DEPTH_MAX) {
            finish_values(STATUS_CHAIN, 0, 0);
            return;
        }
    }
    ec_restart(ec, CALL_IPC_CALL, selector, words, 0, 0, 0, 0);
    ec->state = EC_HELPING;
    ec->partner = callee;
    object_reference(&callee->object);
    schedule();
}

void syscall_ipc_call(uint64_t selector, uint64_t words, UNUSED2)
{
    struct cpu *cpu = this_cpu();
    struct ec *ec = cpu->ec, *callee;
    const struct pt *pt;
    enum status status = look_up(selector, OBJECT_PT, PERM_PT_CALL, &pt);

    if (status != STATUS_OK || words > UTCB_WORDS) {
        finish_values(status != STATUS_OK ? status : STATUS_BAD_ARG, 0, 0);
        return;
    }
    callee = pt->ec;
    if (callee->cpu != cpu->number) {
        finish_values(STATUS_BAD_CPU, 0, 0);
        return;
    }
    if (callee->object.dead) {
        finish_values(STATUS_DEAD, 0, 0);
        return;
    }
    if (callee == ec || ec->depth == EC_DEPTH_MAX) {
        finish_values(STATUS_CHAIN, 0, 0);
        return;
    }
    if (callee->caller) {
        help(ec, callee, selector, words);
        return;
    }
    copy_words(callee->utcb, ec->utcb, words);
    ec->state = EC_CALLING;
    ec->partner = callee;
    callee->state = EC_RUNNABLE;
    callee->caller = ec;
    callee->donor = cpu->scheduler.turn;
    callee->depth = (uint8_t)(ec->depth + 1);
    callee->frame.vector = VECTOR_SYSCALL;
    callee->frame.rip = pt->entry;
    callee->frame.rsp = callee->stack;
    callee->frame.rflags = RFLAGS_FIXED | RFLAGS_IF;
    callee->frame.rdi = pt->id;
    callee->frame.rsi = words;
    ec_switch(callee);
}

void syscall_ipc_reply(uint64_t words, UNUSED1)
{
    struct cpu *cpu = this_cpu();
    struct ec *ec = cpu->ec, *caller = ec->caller;

    if (ec->global || words > UTCB_WORDS) {
        finish(STATUS_BAD_ARG);
        return;
    }
    ec->caller = NULL;
    ec->state = EC_IDLE;
    if (caller == EC_ABANDONED || !caller) {
        schedule();
        return;
    }
    copy_words(caller->utcb, ec->utcb, words);
    caller->state = EC_RUNNABLE;
    caller->partner = NULL;
    caller->frame.rax = STATUS_OK;
    caller->frame.rsi = words;
    if (ec->donor == cpu->scheduler.turn)
        ec_switch(caller);
    else /* somebody helped, or has waited for a ceiling: the time is its own again */
        schedule();
}
