/* SPDX-License-Identifier: ISC */
/* Into user mode and back, from 64-bit code: user_run(function, flags); vector USER_GATE ends it. */
#include "tests/guest/mode/layout.h"

        .text
        .global user_run, user_return
user_run:
        push %rbp
        push %rbx
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, user_kernel_stack
        mov $SEL_USERDATA, %ecx
        mov %ecx, %ds
        mov %ecx, %es
        push %rcx
        push $user_stack_top
        push %rsi
        push $SEL_USER64
        push %rdi
        iretq
user_return:
        mov user_kernel_stack, %rsp
        mov $SEL_DATA32, %ecx
        mov %ecx, %ds
        mov %ecx, %es
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbx
        pop %rbp
        ret

        .bss
        .balign 16
        .global user_kernel_stack
user_kernel_stack:
        .fill 8
        .balign 16
        .fill 4096
        .fill 8
user_stack_top:
