/* SPDX-License-Identifier: ISC */
/*
 * svm_enter(physical address of the VMCB, gpr[16] of the state page, physical address of the host's save page):
 * one stay in the guest. RAX and RSP are in the VMCB. Interrupts are off, and are taken as #VMEXITs while the guest
 * runs (RFLAGS.IF is set with GIF clear: APM vol. 2, 15.17, 15.21.1).
 */
#include "kernel/guest_gpr.h"

    .text
    .globl svm_enter
svm_enter:
    push_kept
    push %rdx
    push %rsi
    mov %rdi, %rax
    clgi
    sti
    vmload
    load_guest
    vmrun
    vmsave
    push %rsi
    mov 8(%rsp), %rsi
    store_guest
    pop %rsi
    pop %rax
    vmload
    cli
    stgi
    pop_kept
    ret
