/* SPDX-License-Identifier: ISC */
/*
 * The ways into the kernel from user mode and out again. All registers of the user go straight into the frame of
 * the current EC (the TSS's RSP0 is its end), then the kernel's one stack is taken from its top: no thread has a
 * kernel stack of its own. Whoever is current at the end is resumed, through SYSRET or IRET as its frame says.
 *
 * The kernel runs with interrupts off but for windows that it opens itself (interrupt_window, the idle loop): an
 * interrupt from kernel mode saves what a call may change and returns.
 */
#include "kernel/layout.h"

    /* The general registers of a frame, below vector and error code. */
    .macro push_registers
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %rax
    push %r8
    push %r9
    push %r10
    push %r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    .endm

    .macro pop_registers
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rax
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    .endm

    .section .text
    .globl syscall_entry
    .balign 16
syscall_entry:
    swapgs
    mov %rsp, %gs:CPU_SCRATCH
    mov %gs:CPU_FRAME, %rsp
    mov %r15, FRAME_R15(%rsp)
    mov %r14, FRAME_R14(%rsp)
    mov %r13, FRAME_R13(%rsp)
    mov %r12, FRAME_R12(%rsp)
    mov %rbp, FRAME_RBP(%rsp)
    mov %rbx, FRAME_RBX(%rsp)
    mov %rcx, FRAME_RIP(%rsp)
    mov %r11, FRAME_RFLAGS(%rsp)
    mov %gs:CPU_SCRATCH, %rcx
    mov %rcx, FRAME_RSP(%rsp)
    movl $VECTOR_SYSCALL, FRAME_VECTOR(%rsp)
    mov %gs:CPU_STACK, %rsp
    mov %r10, %rcx
    cmp $CALLS_COUNT, %rax
    jae 1f
    call *syscall_table(,%rax,8)
    jmp resume
1:  call syscall_unknown
    /* fall through */

    /* Leave the kernel to the current EC. */
    .globl resume
    .balign 16
resume:
    cmpl $0, %gs:CPU_HAZARD
    jne hazard
    mov %gs:CPU_FRAME, %rsp
    cmpl $VECTOR_SYSCALL, FRAME_VECTOR(%rsp)
    jne resume_interrupted
    mov FRAME_R15(%rsp), %r15
    mov FRAME_R14(%rsp), %r14
    mov FRAME_R13(%rsp), %r13
    mov FRAME_R12(%rsp), %r12
    mov FRAME_RBP(%rsp), %rbp
    mov FRAME_RBX(%rsp), %rbx
    mov FRAME_RAX(%rsp), %rax
    mov FRAME_RDI(%rsp), %rdi
    mov FRAME_RSI(%rsp), %rsi
    mov FRAME_RDX(%rsp), %rdx
    mov FRAME_R10(%rsp), %r10
    mov FRAME_R8(%rsp), %r8
    mov FRAME_R9(%rsp), %r9
    mov FRAME_RIP(%rsp), %rcx
    mov FRAME_RFLAGS(%rsp), %r11
    mov FRAME_RSP(%rsp), %rsp
    swapgs
    sysretq

resume_interrupted:
    pop_registers
    add $16, %rsp
    swapgs
    iretq

hazard:
    mov %gs:CPU_STACK, %rsp
    call hazard_handle
    jmp resume

    /* Start on the top of the stack with a function that never returns here: the idle loop, the first resume. */
    .globl stack_restart
stack_restart:
    mov %gs:CPU_STACK, %rsp
    call *%rdi
    jmp resume

    /* Exceptions and interrupts: vector and error code on the stack, then one path. */
    .macro trap vector error
    .balign 16
    .if !\error
    push $0
    .endif
    push $\vector
    .if (\vector == 2) || (\vector == 8) || (\vector == 18)
    jmp trap_kernel
    .else
    jmp trap_entry
    .endif
    .endm

    .globl trap_vectors
    .balign 16
trap_vectors:
    vector = 0
    .rept 256
    trap vector ((vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30))
    vector = vector + 1
    .endr

    .balign 16
trap_entry:
    testb $3, 24(%rsp)
    jz trap_kernel
    swapgs
    push_registers
    mov %rsp, %rdi
    mov %gs:CPU_STACK, %rsp
    push $2 /* no flag of the user's: AC would switch SMAP off */
    popf
    call trap_user
    jmp resume

    /* From kernel mode: a window's interrupt, or a mistake of ours. NMI, #MC and #DF come here on stacks of their
     * own and may interrupt a path that has the user's GS still loaded; they do not touch GS and do not return
     * unless they may. */
trap_kernel:
    push_registers
    mov %rsp, %rdi
    cld
    call trap_in_kernel
    pop_registers
    add $16, %rsp
    iretq
