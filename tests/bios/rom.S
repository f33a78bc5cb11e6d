/* SPDX-License-Identifier: ISC */
/*
 * An option ROM that firmware boots: it looks at the machine by the firmware's services (screen, serial port, timer,
 * memory map, keyboard) and at shadow RAM by itself, and then resets the machine. Each line on the screen is a verdict.
 *
 * Plug and Play BIOS Specification 1.0A, 3.2; i440FX data sheet, 3.2.18 (PAM). tests/bios/checksum.py makes the sum of
 * all bytes zero.
 */
        .code16
        .text
        .globl _start
_start: .byte 0x55, 0xaa, (end - _start) / 512
        lret                    /* nothing to set up */
        .org 0x1a
        .word pnp
        .org 0x20
pnp:    .ascii "$PnP"
        .byte 1, 2              /* revision, paragraphs */
        .word 0, 0              /* no further header; checksum */
        .long 0
        .word 0, product
        .byte 0, 0, 0, 0
        .word 0, 0, boot, 0, 0  /* BCV, disconnect, BEV */
product: .asciz "test ROM"

        .set PORT_ADDRESS, 0xcf8
        .set PORT_DATA, 0xcfc
        .set PAM_D0000, 0x5c    /* low half: d0000, high: d4000 */
        .set PAM_E0000, 0x5e
        .set ROUNDS, 100
        .set AP_CODE, 0x8000
        .set AP_STATE, 0x8ffe   /* 0, or 1: good, 2: bad */
        .set MAP, 0x9000
        .set SMAP, 0x534d4150

/* A test that ends with CF clear if all is well. */
        .macro verdict name, test
        call \test
        pushf
        mov $\name, %si
        call say
        popf
        call say_verdict
        .endm

boot:   cld
        sti
        push %cs
        pop %ds
        mov $hello, %si
1:      lodsb                   /* to the debug port */
        out %al, $0xe9
        cmp $'\n', %al
        jne 1b
        verdict name_timer, timer
        verdict name_serial, serial
        verdict name_map, map
        verdict name_shadow, shadow
        verdict name_rom, rom
        verdict name_others, others
        mov $prompt, %si
        call say
        xor %ah, %ah
        int $0x16
        push %ax
        mov $key, %si
        call say
        pop %ax
        call put
        mov $newline, %si
        call say
        call settle
        ljmp $0xf000, $0xfff0

put:    push %bx
        mov $0x0e, %ah
        mov $7, %bx
        int $0x10
        pop %bx
        ret
say:    lodsb
        test %al, %al
        jz 1f
        call put
        jmp say
1:      ret
say_verdict:
        mov $good, %si
        jnc say
        mov $bad, %si
        jmp say

/* The tick goes on: interrupts come, and HLT ends. */
timer:  xor %ah, %ah
        int $0x1a
        mov %dx, %bx
1:      hlt
        xor %ah, %ah
        int $0x1a
        sub %bx, %dx
        cmp $3, %dx
        jb 1b
        cmp $20, %dx
        cmc
        ret

/* The firmware's screen on the serial port is some ticks late. */
settle: hlt
        hlt
        hlt
        ret

serial: call settle
        mov $by_serial, %si
1:      lodsb
        test %al, %al
        jz 2f
        mov $1, %ah
        xor %dx, %dx
        int $0x14
        test $0x80, %ah         /* time-out */
        jz 1b
        stc
2:      ret

/* The map has an end, and RAM from 1 MiB on of 32 MiB at least. */
map:    push %es
        xor %ax, %ax
        mov %ax, %es
        xor %ebx, %ebx
        xor %bp, %bp            /* entries */
        xor %si, %si            /* whether that was among them */
1:      mov $0xe820, %eax
        mov $SMAP, %edx
        mov $20, %ecx
        mov $MAP, %di
        int $0x15
        jc 3f
        cmp $SMAP, %eax
        jne 3f
        inc %bp
        cmp $16, %bp
        ja 3f
        cmpl $0x100000, %es:MAP
        jne 2f
        cmpl $1, %es:MAP+16
        jne 2f
        cmpl $32 << 20, %es:MAP+8
        jb 2f
        inc %si
2:      test %ebx, %ebx
        jnz 1b
        cmp $1, %si             /* CF if it was not */
        jmp 4f
3:      stc
4:      pop %es
        ret

/* The PAM register in CL becomes AL. */
set_pam:
        push %dx
        push %ax
        mov $0x80000000, %eax
        mov %cl, %al
        and $0xfc, %al
        mov $PORT_ADDRESS, %dx
        out %eax, %dx
        pop %ax
        mov %cl, %dl
        and $3, %dl
        mov $PORT_DATA >> 8, %dh
        or $PORT_DATA & 0xff, %dl
        out %al, %dx
        pop %dx
        ret

