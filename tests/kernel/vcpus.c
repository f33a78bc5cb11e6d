/* SPDX-License-Identifier: ISC */
/*
 * Virtual CPUs with guests of a few bytes, in real mode at address 0x1000 of 64 KiB, whose exits are looked
 * at one by one.
 */
#include "tests/kernel/vm.h"

#include <string.h>

struct test_vm vm;

const uint8_t code_hlt[3] = {0xf4, 0xeb, 0xfd};                               /* 1: hlt; jmp 1b */
static const uint8_t code_out[] = {0xba, 0x34, 0x12, 0xb0, 0x5a, 0xee, 0xef}; /* mov dx; mov al; out; outw */
static const uint8_t code_in[] = {0xe4, 0x60, 0xf4};                          /* in al, 0x60; hlt */
const uint8_t code_cpuid[2] = {0x0f, 0xa2};
static const uint8_t code_rdmsr[] = {0x0f, 0x32};
static const uint8_t code_wrmsr[] = {0x0f, 0x30};
static const uint8_t code_vmmcall[] = {0x0f, 0x01, 0xd9}; /* AMD's */
static const uint8_t code_vmcall[] = {0x0f, 0x01, 0xc1};  /* Intel's */
static const uint8_t code_wbinvd[] = {0x0f, 0x09};
static const uint8_t code_vmrun[] = {0x0f, 0x01, 0xd8};
/* mov ax, 0xa000; mov ds, ax; mov byte [0x123], 1; hlt */
static const uint8_t code_mmio[] = {0xb8, 0x00, 0xa0, 0x8e, 0xd8, 0xc6, 0x06, 0x23, 0x01, 0x01, 0xf4};

static const uint8_t code_ud[] = {0x0f, 0x0b};
/* inc word [0x3000]; iret */
static const uint8_t code_handler[] = {0xff, 0x06, 0x00, 0x30, 0xcf};

static uint32_t extended_features(void)
{
    uint32_t eax = 0x80000001, ebx, ecx, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    return edx;
}

void vm_load(const uint8_t *code, size_t bytes)
{
    memset(vm.memory, 0, GUEST_PAGES * PAGE);
    memcpy(vm.memory + CODE, code, bytes);
    memcpy(vm.memory + HANDLER, code_handler, sizeof(code_handler));
    for (unsigned vector = 0; vector < 256; vector++)
        vm.memory[4 * vector + 1] = HANDLER >> 8;
}

static struct vcpu_segment segment(uint16_t attributes)
{
    return (struct vcpu_segment){.attributes = attributes, .limit = 0xffff};
}

/* Real mode, at CODE. */
void vm_start(void)
{
    volatile struct vcpu_state *s = vm.state;

    s->cs = segment(0x9b);
    s->ss = s->ds = s->es = segment(0x93);
    s->rip = CODE;
    s->rflags = 2;
    s->interruptibility = 0;
    s->gpr[VCPU_RSP] = 0x8000;
    s->idtr = (struct vcpu_segment){.limit = 0x3ff};
    s->activity = VCPU_ACTIVE;
    s->inject = 0;
    s->window = 0;
    s->dirty = VCPU_CS_SS | VCPU_DS_ES | VCPU_RIP | VCPU_TABLES | VCPU_EVENT;
}

/* 64-bit code at CODE; the first 2 MiB are mapped. */
void vm_start_long(void)
{
    volatile uint64_t *tables = (uint64_t *)(vm.memory + LONG_TABLES);
    volatile struct vcpu_state *s = vm.state;

    tables[0] = (LONG_TABLES + PAGE) | 3;
    tables[PAGE / 8] = (LONG_TABLES + 2 * PAGE) | 3;
    tables[2 * PAGE / 8] = 0x83;
    s->cs = (struct vcpu_segment){.attributes = 0xa9b, .limit = 0xffffffff};
    s->ss = s->ds = s->es = (struct vcpu_segment){.attributes = 0xc93, .limit = 0xffffffff};
    s->cr0 = 0x80000011;
    s->cr3 = LONG_TABLES;
    s->cr4 = 0x20;
    s->efer = 0x500; /* LME, LMA */
    s->dirty |= VCPU_CR | VCPU_EFER;
}

