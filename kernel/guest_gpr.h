/* SPDX-License-Identifier: ISC */
/*
 * For svm_run.S and vmx_run.S: general registers between the processor and gpr[16] of the state page, whose address RSI
 * has. They go there directly: no value of theirs can do harm, so there is nothing to check. RAX is left to the vendor,
 * and RSP is in the VMCB or VMCS.
 */
/* clang-format off */
    .macro push_kept
    .irp name, rbx, rbp, r12, r13, r14, r15
    push %\name
    .endr
    .endm

    .macro pop_kept
    .irp name, r15, r14, r13, r12, rbp, rbx
    pop %\name
    .endr
    .endm

    .macro load_guest
    mov 8(%rsi), %rcx
    mov 16(%rsi), %rdx
    mov 24(%rsi), %rbx
    mov 40(%rsi), %rbp
    mov 56(%rsi), %rdi
    .irp number, 8, 9, 10, 11, 12, 13, 14, 15
    mov 8*\number(%rsi), %r\number
    .endr
    mov 48(%rsi), %rsi
    .endm

    /* The guest's RSI is on the stack; RAX is lost. */
    .macro store_guest
    mov %rcx, 8(%rsi)
    mov %rdx, 16(%rsi)
    mov %rbx, 24(%rsi)
    mov %rbp, 40(%rsi)
    mov %rdi, 56(%rsi)
    .irp number, 8, 9, 10, 11, 12, 13, 14, 15
    mov %r\number, 8*\number(%rsi)
    .endr
    pop %rax
    mov %rax, 48(%rsi)
    .endm
