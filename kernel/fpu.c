/* SPDX-License-Identifier: ISC */
/* Switching the FPU between owners. See fpu.h. */
#include "kernel/fpu.h"

#include "kernel/account.h"
#include "kernel/cpu.h"

#define SLAB_LIMIT 2048u

#define FCW_RESET   0x37fu
#define MXCSR_RESET 0x1f80u
#define MXCSR_AT    24 /* byte in the FXSAVE area */

static size_t fpu_bytes(void)
{
    return sizeof(struct fpu) + cpu_features.fpu_size;
}

void fpu_set_xcr0(struct cpu *cpu, uint64_t value)
{
    if (cpu->xcr0 != value)
        xsetbv(0, cpu->xcr0 = value);
}

struct fpu *fpu_create(struct account *account)
{
    struct fpu *fpu =
        fpu_bytes() <= SLAB_LIMIT ? account_allocate(account, fpu_bytes()) : account_page(account);

    if (!fpu)
        return NULL;
    fpu->xcr0 = XCR0_X87;
    *(uint16_t *)fpu->area = FCW_RESET;
    *(uint32_t *)(fpu->area + MXCSR_AT) = MXCSR_RESET;
    return fpu;
}

void fpu_free(struct fpu *fpu)
{
    struct cpu *cpu = this_cpu();

    if (cpu->fpu_owner == fpu)
        cpu->fpu_owner = NULL;
    if (fpu_bytes() <= SLAB_LIMIT)
        slab_free(fpu);
    else
        page_free(fpu);
}

static void fpu_save(struct fpu *fpu)
{
    if (!cpu_features.xsave) {
        __asm__ volatile("fxsave64 %0" : "=m"(*fpu->area) : : "memory");
        return;
    }
    __asm__ volatile("xsave64 %0" : "=m"(*fpu->area) : "a"(-1), "d"(-1) : "memory");
}

static void fpu_restore(struct fpu *fpu)
{
    if (!cpu_features.xsave) {
        __asm__ volatile("fxrstor64 %0" : : "m"(*fpu->area) : "memory");
        return;
    }
    __asm__ volatile("xrstor64 %0" : : "m"(*fpu->area), "a"(-1), "d"(-1) : "memory");
}

void fpu_load(struct cpu *cpu, struct fpu *fpu)
{
    if (cpu->task_switched) {
        clts();
        cpu->task_switched = false;
    }
    if (cpu->fpu_owner == fpu)
        return;
    fpu_set_xcr0(cpu, cpu_features.xcr0); /* all of it, whatever a guest has switched off for now */
    if (cpu->fpu_owner)
        fpu_save(cpu->fpu_owner);
    fpu_restore(fpu);
    fpu_set_xcr0(cpu, cpu_features.xcr0_host);
    cpu->fpu_owner = fpu;
}

void fpu_load_guest(struct cpu *cpu, struct fpu *fpu)
{
    bool denied = cpu->task_switched;

    fpu_load(cpu, fpu);
    if (denied)
        fpu_deny(cpu);
}

void fpu_deny(struct cpu *cpu)
{
    write_cr0(read_cr0() | CR0_TS);
    cpu->task_switched = true;
}

bool fpu_xcr0_valid(uint64_t value)
{
    /* Intel SDM vol. 1, 13.3: x87 always; AVX needs SSE; AVX-512 comes whole and needs AVX. */
    if ((value & ~cpu_features.xcr0) || !(value & XCR0_X87))
        return false;
    if ((value & XCR0_AVX) && !(value & XCR0_SSE))
        return false;
    return !(value & XCR0_AVX512) || ((value & XCR0_AVX512) == XCR0_AVX512 && (value & XCR0_AVX));
}
