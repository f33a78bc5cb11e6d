/* SPDX-License-Identifier: ISC */
/* The processor state that a guest can touch. See guest_state.h. */
#include "kernel/guest_state.h"

#include "kernel/arch.h"
#include <string.h>

/*
 * Closed, since nothing switches what they bring: PKE (PKRU), CET (shadow stacks), PKS, UINTR, KL (the
 * wrapping key) and FRED in CR4; MPX, PKRU, AMX, APX and LWP in XCR0; all of XSS. LA57, LASS, LAM, VMXE and
 * SMXE are closed as the monitors know nothing of them.
 */
const struct guest_state guest_states[] = {
    {"general registers", 0, 0, GUEST_ALWAYS, SWITCH_HAND, SWITCH_HAND},
    {"segments and descriptor tables", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_VM},
    {"CR0", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_VM},
    {"CR2", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_HAND},
    {"CR3", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_VM},
    {"CR8", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_VM},
    {"DR0 to DR3", 0, 0, GUEST_ALWAYS, SWITCH_HAND, SWITCH_HAND},
    {"DR6", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_HAND},
    {"DR7", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_VM},
    {"TSC offset", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_VM},
    {"TSC_AUX", 0, 0, GUEST_ALWAYS, SWITCH_HAND, SWITCH_HAND}, /* read by RDTSCP, RDPID */
    {"PAT", 0, 0, GUEST_ALWAYS, SWITCH_VM, SWITCH_VM},         /* set by the monitor, as EFER */
    {"EFER", EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE | EFER_FFXSR, 0, GUEST_EFER, SWITCH_VM, SWITCH_VM},
    {"CR4", CR4_FIRST, 0, GUEST_CR4, SWITCH_VM, SWITCH_VM},
    {"CR4.UMIP", CR4_UMIP, 0, GUEST_CR4, SWITCH_VM, SWITCH_VM},
    {"CR4.FSGSBASE", CR4_FSGSBASE, 0, GUEST_CR4, SWITCH_VM, SWITCH_VM},
    {"CR4.PCIDE", CR4_PCIDE, 0, GUEST_CR4, SWITCH_VM, SWITCH_VM},
    {"CR4.OSXSAVE: XCR0", CR4_OSXSAVE, 0, GUEST_CR4, SWITCH_HAND, SWITCH_HAND},
    {"CR4.SMEP", CR4_SMEP, 0, GUEST_CR4, SWITCH_VM, SWITCH_VM},
    {"CR4.SMAP", CR4_SMAP, 0, GUEST_CR4, SWITCH_VM, SWITCH_VM},
    {"x87", XCR0_X87, 0, GUEST_XCR0, SWITCH_FPU, SWITCH_FPU},
    {"SSE", XCR0_SSE, 0, GUEST_XCR0, SWITCH_FPU, SWITCH_FPU},
    {"AVX", XCR0_AVX, 0, GUEST_XCR0, SWITCH_FPU, SWITCH_FPU},
    {"AVX-512", XCR0_AVX512, 0, GUEST_XCR0, SWITCH_FPU, SWITCH_FPU},
    {"SYSENTER MSRs", MSR_SYSENTER_CS, 3, GUEST_MSR, SWITCH_VM, SWITCH_VM},
    {"SYSCALL MSRs", MSR_STAR, 4, GUEST_MSR, SWITCH_VM, SWITCH_NONE},
    {"FS and GS bases", MSR_FS_BASE, 3, GUEST_MSR, SWITCH_VM, SWITCH_VM},
    {NULL, 0, 0, 0, 0, 0},
};

static bool is_open(const struct guest_state *state, enum guest_opening opening, bool svm)
{
    return state->opening == opening && (svm ? state->svm : state->vmx) != SWITCH_NONE;
}

uint64_t guest_state_bits(enum guest_opening opening, bool svm)
{
    uint64_t bits = 0;

    for (const struct guest_state *state = guest_states; state->name; state++)
        bits |= is_open(state, opening, svm) ? state->which : 0;
    return bits;
}

bool guest_state_msr(uint32_t msr, bool svm)
{
    for (const struct guest_state *state = guest_states; state->name; state++)
        if (is_open(state, GUEST_MSR, svm) && msr - state->which < state->msrs)
            return true;
    return false;
}

void guest_state_permit(uint8_t *bitmap, unsigned bytes, bool svm,
                        void (*permit)(uint8_t *bitmap, uint32_t msr, unsigned refused))
{
    memset(bitmap, 0xff, bytes);
    for (const struct guest_state *state = guest_states; state->name; state++)
        for (unsigned i = 0; i < state->msrs && is_open(state, GUEST_MSR, svm); i++)
            permit(bitmap, state->which + i, 0);
}
