/* SPDX-License-Identifier: ISC */
/*
 * What differs between the modes that the guests are compiled for. GUEST_MODE is given by the build; code
 * asks the constants below in plain conditions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MODE_REAL      1 /* 16-bit code at addresses below 64 KiB; data segments reach 4 GiB */
#define MODE_PROTECTED 2 /* 32-bit, paging of two levels with 4 MiB pages */
#define MODE_PAE       3 /* 32-bit, paging of three levels with 2 MiB pages */
#define MODE_LONG      4 /* 64-bit */
#define MODE_COMPAT    5 /* 32-bit code under long mode */

#define IS_REAL   (GUEST_MODE == MODE_REAL)
#define IS_LONG   (GUEST_MODE == MODE_LONG)
#define IS_COMPAT (GUEST_MODE == MODE_COMPAT)
#define HAS_LMA   (IS_LONG || IS_COMPAT) /* gates and stack frames of 64 bits */
#define HAS_PAGES (!IS_REAL)

typedef unsigned long word_t; /* a general register as the compiler has it */

/* What the stub leaves on the stack: our registers, then what the processor pushed. */
#if GUEST_MODE == MODE_REAL
#define MODE_NAME "real"
typedef uint32_t gate_t; /* an entry of the interrupt vector table */
typedef uint32_t pte_t;
struct frame {
    uint32_t es, ds, di, si, bp, sp_unused, bx, dx, cx, ax;
    uint32_t vector, error;
    uint16_t ip, cs, flags;
} __attribute__((packed));
#elif GUEST_MODE == MODE_PROTECTED || GUEST_MODE == MODE_PAE
struct frame {
    uint32_t di, si, bp, sp_unused, bx, dx, cx, ax;
    uint32_t vector, error;
    uint32_t ip, cs, flags, sp, ss; /* the last two only if the privilege changed */
};
typedef uint64_t gate_t;
#if GUEST_MODE == MODE_PROTECTED
#define MODE_NAME "protected"
typedef uint32_t pte_t;
#else
#define MODE_NAME "pae"
typedef uint64_t pte_t;
#endif
#else
#if GUEST_MODE == MODE_LONG
#define MODE_NAME "long"
#else
#define MODE_NAME "compat"
#endif
typedef struct {
    uint64_t low, high;
} gate_t;
typedef uint64_t pte_t;
struct frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, di, si, bp, bx, dx, cx, ax;
    uint64_t vector, error;
    uint64_t ip, cs, flags, sp, ss;
};
#endif

/* Before a string instruction, so that it takes its addresses from whole registers. */
#if GUEST_MODE == MODE_REAL
#define AS ".byte 0x67; "
#else
#define AS ""
#endif

/* Suffix of an instruction on a word_t in assembler text, and its registers. */
#if GUEST_MODE == MODE_LONG
#define W   "q"
#define RAX "%%rax"
#define RBX "%%rbx"
#define RCX "%%rcx"
#define RDX "%%rdx"
#define RSP "%%rsp"
#else
#define W   "l"
#define RAX "%%eax"
#define RBX "%%ebx"
#define RCX "%%ecx"
#define RDX "%%edx"
#define RSP "%%esp"
#endif
