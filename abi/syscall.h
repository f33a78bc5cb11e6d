/* SPDX-License-Identifier: ISC */
/*
 * The kernel's calls, statuses, object types and permission bits. The specification is abi/calls.md; a test
 * holds the numbers here and there together.
 *
 * Convention: SYSCALL with the call's number in RAX and arguments in RDI, RSI, RDX, R10, R8, R9. Back come
 * the status in RAX and up to two values in RDI and RSI. RBX, RBP, RSP and R12 to R15 are kept; RCX, R11 and
 * the argument registers are not.
 */
#pragma once

#include <stdint.h>

#define ABI_VERSION_MAJOR 1
#define ABI_VERSION_MINOR 3

enum call {
    CALL_IPC_CALL,         /* portal, words -> -, words */
    CALL_IPC_REPLY,        /* words (does not return; the next request enters at its portal's address) */
    CALL_CREATE_ACCOUNT,   /* selector, account, pages */
    CALL_CREATE_PD,        /* selector, account */
    CALL_PD_WATCH,         /* pd, nt: signalled when an EC of the PD dies of a fault */
    CALL_PD_FAULT,         /* pd -> vector | error code << 32 | PD_FAULT_VALID, IP; UTCB word 0: address */
    CALL_CREATE_SPACE,     /* selector, account, kind, pd (GST: unused) */
    CALL_CREATE_EC,        /* selector, account, pd, utcb | flags, stack pointer, entry */
    CALL_CREATE_SC,        /* selector, account, ec, priority, budget (TSC ticks) */
    CALL_CREATE_PT,        /* selector, account, ec, entry, id */
    CALL_CREATE_NT,        /* selector, account */
    CALL_CREATE_INTERRUPT, /* selector, account, platform, gsi | flags, device -> message address, data */
    CALL_CREATE_VCPU,      /* selector, account, pd, gst, state page | CPU's number, MSR space */
    CALL_DESTROY,          /* object */
    CALL_SPACE_COPY,       /* source space, source base, target space, target base, count, rights */
    CALL_SPACE_REMOVE,     /* space, base, count */
    CALL_CAP_INFO,         /* OBJ space, selector -> type | permissions << 8, NT bits */
    CALL_NT_NARROW,        /* nt, selector, bits */
    CALL_NT_SIGNAL,        /* nt */
    CALL_NT_WAIT,          /* nt, deadline, bits that are left alone -> bits */
    CALL_INTERRUPT_BIND,   /* interrupt, nt */
    CALL_INTERRUPT_ACK,    /* interrupt */
    CALL_VCPU_RUN,         /* vcpu, nt, deadline -> bits */
    CALL_ACCOUNT_INFO,     /* account -> free pages, used pages */
    CALL_PLATFORM_CONTROL, /* platform, operation, argument -> value, value */
    CALL_ACCOUNT_MOVE,     /* from, to, pages */
    CALL_EC_CONTROL,       /* ec, operation, argument -> value */
    CALL_CREATE_DEVICE,    /* selector, account, platform, ID */
    CALL_DEVICE_ASSIGN,    /* device, DMA space (0: none) */
    CALLS
};

enum status {
    STATUS_OK,
    STATUS_TIMEOUT,     /* the deadline passed */
    STATUS_SIGNAL,      /* vcpu_run: the notification has bits */
    STATUS_BAD_CALL,    /* no such call */
    STATUS_BAD_CAP,     /* the selector is empty or names an object of another type */
    STATUS_BAD_PERM,    /* the capability lacks the permission */
    STATUS_BAD_ARG,     /* an argument is out of range */
    STATUS_DEAD,        /* the object, or one that the call needs, was destroyed */
    STATUS_BUSY,        /* somebody else waits or runs there */
    STATUS_EXISTS,      /* the place is taken */
    STATUS_NO_MEMORY,   /* an account has no free page; RDI says which (enum payer) */
    STATUS_CHAIN,       /* the chain of helpers is a circle or too long */
    STATUS_ABORTED,     /* the callee or its portal died during the call */
    STATUS_UNSUPPORTED, /* this processor or this version cannot do it */
    STATUS_BAD_CPU,     /* there is no such CPU, or what is named belongs to another one */
    STATUSES
};

