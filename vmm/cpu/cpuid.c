/* SPDX-License-Identifier: ISC */
/*
 * CPUID policy. A feature reaches the guest only if it is named below: what is new in a processor is off
 * until somebody has thought about its state. Left out on purpose: virtualisation, MONITOR/MWAIT, performance
 * counters, XSAVES, protection keys, transactional memory, five-level paging, AVX-512, AMX, SGX.
 */
#include "vmm/cpu/cpuid.h"

#include "vmm/cpu/interface.h"

#define BIT(n) (1u << (n))

/* Leaf 1 ECX: SSE3 PCLMULQDQ SSSE3 CX16 PCID SSE4.1 SSE4.2 MOVBE POPCNT AES RDRAND; with AVX also FMA F16C
 * AVX. */
#define L1_ECX                                                                                               \
    (BIT(0) | BIT(1) | BIT(9) | BIT(13) | BIT(17) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25) | BIT(30))
#define L1_ECX_AVX        (BIT(12) | BIT(28) | BIT(29))
#define L1_ECX_X2APIC     BIT(21)
#define L1_ECX_DEADLINE   BIT(24)
#define L1_ECX_XSAVE      BIT(26)
#define L1_ECX_OSXSAVE    BIT(27)
#define L1_ECX_HYPERVISOR BIT(31)
/* Leaf 1 EDX: FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE
 * SSE2. */
#define L1_EDX     0x078bfbffu
#define L1_EDX_HTT BIT(28)

/* Leaf 7 EBX: FSGSBASE TSC_ADJUST BMI1 FDP_EXCPTN SMEP BMI2 ERMS INVPCID FPU_CSDS RDSEED ADX SMAP CLFLUSHOPT
 * CLWB SHA; with AVX also AVX2. ECX: UMIP GFNI RDPID; with AVX also VAES VPCLMULQDQ. EDX: FSRM MD_CLEAR. */
#define L7_EBX                                                                                               \
    (BIT(0) | BIT(1) | BIT(3) | BIT(6) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(13) | BIT(18) | BIT(19) |  \
     BIT(20) | BIT(23) | BIT(24) | BIT(29))
#define L7_EBX_AVX  BIT(5)
#define L7_ECX      (BIT(2) | BIT(8) | BIT(22))
#define L7_ECX_AVX  (BIT(9) | BIT(10))
#define L7_EDX      (BIT(4) | BIT(10))
#define L7_EDX_SPEC (BIT(26) | BIT(27) | BIT(31)) /* IBRS/IBPB STIBP SSBD */

/* Leaf 0x80000001 ECX: LAHF CMP_LEGACY CR8 LZCNT SSE4A MISALIGNSSE PREFETCHW TBM TOPOEXT; with AVX also XOP
 * FMA4. EDX: AMD's copy of leaf 1, SYSCALL NX MMXEXT FFXSR 1GB RDTSCP LM 3DNOW. */
#define E1_ECX            (BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(21) | BIT(22))
#define E1_ECX_CMP_LEGACY BIT(1)
#define E1_ECX_AVX        (BIT(11) | BIT(16))
#define E1_EDX            0xefd3fbffu
#define E7_INVARIANT_TSC  BIT(8)
#define E8_EBX            (BIT(0) | BIT(2))                       /* CLZERO XSAVEERPTR */
#define E8_EBX_SPEC       (BIT(12) | BIT(14) | BIT(15) | BIT(24)) /* IBPB IBRS STIBP SSBD */

/* Leaf 0xd subleaf 1 EAX: XSAVEOPT XSAVEC XGETBV1. */
#define XSAVE_FEATURES 0x7u
#define XSAVE_COMPACT  0x2u /* up to AVX the compact form is as long as the other */
#define XSAVE_LEGACY   576u /* FXSAVE region and header */
#define ARAT           BIT(2)
#define MAX_BASIC      0xdu
#define MAX_BASIC_TIME 0x16u /* Intel's leaves for frequencies are the last */
#define KHZ_PER_MHZ    1000u
#define HZ_PER_KHZ     1000u
#define BUS_MHZ        100u
#define MAX_EXTENDED   0x8000001eu