void vm_make(const struct pd_space *pd, const uint8_t *code, size_t bytes)
{
    vm.gst = fresh();
    vm.vcpu = fresh();
    vm.nt = notification();
    vm.state = (volatile struct vcpu_state *)STATE_PAGE;
    vm.memory = ram_map(GUEST_RAM);
    vm_load(code, bytes);
    OK(create_space(vm.gst, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM), vm.gst, 0, GUEST_PAGES, MEM_READ | MEM_WRITE | MEM_EXECUTE));
    OK(create_vcpu(vm.vcpu, ROOT_ACCOUNT, pd->pd, vm.gst, STATE_PAGE));
    if (pd == &own)
        vm_start();
}

enum status vm_run(uint64_t ticks)
{
    uint64_t bits;

    return vcpu_run(vm.vcpu, vm.nt, ticks == DEADLINE_NEVER ? ticks : now() + ticks, &bits);
}

/* Run until an exit: this one. */
void vm_exits(uint32_t exit, uint64_t rip)
{
    EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
    EXPECT(vm.state->exit, exit);
    EXPECT(vm.state->rip, rip);
}

static void reset_state(void)
{
    MAKE(code_hlt);
    (void)vm_run(0);
    EXPECT(vm.state->cr8, 0);
    OK(destroy(vm.vcpu));
    OK(space_remove(ROOT_OBJ, vm.vcpu, 1));
    OK(create_vcpu(vm.vcpu, ROOT_ACCOUNT, ROOT_PD, vm.gst, STATE_PAGE));
    EXPECT(vm.state->rip, 0xfff0);
    EXPECT(vm.state->cs.base, 0xffff0000);
    EXPECT(vm.state->cs.selector, 0xf000);
    EXPECT(vm.state->cr0, 0x60000010);
    EXPECT(vm.state->rflags, 2);
    EXPECT(vm.state->efer, 0);
}

static void instructions(void)
{
    MAKE(code_hlt);
    vm_exits(VCPU_EXIT_HLT, CODE);
    vm_load(code_cpuid, sizeof(code_cpuid));
    vm_start();
    vm_exits(VCPU_EXIT_CPUID, CODE);
    vm_exits(VCPU_EXIT_CPUID, CODE); /* it is as it was until the monitor moves on */
    vm_load(code_rdmsr, sizeof(code_rdmsr));
    vm_exits(VCPU_EXIT_RDMSR, CODE);
    vm_load(code_wrmsr, sizeof(code_wrmsr));
    vm_exits(VCPU_EXIT_WRMSR, CODE);
    if (BOOT->features & BOOT_FEATURE_SVM)
        vm_load(code_vmmcall, sizeof(code_vmmcall));
    else
        vm_load(code_vmcall, sizeof(code_vmcall));
    vm_exits(VCPU_EXIT_HYPERCALL, CODE);
    vm_load(code_wbinvd, sizeof(code_wbinvd));
    vm_exits(VCPU_EXIT_WBINVD, CODE);
}

static void ports(void)
{
    MAKE(code_out);
    vm_exits(VCPU_EXIT_IO, CODE + 5);
    EXPECT(VCPU_IO_PORT(vm.state->info[0]), DATA_PORT);
    EXPECT(VCPU_IO_SIZE(vm.state->info[0]), 1);
    EXPECT(vm.state->info[0] & (VCPU_IO_IN | VCPU_IO_STRING | VCPU_IO_REP), 0);
    EXPECT(vm.state->next_rip, CODE + 6);
    EXPECT(vm.state->gpr[VCPU_RAX] & 0xff, 0x5a);
    vm.state->rip = vm.state->next_rip;
    vm.state->dirty = VCPU_RIP;
    vm_exits(VCPU_EXIT_IO, CODE + 6);
    EXPECT(VCPU_IO_SIZE(vm.state->info[0]), 2);
    vm_load(code_in, sizeof(code_in));
    vm_start();
    vm_exits(VCPU_EXIT_IO, CODE);
    EXPECT(vm.state->info[0] & VCPU_IO_IN, VCPU_IO_IN);
    EXPECT(VCPU_IO_PORT(vm.state->info[0]), 0x60);
    vm.state->gpr[VCPU_RAX] = 0x77;
    vm.state->rip = vm.state->next_rip;
    vm.state->dirty = VCPU_RIP;
    vm_exits(VCPU_EXIT_HLT, CODE + 2);
    EXPECT(vm.state->gpr[VCPU_RAX] & 0xff, 0x77);
}

