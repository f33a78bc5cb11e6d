/* SPDX-License-Identifier: ISC */
/*
 * svm_enter(physical address of the VMCB, gpr[16] of the state page, physical address of the host's save page):
 * one stay in the guest. General registers are loaded from and stored to the state page directly: no value of
 * theirs can do harm, so there is nothing to check; RAX and RSP are in the VMCB. Interrupts are off, and are
 * taken as #VMEXITs while the guest runs (RFLAGS.IF is set with GIF clear: APM vol. 2, 15.17, 15.21.1).
 */
    .text
    .globl svm_enter
svm_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdx
    push %rsi
    mov %rdi, %rax
    clgi
    sti
    vmload
    mov 8(%rsi), %rcx
    mov 16(%rsi), %rdx
    mov 24(%rsi), %rbx
    mov 40(%rsi), %rbp
    mov 56(%rsi), %rdi
    mov 64(%rsi), %r8
    mov 72(%rsi), %r9
    mov 80(%rsi), %r10
    mov 88(%rsi), %r11
    mov 96(%rsi), %r12
    mov 104(%rsi), %r13
    mov 112(%rsi), %r14
    mov 120(%rsi), %r15
    mov 48(%rsi), %rsi
    vmrun
    vmsave
    push %rsi
    mov 8(%rsp), %rsi
    mov %rcx, 8(%rsi)
    mov %rdx, 16(%rsi)
    mov %rbx, 24(%rsi)
    mov %rbp, 40(%rsi)
    mov %rdi, 56(%rsi)
    mov %r8, 64(%rsi)
    mov %r9, 72(%rsi)
    mov %r10, 80(%rsi)
    mov %r11, 88(%rsi)
    mov %r12, 96(%rsi)
    mov %r13, 104(%rsi)
    mov %r14, 112(%rsi)
    mov %r15, 120(%rsi)
    pop %rax
    mov %rax, 48(%rsi)
    pop %rsi
    pop %rax
    vmload
    cli
    stgi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
