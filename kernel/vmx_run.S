/* SPDX-License-Identifier: ISC */
/*
 * vmx_enter(struct vmx, gpr[16] of the state page, launched): one stay in the guest whose VMCS is current. False: the
 * processor has refused to enter at all. RSP is in the VMCS.
 */
#include "kernel/guest_gpr.h"
#include "kernel/layout.h"

#define VMCS_HOST_RSP 0x6c14

    .text
    .globl vmx_enter, vmx_exit
vmx_enter:
    push_kept
    push %rsi
    cmp %rsp, VMX_HOST_RSP(%rdi) /* nearly always the same */
    je 1f
    mov %rsp, VMX_HOST_RSP(%rdi)
    mov $VMCS_HOST_RSP, %eax
    vmwrite %rsp, %rax
1:  test %edx, %edx
    mov (%rsi), %rax
    load_guest
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
    store_guest
    pop %rsi
    mov $1, %eax
3:  pop_kept
    ret
