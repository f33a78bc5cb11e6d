/* SPDX-License-Identifier: ISC */
/*
 * A disk that firmware boots from: by the firmware's services it reads what is behind its first sector, writes and
 * reads, puts a character on the screen, and sets a mode with a linear frame buffer. Each line on the debug port is
 * a verdict.
 *
 * Enhanced Disk Drive Specification 3.0; VESA BIOS Extension 3.0.
 */
        .code16
        .text
        .globl _start

        .set DEBUG, 0xe9
        .set SECTORS, 64        /* of the pattern */
        .set BUFFER, 0x1000     /* segments */
        .set INFO, 0x3000
        .set PLACE, 200         /* sector, to be written */
        .set MODE, 0x4118       /* 1024 x 768, linear */

        /* A test that ends with CF clear if all is well. */
        .macro verdict name, test
        call \test
        mov $\name, %si
        call say
        .endm

_start: cli
        xor %ax, %ax
        mov %ax, %ss
        mov $0x7c00, %sp
        ljmp $0x7c0, $1f        /* offsets are from the sector's start */
1:      push %cs
        pop %ds
        sti
        cld
        mov %dl, drive
        verdict name_read, read
        verdict name_write, write
        verdict name_screen, screen
        verdict name_mode, mode
        clc
        mov $name_done, %si
        call say
1:      hlt
        jmp 1b

/* The name at SI, and what CF says. */
say:    pushf
1:      lodsb
        test %al, %al
        jz 2f
        out %al, $DEBUG
        jmp 1b
2:      popf
        mov $good, %si
        jnc 3f
        mov $bad, %si
3:      lodsb
        out %al, $DEBUG
        cmp $'\n', %al
        jne 3b
        ret

/* AH: the call of INT 13h. CF: it has failed. */
disk:   mov $packet, %si
        mov drive, %dl
        int $0x13
        ret

/* All sectors of the pattern, at once. */
read:   mov $0x42, %ah
        call disk
        jc 2f
compare:
        mov $BUFFER, %ax
        mov %ax, %es
        xor %di, %di
        mov $1, %ax
1:      scasw
        jne 3f
        add $7, %ax
        cmp $(SECTORS * 512), %di
        jne 1b
        clc
2:      ret
3:      stc
        ret

/* The pattern elsewhere, and back into memory that was cleared. */
write:  movw $PLACE, packet + 8
        mov $0x4300, %ax
        call disk
        jc 2b
        mov $BUFFER, %ax
        mov %ax, %es
        xor %di, %di
        xor %ax, %ax
        mov $(SECTORS * 256), %cx
        rep stosw
        jmp read

/* A character by the firmware is in the text's memory. */
screen: mov $0x0003, %ax
        int $0x10
        mov $0x0e00 + 'D', %ax
        xor %bx, %bx
        int $0x10
        mov $0xb800, %ax
        mov %ax, %es
        cmpb $'D', %es:0
        jne 3b
        clc
        ret

/* The mode is set, and is the one asked for. */
mode:   mov $INFO, %ax
        mov %ax, %es
        xor %di, %di
        mov $0x4f02, %ax
        mov $MODE, %bx
        int $0x10
        cmp $0x004f, %ax
        jne 3b
        mov $0x4f03, %ax
        int $0x10
        and $0x3fff, %bx
        cmp $(MODE & 0x3fff), %bx
        jne 3b
        clc
        ret

good:   .ascii " good\n"
bad:    .ascii " BAD\n"
name_read: .asciz "disk: read"
name_write: .asciz "disk: write"
name_screen: .asciz "screen: text"
name_mode: .asciz "screen: mode"
name_done: .asciz "disk: over"
drive:  .byte 0
        .balign 4
packet: .word 16, SECTORS, 0, BUFFER
        .quad 1

        .org 510
        .word 0xaa55
        .set value, 1
        .rept SECTORS * 256
        .word value & 0xffff
        .set value, value + 7
        .endr
        .org 0x40000