#define CR4_FIRST 0x7ffu /* VME to OSXMMEXCPT, with L1_EDX */

static struct cpuid_regs host(const struct cpuid_config *config, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs regs = {0, 0, 0, 0};

    config->host(config->context, leaf, subleaf, &regs);
    return regs;
}

/* "GenuineIntel"; all others are treated as AMD. */
static bool is_intel(const struct cpuid_regs *leaf0)
{
    return leaf0->ebx == 0x756e6547 && leaf0->edx == 0x49656e69 && leaf0->ecx == 0x6c65746e;
}

static bool has_avx(const struct cpuid_config *config)
{
    return (config->xcr0 & CPUID_XCR0_AVX) != 0;
}

/* Bits of an APIC ID that number the processors of the package. */
static uint32_t id_bits(const struct cpuid_config *config)
{
    uint32_t bits = 0;

    while (bits < 31 && 1u << bits < config->cpus)
        bits++;
    return bits;
}

static uint32_t at_most(uint32_t value, uint32_t limit)
{
    return value < limit ? value : limit;
}

static void features(const struct cpuid_config *config, uint64_t cr4, struct cpuid_regs *regs)
{
    uint32_t cpus = at_most(config->cpus, 255);

    regs->ebx = (regs->ebx & 0xffff) | cpus << 16 | (config->cpu & 0xff) << 24;
    regs->ecx &= L1_ECX | (has_avx(config) ? L1_ECX_AVX : 0) | (config->xcr0 ? L1_ECX_XSAVE : 0);
    regs->ecx |= L1_ECX_HYPERVISOR | L1_ECX_DEADLINE | (config->x2apic ? L1_ECX_X2APIC : 0);
    if (regs->ecx & L1_ECX_XSAVE && cr4 & CPUID_CR4_OSXSAVE)
        regs->ecx |= L1_ECX_OSXSAVE;
    regs->edx &= L1_EDX;
    if (config->cpus > 1)
        regs->edx |= L1_EDX_HTT;
}

/* Deterministic cache parameters: first and second level are a processor's own, the third is everybody's. */
static void cache(const struct cpuid_config *config, bool intel, struct cpuid_regs *regs)
{
    uint32_t level = regs->eax >> 5 & 7;
    uint32_t sharing = level >= 3 ? (1u << id_bits(config)) - 1 : 0;
    uint32_t cores = (1u << id_bits(config)) - 1;

    if ((regs->eax & 0x1f) == 0) {
        *regs = (struct cpuid_regs){0, 0, 0, 0};
        return;
    }
    regs->eax &= 0x3fff;
    regs->eax |= at_most(sharing, 0xfff) << 14;
    if (intel)
        regs->eax |= at_most(cores, 0x3f) << 26;
}

static void extended_features(const struct cpuid_config *config, uint32_t subleaf, struct cpuid_regs *regs)
{
    if (subleaf) {
        *regs = (struct cpuid_regs){0, 0, 0, 0};
        return;
    }
    regs->eax = 0;
    regs->ebx &= L7_EBX | (has_avx(config) ? L7_EBX_AVX : 0);
    regs->ecx &= L7_ECX | (has_avx(config) ? L7_ECX_AVX : 0);
    regs->edx &= L7_EDX | (config->spec_ctrl ? L7_EDX_SPEC : 0);
}

/* One thread a core, all cores in one package (leaf 0xb). */
static void topology(const struct cpuid_config *config, uint32_t subleaf, struct cpuid_regs *regs)
{
    *regs = (struct cpuid_regs){0, 0, subleaf & 0xff, config->cpu};
    if (subleaf == 0) {
        regs->ebx = 1;
        regs->ecx |= 1u << 8;
    } else if (subleaf == 1) {
        regs->eax = id_bits(config);
        regs->ebx = config->cpus;
        regs->ecx |= 2u << 8;
    }
}

static uint32_t xsave_size(const struct cpuid_config *config, uint64_t xcr0)
{
    struct cpuid_regs avx;

    if (!(xcr0 & CPUID_XCR0_AVX))
        return XSAVE_LEGACY;
    avx = host(config, 0xd, 2);
    return avx.eax + avx.ebx;
}

