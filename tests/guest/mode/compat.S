/* SPDX-License-Identifier: ISC */
/*
 * Compatibility mode: C is 32-bit code, interrupts and exceptions enter through 64-bit gates, as there are no
 * others, and call C by a far call to a 32-bit segment.
 */
#include "tests/guest/mode/boot.inc"
#include "tests/guest/mode/long.inc"

        .section .boot
        mov $stack_top, %esp
        call guest_start
1:      cli
        hlt
        jmp 1b

        .text
        .code32
trap_32:
        push %edi
        call trap_entry
        add $4, %esp
        lret

        .code64
trap_common:
        save_registers
        cld
        mov %rsp, %rdi
        mov %ss, %ebx
        mov $SEL_DATA32, %eax
        mov %eax, %ss
        mov $trap_32_pointer, %eax
        lcall *(%rax)
        mov %ebx, %ss
        restore_registers
        add $16, %rsp
        iretq
#include "tests/guest/mode/gates.inc"

        .data
trap_32_pointer:
        .long trap_32
        .word SEL_CODE32
