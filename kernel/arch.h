/* SPDX-License-Identifier: ISC */
/*
 * The processor's instructions, registers and constants that C cannot express. AMD APM vol. 2 and 3, Intel
 * SDM vol. 3; names are the manuals'.
 */
#pragma once

#include "abi/port.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE  4096u
#define PAGE_SHIFT 12
#define LARGE_SIZE 0x200000u

#define CR0_PE (1ul << 0)
#define CR0_MP (1ul << 1)
#define CR0_EM (1ul << 2)
#define CR0_TS (1ul << 3)
#define CR0_ET (1ul << 4)
#define CR0_NE (1ul << 5)
#define CR0_WP (1ul << 16)
#define CR0_NW (1ul << 29)
#define CR0_CD (1ul << 30)
#define CR0_PG (1ul << 31)

#define CR4_FIRST      0x7fful /* VME to OSXMMEXCPT: without registers of their own */
#define CR4_PAE        (1ul << 5)
#define CR4_MCE        (1ul << 6)
#define CR4_PGE        (1ul << 7)
#define CR4_OSFXSR     (1ul << 9)
#define CR4_OSXMMEXCPT (1ul << 10)
#define CR4_UMIP       (1ul << 11)
#define CR4_VMXE       (1ul << 13)
#define CR4_FSGSBASE   (1ul << 16)
#define CR4_PCIDE      (1ul << 17)
#define CR4_OSXSAVE    (1ul << 18)
#define CR4_SMEP       (1ul << 20)
#define CR4_SMAP       (1ul << 21)

#define XCR0_X87    0x1ul
#define XCR0_SSE    0x2ul
#define XCR0_AVX    0x4ul
#define XCR0_AVX512 0xe0ul

#define EXCEPTIONS 32 /* the vectors below are those of exceptions and NMI */

#define DR7_ENABLED 0xfful /* any breakpoint */

#define MSR_TSC            0x10
#define MSR_APIC_BASE      0x1b
#define MSR_SYSENTER_CS    0x174
#define MSR_MCG_STATUS     0x17a
#define MSR_PAT            0x277
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_XSS            0xda0
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX        0xc0000103
#define MSR_VM_CR          0xc0010114
#define MSR_VM_HSAVE_PA    0xc0010117

#define EFER_SCE   (1ul << 0)
#define EFER_LME   (1ul << 8)
#define EFER_LMA   (1ul << 10)
#define EFER_NXE   (1ul << 11)
#define EFER_SVME  (1ul << 12)
#define EFER_FFXSR (1ul << 14)

#define RFLAGS_FIXED 0x2ul
#define RFLAGS_TF    0x100ul
#define RFLAGS_IF    0x200ul
#define RFLAGS_DF    0x400ul
#define RFLAGS_NT    0x4000ul
#define RFLAGS_RF    0x10000ul
#define RFLAGS_AC    0x40000ul

/* Write-back, write-combining, uncached in PAT entries 0, 1, 3; the others as after reset. */
#define PAT_VALUE 0x0007040600070106ul

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* The low half of XCR0. */
static inline uint32_t xgetbv(void)
{
    uint32_t low;
    __asm__ volatile("xgetbv" : "=a"(low) : "c"(0) : "edx");
    return low;
}

static inline void xsetbv(uint32_t index, uint64_t value)
{
    __asm__ volatile("xsetbv" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

/* They differ in their names only. */
#define REGISTER(name)                                                                                       \
    static inline uint64_t read_##name(void)                                                                 \
    {                                                                                                        \
        uint64_t value;                                                                                      \
        __asm__ volatile("mov %%" #name ", %0" : "=r"(value));                                               \
        return value;                                                                                        \
    }                                                                                                        \
    static inline void write_##name(uint64_t value)                                                          \
    {                                                                                                        \
        __asm__ volatile("mov %0, %%" #name : : "r"(value) : "memory");                                      \
    }

REGISTER(cr0)
REGISTER(cr2)
REGISTER(cr3)
REGISTER(cr4)
REGISTER(dr6)

/* DR0 to DR3 */
static inline void load_debug_registers(const uint64_t *dr)
{
    __asm__ volatile("mov %0, %%dr0\n\tmov %1, %%dr1\n\tmov %2, %%dr2\n\tmov %3, %%dr3"
                     :
                     : "r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
}

static inline void save_debug_registers(uint64_t *dr)
{
    __asm__ volatile("mov %%dr0, %0\n\tmov %%dr1, %1\n\tmov %%dr2, %2\n\tmov %%dr3, %3"
                     : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
}

static inline void invlpg(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void clts(void)
{
    __asm__ volatile("clts");
}

/* Write data back to memory, for a device that reads it past the caches. */
static inline void cache_write_back(const volatile void *memory, size_t bytes)
{
    const volatile char *p = memory;

    for (size_t i = 0; i < bytes; i += 64)
        __asm__ volatile("clflush %0" : : "m"(p[i]) : "memory");
    __asm__ volatile("mfence" : : : "memory");
}

static inline void pause(void)
{
    __asm__ volatile("pause");
}

/* Before another read of a word that another CPU will change soon. Not every call executes PAUSE: a hypervisor
 * below may exit for it, and QEMU leaves its execution loop for it, with a lock that all CPUs and devices
 * share. */
static inline void spin(unsigned *looks)
{
    if (++*looks % 64 == 0)
        pause();
}

/* The one place where the kernel takes interrupts: a window of one instruction. */
static inline void interrupt_window(void)
{
    __asm__ volatile("sti; nop; cli" : : : "memory");
}

static inline bool address_is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}
