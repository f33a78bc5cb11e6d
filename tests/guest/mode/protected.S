/* SPDX-License-Identifier: ISC */
/* 32-bit protected mode with paging of two levels: 4 GiB one to one by 4 MiB pages, and the window. */
#include "tests/guest/mode/boot.inc"

enter:  xor %ecx, %ecx
1:      mov %ecx, %eax
        shl $22, %eax
        or $0x87, %eax                  /* present, writable, user, 4 MiB */
        mov %eax, page_directory(, %ecx, 4)
        inc %ecx
        cmp $1024, %ecx
        jb 1b
        movl $(page_table + 7), page_directory + (WINDOW >> 22) * 4
        mov $page_directory, %eax
        mov %eax, %cr3
        mov %cr4, %eax
        or $0x610, %eax                 /* PSE, OSFXSR, OSXMMEXCPT */
        mov %eax, %cr4
        mov %cr0, %eax
        or $0x80010002, %eax            /* PG, WP, MP */
        mov %eax, %cr0
#include "tests/guest/mode/paging32.inc"

        .balign 4096
        .global page_directory, page_table
page_directory:
        .fill 4096
page_table:
        .fill 4096