/* d0000 in each state. */
shadow: push %es
        mov $0xd000, %ax
        mov %ax, %es
        mov $PAM_D0000, %cl
        mov $0x13, %al          /* RAM */
        call set_pam
        movw $0x1234, %es:0
        cmpw $0x1234, %es:0
        jne 1f
        mov $0x11, %al          /* read only */
        call set_pam
        movw $0x5678, %es:0
        cmpw $0x1234, %es:0
        jne 1f
        addw $1, %es:0          /* read, and written in vain */
        cmpw $0x1234, %es:0
        jne 1f
        mov $0x10, %al          /* nothing */
        call set_pam
        movw $0x5678, %es:0
        cmpw $0xffff, %es:0
        jne 1f
        mov $0x12, %al          /* written, but not read */
        call set_pam
        movw $0x9abc, %es:0
        cmpw $0xffff, %es:0
        jne 1f
        mov $0x11, %al
        call set_pam
        cmpw $0x9abc, %es:0
        jne 1f
        pop %es
        clc
        ret
1:      pop %es
        stc
        ret

/* e0000 is the ROM where reads do not reach RAM, whose word is another; writes reach RAM behind it. */
rom:    push %es
        mov $0xe000, %ax
        mov %ax, %es
        mov $PAM_E0000, %cl
        mov $0x10, %al
        call set_pam
        mov %es:0, %bx
        mov $0x13, %al
        call set_pam
        mov %bx, %es:0
        notw %es:0
        mov $0x12, %al
        call set_pam
        cmp %es:0, %bx
        jne 1f
        movw $0x4321, %es:0
        cmp %es:0, %bx
        jne 1f
        mov $0x11, %al
        call set_pam
        cmpw $0x4321, %es:0
        jne 1f
        pop %es
        clc
        ret
1:      pop %es
        stc
        ret

/* With a second processor: it changes d0000 between RAM and read-only RAM, whose word stays the same for this one. */
others: mov $0x5f, %al
        out %al, $0x70
        in $0x71, %al
        test %al, %al
        jz 9f                   /* CF is clear */
        push %es
        xor %ax, %ax
        mov %ax, %es
        mov $ap_begin, %si
        mov $AP_CODE, %di
        mov $ap_end - ap_begin, %cx
        rep movsb
        movw $0, %es:AP_STATE
        mov $0x1b, %ecx         /* x2APIC mode: the ICR is an MSR */
        rdmsr
        or $0xc00, %eax
        wrmsr
        mov $0x830, %ecx
        mov $1, %edx
        mov $0x4500, %eax       /* INIT */
        wrmsr
        mov $0x4600 | AP_CODE >> 12, %eax
        wrmsr
        push %fs
        mov $0xd000, %ax
        mov %ax, %fs
1:      cmpw $0, %es:AP_STATE
        jne 2f
        cmpw $0x9abc, %fs:0
        je 1b
        movw $2, %es:AP_STATE
2:      cmpw $0x9abc, %fs:0
        jne 3f
        cmpw $1, %es:AP_STATE
        jne 3f
        pop %fs
        pop %es
        clc
9:      ret
3:      pop %fs
        pop %es
        stc
        ret

/* Of the second processor, at AP_CODE. */
ap_begin:
        cli
        xor %ax, %ax
        mov %ax, %ds
        mov $0xd000, %ax
        mov %ax, %es
        mov $ROUNDS, %bx
        mov $0x80000000 | (PAM_D0000 & 0xfc), %eax
        mov $PORT_ADDRESS, %dx
        out %eax, %dx
        mov $PORT_DATA + (PAM_D0000 & 3), %dx
1:      mov $0x13, %al
        out %al, %dx
        movw $0x9abc, %es:0
        mov $0x11, %al
        out %al, %dx
        movw $0x5678, %es:0     /* at once: nothing of before may be left */
        cmpw $0x9abc, %es:0
        jne 2f
        dec %bx
        jnz 1b
        movw $1, AP_STATE
        jmp 3f
2:      movw $2, AP_STATE
3:      hlt
        jmp 3b
ap_end:

hello:  .ascii "rom: begins\n"
name_timer: .asciz "rom: timer"
name_serial: .asciz "rom: serial port"
name_map: .asciz "rom: memory map"
name_shadow: .asciz "rom: shadow RAM"
name_rom: .asciz "rom: ROM"
name_others: .asciz "rom: other processor"
good:   .ascii ": ok"
newline: .asciz "\r\n"
bad:    .asciz ": FAILED\r\n"
by_serial: .asciz "rom: by INT 14h\r\n"
prompt: .asciz "rom: press a key\r\n"
key:    .asciz "rom: key "

        .org 2047
        .byte 0                 /* the checksum */
end:
