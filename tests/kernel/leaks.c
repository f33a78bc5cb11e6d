/* SPDX-License-Identifier: ISC */
/*
 * What one guest leaves to the next and to components. kernel/guest_state.c lists the state that guests can
 * touch, and each row that is open here has a probe below, which is 64-bit code: guest A sets the register,
 * then B has to find what it has after reset, and so does a component where it can look; A finds its own
 * again. What is not in the list must be closed, whatever the processor has: all bits of CR4, XCR0 and EFER,
 * all MSRs.
 */
#include "tests/kernel/vm.h"

#include "kernel/guest_state.h"

#include <string.h>

#define TABLES     0x8000u
#define DATA       0x3000u /* what some code takes its operand from */
#define BREAKPOINT 0x7000u /* nothing is there */
#define CODE_BYTES 64u     /* most of a probe's code */

#define CR4_START      0x620ul /* PAE, OSFXSR, OSXMMEXCPT */
#define CR4_OSXSAVE    0x40000ul
#define CR4_PKE        0x400000ul
#define MOV_CR4_LENGTH 3
#define XSETBV_LENGTH  3
#define MSR_TABLES     3u
#define MSR_TABLE_SIZE 0x2000u
#define AUX            0x55u
#define TSC_SHIFT      40
#define XCR0_OF_A      3u /* unlike what components have where there is AVX, and unlike what is after reset */

/* Code of a probe: its value is in RAX, an MSR's number in RCX; ends with HLT. */
#define SNIPPET(name, text)                                                                                  \
    __asm__(".pushsection .rodata\n" #name ": " text "\nhlt\n.balign 64\n.popsection");                      \
    extern const uint8_t name[]

SNIPPET(set_r15, "mov %rax, %r15");
SNIPPET(get_r15, "mov %r15, %rax");
SNIPPET(set_ds, "mov %eax, %ds");
SNIPPET(get_ds, "mov %ds, %eax");
SNIPPET(set_gdtr, "mov %rax, 0x3002; lgdt 0x3000");
SNIPPET(get_gdtr, "sgdt 0x3000; mov 0x3002, %rax");
SNIPPET(set_idtr, "mov %rax, 0x3002; lidt 0x3000");
SNIPPET(get_idtr, "sidt 0x3000; mov 0x3002, %rax");
SNIPPET(set_ldtr, "lldt %ax");
SNIPPET(get_ldtr, "sldt %rax");
SNIPPET(set_cr0, "mov %rax, %cr0");
SNIPPET(get_cr0, "mov %cr0, %rax");
SNIPPET(set_cr2, "mov %rax, %cr2");
SNIPPET(get_cr2, "mov %cr2, %rax");
SNIPPET(set_cr3, "mov %rax, %cr3");
SNIPPET(get_cr3, "mov %cr3, %rax");
SNIPPET(set_cr4, "mov %rax, %cr4");
SNIPPET(get_cr4, "mov %cr4, %rax");
SNIPPET(set_cr8, "mov %rax, %cr8");
SNIPPET(get_cr8, "mov %cr8, %rax");
SNIPPET(set_dr0, "mov %rax, %dr0");
SNIPPET(get_dr0, "mov %dr0, %rax");
SNIPPET(set_dr1, "mov %rax, %dr1");
SNIPPET(get_dr1, "mov %dr1, %rax");
SNIPPET(set_dr2, "mov %rax, %dr2");
SNIPPET(get_dr2, "mov %dr2, %rax");
SNIPPET(set_dr3, "mov %rax, %dr3");
SNIPPET(get_dr3, "mov %dr3, %rax");
SNIPPET(set_dr6, "mov %rax, %dr6");
SNIPPET(get_dr6, "mov %dr6, %rax");
SNIPPET(set_dr7, "mov %rax, %dr7");
SNIPPET(get_dr7, "mov %dr7, %rax");
SNIPPET(get_tsc, "rdtsc; shr $8, %edx; mov %rdx, %rax");
SNIPPET(get_aux, "rdtscp; mov %rcx, %rax");
SNIPPET(set_xcr0, "xor %ecx, %ecx; xor %edx, %edx; xsetbv");
SNIPPET(get_xcr0, "xor %ecx, %ecx; xgetbv");
SNIPPET(set_msr, "mov %rax, %rdx; shr $32, %rdx; wrmsr");
SNIPPET(get_msr, "rdmsr; shl $32, %rdx; or %rdx, %rax");
SNIPPET(set_fcw, "mov %eax, 0x3000; fldcw 0x3000");
SNIPPET(get_fcw, "fnstcw 0x3000; movzwl 0x3000, %eax");
SNIPPET(set_mm0, "movq %rax, %mm0");
SNIPPET(get_mm0, "movq %mm0, %rax");
SNIPPET(set_mxcsr, "mov %eax, 0x3000; ldmxcsr 0x3000");
SNIPPET(get_mxcsr, "stmxcsr 0x3000; mov 0x3000, %eax");
SNIPPET(set_xmm15, "movq %rax, %xmm15");
SNIPPET(get_xmm15, "movq %xmm15, %rax");
SNIPPET(set_ymm0, "vmovq %rax, %xmm1; vinsertf128 $1, %xmm1, %ymm0, %ymm0");
SNIPPET(get_ymm0, "vextractf128 $1, %ymm0, %xmm1; vmovq %xmm1, %rax");
SNIPPET(set_k1, "kmovw %eax, %k1");
SNIPPET(get_k1, "kmovw %k1, %eax");
SNIPPET(set_zmm0, "vmovq %rax, %xmm1; vinserti32x4 $3, %xmm1, %zmm0, %zmm0");
SNIPPET(get_zmm0, "vextracti32x4 $3, %zmm0, %xmm1; vmovq %xmm1, %rax");
SNIPPET(set_zmm31, "vpbroadcastq %rax, %zmm31");
SNIPPET(get_zmm31, "vextracti32x4 $0, %zmm31, %xmm1; vmovq %xmm1, %rax");
SNIPPET(do_nothing, "");
/* In real mode, for bits that 64-bit code may not change. */
SNIPPET(real_cr4, ".code16; mov %eax, %cr4; hlt; .code64");
SNIPPET(write_pkru, "xor %ecx, %ecx; xor %edx, %edx; wrpkru");

/* Where CPUID says that a probe's register is there. */
enum feature { ALWAYS, UMIP, FSGSBASE, PCID, XSAVE, SMEP, SMAP, AVX, AVX512, RDTSCP };

static const struct {
    uint32_t leaf;
    uint8_t word, bit; /* 0: EAX */
} feature_bits[] = {
    [UMIP] = {7, 2, 2},   [FSGSBASE] = {7, 1, 0}, [PCID] = {1, 2, 17},
    [XSAVE] = {1, 2, 26}, [SMEP] = {7, 1, 7},     [SMAP] = {7, 1, 20},
    [AVX] = {0xd, 0, 2},  [AVX512] = {0xd, 0, 5}, [RDTSCP] = {0x80000001, 3, 27},
};

static uint64_t cpuid_word(uint32_t leaf, unsigned word)
{
    uint32_t words[4];

    __asm__ volatile("cpuid"
                     : "=a"(words[0]), "=b"(words[1]), "=c"(words[2]), "=d"(words[3])
                     : "a"(leaf), "c"(0));
    return words[word];
}

static bool has(enum feature feature)
{
    uint32_t leaf = feature_bits[feature].leaf;

    if (feature == ALWAYS)
        return true;
    if ((feature == AVX || feature == AVX512) && !has(XSAVE))
        return false;
    return cpuid_word(leaf & 0x80000000, 0) >= leaf &&
           (cpuid_word(leaf, feature_bits[feature].word) >> feature_bits[feature].bit & 1);
}

/* Without code to set it the monitor does, in the page; without code to get it the page tells. */
struct probe {
    const char *row;
    enum feature feature;
    uint32_t group;
    size_t field; /* of the page */
    const uint8_t *set, *get;
    uint64_t value, reset;
};

#define PAGE_FIELD(name) offsetof(struct vcpu_state, name)
#define BY_GUEST(row, feature, set, get, value, reset)                                                       \
    {                                                                                                        \
        row, feature, 0, 0, set, get, value, reset                                                           \
    }
#define BY_MONITOR(row, feature, group, field, get, value, reset)                                            \
    {                                                                                                        \
        row, feature, group, PAGE_FIELD(field), NULL, get, value, reset                                      \
    }

static const struct probe probes[] = {
    BY_GUEST("general registers", ALWAYS, set_r15, get_r15, 0x123456789abcdef0, 0),
    BY_GUEST("segments and descriptor tables", ALWAYS, set_ds, get_ds, 3, 0),
    BY_GUEST("segments and descriptor tables", ALWAYS, set_gdtr, get_gdtr, 0x1234567000, 0),
    BY_GUEST("segments and descriptor tables", ALWAYS, set_idtr, get_idtr, 0x7654321000, 0),
    BY_GUEST("segments and descriptor tables", ALWAYS, set_ldtr, get_ldtr, 3, 0),
    BY_GUEST("CR0", ALWAYS, set_cr0, get_cr0, 0x80040031, 0x80000031), /* AM */
    BY_GUEST("CR2", ALWAYS, set_cr2, get_cr2, 0x12345678, 0),
    BY_GUEST("CR3", ALWAYS, set_cr3, get_cr3, TABLES | 0x18, TABLES), /* PCD, PWT */
    BY_GUEST("CR8", ALWAYS, set_cr8, get_cr8, 5, 0),
    BY_GUEST("DR0 to DR3", ALWAYS, set_dr0, get_dr0, BREAKPOINT, 0),
    BY_GUEST("DR0 to DR3", ALWAYS, set_dr1, get_dr1, 0x1111, 0),
    BY_GUEST("DR0 to DR3", ALWAYS, set_dr2, get_dr2, 0x2222, 0),
    BY_GUEST("DR0 to DR3", ALWAYS, set_dr3, get_dr3, 0x3333, 0),
    BY_GUEST("DR6", ALWAYS, set_dr6, get_dr6, 0xffff0fff, 0xffff0ff0),
    BY_GUEST("DR7", ALWAYS, set_dr7, get_dr7, 0x403, 0x400),
    BY_MONITOR("TSC offset", ALWAYS, VCPU_TSC, tsc_offset, get_tsc, 0x42ul, 0),
    BY_MONITOR("TSC_AUX", RDTSCP, VCPU_TSC, tsc_aux, get_aux, AUX, 0),
    BY_MONITOR("PAT", ALWAYS, VCPU_EFER, pat, NULL, 0x0001040600010406, 0x0007040600070406),
    BY_MONITOR("EFER", ALWAYS, VCPU_EFER, efer, NULL, 0xd01, 0x500),
    BY_GUEST("CR4.OSXSAVE: XCR0", XSAVE, set_xcr0, get_xcr0, XCR0_OF_A,
             1), /* with OSXSAVE from the start on */
    BY_GUEST("CR4", ALWAYS, set_cr4, get_cr4, CR4_START | 8, CR4_START),
    BY_GUEST("CR4.UMIP", UMIP, set_cr4, get_cr4, CR4_START | 1 << 11, CR4_START),
    BY_GUEST("CR4.FSGSBASE", FSGSBASE, set_cr4, get_cr4, CR4_START | 1 << 16, CR4_START),
    BY_GUEST("CR4.PCIDE", PCID, set_cr4, get_cr4, CR4_START | 1 << 17, CR4_START),
    BY_GUEST("CR4.SMEP", SMEP, set_cr4, get_cr4, CR4_START | 1 << 20, CR4_START),
    BY_GUEST("CR4.SMAP", SMAP, set_cr4, get_cr4, CR4_START | 1 << 21, CR4_START),
    BY_GUEST("x87", ALWAYS, set_fcw, get_fcw, 0x27f, 0x37f),
    BY_GUEST("x87", ALWAYS, set_mm0, get_mm0, 0x123456789abcdef0, 0),
    BY_GUEST("SSE", ALWAYS, set_mxcsr, get_mxcsr, 0x1fa0, 0x1f80),
    BY_GUEST("SSE", ALWAYS, set_xmm15, get_xmm15, 0x123456789abcdef0, 0),
    BY_GUEST("AVX", AVX, set_ymm0, get_ymm0, 0x123456789abcdef0, 0),
    BY_GUEST("AVX-512", AVX512, set_k1, get_k1, 0x1234, 0),
    BY_GUEST("AVX-512", AVX512, set_zmm0, get_zmm0, 0x123456789abcdef0, 0),
    BY_GUEST("AVX-512", AVX512, set_zmm31, get_zmm31, 0x123456789abcdef0, 0),
    BY_GUEST("SYSENTER MSRs", ALWAYS, set_msr, get_msr, 0x1234, 0), /* of each */
    BY_GUEST("SYSCALL MSRs", ALWAYS, set_msr, get_msr, 0x1234, 0),
    BY_GUEST("FS and GS bases", ALWAYS, set_msr, get_msr, 0x1234, 0),
};

/* A has its code at CODE, B at HANDLER. */
static struct guest {
    selector gst, vcpu;
    volatile struct vcpu_state *state;
    uint8_t *memory;
    unsigned code;
} guests[2];

#define A (&guests[0])
#define B (&guests[1])

static bool is_svm(void)
{
    return BOOT->features & BOOT_FEATURE_SVM;
}

/* 64-bit code with the first 2 MiB mapped, and no IDT: an exception is a shutdown. */
static void start_long(struct guest *guest)
{
    volatile struct vcpu_state *s = guest->state;

    s->cs = (struct vcpu_segment){.attributes = 0xa9b, .limit = 0xffffffff};
    s->ss = s->ds = s->es = s->fs = s->gs = (struct vcpu_segment){.attributes = 0xc93, .limit = 0xffffffff};
    s->idtr = (struct vcpu_segment){.limit = 0};
    s->cr0 = 0x80000031;
    s->cr3 = TABLES;
    s->cr4 = CR4_START | (has(XSAVE) ? CR4_OSXSAVE : 0);
    s->efer = 0x500;
    s->dirty = VCPU_CS_SS | VCPU_DS_ES | VCPU_FS_GS | VCPU_TABLES | VCPU_CR | VCPU_EFER;
}

static void make(struct guest *guest, unsigned number)
{
    uint64_t ram = GUEST_RAM + number * GUEST_PAGES, *tables;

    guest->gst = fresh();
    guest->vcpu = fresh();
    guest->state = (volatile struct vcpu_state *)(STATE_PAGE + number * PAGE);
    guest->memory = ram_map((unsigned)ram);
    guest->code = number ? HANDLER : CODE;
    memset(guest->memory, 0, GUEST_PAGES * PAGE);
    tables = (uint64_t *)(guest->memory + TABLES);
    tables[0] = (TABLES + PAGE) | 3;
    tables[PAGE / 8] = (TABLES + 2 * PAGE) | 3;
    tables[2 * PAGE / 8] = 0x83;
    OK(create_space(guest->gst, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(space_copy(ROOT_MEM, ram_page((unsigned)ram), guest->gst, 0, GUEST_PAGES,
                  MEM_READ | MEM_WRITE | MEM_EXECUTE));
    OK(create_vcpu(guest->vcpu, ROOT_ACCOUNT, ROOT_PD, guest->gst,
                   guest->state ? (uint64_t)guest->state : 0));
    for (unsigned exit = 0; exit < VCPU_EXITS; exit++)
        guest->state->want[exit] = VCPU_GROUPS;
    start_long(guest);
}

static void make_both(void)
{
    vm.nt = notification();
    make(A, 0);
    make(B, 1);
}

static uint32_t enter(struct guest *guest)
{
    uint64_t bits;

    if (!EXPECT_STATUS(vcpu_run(guest->vcpu, vm.nt, now() + milliseconds(500), &bits), STATUS_OK))
        return VCPU_EXIT_NONE;
    return guest->state->exit;
}

/* Run code; false: it does not come to its end. What a monitor grants is granted. */
static bool run(struct guest *guest, const uint8_t *code, uint64_t rax, uint64_t rcx)
{
    volatile struct vcpu_state *s = guest->state;
    uint32_t exit;

    memcpy(guest->memory + guest->code, code, CODE_BYTES);
    s->rip = guest->code;
    s->rflags = 2;
    s->interruptibility = 0;
    s->gpr[VCPU_RAX] = rax;
    s->gpr[VCPU_RCX] = rcx;
    s->gpr[VCPU_RDX] = 0;
    s->dirty |= VCPU_RIP;
    for (exit = enter(guest); exit == VCPU_EXIT_CR4 || exit == VCPU_EXIT_XSETBV; exit = enter(guest)) {
        if (exit == VCPU_EXIT_CR4)
            s->cr4 = s->gpr[VCPU_RAX];
        else
            s->xcr0 = (uint32_t)s->gpr[VCPU_RAX] | s->gpr[VCPU_RDX] << 32;
        s->rip += exit == VCPU_EXIT_CR4 ? MOV_CR4_LENGTH : XSETBV_LENGTH;
        s->dirty = VCPU_RIP | (exit == VCPU_EXIT_CR4 ? VCPU_CR : VCPU_XCR0);
    }
    return exit == VCPU_EXIT_HLT;
}

static volatile uint64_t *page_field(struct guest *guest, const struct probe *probe)
{
    return (volatile uint64_t *)((volatile char *)guest->state + probe->field);
}

static uint64_t get(struct guest *guest, const struct probe *probe, uint32_t msr)
{
    if (!expect(probe->row, run(guest, probe->get ? probe->get : do_nothing, 0, msr), true))
        return ~probe->value;
    return probe->get ? guest->state->gpr[VCPU_RAX] : *page_field(guest, probe);
}

static void set(struct guest *guest, const struct probe *probe, uint32_t msr)
{
    if (!probe->set) {
        *page_field(guest, probe) = probe->value << (probe->get == get_tsc ? TSC_SHIFT : 0);
        guest->state->dirty |= probe->group;
    }
    (void)expect(probe->row, run(guest, probe->set ? probe->set : do_nothing, probe->value, msr), true);
}

/* What a component can read of a guest's: in an EC of its own, as the monitor's own may still have it. */
static volatile uint64_t seen_aux, seen_xcr0, seen_size;

static void look(uint64_t id, uint64_t words)
{
    uint32_t low, high, aux = 0;

    (void)id;
    (void)words;
    if (has(RDTSCP))
        __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
    seen_aux = aux;
    if (has(XSAVE)) {
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        seen_xcr0 = low;
        seen_size = cpuid_word(0xd, 1);
    }
    reply(0);
}

static void probe_one(const struct probe *probe, uint32_t msr, selector component)
{
    uint64_t xcr0, size;
    unsigned words;

    OK(ipc_call(component, 0, &words));
    xcr0 = seen_xcr0;
    size = seen_size;
    expect("B, before", get(B, probe, msr), probe->reset);
    set(A, probe, msr);
    expect("A's own", get(A, probe, msr), probe->value);
    OK(ipc_call(component, 0, &words));
    EXPECT(seen_aux, 0);
    EXPECT(seen_xcr0, xcr0);
    EXPECT(seen_size, size);
    expect("B, behind A", get(B, probe, msr), probe->reset);
    expect("A's own, behind B", get(A, probe, msr), probe->value);
}

/* The parts of XCR0 on for the vector registers, but for the probe of XCR0; OSXSAVE off for those of CR4. */
static void prepare(struct guest *guest, const struct probe *probe)
{
    bool vectors = probe->feature == AVX || probe->feature == AVX512;

    if (vectors) {
        guest->state->xcr0 = probe->feature == AVX512 ? 0xe7 : 7;
        guest->state->dirty |= VCPU_XCR0;
    }
    guest->state->cr3 = TABLES;
    guest->state->cr4 = CR4_START | (probe->set != set_cr4 && has(XSAVE) ? CR4_OSXSAVE : 0);
    guest->state->dirty |= VCPU_CR;
}

static void probe_row(const struct guest_state *row, selector component)
{
    unsigned found = 0;

    for (unsigned i = 0; i < COUNT(probes); i++) {
        const struct probe *probe = &probes[i];

        if (strcmp(probe->row, row->name))
            continue;
        found++;
        if (!has(probe->feature))
            continue;
        prepare(A, probe);
        prepare(B, probe);
        for (uint32_t msr = 0; msr < row->msrs || !msr; msr++)
            probe_one(probe, row->which + msr, component);
    }
    expect(row->name, found > 0, true);
}

/* QEMU 7.2 keeps a guest's breakpoints (doc/caveats.md), and may crash at the next guest's. */
static void clear_breakpoints(void)
{
    EXPECT(run(A, set_dr7, 0x400, 0), true);
}

static void nothing_is_left(void)
{
    selector component = portal(thread_local_ec(&own, 1, 0), look, 0);

    make_both();
    for (const struct guest_state *row = guest_states; row->name; row++) {
        if (is_svm() ? row->svm : row->vmx)
            probe_row(row, component);
    }
    clear_breakpoints();
}

/* A's breakpoint where B runs; on SVM QEMU's would hit. */
static void breakpoint(void)
{
    make_both();
    EXPECT(run(A, set_dr0, B->code, 0), true);
    EXPECT(run(A, set_dr7, 0x403, 0), true);
    EXPECT(is_svm() || run(B, do_nothing, 0, 0), true);
    clear_breakpoints();
}

static void cr4_is_closed(void)
{
    uint64_t open = guest_state_bits(GUEST_CR4, is_svm());

    for (unsigned bit = 0; bit < 64; bit++) {
        if (open >> bit & 1)
            continue;
        make_both();
        A->state->cr4 |= 1ul << bit;
        A->state->dirty |= VCPU_CR;
        EXPECT(enter(A), VCPU_EXIT_INVALID_STATE); /* not the monitor's to give */
        EXPECT(A->state->info[0], VCPU_CR);
        start_long(A);
        if (bit < 32) {
            A->state->cs = (struct vcpu_segment){.attributes = 0x9b, .limit = 0xffff};
            A->state->cr0 = 0x10;
            A->state->cr4 = 0;
            A->state->efer = 0;
        }
        expect("set by the guest",
               run(A, bit < 32 ? real_cr4 : set_cr4, 1ul << bit | (bit < 32 ? 0 : CR4_START), 0), false);
        clean();
    }
    make_both();
    EXPECT(run(A, write_pkru, 0x12345678, 0), false);
}

/* Every MSR that a bitmap can open, and some that none can. */
static void msrs_are_closed(void)
{
    static const uint32_t first[] = {0, 0xc0000000, 0xc0010000, 0x40000000, 0x80000000, 0xffffe000};
    uint64_t wrong = 0, open = 0;

    make_both();
    for (unsigned exit = 0; exit < VCPU_EXITS; exit++)
        A->state->want[exit] = 0;
    for (unsigned i = 0; i < COUNT(first) * MSR_TABLE_SIZE; i++) {
        uint32_t msr = first[i / MSR_TABLE_SIZE] + i % MSR_TABLE_SIZE;
        bool is_open = guest_state_msr(msr, is_svm());

        if (i / MSR_TABLE_SIZE >= MSR_TABLES && i % 0x1f1)
            continue;
        open += is_open;
        if (run(A, get_msr, 0, msr) != is_open || (!is_open && A->state->exit != VCPU_EXIT_RDMSR) ||
            run(A, set_msr, 0, msr) != is_open || (!is_open && A->state->exit != VCPU_EXIT_WRMSR)) {
            say("ktest: MSR %x should be %s", msr, is_open ? "open" : "closed");
            wrong++;
        }
    }
    EXPECT(wrong, 0);
    EXPECT(open, is_svm() ? 10 : 6);
}

/* A part with those that it needs. */
static uint64_t xcr0_with(unsigned bit)
{
    uint64_t others = bit == 2 ? 2 : bit == 3 || bit == 4 ? 0x18 : bit >= 5 && bit <= 7 ? 0xe7 : 0;

    return 1 | 1ul << bit | others;
}

/* The monitor gives what is in the list and the processor has. A guest's XSETBV exits, or is #GP; QEMU 7.2
 * executes it, and the kernel takes away what is closed. */
static void xcr0_is_closed(void)
{
    uint64_t parts = guest_state_bits(GUEST_XCR0, is_svm()) & (has(XSAVE) ? cpuid_word(0xd, 0) : 1);

    for (unsigned bit = 0; bit < 64; bit++) {
        make_both();
        A->state->xcr0 = xcr0_with(bit);
        A->state->dirty |= VCPU_XCR0;
        expect("given by the monitor", run(A, do_nothing, 0, 0), parts >> bit & 1);
        clean();
        make_both();
        if (has(XSAVE) && bit < 32 && run(A, set_xcr0, xcr0_with(bit), 0))
            EXPECT(A->state->xcr0 & ~parts, 0);
        clean();
    }
}

/* What is open, the processor may lack. */
static void efer_is_closed(void)
{
    uint64_t open = guest_state_bits(GUEST_EFER, is_svm());

    for (unsigned bit = 0; bit < 64; bit++) {
        make_both();
        A->state->efer |= 1ul << bit;
        A->state->dirty |= VCPU_EFER;
        if (run(A, do_nothing, 0, 0) || !A->state->info[0])
            EXPECT(open >> bit & 1, 1);
        clean();
    }
}

void test_leaks(void)
{
    static const struct test tests[] = {
        {"leak: what a guest has set, the next and components do not find", nothing_is_left},
        {"leak: a breakpoint", breakpoint},
        {"leak: bits of CR4 that are not in the list", cr4_is_closed},
        {"leak: MSRs that are not in the list", msrs_are_closed},
        {"leak: parts of XCR0 that are not in the list", xcr0_is_closed},
        {"leak: bits of EFER that are not in the list", efer_is_closed},
    };

    run_tests(tests, COUNT(tests));
}