static void mmio(void)
{
    MAKE(code_mmio);
    vm_exits(VCPU_EXIT_MMIO, CODE + 5);
    EXPECT(vm.state->info[0], 0xa0123);
    EXPECT(vm.state->info[1] & (VCPU_MMIO_WRITE | VCPU_MMIO_PRESENT), VCPU_MMIO_WRITE);
    /* Mapped, it goes on; taken away, it exits again. */
    OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM + GUEST_PAGES), vm.gst, 0xa0, 1, MEM_READ | MEM_WRITE));
    vm_exits(VCPU_EXIT_HLT, CODE + 10);
    EXPECT(*((volatile uint8_t *)ram_map(GUEST_RAM + GUEST_PAGES) + 0x123), 1);
    OK(space_remove(vm.gst, 0xa0, 1));
    vm_start();
    vm_exits(VCPU_EXIT_MMIO, CODE + 5);
    OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM + GUEST_PAGES), vm.gst, 0xa0, 1, MEM_READ));
    vm_exits(VCPU_EXIT_MMIO, CODE + 5);
    EXPECT(vm.state->info[1] & (VCPU_MMIO_WRITE | VCPU_MMIO_PRESENT), VCPU_MMIO_WRITE | VCPU_MMIO_PRESENT);
}

/* A page of 1 GiB where the processor has those, behind a base of DS; nothing is there, so it reads anything.
 * A page of it taken away takes it all. */
static const uint8_t code_load[] = {0xa0, 0x10, 0x00, 0xf4}; /* mov al, [0x10]; hlt */
#define GIANT       0x40000000ul
#define GIANT_PAGES (GIANT / PAGE)

static void load_from_giant(uint32_t exit, uint64_t rip)
{
    vm_start();
    vm.state->ds.base = GIANT;
    vm_exits(exit, rip);
}

static void giant_page(void)
{
    bool giant = extended_features() & 1u << 26, sure = !giant || (BOOT->features & BOOT_FEATURE_SVM);
    uint64_t free;

    MAKE(code_load);
    load_from_giant(VCPU_EXIT_MMIO, CODE);
    EXPECT(vm.state->info[0], GIANT + 0x10);
    free = account_free(ROOT_ACCOUNT);
    OK(space_copy(ROOT_MEM, GIANT_PAGES, vm.gst, GIANT_PAGES, GIANT_PAGES, MEM_READ));
    /* A table of pages of 2 MiB is not needed. That EPT has them, no program can know. */
    expect_range("pages for tables", free - account_free(ROOT_ACCOUNT), sure && !giant,
                 sure && giant ? 0 : 1);
    load_from_giant(VCPU_EXIT_HLT, CODE + 3);
    OK(space_remove(vm.gst, GIANT_PAGES + 512, 512));
    vm_start();
    vm.state->ds.base = GIANT;
    EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
    if (sure)
        EXPECT(vm.state->exit, giant ? VCPU_EXIT_MMIO : VCPU_EXIT_HLT);
}

/* WRMSR and RDMSR of KERNEL_GS_BASE, which either vendor's processor switches: without a space the guest's
 * own, with one as that has it, and again when it is taken away. */
static const uint8_t code_msr[] = {
    0x66, 0xb9, 0x02, 0x01, 0x00, 0xc0, /* mov $0xc0000102, %ecx */
    0x66, 0xb8, 0x34, 0x12, 0x00, 0x00, /* mov $0x1234, %eax */
    0x66, 0x31, 0xd2,                   /* xor %edx, %edx */
    0x0f, 0x30,                         /* wrmsr */
    0x66, 0x31, 0xc0,                   /* xor %eax, %eax */
    0x0f, 0x32,                         /* rdmsr */
    0xf4,
};
#define AT_WRMSR (CODE + 15)
#define AT_RDMSR (CODE + 20)
#define AT_HLT   (CODE + 22)
#define GS_BASE  0xc0000102u

static void with_msrs(selector msrs)
{
    OK(destroy(vm.vcpu));
    OK(space_remove(ROOT_OBJ, vm.vcpu, 1));
    OK(system_call_status(CALL_CREATE_VCPU, vm.vcpu, ROOT_ACCOUNT, ROOT_PD, vm.gst, STATE_PAGE, msrs));
    vm_start();
}

static void msrs(void)
{
    selector space = fresh();

    MAKE(code_msr);
    vm_exits(VCPU_EXIT_HLT, AT_HLT);
    EXPECT(vm.state->gpr[VCPU_RAX], 0x1234);
    OK(create_space(space, ROOT_ACCOUNT, SPACE_MSR, 0));
    with_msrs(space);
    vm_exits(VCPU_EXIT_WRMSR, AT_WRMSR);
    OK(space_copy(ROOT_MSRS, GS_BASE, space, GS_BASE, 1, MEM_READ | MEM_WRITE));
    with_msrs(space);
    vm_exits(VCPU_EXIT_HLT, AT_HLT);
    EXPECT(vm.state->gpr[VCPU_RAX], 0x1234);
    OK(space_remove(space, GS_BASE, 1));
    OK(space_copy(ROOT_MSRS, GS_BASE, space, GS_BASE, 1, MEM_WRITE));
    with_msrs(space);
    vm_exits(VCPU_EXIT_RDMSR, AT_RDMSR);
    OK(space_remove(space, GS_BASE, 1));
    with_msrs(space);
    vm_exits(VCPU_EXIT_WRMSR, AT_WRMSR);
    OK(destroy(space));
    vm_exits(VCPU_EXIT_WRMSR, AT_WRMSR);
}

/* PAE paging that the monitor has set up: 4 MiB behind the code is the first 2 MiB again. */
#define TABLES 0x8000u
static const uint8_t code_pae[] = {0xa1, 0x00, 0x10, 0x40,
                                   0x00, 0x90, 0xf4}; /* mov eax, [0x401000]; nop; hlt */

static void pae_from_outside(void)
{
    volatile struct vcpu_state *s;
    uint64_t *tables;

    MAKE(code_pae);
    s = vm.state;
    tables = (uint64_t *)(vm.memory + TABLES);
    tables[0] = s->pdpte[0] = (TABLES + PAGE) | 1;
    s->pdpte[1] = s->pdpte[2] = s->pdpte[3] = 0;
    tables[PAGE / 8] = tables[PAGE / 8 + 2] = 0x83;
    s->cs = (struct vcpu_segment){.attributes = 0xc9b, .limit = 0xffffffff};
    s->ss = s->ds = s->es = (struct vcpu_segment){.attributes = 0xc93, .limit = 0xffffffff};
    s->cr0 = 0x80000011;
    s->cr3 = TABLES;
    s->cr4 = 0x20;
    s->efer = 0;
    s->dirty |= VCPU_CR | VCPU_EFER;
    s->want[VCPU_EXIT_HLT] = VCPU_CR;
    vm_exits(VCPU_EXIT_HLT, CODE + 6);
    EXPECT(s->gpr[VCPU_RAX], 0x401000a1ul & 0xffffffff);
    if (BOOT->features & BOOT_FEATURE_VMX)
        EXPECT(s->pdpte[0], (TABLES + PAGE) | 1);
    /* And given back as it came. */
    s->rip = CODE;
    s->gpr[VCPU_RAX] = 0;
    s->dirty = VCPU_RIP | VCPU_CR;
    vm_exits(VCPU_EXIT_HLT, CODE + 6);
    EXPECT(s->gpr[VCPU_RAX] & 0xff, 0xa1);
    if (!(BOOT->features & BOOT_FEATURE_VMX))
        return;
    s->pdpte[0] |= 1ul << 62; /* reserved: the processor refuses */
    s->dirty = VCPU_CR;
    EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
    EXPECT(s->exit, VCPU_EXIT_INVALID_STATE);
}

/* RDTSCP of two vCPUs by turns: each reads its own TSC_AUX. */
static const uint8_t code_rdtscp[] = {0x0f, 0x01, 0xf9, 0xf4};

