/* SPDX-License-Identifier: ISC */
/*
 * Guests of a few instructions, for tests of the monitor and the kernel without any image. They are data
 * here: copied to guest RAM and started there, 32-bit ones at BUILTIN_BASE in flat protected mode, 16-bit
 * ones at BUILTIN_BASE_16 in real mode. Code is position-dependent only through the macro `at`.
 */
#define BUILTIN_BASE    0x100000
#define BUILTIN_BASE_16 0x7c00
#define COM1            0x3f8
#define LCR             3
#define LCR_8_BITS      3
#define LSR             5
#define THRE            0x20
#define LOOPS           1000

        .macro guest name
        .balign 16
        .global builtin_\name
builtin_\name:
        .endm

        .macro guest_end name
        .global builtin_\name\()_end
builtin_\name\()_end:
        .endm

#define at(guest, label) BUILTIN_BASE + label - builtin_##guest

        .section .rodata

/* Never lets go of its processor: cli; jmp $ */
        .code32
        guest spin
        cli
1:      jmp 1b
        guest_end spin

        .code16
        guest spin16
        cli
1:      jmp 1b
        guest_end spin16

/* Says hello on COM1 and halts for good. */
        .code32
        guest hello
        mov $(COM1 + LCR), %dx
        mov $LCR_8_BITS, %al
        out %al, %dx
        mov $(at(hello, hello_text)), %esi
1:      mov $(COM1 + LSR), %dx
2:      in %dx, %al
        test $THRE, %al
        jz 2b
        lodsb
        test %al, %al
        jz 3f
        mov $COM1, %dx
        out %al, %dx
        jmp 1b
3:      cli
        hlt
        jmp 3b
hello_text:
        .asciz "guest: hello\n"
        guest_end hello

/*
 * What an exit costs: TSC ticks of one OUT to a port that nothing decodes, and of one CPUID, each the mean of
 * LOOPS. Under deterministic counting a tick is an instruction. The loop's own are subtracted.
 */
        guest out
        mov $(COM1 + LCR), %dx
        mov $LCR_8_BITS, %al
        out %al, %dx
        mov $0x90000, %esp
        mov $LOOPS, %ecx
        rdtsc
        mov %eax, %ebp
1:      out %al, $0x80
        dec %ecx
        jnz 1b
        rdtsc
        mov $2, %ecx
        mov $(at(out, out_text)), %esi
        call out_figure
        mov $LOOPS, %edi
        rdtsc
        mov %eax, %ebp
2:      xor %eax, %eax
        cpuid
        dec %edi
        jnz 2b
        rdtsc
        mov $3, %ecx
        mov $(at(out, cpuid_text)), %esi
        call out_figure
        mov $(at(out, done_text)), %esi
        call out_string
3:      cli
        hlt
        jmp 3b

/* Prints the text at ESI, (EAX - EBP) / LOOPS - ECX in decimal, and the unit. */
out_figure:
        sub %ebp, %eax
        xor %edx, %edx
        mov $LOOPS, %ebx
        div %ebx
        sub %ecx, %eax
        push %eax
        call out_string
        pop %eax
        mov $10, %ebx
        xor %ecx, %ecx
1:      xor %edx, %edx
        div %ebx
        push %edx
        inc %ecx
        test %eax, %eax
        jnz 1b
2:      pop %eax
        add $'0', %al
        call out_character
        loop 2b
        mov $(at(out, unit_text)), %esi
        jmp out_string
out_character:
        push %eax
        mov $(COM1 + LSR), %dx
3:      in %dx, %al
        test $THRE, %al
        jz 3b
        pop %eax
        mov $COM1, %dx
        out %al, %dx
        ret
out_string:
        lodsb
        test %al, %al
        jz 4f
        call out_character
        jmp out_string
4:      ret
out_text:
        .asciz "bench: vmexit.out.user = "
cpuid_text:
        .asciz "bench: vmexit.cpuid.user = "
done_text:
        .asciz "bench: done\n"
unit_text:
        .asciz " instructions\n"
        guest_end out

        .code64
