/* SPDX-License-Identifier: ISC */
/*
 * The layout of the kernel's half of every address space. The kernel maps its image, the pool of pages that all
 * its objects come from, and the registers of APICs and IOMMUs; it does not map the rest of RAM.
 */
#pragma once

#define KERNEL_OFFSET 0xffffffff80000000 /* image: physical address + KERNEL_OFFSET */
#define POOL_BASE     0xffffff8000000000 /* the pool, in one piece; 1 GiB at most */
#define POOL_MAX      0x40000000
#define DEVICE_BASE   0xffffffffc0000000 /* 4 KiB pages of device registers, uncached */
#define CPU_BASE      0xffffffff40000000 /* for each CPU but the first: CPU_AREA bytes of 4 KiB pages */
#define CPU_AREA      0x8000             /* struct cpu, a page that is not there, the stack */

/* Selectors of the GDT; SYSRET wants user data before user code. */
#define SEL_KERNEL_CODE 0x08
#define SEL_KERNEL_DATA 0x10
#define SEL_USER_DATA   0x1b
#define SEL_USER_CODE   0x23
#define SEL_TSS         0x28

#define VECTOR_GSI_FIRST 0x30
#define VECTOR_GSI_LAST  0xef
#define VECTOR_TIMER     0xf0
#define VECTOR_IPI       0xf1 /* another CPU wants something: smp.h */
#define VECTOR_SPURIOUS  0xff
#define VECTOR_SYSCALL   0x100 /* marks a frame that SYSCALL saved */

#define KERNEL_STACK_SIZE 8192

#define CALLS_COUNT 29 /* CALLS of abi/syscall.h, for the assembler */

/* struct frame, struct cpu and vCPU state: offsets that the assembly uses; the C side asserts them. */
#define FRAME_R15    0
#define FRAME_R14    8
#define FRAME_R13    16
#define FRAME_R12    24
#define FRAME_RBP    32
#define FRAME_RBX    40
#define FRAME_R10    56
#define FRAME_R9     64
#define FRAME_R8     72
#define FRAME_RAX    80
#define FRAME_RDX    96
#define FRAME_RSI    104
#define FRAME_RDI    112
#define FRAME_VECTOR 120
#define FRAME_RIP    136
#define FRAME_RFLAGS 152
#define FRAME_RSP    160
#define FRAME_SIZE   176

#define VMX_HOST_RSP 2112 /* struct vmx */

#define CPU_SELF    0
#define CPU_FRAME   8  /* frame of the current EC */
#define CPU_STACK   16 /* top of the kernel stack */
#define CPU_SCRATCH 24
#define CPU_HAZARD  32