/* STATUS_NO_MEMORY: the account that is empty. */
enum payer {
    PAYER_NAMED,   /* the account that the call names */
    PAYER_OBJECTS, /* that of the OBJ space the capability goes to */
    PAYER_SPACE,   /* that of the space a page, port or capability is entered into */
};

/* Types of objects, as CAP_INFO gives them. */
enum object_type {
    OBJECT_NONE,
    OBJECT_ACCOUNT,
    OBJECT_PD,
    OBJECT_SPACE,
    OBJECT_EC,
    OBJECT_SC,
    OBJECT_PT,
    OBJECT_NT,
    OBJECT_INTERRUPT,
    OBJECT_VCPU,
    OBJECT_PLATFORM,
    OBJECT_DEVICE,
    OBJECT_TYPES
};

/* Permissions. Bit 0 is the same for all types: the object may be destroyed. */
#define PERM_DESTROY          0x01u
#define PERM_ALL              0xffu
#define PERM_ACCOUNT_USE      0x02u /* charge objects to it */
#define PERM_ACCOUNT_INFO     0x04u
#define PERM_ACCOUNT_TAKE     0x08u /* move its free pages to another account */
#define PERM_PD_BIND          0x02u /* create spaces, ECs and vCPUs in it */
#define PERM_SPACE_TAKE       0x02u /* copy from it */
#define PERM_SPACE_GRANT      0x04u /* copy to it, remove from it */
#define PERM_SPACE_ASSIGN     0x08u /* GST, MSR: run vCPUs on it; DMA: assign devices to it */
#define PERM_EC_BIND_PT       0x02u
#define PERM_EC_BIND_SC       0x04u
#define PERM_EC_CONTROL       0x08u
#define PERM_PT_CALL          0x02u
#define PERM_NT_SIGNAL        0x02u
#define PERM_NT_WAIT          0x04u
#define PERM_INTERRUPT_BIND   0x02u
#define PERM_INTERRUPT_ACK    0x04u
#define PERM_VCPU_RUN         0x02u
#define PERM_PLATFORM_POWER   0x02u
#define PERM_PLATFORM_INFO    0x04u
#define PERM_PLATFORM_IRQ     0x08u /* create interrupt objects */
#define PERM_PLATFORM_DEVICE  0x10u /* create device objects, take their faults */
#define PERM_DEVICE_ASSIGN    0x02u
#define PERM_DEVICE_INTERRUPT 0x04u /* create interrupt objects of its messages */

/* Kinds of spaces. MEM, PORTS and MSRS exist once, are sources only and belong to the root task. */
enum space_kind {
    SPACE_OBJ,   /* capabilities; unit: one selector */
    SPACE_HST,   /* a PD's memory; unit: 4 KiB page */
    SPACE_PIO,   /* a PD's I/O ports; unit: one port */
    SPACE_GST,   /* a VM's guest-physical memory; unit: 4 KiB page */
    SPACE_DMA,   /* what devices see that are assigned to it; unit: 4 KiB page */
    SPACE_MSR,   /* model-specific registers that a guest reaches without an exit; unit: one MSR */
    SPACE_MEM,   /* physical memory; unit: 4 KiB page */
    SPACE_PORTS, /* all I/O ports; unit: one port */
    SPACE_MSRS,  /* the MSRs that the processor switches with the guest; unit: one MSR */
    SPACE_KINDS
};

#define OBJ_SELECTORS (512u * 256u) /* selectors of an OBJ space: 0 to OBJ_SELECTORS - 1 */
#define HST_PAGES                                                                                            \
    0x7ffffffffu /* page numbers of an HST space; the last of the half stays empty, SYSRET would fault */
#define GST_PAGES (0x1000000000000u >> 12) /* and of a DMA space */
#define PIO_PORTS 0x10000u