static void tsc_aux(void)
{
    bool there = extended_features() & 1u << 27;

    MAKE(code_rdtscp);
    for (unsigned i = 0; there && i < 4; i++) {
        vm_start();
        vm.state->tsc_aux = 0x80000001 + i;
        vm.state->dirty |= VCPU_TSC;
        vm.state->want[VCPU_EXIT_HLT] = VCPU_TSC;
        vm_exits(VCPU_EXIT_HLT, CODE + 3);
        EXPECT(vm.state->gpr[VCPU_RCX], 0x80000001 + i);
        EXPECT(vm.state->tsc_aux, 0x80000001 + i);
        if (i == 2) { /* a new one begins with 0 */
            OK(destroy(vm.vcpu));
            OK(space_remove(ROOT_OBJ, vm.vcpu, 1));
            OK(create_vcpu(vm.vcpu, ROOT_ACCOUNT, ROOT_PD, vm.gst, STATE_PAGE));
            vm_start();
            vm_exits(VCPU_EXIT_HLT, CODE + 3);
            EXPECT(vm.state->gpr[VCPU_RCX], 0);
        }
    }
}

static void undefined(void)
{
    MAKE(code_vmrun);
    vm.state->idtr.limit = 0; /* #UD, or an exit, must not reach the processor's VMRUN */
    EXPECT_STATUS(vm_run(milliseconds(100)), STATUS_OK);
    EXPECT(vm.state->exit == VCPU_EXIT_UNDEFINED || vm.state->exit == VCPU_EXIT_SHUTDOWN, true);
}

static void triple_fault(void)
{
    MAKE(code_ud);
    vm.state->idtr.limit = 0;
    EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
    EXPECT(vm.state->exit, VCPU_EXIT_SHUTDOWN);
    /* A new beginning. */
    vm_load(code_hlt, sizeof(code_hlt));
    vm_start();
    vm_exits(VCPU_EXIT_HLT, CODE);
}

/* Each register goes in and comes out as itself. */
static void registers(void)
{
    MAKE(code_hlt);
    for (uint64_t round = 1; round <= 2; round++) {
        for (unsigned i = 0; i < 16; i++)
            vm.state->gpr[i] = round << 16 | i << 8 | (15 - i);
        vm_exits(VCPU_EXIT_HLT, CODE);
        for (unsigned i = 0; i < 16; i++)
            EXPECT(vm.state->gpr[i], round << 16 | i << 8 | (15 - i));
    }
}

/* What is given to the vCPU at the exit that was asked for. */
static void groups(void)
{
    MAKE(code_cpuid);
    vm.state->want[VCPU_EXIT_CPUID] = VCPU_CR | VCPU_CS_SS;
    vm.state->cr0 = 0;
    vm.state->efer = 0x1234;
    vm_exits(VCPU_EXIT_CPUID, CODE);
    EXPECT(vm.state->valid, VCPU_GPR | VCPU_RIP | VCPU_CR | VCPU_CS_SS);
    EXPECT(vm.state->cr0, 0x60000010);
    EXPECT(vm.state->efer, 0x1234);
    EXPECT(vm.state->dirty, 0);
}

/* Where the guest stands comes without an exit, and the groups that are wanted with that. */
static void looked_at(void)
{
    MAKE(code_cpuid);
    EXPECT_STATUS(vm_run(0), STATUS_TIMEOUT);
    EXPECT(vm.state->valid, VCPU_GPR | VCPU_RIP);
    vm.state->want[VCPU_EXIT_NONE] = VCPU_CR | VCPU_DR | VCPU_EVENT;
    vm.state->cr0 = vm.state->dr6 = 0;
    vm.state->inject = 0x1234;
    EXPECT_STATUS(vm_run(0), STATUS_TIMEOUT);
    EXPECT(vm.state->valid, VCPU_GPR | VCPU_RIP | VCPU_CR | VCPU_DR);
    EXPECT(vm.state->cr0, 0x60000010);
    EXPECT(vm.state->dr6, 0xffff0ff0);
    EXPECT(vm.state->inject, 0x1234);
}

/* Every exception exits while the window is open. */
static void exceptions(void)
{
    static const uint8_t code[] = {0x0f, 0x0b, 0xf6, 0xf4, 0xf4}; /* ud2; div %ah; hlt */

    if (!(BOOT->features & BOOT_FEATURE_SVM))
        return;
    MAKE(code);
    vm.state->gpr[VCPU_RAX] = 0;
    vm.state->window = VCPU_WINDOW_EXCEPTIONS;
    vm.state->dirty |= VCPU_EVENT;
    vm_exits(VCPU_EXIT_EXCEPTION, CODE);
    EXPECT(vm.state->info[0], 6);
    vm.state->rip = CODE + 2;
    vm.state->dirty = VCPU_RIP;
    vm_exits(VCPU_EXIT_EXCEPTION, CODE + 2);
    EXPECT(vm.state->info[0], 0);
    vm.state->window = 0;
    vm.state->idtr.limit = 0;
    vm.state->dirty = VCPU_EVENT | VCPU_TABLES;
    EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
    EXPECT(vm.state->exit, VCPU_EXIT_SHUTDOWN); /* delivered again */
}

