/* SPDX-License-Identifier: ISC */
/*
 * From the boot loader to C: Multiboot1 and Multiboot2 headers, long mode, the jump to the upper half. The loader
 * leaves us in protected mode without paging. The tables made here map the first 4 GiB one to one, and once more
 * at KERNEL_OFFSET (the first GiB); kernel/memory.c replaces them by the final ones.
 */
#include "kernel/layout.h"

#define MB1_MAGIC 0x1badb002
#define MB1_FLAGS 0x00000003 /* modules page-aligned, memory map wanted */
#define MB2_MAGIC 0xe85250d6

    .section .multiboot, "a"
    .balign 8
mb2_header:
    .long MB2_MAGIC, 0, mb2_end - mb2_header, -(MB2_MAGIC + (mb2_end - mb2_header))
    .word 6, 0 /* modules page-aligned */
    .long 8
    .word 5, 1 /* a framebuffer, if there is one */
    .long 20, 0, 0, 32
    .balign 8
    .word 0, 0
    .long 8
mb2_end:
    .balign 4
    .long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)

    .section .boot.text, "ax"
    .code32
    .globl boot_entry
boot_entry:
    cli
    cld
    mov %eax, %ebp
    mov %ebx, %esp /* no stack before long mode: ESP keeps the loader's EBX */
    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jc tables

no_long_mode: /* nothing to print with but the UART */
    mov $no_long_mode_text, %esi
1:  lodsb
    test %al, %al
    jz 3f
    mov %al, %bl
2:  mov $0x3fd, %dx
    in %dx, %al
    test $0x20, %al
    jz 2b
    mov %bl, %al
    mov $0x3f8, %dx
    out %al, %dx
    jmp 1b
3:  hlt
    jmp 3b

tables:
    mov $boot_l2, %edi /* 2048 entries of 2 MiB: present, writable, large */
    mov $0x83, %eax
    mov $2048, %ecx
1:  mov %eax, (%edi)
    movl $0, 4(%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 1b
    mov $boot_l3, %edi
    mov $(boot_l2 + 3), %eax
    mov $4, %ecx
1:  mov %eax, (%edi)
    add $0x1000, %eax
    add $8, %edi
    loop 1b
    movl $(boot_l3 + 3), boot_l4
    movl $(boot_l3_high + 3), boot_l4 + 511 * 8
    movl $(boot_l2 + 3), boot_l3_high + 510 * 8

    mov %cr4, %eax
    or $0x20, %eax /* PAE */
    mov %eax, %cr4
    mov $boot_l4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax /* LME */
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $8, $1f
    .code64
1:  movabs $boot_high, %rax
    jmp *%rax

    .section .boot.data, "aw"
    .balign 8
    .globl boot_gdt
boot_gdt:
    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .long boot_gdt
no_long_mode_text:
    .asciz "donjon: this processor has no 64-bit mode\r\n"

    .section .boot.bss, "aw", @nobits
    .balign 4096
    .globl boot_l4
boot_l4:      .skip 4096
boot_l3:      .skip 4096
boot_l3_high: .skip 4096
boot_l2:      .skip 4 * 4096

    .section .text
boot_high:
    xor %eax, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %eax, %fs
    mov %eax, %gs
    mov %esp, %esi /* the loader's information structure */
    mov %ebp, %edi /* and its magic number */
    lea boot_cpu_stack_end(%rip), %rsp
    xor %ebp, %ebp
    call start
    ud2

    .section .bss
    .balign 4096
    .globl boot_cpu_stack_guard, boot_cpu_stack_end
boot_cpu_stack_guard: /* unmapped later: an overflow is a double fault on a stack of its own */
    .skip 4096 + KERNEL_STACK_SIZE
boot_cpu_stack_end:
