/* SPDX-License-Identifier: ISC */
/*
 * Where the kernel enters a component. The stack pointer is a multiple of 16 each time, as before a call.
 */

    .section .text.start, "ax"

/* The main thread. */
    .globl _start
_start:
    xorl %ebp, %ebp
    call component_begin
    ud2

/* Another thread: core has put two words on its stack, the argument and the function. */
    .globl thread_begin
thread_begin:
    xorl %ebp, %ebp
    popq %rdi
    popq %rax
    call *%rax
    ud2

/* The entry EC, for each request: the portal's id in RDI, the words in RSI. */
    .globl portal_begin
portal_begin:
    xorl %ebp, %ebp
    call component_request
    ud2

/* See component.ld. */
    .section .data.start, "aw", @progbits
    .quad 0
