/* SPDX-License-Identifier: ISC */
/*
 * MSR policy: one table, sorted by number, that says for each register where it is kept and which values it
 * takes. The few with an effect of their own are functions below the table. The timer and x2APIC registers,
 * which are written at every interrupt, are looked at before the table.
 */
#include "vmm/cpu/msr.h"

#include "vmm/cpu/interface.h"

enum kind {
    STORE,      /* any value within `bits` */
    CANONICAL,  /* a canonical linear address */
    PAT,        /* eight memory types */
    MTRR_FIXED, /* eight memory types, those of MTRRs */
    FIXED,      /* reads `bits`; writes vanish */
    READ_ONLY,  /* reads `bits`; writes are #GP */
    SPECIAL,    /* special_read and special_write */
};

enum vendor { ANY, INTEL, AMD };

struct row {
    uint32_t first;
    uint8_t count;
    uint8_t kind;
    uint8_t vendor;
    uint16_t offset; /* in struct msr_state */
    uint64_t bits;
};

#define MSR_TSC          0x10u
#define MSR_TSC_ADJUST   0x3bu
#define MSR_SPEC_CTRL    0x48u
#define MSR_PRED_CMD     0x49u
#define MSR_MICROCODE    0x8bu
#define MSR_MTRR_DEFAULT 0x2ffu
#define MSR_EFER         0xc0000080u

#define AT(field)         ((uint16_t)offsetof(struct msr_state, field))
#define ALL               UINT64_MAX
#define LOW_32            0xffffffffull
#define SPEC_BITS         7u
#define PRED_IBPB         1u
#define MTRR_DEF_BITS     0xcffu
#define MTRR_DEF_FIRMWARE 0x806u /* on, and memory is write-back, as firmware leaves it */
#define MTRR_CAP          0x500u /* fixed ranges and write combining, no variable range */

#define EFER_SCE   (1u << 0)
#define EFER_LME   (1u << 8)
#define EFER_LMA   (1u << 10)
#define EFER_NXE   (1u << 11)
#define EFER_FFXSR (1u << 14)

#define MISC_ENABLE_RESET 0x1801ull /* fast strings; no branch trace store, no PEBS */
#define MISC_ENABLE_BITS  ((1ull << 34) | 0xc5d8dull)
#define HWCR_TSC_P0       (1ull << 24) /* the TSC counts at P0's rate; Linux complains otherwise */
#define DE_CFG_LFENCE     2ull         /* LFENCE is serialising */
#define PAT_RESET         0x0007040600070406ull
#define MICROCODE_INTEL   (1ull << 32)
#define MICROCODE_AMD     0x01000065ull

