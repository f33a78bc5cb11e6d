/* SPDX-License-Identifier: ISC */
/*
 * Where another processor begins after STARTUP: in real mode at the first byte of a page, to which this text is
 * copied. It finds the way to 64-bit mode behind itself (struct start_data in smp.h), takes a stack, and goes
 * on in C.
 */
#include "tests/guest/mode/layout.h"

        .section .rodata
        .code16
        .global start_text, start_end
start_text:
        cli
        mov %cs, %ax
        mov %ax, %ds
        lgdtl start_gdt - start_text
        movl start_cr4 - start_text, %eax
        mov %eax, %cr4
        movl start_cr3 - start_text, %eax
        mov %eax, %cr3
        mov $0xc0000080, %ecx
        movl start_efer - start_text, %eax
        xor %edx, %edx
        wrmsr
        movl start_cr0 - start_text, %eax
        mov %eax, %cr0
        ljmpl *(start_jump - start_text)

        .code64
        .global start_64
start_64:
        mov $SEL_DATA32, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $1, %eax
        cpuid
        shr $24, %ebx
        mov %ebx, %edi                  /* the initial APIC ID */
        inc %ebx
        shl $14, %ebx
        lea start_stacks(%rbx), %rsp
        call start_c
1:      cli
        hlt
        jmp 1b

        .balign 8
        .global start_data
start_data:
start_gdt:      .word 0
                .long 0
                .word 0
start_jump:     .long 0
                .word SEL_CODE64, 0
start_cr0:      .long 0
start_cr3:      .long 0
start_cr4:      .long 0
start_efer:     .long 0
start_end:

        .bss
        .balign 4096
        .global start_stacks
start_stacks:
        .fill 8 * 16384