/* Refused by the kernel, with the group; what was there stays. */
static void nonsense_refused(void)
{
    static const struct {
        const char *name;
        uint32_t group;
        size_t offset;
        uint64_t value;
    } rows[] = {
#define FIELD(group, field, value) {#field, group, offsetof(struct vcpu_state, field), value}
        FIELD(VCPU_RIP, rip, 0x1000000000000),
        FIELD(VCPU_RIP, rip, 0xffff000000000000 - 1),
        FIELD(VCPU_RIP, rflags, 0),
        FIELD(VCPU_TSC, tsc_aux, 0x100000000),
        FIELD(VCPU_RIP, rflags, 1ull << 32 | 2),
        FIELD(VCPU_EVENT, inject, VCPU_EVENT_VALID | 1ull << 8),
        FIELD(VCPU_EVENT, inject, VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | 32),
        FIELD(VCPU_EVENT, inject, VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | 2),
        FIELD(VCPU_EVENT, inject, VCPU_EVENT_VALID | VCPU_EVENT_NMI | 3),
        FIELD(VCPU_EVENT, inject, VCPU_EVENT_VALID | 1ull << 20 | 32),
        FIELD(VCPU_EVENT, window, 1u << 3),
        FIELD(VCPU_EVENT, window, 1ull << 32),
        FIELD(VCPU_CS_SS, cs.base, 1ull << 47),
        FIELD(VCPU_DS_ES, ds.base, 1ull << 63),
        FIELD(VCPU_FS_GS, gs.base, 1ull << 47),
        FIELD(VCPU_FS_GS, kernel_gs_base, 1ull << 47),
        FIELD(VCPU_TR_LDTR, tr.base, 1ull << 47),
        FIELD(VCPU_TABLES, gdtr.base, 1ull << 47),
        FIELD(VCPU_CR, cr0, 0x80000010), /* PG without PE */
        FIELD(VCPU_CR, cr0, 0x20000010), /* NW without CD */
        FIELD(VCPU_CR, cr0, 0x100000010),
        FIELD(VCPU_CR, cr3, 1ull << 52),
        FIELD(VCPU_CR, cr4, 1u << 13), /* VMXE */
        FIELD(VCPU_CR, cr4, 1ull << 32),
        FIELD(VCPU_CR, cr8, 16),
        FIELD(VCPU_DR, dr6, 1ull << 32),
        FIELD(VCPU_DR, dr7, 1ull << 32),
        FIELD(VCPU_EFER, efer, 1u << 12), /* SVME is not the monitor's */
        FIELD(VCPU_EFER, efer, 1ull << 40),
        FIELD(VCPU_EFER, pat, 2),
        FIELD(VCPU_SYSCALL, lstar, 1ull << 47),
        FIELD(VCPU_SYSCALL, sysenter_eip, 1ull << 47),
        FIELD(VCPU_XCR0, xcr0, 0),
        FIELD(VCPU_XCR0, xcr0, 5),
        FIELD(VCPU_XCR0, xcr0, 1ull << 63 | 1),
#undef FIELD
    };

    MAKE(code_hlt);
    for (unsigned i = 0; i < VCPU_EXITS; i++)
        vm.state->want[i] = VCPU_GROUPS;
    vm_exits(VCPU_EXIT_HLT, CODE);
    for (unsigned i = 0; i < COUNT(rows); i++) {
        volatile uint64_t *field = (volatile uint64_t *)((uintptr_t)vm.state + rows[i].offset);
        uint64_t saved = *field;

        *field = rows[i].value;
        vm.state->dirty = rows[i].group;
        EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
        expect(rows[i].name, vm.state->exit, VCPU_EXIT_INVALID_STATE);
        expect(rows[i].name, vm.state->info[0], rows[i].group);
        expect(rows[i].name, vm.state->dirty, rows[i].group);
        *field = saved;
        vm.state->dirty = 0;
        EXPECT_STATUS(vm_run(0), STATUS_TIMEOUT);
        expect(rows[i].name, vm.state->rip, CODE); /* the vCPU's own: nothing was taken */
        EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
        expect(rows[i].name, vm.state->exit, VCPU_EXIT_HLT);
        expect(rows[i].name, *field, saved);
        vm.state->dirty = rows[i].group;
        EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
        expect(rows[i].name, vm.state->exit, VCPU_EXIT_HLT);
    }
}

