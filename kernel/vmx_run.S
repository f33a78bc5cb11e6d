/* SPDX-License-Identifier: ISC */
/*
 * vmx_enter(struct vmx, gpr[16] of the state page, launched): one stay in the guest whose VMCS is current. False: the
 * processor has refused to enter at all. General registers are loaded from and stored to the state page directly: no
 * value of theirs can do harm. RSP is in the VMCS.
 */
#include "kernel/layout.h"

#define VMCS_HOST_RSP 0x6c14

    .text
    .globl vmx_enter, vmx_exit
vmx_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    cmp %rsp, VMX_HOST_RSP(%rdi) /* nearly always the same */
    je 1f
    mov %rsp, VMX_HOST_RSP(%rdi)
    mov $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
1:  test %edx, %edx
    mov (%rsi), %rax
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
    jz 1f
    vmresume
    jmp 2f
1:  vmlaunch
2:  pop %rsi
    xor %eax, %eax
    jmp 3f
vmx_exit: /* with the stack of VMCS_HOST_RSP */
    push %rsi
    mov 8(%rsp), %rsi
    mov %rax, (%rsi)
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
    mov $1, %eax
3:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