/* Rights of memory in SPACE_COPY. At most one memory type; write-back without one. MSRs know READ and WRITE.
 */
#define MEM_READ          0x01u
#define MEM_WRITE         0x02u
#define MEM_EXECUTE       0x04u
#define MEM_UNCACHED      0x10u
#define MEM_WRITE_COMBINE 0x20u /* needs PAT; uncached where there is none */

/* Flags of CREATE_EC, in the low bits of the UTCB's page-aligned address. */
#define EC_GLOBAL    0x01u /* has time of its own (an SC); else it serves portals */
#define EC_FPU       0x02u
#define EC_CPU_SHIFT 4 /* six bits: the CPU's number */

/* EC_CONTROL. */
enum ec_operation {
    EC_STATE,   /* its registers to the caller's UTCB: words in the order of enum ec_register */
    EC_FS_BASE, /* argument: the base of FS, for thread-local storage */
    EC_TIME,    /* -> TSC ticks that its SCs have run, without the turn that is not over */
    EC_CEILING, /* argument, of a local EC: SCs up to this priority wait for its reply; 0: none do */
    EC_OPERATIONS
};
enum ec_register {
    EC_R15,
    EC_R14,
    EC_R13,
    EC_R12,
    EC_RBP,
    EC_RBX,
    EC_R11,
    EC_R10,
    EC_R9,
    EC_R8,
    EC_RAX,
    EC_RCX,
    EC_RDX,
    EC_RSI,
    EC_RDI,
    EC_VECTOR, /* how it last came into the kernel: an exception's vector, or 256 for a call */
    EC_ERROR,
    EC_RIP,
    EC_CS,
    EC_RFLAGS,
    EC_RSP,
    EC_SS,
    EC_REGISTERS
};

/* Flags of CREATE_INTERRUPT beside the GSI in bits 0 to 15. */
#define INTERRUPT_LEVEL     0x10000u
#define INTERRUPT_LOW       0x20000u
#define INTERRUPT_MSI       0x40000u /* no pin: a device writes the message that the call gives back */
#define INTERRUPT_CPU_SHIFT 24       /* six bits: the CPU that takes it */

#define PD_FAULT_VALID (1ull << 31) /* clear: no fault so far */

#define SC_PRIORITIES 64u     /* 0 is the lowest */
#define SC_BUDGET_MIN 100000u /* TSC ticks */
#define SC_BUDGET_MAX (1ull << 40)

/* Words of a message, both ways; they stand at the beginning of the UTCB page. */
#define UTCB_WORDS 512u

#define DEADLINE_NEVER UINT64_MAX /* deadlines are absolute TSC values */

/* PLATFORM_CONTROL. */
enum platform_operation {
    PLATFORM_POWER_OFF,  /* argument: SLP_TYPa | SLP_TYPb << 8, as \_S5 names them */
    PLATFORM_RESET,      /* no argument */
    PLATFORM_FREE_PAGES, /* -> free pages of the kernel's pool, its pages in all */
    PLATFORM_IDLE_TIME,  /* -> TSC ticks that CPU `argument` has been halted, TSC now */
    PLATFORM_OBJECTS,    /* argument: type -> objects of the type that exist */
    PLATFORM_DMA_FAULT,  /* -> device | DMA_FAULT_*, address */
    PLATFORM_OPERATIONS
};

#define DMA_FAULT_VALID (1ull << 32) /* clear: no device was refused anything since */
#define DMA_FAULT_LOST  (1ull << 33) /* others were, too */

/* Selectors of the root task at its start. */
enum root_selector {
    ROOT_PD = 1,
    ROOT_OBJ,
    ROOT_HST,
    ROOT_PIO,
    ROOT_EC,
    ROOT_SC,
    ROOT_ACCOUNT,
    ROOT_MEM,
    ROOT_PORTS,
    ROOT_PLATFORM,
    ROOT_MSRS,
    ROOT_SELECTORS
};
