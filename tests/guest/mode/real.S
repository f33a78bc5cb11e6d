/* SPDX-License-Identifier: ISC */
/*
 * Real mode: the program is copied below 64 KiB, where its code must lie. The data segments keep the limit of
 * 4 GiB that they had in protected mode, so that C's flat addresses reach all memory. No exception pushes an
 * error code here.
 */
#include "tests/guest/mode/boot.inc"

enter:  mov $real_load, %esi
        mov $real_start, %edi
        mov $real_size, %ecx
        rep movsb
        mov $bss_start, %edi
        mov $bss_size, %ecx
        xor %eax, %eax
        rep stosb
        lidt real_idt
        mov $SEL_DATA16, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %fs
        mov %eax, %gs
        mov %eax, %ss
        ljmp $SEL_CODE16, $real_enter
real_idt:
        .word 0x3ff
        .long 0

        .section .text.start, "ax"
        .code16
real_enter:
        mov %cr0, %eax
        and $0xfffffffe, %eax
        mov %eax, %cr0
        ljmp $0, $1f
1:      xor %ax, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %fs
        mov %ax, %gs
        mov %ax, %ss
        mov $REAL_STACK, %esp
        calll guest_start
2:      cli
        hlt
        jmp 2b

trap_common:
        pushal
        pushl %ds
        pushl %es
        cld
        xor %ax, %ax
        mov %ax, %ds
        mov %ax, %es
        mov %esp, %eax
        pushl %eax
        calll trap_entry
        addl $4, %esp
        popl %es
        popl %ds
        popal
        addl $8, %esp
        iretw

        .balign STUB_BYTES
        .global trap_stubs
trap_stubs:
        .set vector, 0
        .rept 256
        .balign STUB_BYTES
        pushl $0
        pushl $vector
        jmp trap_common
        .set vector, vector + 1
        .endr
