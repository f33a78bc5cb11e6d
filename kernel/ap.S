/* SPDX-License-Identifier: ISC */
/*
 * Where the other processors begin: real mode, CS:IP = page:0. Straight to long mode (CR0.PE and PG in one write, with PAE
 * and LME set before) on the page tables of boot.S, which map the first 4 GiB and the kernel's image; then to the final
 * tables, with the stack and the data that kernel/ap.c has put out.
 */
#include "kernel/layout.h"

    .section .rodata
    .globl ap_trampoline, ap_trampoline_end
    .code16
ap_trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    mov %cr4, %eax
    or $0x20, %eax /* PAE */
    mov %eax, %cr4
    mov $boot_l4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x900, %eax /* LME, NXE */
    wrmsr
    lgdtl ap_gdt_pointer - ap_trampoline
    mov $0x80000001, %eax /* PG, PE */
    mov %eax, %cr0
    ljmpl $8, $ap_long
    .balign 4
ap_gdt_pointer:
    .word 3 * 8 - 1
    .long boot_gdt
ap_trampoline_end:

    .section .boot.text, "ax"
    .code64
ap_long:
    movabs $ap_high, %rax
    jmp *%rax

    .section .text
ap_high:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov ap_root(%rip), %rax
    mov %rax, %cr3
    mov ap_stack(%rip), %rsp
    xor %ebp, %ebp
    call ap_start
    ud2
