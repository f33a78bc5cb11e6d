/* SPDX-License-Identifier: ISC */
/*
 * Where the kernel enters a test that is the root task, and where its threads begin. A portal's entry needs nothing
 * here: the kernel enters a C function with its two arguments in place.
 */

    .section .text.start, "ax"

    .globl _start
_start:
    rdtsc
    shl $32, %rdx
    or %rax, %rdx
    mov %rdx, entry_tsc(%rip)
    leaq main_stack + 0x8000(%rip), %rsp
    xorl %ebp, %ebp
    call test_main
    ud2

/* thread_start has put the argument and the function on the stack. */
    .globl thread_begin
thread_begin:
    xorl %ebp, %ebp
    popq %rdi
    popq %rax
    call *%rax
    ud2

/* See base/component.ld. */
    .section .data.start, "aw", @progbits
    .globl entry_tsc
entry_tsc:
    .quad 0
