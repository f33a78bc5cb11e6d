/* SPDX-License-Identifier: ISC */
/* Switching between ECs. See switch.h. */
#include "kernel/switch.h"

#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/space.h"
#include <string.h>

/* Have the TSS's bitmap hold the ports of `space`. */
static void ports_load(struct cpu *cpu, const struct space *space)
{
    /* Another CPU may change them, and then has this one load anew. */
    uint32_t low = __atomic_load_n(&space->pio.low, __ATOMIC_RELAXED);
    uint32_t high = __atomic_load_n(&space->pio.high, __ATOMIC_RELAXED);

    memset(cpu->tss.bitmap + cpu->pio_low, 0xff, cpu->pio_high - cpu->pio_low);
    for (uint32_t i = low; i < high; i++)
        cpu->tss.bitmap[i] = space->pio.bitmap[i / PAGE_SIZE][i % PAGE_SIZE];
    cpu->pio_loaded = space;
    cpu->pio_low = low < high ? low : 0;
    cpu->pio_high = low < high ? high : 0;
}

/* Have the TSS show the ports of `space`, or none. Usually they are still in its bitmap from last time. */
static inline void ports_switch(struct cpu *cpu, const struct space *space)
{
    cpu->pio = space;
    if (space && cpu->pio_loaded != space)
        ports_load(cpu, space);
    cpu->tss.iomap = space ? offsetof(struct tss, bitmap) : TSS_NO_BITMAP;
}

void ec_ports_changed(struct cpu *cpu, const struct space *space)
{
    if (cpu->pio_loaded == space)
        cpu->pio_loaded = NULL;
    ports_switch(cpu, cpu->ec ? cpu->ec->pd->pio : NULL);
}

/* What few ECs have: a base of FS, the FPU. `cpu->extras` says whether the one before had some, or a guest
 * has left values that other ECs could read: by RDTSCP; by XGETBV, and by CPUID, whose leaf 0xd follows XCR0.
 */
static void extras_switch(struct cpu *cpu, const struct ec *ec)
{
    if (cpu->tsc_aux)
        wrmsr(MSR_TSC_AUX, cpu->tsc_aux = 0);
    fpu_set_xcr0(cpu, cpu_features.xcr0_host);
    if (cpu->fs_base | ec->fs_base) { /* without one it is 0, whatever selectors the program loads */
        cpu->fs_base = ec->fs_base;
        wrmsr(MSR_FS_BASE, ec->fs_base);
    }
    if (ec->fpu)
        fpu_load(cpu, ec->fpu);
    else if (!cpu->task_switched)
        fpu_deny(cpu);
    cpu->extras = ec->extras;
}

void ec_set_fs_base(struct ec *ec, uint64_t base)
{
    ec->fs_base = base;
    ec->extras = ec->fpu || base;
    if (this_cpu()->ec == ec)
        extras_switch(this_cpu(), ec);
}

void ec_switch(struct ec *ec)
{
    struct cpu *cpu = this_cpu();
    const struct pd *pd = ec->pd;

    cpu->ec = ec;
    cpu->frame = &ec->frame;
    cpu->tss.rsp[0] = (uint64_t)(&ec->frame + 1);
    if (cpu->cr3 != pd->hst->memory.physical) {
        cpu->cr3 = pd->hst->memory.physical;
        write_cr3(cpu->cr3);
    }
    if (cpu->pio != pd->pio)
        ports_switch(cpu, pd->pio);
    if (cpu->extras | ec->extras)
        extras_switch(cpu, ec);
}