static void xsave(const struct cpuid_config *config, uint32_t subleaf, uint64_t xcr0, struct cpuid_regs *regs)
{
    if (config->xcr0 == 0) {
        *regs = (struct cpuid_regs){0, 0, 0, 0};
    } else if (subleaf == 0) {
        regs->eax = (uint32_t)config->xcr0;
        regs->edx = (uint32_t)(config->xcr0 >> 32);
        regs->ebx = xsave_size(config, xcr0 & config->xcr0);
        regs->ecx = xsave_size(config, config->xcr0);
    } else if (subleaf == 1) {
        regs->eax &= XSAVE_FEATURES;
        *regs = (struct cpuid_regs){
            regs->eax, regs->eax & XSAVE_COMPACT ? xsave_size(config, xcr0 & config->xcr0) : 0, 0, 0};
    } else if (subleaf != 2 || !has_avx(config)) {
        *regs = (struct cpuid_regs){0, 0, 0, 0};
    }
}

/* Leaf 0x15: the TSC runs at ECX * EBX / EAX Hz, and the APIC timer at ECX (SDM vol. 3, 11.5.4). The fraction
 * is the last convergent with which guests can multiply ECX, in kHz, by EBX in 32 bits, as Linux does. What
 * it leaves goes to ECX: the TSC is right to two parts in a million, the timer to one in four thousand. */
static void tsc_ratio(const struct cpuid_config *config, struct cpuid_regs *regs)
{
    uint64_t value = config->tsc_khz, unit = config->apic_khz, limit = UINT32_MAX / unit - 1;
    uint64_t up = 1, last_up = 0, down = 0, last_down = 1;

    while (unit && value / unit * up + last_up <= limit) {
        uint64_t whole = value / unit, next_up = whole * up + last_up, next_down = whole * down + last_down;
        uint64_t rest = value % unit;

        last_up = up;
        last_down = down;
        up = next_up;
        down = next_down;
        value = unit;
        unit = rest;
    }
    down = down ? down : 1;
    *regs = (struct cpuid_regs){.eax = (uint32_t)down,
                                .ebx = (uint32_t)up,
                                .ecx = (uint32_t)((config->tsc_khz * down + up / 2) / up * HZ_PER_KHZ)};
}

static uint32_t max_basic(const struct cpuid_config *config, bool intel, uint32_t host_max)
{
    return intel && config->tsc_khz ? MAX_BASIC_TIME : at_most(host_max, MAX_BASIC);
}

/* `last`: the host's last leaf. *regs is 0. */
static void basic(const struct cpuid_config *config, bool intel, uint32_t last, uint32_t leaf,
                  uint32_t subleaf, uint64_t cr4, uint64_t xcr0, struct cpuid_regs *regs)
{
    uint32_t mhz = config->tsc_khz / KHZ_PER_MHZ;

    if (leaf <= last)
        *regs = host(config, leaf, subleaf);
    switch (leaf) {
    case 0x0:
        regs->eax = max_basic(config, intel, last);
        return;
    case 0x1:
        features(config, cr4, regs);
        return;
    case 0x2:
        return;
    case 0x4:
        cache(config, intel, regs);
        return;
    case 0x6:
        *regs = (struct cpuid_regs){ARAT, 0, 0, 0};
        return;
    case 0x7:
        extended_features(config, subleaf, regs);
        return;
    case 0xb:
        topology(config, subleaf, regs);
        return;
    case 0xd:
        xsave(config, subleaf, xcr0, regs);
        return;
    case 0x15:
        tsc_ratio(config, regs);
        return;
    case 0x16:
        *regs = (struct cpuid_regs){mhz, mhz, BUS_MHZ, 0};
        return;
    default:
        *regs = (struct cpuid_regs){0, 0, 0, 0};
    }
}