static const struct row table[] = {
    {0x00000000, 2, FIXED, ANY, 0, 0}, /* P5_MC_ADDR, P5_MC_TYPE */
    {MSR_TSC, 1, SPECIAL, ANY, 0, 0},
    {0x00000017, 1, READ_ONLY, INTEL, 0, 0}, /* PLATFORM_ID */
    {MSR_APIC_BASE, 1, SPECIAL, ANY, 0, 0},
    {0x00000034, 1, READ_ONLY, INTEL, 0, 0}, /* SMI_COUNT */
    {0x0000003a, 1, READ_ONLY, INTEL, 0, 1}, /* FEATURE_CONTROL: locked, no VMX */
    {MSR_TSC_ADJUST, 1, SPECIAL, ANY, 0, 0},
    {MSR_SPEC_CTRL, 2, SPECIAL, ANY, 0, 0}, /* SPEC_CTRL, PRED_CMD */
    {0x00000079, 1, FIXED, INTEL, 0, 0},    /* microcode update: accepted, ignored */
    {MSR_MICROCODE, 1, SPECIAL, ANY, 0, 0},
    {0x000000cd, 1, READ_ONLY, INTEL, 0, 3}, /* FSB_FREQ: 100 MHz */
    {0x000000ce, 1, READ_ONLY, INTEL, 0, 0}, /* PLATFORM_INFO */
    {0x000000fe, 1, READ_ONLY, ANY, 0, MTRR_CAP},
    {0x00000174, 1, STORE, ANY, AT(sysenter_cs), LOW_32},
    {0x00000175, 2, CANONICAL, ANY, AT(sysenter_esp), 0}, /* SYSENTER_ESP, SYSENTER_EIP */
    {0x00000179, 1, READ_ONLY, ANY, 0, 0},                /* MCG_CAP: no banks */
    {0x0000017a, 1, STORE, ANY, AT(mcg_status), 7},
    {0x00000198, 1, READ_ONLY, INTEL, 0, 0}, /* PERF_STATUS */
    {0x00000199, 4, FIXED, INTEL, 0, 0},     /* PERF_CTL, CLOCK_MODULATION, THERM_* */
    {0x000001a0, 1, STORE, INTEL, AT(misc_enable), MISC_ENABLE_BITS},
    {0x000001a2, 1, READ_ONLY, INTEL, 0, 0}, /* TEMPERATURE_TARGET */
    {0x000001d9, 1, FIXED, ANY, 0, 0},       /* DEBUGCTL */
    {0x000001db, 4, FIXED, ANY, 0, 0},       /* last branch and exception */
    {0x00000250, 1, MTRR_FIXED, ANY, AT(mtrr_fixed[0]), 0},
    {0x00000258, 2, MTRR_FIXED, ANY, AT(mtrr_fixed[1]), 0},
    {0x00000268, 8, MTRR_FIXED, ANY, AT(mtrr_fixed[3]), 0},
    {0x00000277, 1, PAT, ANY, AT(pat), 0},
    {MSR_MTRR_DEFAULT, 1, SPECIAL, ANY, 0, 0},
    {MSR_EFER, 1, SPECIAL, ANY, 0, 0},
    {0xc0000081, 1, STORE, ANY, AT(star), ALL},
    {0xc0000082, 2, CANONICAL, ANY, AT(lstar), 0}, /* LSTAR, CSTAR */
    {0xc0000084, 1, STORE, ANY, AT(sfmask), LOW_32},
    {0xc0000100, 3, CANONICAL, ANY, AT(fs_base), 0}, /* FS_BASE, GS_BASE, KERNEL_GS_BASE */
    {0xc0000103, 1, STORE, ANY, AT(tsc_aux), LOW_32},
    {0xc0010000, 8, FIXED, AMD, 0, 0}, /* performance counters of the K7 */
    {0xc0010010, 1, STORE, AMD, AT(syscfg), LOW_32},
    {0xc0010015, 1, STORE, AMD, AT(hwcr), LOW_32},
    {0xc001001a, 1, READ_ONLY, AMD, 0, 0},    /* TOP_MEM */
    {0xc001001d, 1, READ_ONLY, AMD, 0, 0},    /* TOP_MEM2 */
    {0xc001001f, 1, FIXED, AMD, 0, 0},        /* NB_CFG */
    {0xc0010020, 1, FIXED, AMD, 0, 0},        /* PATCH_LOADER: accepted, ignored */
    {0xc0010055, 1, FIXED, AMD, 0, 0},        /* INT_PENDING_MSG */
    {0xc0010058, 1, FIXED, AMD, 0, 0},        /* MMIO_CONF_BASE */
    {0xc0010061, 11, FIXED, AMD, 0, 0},       /* P-states: limit, control, status, 8 */
    {0xc0010112, 2, READ_ONLY, AMD, 0, 0},    /* SMM_ADDR, SMM_MASK */
    {0xc0010114, 1, READ_ONLY, AMD, 0, 0x18}, /* VM_CR: SVM disabled and locked */
    {0xc0010200, 12, FIXED, AMD, 0, 0},       /* performance counters of family 15h */
    {0xc0011020, 4, FIXED, AMD, 0, 0},        /* LS_CFG, IC_CFG, DC_CFG, BU_CFG */
    {0xc0011029, 1, STORE, AMD, AT(de_cfg), LOW_32},
    {0xc001102a, 1, FIXED, AMD, 0, 0}, /* BU_CFG2 */
};

