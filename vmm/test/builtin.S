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
 * What an exit costs: TSC ticks of one OUT to a port that nothing decodes, of one CPUID and of one MOV from the local
 * APIC; then from an interrupt's cause to the first instruction of its handler. Each is the least of many, without what
 * measuring costs. Under deterministic counting a tick is an instruction. The last are done in long mode, as Linux
 * would, with four levels of page tables to walk. Lines: "bench: NAME = VALUE instructions".
 */
#define FIRST_MARK  0x0d0e0000 /* tools/bench_trace.c */
#define LAST_MARK   0x0d0e1000
#define TRACED      20 /* runs of a path for the trace, which leaves the first out */
#define ROUNDS      64
#define STACK       0x90000
#define APIC        0xfee00000
#define APIC_ID     0x20
#define APIC_EOI    0xb0
#define APIC_SVR    0xf0
#define APIC_ICR    0x300
#define APIC_LVTT   0x320
#define TO_SELF     0x44000
#define TSC_MODE    0x40000
#define SELF_VECTOR 0x40
#define TIME_VECTOR 0x41
#define TSC_DEADLINE 0x6e0
#define AHEAD       20000 /* ticks until the timer's interrupt */
#define TABLES      0x200000
#define IDT         0x80000
#define GATE        0x8e00
#define PRESENT     3 /* and writable */
#define UNCACHED    0x10

        .macro mark which, path
        .byte 0x0f, 0x1f, 0x80 /* NOPL with a displacement of 32 bits, alike in both modes */
        .long \which + \path
        .endm

        .macro cpuid_0
        xor %eax, %eax
        cpuid
        .endm

/* The least of LOOPS times `instruction`, which may use EAX to EDX; EBP is the beginning, ESI the least so far. */
        .macro least_of text, figure, instruction:vararg
        mov $LOOPS, %edi
        mov $-1, %esi
1:      rdtsc
        mov %eax, %ebp
        \instruction
        rdtsc
        sub %ebp, %eax
        cmp %esi, %eax
        cmovb %eax, %esi
        dec %edi
        jnz 1b
        lea -2(%esi), %eax
        mov $(at(out, \text)), %esi
        call \figure
        .endm

        .macro traced path, instruction:vararg
        mov $TRACED, %edi
1:      mark FIRST_MARK, \path
        rdtsc
        \instruction
        rdtsc
        mark LAST_MARK, \path
        dec %edi
        jnz 1b
        .endm

/* Prints the text at ESI, EAX in decimal, and the unit; for both modes: `figure` in `push \a` and so on. */
        .macro printing figure, string, a, d
\figure:
        push \a
        call \string
        pop \a
        mov $10, %ebx
        xor %ecx, %ecx
1:      xor %edx, %edx
        div %ebx
        push \d
        inc %ecx
        test %eax, %eax
        jnz 1b
2:      pop \a
        add $'0', %al
        call 3f
        loop 2b
        mov $(at(out, unit_text)), %esi
        jmp \string
3:      push \a
        mov $(COM1 + LSR), %dx
4:      in %dx, %al
        test $THRE, %al
        jz 4b
        pop \a
        mov $COM1, %dx
        out %al, %dx
        ret
\string:
        lodsb
        test %al, %al
        jz 5f
        call 3b
        jmp \string
5:      ret
        .endm

        guest out
        mov $(COM1 + LCR), %dx
        mov $LCR_8_BITS, %al
        out %al, %dx
        mov $STACK, %esp
        traced 0
        traced 1, out %al, $0x80
        least_of out_text, out_figure, builtin_out_measured: out %al, $0x80 /* tools/bench_vtx.py */
        traced 2, cpuid_0
        least_of cpuid_text, out_figure, cpuid_0
        mov APIC + APIC_ID, %eax
        least_of flat_text, out_figure, mov APIC + APIC_ID, %eax

        /* The first 2 MiB and the local APIC's page, in 4 KiB pages. */
        movl $(TABLES + 0x1000 + PRESENT), TABLES
        movl $(TABLES + 0x2000 + PRESENT), TABLES + 0x1000
        movl $(TABLES + 0x3000 + PRESENT), TABLES + 0x1000 + (APIC >> 30) * 8
        movl $(TABLES + 0x5000 + PRESENT), TABLES + 0x2000
        movl $(TABLES + 0x4000 + PRESENT), TABLES + 0x3000 + (APIC >> 21 & 511) * 8
        movl $(APIC + UNCACHED + PRESENT), TABLES + 0x4000
        mov $PRESENT, %eax
        mov $(TABLES + 0x5000), %edi
