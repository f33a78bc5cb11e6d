/* SPDX-License-Identifier: ISC */
/* 32-bit protected mode with paging of three levels. */
#include "tests/guest/mode/boot.inc"

enter:
#include "tests/guest/mode/directories.inc"
        mov $page_pointers, %eax
        mov %eax, %cr3
        mov %cr4, %eax
        or $0x620, %eax                 /* PAE, OSFXSR, OSXMMEXCPT */
        mov %eax, %cr4
        mov $0xc0000080, %ecx
        rdmsr
        or $0x800, %eax                 /* NXE */
        wrmsr
        mov %cr0, %eax
        or $0x80010002, %eax            /* PG, WP, MP */
        mov %eax, %cr0
#include "tests/guest/mode/paging32.inc"

        .balign 4096
        .global page_directory, page_table
page_directory:
        .fill 4 * 4096
page_table:
        .fill 4096

        .data
        .balign 32
page_pointers:
        .long page_directory + 1, 0, page_directory + 0x1001, 0, page_directory + 0x2001, 0, page_directory + 0x3001, 0
