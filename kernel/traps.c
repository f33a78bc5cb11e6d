/* SPDX-License-Identifier: ISC */
/* Exceptions and interrupts, from user mode and from the kernel's own windows. */
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/interrupt.h"
#include "kernel/print.h"

#define VECTOR_NMI        2
#define VECTOR_PAGE_FAULT 14
#define VECTOR_MC         18

void trap_user(struct frame *frame);
void trap_in_kernel(const struct frame *frame);

/* `frame` is that of the current EC. */
void trap_user(struct frame *frame)
{
    if (frame->vector >= EXCEPTIONS)
        interrupt_deliver((unsigned)frame->vector);
    else
        ec_fault(this_cpu()->ec, frame->vector, frame->error,
                 frame->vector == VECTOR_PAGE_FAULT ? read_cr2() : 0);
}

void trap_in_kernel(const struct frame *frame)
{
    if (frame->vector >= EXCEPTIONS) {
        interrupt_deliver((unsigned)frame->vector);
        return;
    }
    if (frame->vector == VECTOR_NMI) { /* the machine's own report of trouble is ignored */
        panic_stop();
        return;
    }
    if (frame->vector == VECTOR_MC)
        panic("machine check at 0x%lx", frame->rip);
    panic("exception %lu (error 0x%lx) in the kernel at 0x%lx, flags 0x%lx, address 0x%lx, stack 0x%lx",
          frame->vector, frame->error, frame->rip, frame->rflags, read_cr2(), frame->rsp);
}