static const struct row *find(const struct msr_cpu *cpu, uint32_t msr)
{
    size_t low = 0, high = sizeof table / sizeof *table;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct row *row = &table[middle];

        if (msr < row->first)
            high = middle;
        else if (msr - row->first >= row->count)
            low = middle + 1;
        else if (row->vendor != ANY && (row->vendor == INTEL) != cpu->config.intel)
            return NULL;
        else
            return row;
    }
    return NULL;
}

static uint64_t *field(struct msr_cpu *cpu, const struct row *row, uint32_t msr)
{
    return (uint64_t *)(void *)((uint8_t *)&cpu->state + row->offset) + (msr - row->first);
}

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

/* Each byte a memory type: uncacheable 0, WC 1, WT 4, WP 5, WB 6, and in the PAT UC- 7. */
static bool are_memory_types(uint64_t types, unsigned allowed)
{
    for (unsigned i = 0; i < 8; i++, types >>= 8)
        if ((types & 0xff) > 7 || !(allowed >> (types & 7) & 1))
            return false;
    return true;
}

static bool write_efer(struct msr_cpu *cpu, uint64_t value)
{
    uint64_t old = cpu->state.efer;
    uint64_t allowed = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;

    if (!cpu->config.intel && cpu->config.ffxsr)
        allowed |= EFER_FFXSR;
    if (value & ~allowed || (cpu->paging && (value ^ old) & EFER_LME))
        return false;
    cpu->state.efer = (value & ~(uint64_t)EFER_LMA) | (old & EFER_LMA);
    return true;
}

/* The TSC jumps: timer deadlines, the KVM clock and the vCPU's offset follow. */
static void move_tsc(struct msr_cpu *cpu, uint64_t delta, uint64_t now)
{
    if (delta == 0)
        return;
    cpu->state.tsc_adjust += delta;
    cpu->tsc_moved = true;
    cpu->kvm.clock.moved = true;
    lapic_tsc_move(cpu->lapic, delta, now);
    if (cpu->clock)
        kvmclock_update(cpu->clock, &cpu->kvm.clock, now, lapic_tsc(cpu->lapic, now));
}

static bool special_read(struct msr_cpu *cpu, uint32_t msr, uint64_t now, uint64_t *value)
{
    switch (msr) {
    case MSR_TSC:
        *value = lapic_tsc(cpu->lapic, now);
        return true;
    case MSR_TSC_ADJUST:
        *value = cpu->state.tsc_adjust;
        return true;
    case MSR_APIC_BASE:
        return lapic_msr_read(cpu->lapic, msr, now, value);
    case MSR_SPEC_CTRL:
        *value = cpu->state.spec_ctrl;
        return cpu->config.spec_ctrl;
    case MSR_MICROCODE:
        *value = cpu->state.microcode;
        return true;
    case MSR_MTRR_DEFAULT:
        *value = cpu->state.mtrr_default;
        return true;
    case MSR_EFER:
        *value = cpu->state.efer;
        return true;
    default: /* PRED_CMD is write-only */
        return false;
    }
}

static bool write_speculation(struct msr_cpu *cpu, uint32_t msr, uint64_t value)
{
    if (!cpu->config.spec_ctrl || value & ~(uint64_t)(msr == MSR_PRED_CMD ? PRED_IBPB : SPEC_BITS))
        return false;
    if (msr == MSR_PRED_CMD)
        cpu->barrier = cpu->barrier || value;
    else
        cpu->state.spec_ctrl = value;
    return true;
}

static bool write_mtrr_default(struct msr_cpu *cpu, uint64_t value)
{
    if (value & ~(uint64_t)MTRR_DEF_BITS || !are_memory_types(value & 0xff, 0x73))
        return false;
    cpu->state.mtrr_default = value;
    return true;
}

