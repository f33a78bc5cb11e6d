/* SPDX-License-Identifier: ISC */
/* Into user mode and back, from 32-bit code: user_run(function, flags); vector USER_GATE ends it. */
#include "tests/guest/mode/layout.h"

        .text
        .global user_run, user_return
user_run:
        push %ebp
        push %ebx
        push %esi
        push %edi
        mov 20(%esp), %eax
        mov 24(%esp), %edx
        mov %esp, user_kernel_stack
        mov $SEL_USERDATA, %ecx
        mov %ecx, %ds
        mov %ecx, %es
        push %ecx
        push $user_stack_top
        push %edx
        push $SEL_USER32
        push %eax
        iret
user_return:
        mov user_kernel_stack, %esp
        mov $SEL_DATA32, %ecx
        mov %ecx, %ds
        mov %ecx, %es
        pop %edi
        pop %esi
        pop %ebx
        pop %ebp
        ret

        .bss
        .balign 16
        .global user_kernel_stack
user_kernel_stack:
        .fill 8
        .balign 16
        .fill 4096
user_stack_top:
