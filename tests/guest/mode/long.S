/* SPDX-License-Identifier: ISC */
/* 64-bit mode. */
#include "tests/guest/mode/boot.inc"
#include "tests/guest/mode/long.inc"

        .section .boot
        ljmp $SEL_CODE64, $enter_c

        .text
        .code64
enter_c:
        mov $stack_top, %rsp
        call guest_start
1:      cli
        hlt
        jmp 1b

trap_common:
        save_registers
        cld
        mov %rsp, %rdi
        mov %rsp, %rbx
        and $-16, %rsp
        call trap_entry
        mov %rbx, %rsp
        restore_registers
        add $16, %rsp
        iretq
#include "tests/guest/mode/gates.inc"