static bool special_write(struct msr_cpu *cpu, uint32_t msr, uint64_t value, uint64_t now)
{
    switch (msr) {
    case MSR_TSC:
        move_tsc(cpu, value - lapic_tsc(cpu->lapic, now), now);
        return true;
    case MSR_TSC_ADJUST:
        move_tsc(cpu, value - cpu->state.tsc_adjust, now);
        return true;
    case MSR_APIC_BASE:
        return lapic_msr_write(cpu->lapic, msr, value, now);
    case MSR_SPEC_CTRL:
    case MSR_PRED_CMD:
        return write_speculation(cpu, msr, value);
    case MSR_MICROCODE: /* Intel: cleared before CPUID writes the revision there; AMD: read-only */
        return cpu->config.intel;
    case MSR_MTRR_DEFAULT:
        return write_mtrr_default(cpu, value);
    case MSR_EFER:
        return write_efer(cpu, value);
    default:
        return false;
    }
}

void msr_reset(struct msr_cpu *cpu)
{
    cpu->state = (struct msr_state){
        .pat = PAT_RESET,
        .mtrr_default = MTRR_DEF_FIRMWARE,
        .misc_enable = cpu->config.intel ? MISC_ENABLE_RESET : 0,
        .hwcr = HWCR_TSC_P0,
        .de_cfg = DE_CFG_LFENCE,
        .microcode = cpu->config.intel ? MICROCODE_INTEL : MICROCODE_AMD,
        .tsc_adjust = cpu->state.tsc_adjust,
    };
    kvm_reset(&cpu->kvm);
    cpu->notes = 0;
}

static void note(struct msr_cpu *cpu, bool write, uint32_t msr, uint64_t value)
{
    if (!cpu->note || cpu->notes >= MSR_NOTES_MAX)
        return;
    cpu->notes++;
    cpu->note(cpu->sink, write, msr, value);
}

static bool is_lapic(uint32_t msr)
{
    return msr - MSR_X2APIC_FIRST <= MSR_X2APIC_LAST - MSR_X2APIC_FIRST || msr == MSR_TSC_DEADLINE;
}

bool msr_read(struct msr_cpu *cpu, uint32_t msr, uint64_t now, uint64_t *value)
{
    const struct row *row;

    if (is_lapic(msr))
        return lapic_msr_read(cpu->lapic, msr, now, value);
    row = find(cpu, msr);
    if (!row) {
        const struct guest_interface *interface = interface_of_msr(msr);

        if (interface)
            return interface->read(cpu, msr, now, value);
        note(cpu, false, msr, 0);
        return false;
    }
    switch (row->kind) {
    case SPECIAL:
        return special_read(cpu, msr, now, value);
    case FIXED:
    case READ_ONLY:
        *value = row->bits;
        return true;
    default:
        *value = *field(cpu, row, msr);
        return true;
    }
}

static bool is_valid(const struct row *row, uint64_t value)
{
    switch (row->kind) {
    case STORE:
        return !(value & ~row->bits);
    case CANONICAL:
        return is_canonical(value);
    case PAT:
        return are_memory_types(value, 0xf3);
    case MTRR_FIXED:
        return are_memory_types(value, 0x73);
    default:
        return false;
    }
}

bool msr_write(struct msr_cpu *cpu, uint32_t msr, uint64_t value, uint64_t now)
{
    const struct row *row;

    if (is_lapic(msr))
        return lapic_msr_write(cpu->lapic, msr, value, now);
    row = find(cpu, msr);
    if (!row) {
        const struct guest_interface *interface = interface_of_msr(msr);

        if (interface)
            return interface->write(cpu, msr, value, now);
        note(cpu, true, msr, value);
        return false;
    }
    if (row->kind == SPECIAL)
        return special_write(cpu, msr, value, now);
    if (row->kind == FIXED)
        return true;
    if (!is_valid(row, value))
        return false;
    *field(cpu, row, msr) = value;
    return true;
}