1:      mov %eax, (%edi)
        add $0x1000, %eax
        add $8, %edi
        cmp $(TABLES + 0x6000), %edi
        jne 1b
        mov %cr4, %eax
        or $0x20, %eax
        mov %eax, %cr4
        mov $TABLES, %eax
        mov %eax, %cr3
        mov $0xc0000080, %ecx
        rdmsr
        or $0x100, %eax
        wrmsr
        mov %cr0, %eax
        or $0x80000000, %eax
        mov %eax, %cr0
        lgdt at(out, out_gdtr)
        ljmp $8, $(at(out, out_long))
        printing out_figure, out_string, %eax, %edx

        .code64
        .macro gate vector, handler
        mov $(at(out, \handler)), %eax
        mov %ax, IDT + \vector * 16
        movw $8, IDT + \vector * 16 + 2
        movw $GATE, IDT + \vector * 16 + 4
        shr $16, %eax
        mov %ax, IDT + \vector * 16 + 6
        .endm

/* What a handler does after its first instruction, RDTSC: EAX - EBP goes to EBX if it is less. */
        .macro handled path
        mark LAST_MARK, \path
        sub %ebp, %eax
        cmp %ebx, %eax
        cmovb %eax, %ebx
        mov $1, %r8d
        movl $0, APIC_EOI(%rdi)
        iretq
        .endm

/* The least, without two instructions of the measurement. */
        .macro least text
        lea -2(%rbx), %eax
        mov $(at(out, \text)), %esi
        call out_figure_64
        .endm

out_long:
        xor %eax, %eax
        mov %eax, %ss /* IRETQ takes it back */
        mov $STACK, %esp
        lidt at(out, out_idtr)
        gate SELF_VECTOR, out_self
        gate TIME_VECTOR, out_time
        mov $APIC, %r8d
        traced 3, mov APIC_ID(%r8), %eax
        least_of mmio_text, out_figure_64, mov APIC_ID(%r8), %eax

        /* An interrupt that the guest sends itself: with the exit that sends it. */
        mov $APIC, %edi
        movl $0x1ff, APIC_SVR(%rdi)
        mov $-1, %ebx
        mov $ROUNDS, %ecx
        sti
1:      mark FIRST_MARK, 4
        rdtsc
        mov %eax, %ebp
        movl $(TO_SELF + SELF_VECTOR), APIC_ICR(%rdi)
        dec %ecx
        jnz 1b
        least inject_text

        /* The timer's, from the last TSC that the guest saw before it. */
        mov $APIC, %edi
        movl $(TSC_MODE + TIME_VECTOR), APIC_LVTT(%rdi)
        mov $-1, %ebx
        mov $ROUNDS, %r9d
2:      xor %r8d, %r8d
        mov $TSC_DEADLINE, %ecx
        rdtsc
        add $AHEAD, %eax
        adc $0, %edx
        wrmsr
1:      mark FIRST_MARK, 5
        rdtsc
        mov %eax, %ebp
        test %r8d, %r8d
        jz 1b
        dec %r9d
        jnz 2b
        least timer_text
        mov $(at(out, done_text)), %esi
        call out_string_64
3:      cli
        hlt
        jmp 3b
out_self:
        rdtsc
        handled 4
out_time:
        rdtsc
        handled 5
        printing out_figure_64, out_string_64, %rax, %rdx

        .balign 8
out_gdt:
        .quad 0, 0x00209b0000000000
out_gdtr:
        .word 15
        .long at(out, out_gdt)
out_idtr:
        .word 0xfff
        .quad IDT
out_text:
        .ascii "bench: path 1 = vmexit.out.user\n"
        .asciz "bench: vmexit.out.user = "
cpuid_text:
        .ascii "bench: path 2 = vmexit.cpuid.user\n"
        .asciz "bench: vmexit.cpuid.user = "
flat_text:
        .asciz "bench: vmexit.mmio.user.flat = "
mmio_text:
        .ascii "bench: path 3 = vmexit.mmio.user\n"
        .asciz "bench: vmexit.mmio.user = "
inject_text:
        .ascii "bench: path 4 = vm.irq_inject\n"
        .asciz "bench: vm.irq_inject = "
timer_text:
        .ascii "bench: path 5 = vm.timer_inject\n"
        .asciz "bench: vm.timer_inject = "
done_text:
        .asciz "bench: done\n"
unit_text:
        .asciz " instructions\n"
        guest_end out

        .code64
