/* SPDX-License-Identifier: ISC */
/*
 * The vCPU's state page, shared by kernel and monitor, and the exits. The specification is abi/vcpu.md.
 *
 * Registers come in groups. `valid` says which groups the kernel has written since the last exit: those that
 * `want` names for the exit's reason (a monitor sets it once), and always GPR, RIP, CR8 and the exit. `dirty`
 * says which groups the monitor has changed; vcpu_run reads those once, checks the copy and clears the mask.
 * Segment attributes are in AMD's form (APM vol. 2, 15.5.1): bits 0-3 type, 4 S, 5-6 DPL, 7 P, 8 AVL, 9 L,
 * 10 D/B, 11 G.
 */
#pragma once

#include <stdint.h>

enum vcpu_group {
    VCPU_GPR = 1u << 0,   /* gpr[]; always valid, always taken */
    VCPU_RIP = 1u << 1,   /* rip, rflags, interruptibility */
    VCPU_EVENT = 1u << 2, /* inject; the windows */
    VCPU_CS_SS = 1u << 3,
    VCPU_DS_ES = 1u << 4,
    VCPU_FS_GS = 1u << 5, /* with KERNEL_GS_BASE */
    VCPU_TR_LDTR = 1u << 6,
    VCPU_TABLES = 1u << 7,   /* gdtr, idtr: base and limit */
    VCPU_CR = 1u << 8,       /* cr0, cr2, cr3, cr4, cr8 (always valid), pdpte[] */
    VCPU_DR = 1u << 9,       /* dr6, dr7 and dr0 to dr3 */
    VCPU_EFER = 1u << 10,    /* efer, pat */
    VCPU_SYSCALL = 1u << 11, /* star, lstar, cstar, sfmask, sysenter_* */
    VCPU_TSC = 1u << 12,     /* tsc_offset, tsc_aux */
    VCPU_XCR0 = 1u << 13,
    VCPU_GROUPS = (1u << 14) - 1
};

enum vcpu_exit {
    VCPU_EXIT_NONE,
    VCPU_EXIT_IO,   /* port access: info[0] VCPU_IO_*; next_rip */
    VCPU_EXIT_MMIO, /* nested fault: info[0] guest-physical address, info[1] VCPU_MMIO_* */
    VCPU_EXIT_CPUID,
    VCPU_EXIT_RDMSR,
    VCPU_EXIT_WRMSR,
    VCPU_EXIT_HLT,
    VCPU_EXIT_INTERRUPT_WINDOW, /* the guest can take an interrupt */
    VCPU_EXIT_NMI_WINDOW,
    VCPU_EXIT_EXCEPTION, /* info[0] vector, info[1] error code */
    VCPU_EXIT_SHUTDOWN,  /* triple fault */
    VCPU_EXIT_HYPERCALL, /* VMMCALL or VMCALL */
    VCPU_EXIT_XSETBV,
    VCPU_EXIT_WBINVD, /* WBINVD or INVD */
    VCPU_EXIT_RDPMC,
    VCPU_EXIT_PAUSE,
    VCPU_EXIT_TASK_SWITCH,   /* info[0], info[1] as EXITINFO1, 2 */
    VCPU_EXIT_UNDEFINED,     /* an instruction that the guest has not: answer with #UD */
    VCPU_EXIT_INVALID_STATE, /* info[0]: the group that was refused (0: the processor refused it) */
    VCPU_EXIT_OTHER,         /* info[0]: the processor's exit code */
    VCPU_EXIT_CR4,           /* MOV to CR4, where some of its bits are not for guests */
    VCPU_EXITS
};

/* info[0] of VCPU_EXIT_IO */
#define VCPU_IO_IN      0x01u
#define VCPU_IO_STRING  0x04u
#define VCPU_IO_REP     0x08u
#define VCPU_IO_SIZE(i) ((uint8_t)((i) >> 4 & 7)) /* 1, 2 or 4 bytes */
#define VCPU_IO_PORT(i) ((uint16_t)((i) >> 16))

