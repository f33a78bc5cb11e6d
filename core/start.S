/* SPDX-License-Identifier: ISC */
/*
 * Where the kernel enters core: the main thread, which has no stack yet, and the entry EC, for each request.
 */

    .section .text.start, "ax"

    .globl _start
_start:
    leaq main_stack + 0x4000(%rip), %rsp
    xorl %ebp, %ebp
    call core_main
    ud2

    .globl core_entry
core_entry:
    xorl %ebp, %ebp
    call core_request
    ud2

/* See component.ld. */
    .section .data.start, "aw", @progbits
    .quad 0