static void capacity(const struct cpuid_config *config, bool intel, struct cpuid_regs *regs)
{
    regs->eax &= 0xffff;
    regs->edx = 0;
    if (intel) {
        regs->ebx = 0;
        regs->ecx = 0;
        return;
    }
    regs->ebx &= E8_EBX | (config->spec_ctrl ? E8_EBX_SPEC : 0);
    regs->ecx = at_most(config->cpus - 1, 0xff) | at_most(id_bits(config), 0xf) << 12;
}

static void extended(const struct cpuid_config *config, bool intel, uint32_t leaf, uint32_t subleaf,
                     struct cpuid_regs *regs)
{
    *regs = host(config, leaf, subleaf);
    switch (leaf) {
    case 0x80000000:
        regs->eax = at_most(regs->eax, intel ? 0x80000008 : MAX_EXTENDED);
        return;
    case 0x80000001:
        regs->ebx = intel ? 0 : regs->ebx;
        regs->ecx &=
            (E1_ECX | (has_avx(config) ? E1_ECX_AVX : 0)) & (config->cpus > 1 ? ~0u : ~E1_ECX_CMP_LEGACY);
        regs->edx &= E1_EDX;
        return;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
    case 0x80000005:
    case 0x80000006:
    case 0x80000019:
    case 0x8000001a:
        return;
    case 0x80000007:
        *regs = (struct cpuid_regs){0, 0, 0, regs->edx & E7_INVARIANT_TSC};
        return;
    case 0x80000008:
        capacity(config, intel, regs);
        return;
    case 0x8000001d:
        cache(config, false, regs);
        return;
    case 0x8000001e:
        *regs = (struct cpuid_regs){config->cpu, config->cpu & 0xff, 0, 0};
        return;
    default:
        *regs = (struct cpuid_regs){0, 0, 0, 0};
    }
}

static void hypervisor(const struct cpuid_config *config, uint32_t leaf, struct cpuid_regs *regs)
{
    const struct guest_interface *interface = interface_of_leaf(leaf);

    *regs = (struct cpuid_regs){0, 0, 0, 0};
    if (interface)
        interface->cpuid(config, leaf, regs);
    else if (leaf == CPUID_OWN_LEAF)
        *regs = (struct cpuid_regs){CPUID_OWN_LEAF, 0x6a6e6f44, 0x6f446e6f, 0x6e6f6a6e}; /* DonjonDonjon */
}

void cpuid_guest(const struct cpuid_config *config, uint32_t leaf, uint32_t subleaf, uint64_t cr4,
                 uint64_t xcr0, struct cpuid_regs *regs)
{
    struct cpuid_regs range;
    uint32_t last;
    bool intel;

    if (leaf >> 16 == CPUID_HYPERVISOR_LEAVES) {
        hypervisor(config, leaf, regs);
        return;
    }
    range = host(config, 0, 0);
    intel = is_intel(&range);
    if (leaf >= 0x80000000) {
        struct cpuid_regs extension = host(config, 0x80000000, 0);

        if (leaf <= at_most(extension.eax, intel ? 0x80000008 : MAX_EXTENDED)) {
            extended(config, intel, leaf, subleaf, regs);
            return;
        }
    }
    last = max_basic(config, intel, range.eax);
    *regs = (struct cpuid_regs){0, 0, 0, 0};
    if (leaf > last && !intel)
        return;
    basic(config, intel, range.eax, leaf > last ? last : leaf, subleaf, cr4, xcr0, regs);
}

static uint64_t move_bit(uint32_t feature, unsigned from, unsigned to)
{
    return (uint64_t)(feature >> from & 1) << to;
}

uint64_t cpuid_cr4(const struct cpuid_config *config)
{
    struct cpuid_regs one, seven;

    cpuid_guest(config, 1, 0, 0, 0, &one);
    cpuid_guest(config, 7, 0, 0, 0, &seven);
    return CR4_FIRST | move_bit(seven.ecx, 2, 11) /* UMIP */
           | move_bit(seven.ebx, 0, 16)           /* FSGSBASE */
           | move_bit(one.ecx, 17, 17)            /* PCIDE */
           | move_bit(one.ecx, 26, 18)            /* OSXSAVE */
           | move_bit(seven.ebx, 7, 20)           /* SMEP */
           | move_bit(seven.ebx, 20, 21);         /* SMAP */
}