/* info[1] of VCPU_EXIT_MMIO */
#define VCPU_MMIO_PRESENT 0x01u /* a mapping is there and lacks the right */
#define VCPU_MMIO_WRITE   0x02u
#define VCPU_MMIO_FETCH   0x10u /* may be missing (not every processor tells) */

/* inject: vector in bits 0-7, type in 8-10, error code in 32-63 */
#define VCPU_EVENT_INTERRUPT (0ull << 8)
#define VCPU_EVENT_NMI       (2ull << 8)
#define VCPU_EVENT_EXCEPTION (3ull << 8)
#define VCPU_EVENT_SOFTWARE  (4ull << 8)
#define VCPU_EVENT_TYPE      (7ull << 8)
#define VCPU_EVENT_ERROR     (1ull << 11) /* an error code is pushed */
#define VCPU_EVENT_VALID     (1ull << 31)

/* window */
#define VCPU_WINDOW_INTERRUPT   0x01u /* exit as soon as the guest can take an interrupt */
#define VCPU_WINDOW_NMI         0x02u /* exit when the guest's NMI handler ends: see vcpu.md */
#define VCPU_WINDOW_EXCEPTIONS  0x04u /* SVM: exit for every exception but #BP and #OF */
#define VCPU_WINDOW_CLASS       0xf0u /* if not 0: that interrupt's class, which CR8 has to be below */
#define VCPU_WINDOW_CLASS_SHIFT 4

/* interruptibility */
#define VCPU_SHADOW 0x01u /* in the shadow of STI or MOV SS */

/* activity, read at every vcpu_run */
#define VCPU_ACTIVE 0u
#define VCPU_HALTED 1u /* vcpu_run waits for signal or deadline and does not enter */

enum vcpu_register { VCPU_RAX, VCPU_RCX, VCPU_RDX, VCPU_RBX, VCPU_RSP, VCPU_RBP, VCPU_RSI, VCPU_RDI };

struct vcpu_segment {
    uint16_t selector;
    uint16_t attributes;
    uint32_t limit; /* in bytes, G already applied */
    uint64_t base;
};

/* The registers of a group stand together, in the order of the groups. */
struct vcpu_state {
    uint64_t gpr[16]; /* in the order of their encoding: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 ... */

    uint64_t rip, rflags; /* RIP */
    uint64_t interruptibility;
    uint64_t inject, window;                          /* EVENT */
    struct vcpu_segment cs, ss, ds, es, fs, gs;       /* CS_SS, DS_ES, FS_GS ... */
    uint64_t kernel_gs_base;                          /* ... to here */
    struct vcpu_segment tr, ldtr, gdtr, idtr;         /* TR_LDTR, TABLES */
    uint64_t cr0, cr2, cr3, cr4, cr8;                 /* CR ... */
    uint64_t pdpte[4];                                /* ... in PAE paging, on VT-x */
    uint64_t dr0, dr1, dr2, dr3, dr6, dr7;            /* DR */
    uint64_t efer, pat;                               /* EFER */
    uint64_t star, lstar, cstar, sfmask;              /* SYSCALL ... */
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip; /* ... to here */
    uint64_t tsc_offset, tsc_aux;                     /* TSC */
    uint64_t xcr0;                                    /* XCR0 */

    uint32_t valid, dirty; /* enum vcpu_group */
    uint32_t activity;
    uint32_t exit; /* enum vcpu_exit */
    uint64_t info[2];
    uint64_t next_rip; /* of the instruction that exited; 0 where the processor does not tell */
    uint64_t
        interrupted; /* as inject: the event whose delivery the exit interrupted; valid bit clear: none */
    uint8_t instruction_bytes; /* how many stand in instruction[]; 0 where the processor does not tell */
    uint8_t instruction[15];

    uint32_t want[32]; /* by enum vcpu_exit: the groups to be valid after such an exit */
};

_Static_assert(sizeof(struct vcpu_state) <= 4096, "the state is one page");
_Static_assert(VCPU_EXITS <= 32, "want has a place for every exit");
