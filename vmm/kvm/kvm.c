/* SPDX-License-Identifier: ISC */
/*
 * KVM's CPUID leaves and model-specific registers.
 */
#include "vmm/kvm/kvm.h"

#include "vmm/cpu/interface.h"

#define MSR_WALL_OLD   0x11u
#define MSR_SYSTEM_OLD 0x12u
#define MSR_WALL       0x4b564d00u
#define MSR_SYSTEM     0x4b564d01u
#define MSR_EOI        0x4b564d04u

#define BIT(n)                  (1u << (n))
#define FEATURE_CLOCK_SOURCE    BIT(0)
#define FEATURE_NOP_IO_DELAY    BIT(1)
#define FEATURE_CLOCK_SOURCE_2  BIT(3)
#define FEATURE_EOI             BIT(6)
#define FEATURE_UNHALT          BIT(7) /* the hypercall that kicks a processor */
#define FEATURE_SEND_IPI        BIT(11)
#define FEATURE_CLOCK_IS_STABLE BIT(24)
#define LEAVES                  0x100u

static void leaf_of(const struct cpuid_config *config, uint32_t leaf, struct cpuid_regs *regs)
{
    if (leaf == KVM_LEAF) {
        *regs = (struct cpuid_regs){config->tsc_khz ? KVM_LEAF_CLOCK : KVM_LEAF + 1, 0x4b4d564b, 0x564b4d56,
                                    0x0000004d}; /* KVMKVMKVM */
    } else if (leaf == KVM_LEAF + 1) {
        regs->eax = FEATURE_CLOCK_SOURCE | FEATURE_NOP_IO_DELAY | FEATURE_CLOCK_SOURCE_2 | FEATURE_EOI;
        regs->eax |= config->cpus > 1 ? FEATURE_UNHALT | FEATURE_SEND_IPI : 0;
        regs->eax |= config->kvm_stable ? FEATURE_CLOCK_IS_STABLE : 0;
    } else if (leaf == KVM_LEAF_CLOCK && config->tsc_khz) {
        *regs = (struct cpuid_regs){config->tsc_khz, config->apic_khz, 0, 0};
    }
}

static bool read(struct msr_cpu *cpu, uint32_t msr, uint64_t now, uint64_t *value)
{
    (void)now;
    if (!cpu->clock)
        return false;
    if (msr == MSR_EOI)
        *value = cpu->kvm.eoi;
    else if (msr == MSR_WALL || msr == MSR_WALL_OLD)
        *value = cpu->clock->wall_msr;
    else
        *value = cpu->kvm.clock.msr;
    return true;
}

/* Where paravirtual ends of interrupts are offered: four bytes of RAM. */
static bool write_eoi(struct msr_cpu *cpu, uint64_t value)
{
    uint64_t gpa = value & ~(uint64_t)KVM_EOI_ENABLED;

    if (gpa % 4 || (value & KVM_EOI_ENABLED && !guest_ram_at(cpu->clock->ram, gpa, sizeof(uint32_t))))
        return false;
    cpu->kvm.eoi = value;
    return true;
}

static bool write(struct msr_cpu *cpu, uint32_t msr, uint64_t value, uint64_t now)
{
    if (!cpu->clock)
        return false;
    if (msr == MSR_EOI)
        return write_eoi(cpu, value);
    if (msr == MSR_WALL || msr == MSR_WALL_OLD)
        return kvmclock_set_wall(cpu->clock, value);
    return kvmclock_set_system(cpu->clock, &cpu->kvm.clock, value, now, lapic_tsc(cpu->lapic, now));
}

static const struct interface_msrs msrs[] = {{MSR_WALL_OLD, 2}, {MSR_WALL, 2}, {MSR_EOI, 1}, {0, 0}};

const struct guest_interface kvm_interface = {
    .leaf = KVM_LEAF, .leaves = LEAVES, .cpuid = leaf_of, .msr = msrs, .read = read, .write = write};