/* What runs to the end of the lower canonical addresses: RIP is 0x800000000000 then, on its way out and on
 * its way in again, and the fetch of the next instruction is #GP. */
#define FAR_PAGE    0x7ffffffff000ull
#define FAR_END     0x800000000000ull
#define LONG_GDT    0x4000u
#define LONG_IDT    0x5000u
#define LONG_STACK  0x8ff0u
#define FRAME_BYTES 48u

static void last_address(void)
{
    static const uint8_t code_handler64[] = {0xf4}; /* hlt */
    const uint64_t *frame;
    uint64_t *tables, *gate;

    MAKE(code_hlt);
    for (unsigned i = 0; i < 2; i++) {
        vm_start();
        vm_start_long();
        vm.memory[CODE + PAGE - 1] = 0x90;
        tables = (uint64_t *)(vm.memory + LONG_TABLES);
        tables[255] = tables[0];
        tables[PAGE / 8 + 511] = tables[PAGE / 8];
        tables[2 * PAGE / 8 + 511] = (LONG_TABLES + 3 * PAGE) | 3;
        tables[3 * PAGE / 8 + 511] = CODE | 3;
        ((uint64_t *)(vm.memory + LONG_GDT))[1] = 0x00af9b000000ffff;
        gate = (uint64_t *)(vm.memory + LONG_IDT) + 2 * 13;
        gate[0] = HANDLER | 8u << 16 | 0x8eull << 40;
        memcpy(vm.memory + HANDLER, code_handler64, sizeof(code_handler64));
        vm.state->gdtr = (struct vcpu_segment){.base = LONG_GDT, .limit = 0xf};
        vm.state->idtr = (struct vcpu_segment){.base = LONG_IDT, .limit = 0xfff};
        vm.state->gpr[VCPU_RSP] = LONG_STACK;
        vm.state->rip = i ? FAR_END : FAR_PAGE + PAGE - 1;
        vm_exits(VCPU_EXIT_HLT, HANDLER);
        frame = (const uint64_t *)(vm.memory + LONG_STACK - FRAME_BYTES);
        EXPECT(vm.state->gpr[VCPU_RSP], LONG_STACK - FRAME_BYTES);
        EXPECT(frame[0], 0);
        EXPECT(frame[1], FAR_END);
    }
}

/* On a processor without SVM. */
static void unsupported(void)
{
    selector gst = fresh(), vcpu = fresh();

    OK(create_space(gst, ROOT_ACCOUNT, SPACE_GST, 0));
    EXPECT_CALL(CALL_CREATE_VCPU, create_vcpu(vcpu, ROOT_ACCOUNT, ROOT_PD, gst, STATE_PAGE),
                STATUS_UNSUPPORTED);
}

void test_vcpus(void)
{
    static const struct test tests[] = {
        {"vcpu: state after reset", reset_state},
        {"vcpu: instructions that exit", instructions},
        {"vcpu: ports", ports},
        {"vcpu: memory that is not there", mmio},
        {"vcpu: a page of 1 GiB", giant_page},
        {"vcpu: MSRs of a space", msrs},
        {"vcpu: PAE paging from outside", pae_from_outside},
        {"vcpu: TSC_AUX", tsc_aux},
        {"vcpu: the last canonical address", last_address},
        {"vcpu: the guest's own VMRUN", undefined},
        {"vcpu: triple fault", triple_fault},
        {"vcpu: registers", registers},
        {"vcpu: groups that are wanted", groups},
        {"vcpu: groups without an exit", looked_at},
        {"vcpu: exceptions that exit", exceptions},
        {"vcpu: each field of nonsense is refused", nonsense_refused},
    };

    static const struct test without[] = {{"vcpu: without SVM", unsupported}};

    if (BOOT->features & BOOT_FEATURE_VM) {
        run_tests(tests, COUNT(tests));
        test_runs();
        test_cr8();
        test_leaks();
    } else {
        run_tests(without, COUNT(without));
    }
}
