/* SPDX-License-Identifier: ISC */
/* vCPU objects and the check of what a monitor puts into the state page. See vcpu.h. */
#include "kernel/vcpu.h"

#include "kernel/account.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/fpu.h"
#include "kernel/print.h"
#include "kernel/smp.h"
#include "kernel/space.h"
#include <string.h>

const struct virt_operations *virt;

void virt_init(void)
{
    if (!this_cpu()->number)
        virt = cpu_features.svm ? &svm_operations : vmx_find() ? &vmx_operations : NULL;
    if (virt)
        virt->cpu_init();
}

static void vcpu_link(struct vcpu *vcpu, struct space *gst)
{
    vcpu->gst = gst;
    object_reference(&gst->object);
    gst->memory.cpus |= 1ul << vcpu->cpu;
    vcpu->next = gst->memory.vcpus;
    if (vcpu->next)
        vcpu->next->previous = vcpu;
    gst->memory.vcpus = vcpu;
}

static void vcpu_unlink(struct vcpu *vcpu)
{
    if (vcpu->previous)
        vcpu->previous->next = vcpu->next;
    else if (vcpu->gst && vcpu->gst->memory.vcpus == vcpu)
        vcpu->gst->memory.vcpus = vcpu->next;
    if (vcpu->next)
        vcpu->next->previous = vcpu->previous;
    vcpu->next = vcpu->previous = NULL;
}

enum status vcpu_create(struct account *account, struct pd *pd, struct space *gst, struct space *msr,
                        uint64_t state_user, unsigned cpu, struct vcpu **result, enum payer *payer)
{
    enum status status = STATUS_NO_MEMORY;
    struct vcpu *vcpu;

    *payer = PAYER_NAMED;
    if (!virt)
        return STATUS_UNSUPPORTED;
    vcpu = object_create(account, OBJECT_VCPU, sizeof(*vcpu));
    if (!vcpu)
        return STATUS_NO_MEMORY;
    vcpu->cpu = cpu;
    vcpu->control = account_page(account);
    vcpu->state = account_page(account);
    vcpu->extra = virt->extra_page ? account_page(account) : NULL;
    vcpu->fpu = fpu_create(account);
    if (vcpu->control && vcpu->state && vcpu->fpu && (vcpu->extra || !virt->extra_page)) {
        *payer = PAYER_SPACE;
        status = shared_map(pd->hst, state_user, vcpu->state);
    }
    if (status != STATUS_OK) {
        vcpu->cpu = this_cpu()->number;
        object_discard(&vcpu->object); /* gives back what there is */
        return status;
    }
    vcpu->state_user = state_user;
    vcpu->pd = pd;
    object_reference(&pd->object);
    vcpu_link(vcpu, gst);
    vcpu->msr = msr;
    if (msr)
        object_reference(&msr->object);
    vcpu->control_physical = physical_address(vcpu->control);
    virt->init(vcpu);
    virt->get(vcpu, vcpu->state, VCPU_GROUPS);
    if (virt->release)
        virt->release(vcpu);
    *result = vcpu;
    return STATUS_OK;
}

static void vcpu_wake(struct object *object)
{
    struct vcpu *vcpu = (struct vcpu *)object;

    if (vcpu->cpu != this_cpu()->number)
        smp_request(object, REQUEST_WAKE, vcpu->cpu);
    else if (vcpu->runner && vcpu->runner->state == EC_WAITING)
        ec_wake(vcpu->runner);
}

static unsigned vcpu_home(const struct object *object)
{
    return ((const struct vcpu *)object)->cpu;
}

static bool vcpu_ended(const struct object *object)
{
    return !((const struct vcpu *)object)->state;
}

static void vcpu_end(struct object *object)
{
    struct vcpu *vcpu = (struct vcpu *)object;

    vcpu_unlink(vcpu);
    if (vcpu->state && vcpu->pd)
        shared_unmap(vcpu->pd->hst, vcpu->state_user, vcpu->state);
    vcpu_wake(object); /* the call begins anew and finds the vCPU dead */
    if (vcpu->runner)
        vcpu->runner->runs = NULL;
    vcpu->runner = NULL;
    if (vcpu->control_physical && virt->release)
        virt->release(vcpu);
    vcpu->control_physical = 0;
    if (vcpu->state)
        page_free(vcpu->state);
    if (vcpu->control)
        page_free(vcpu->control);
    if (vcpu->extra)
        page_free(vcpu->extra);
    if (vcpu->fpu)
        fpu_free(vcpu->fpu);
    vcpu->state = vcpu->control = vcpu->extra = NULL;
    vcpu->fpu = NULL;
}

static bool vcpu_free(struct object *object)
{
    struct vcpu *vcpu = (struct vcpu *)object;
    struct pd *pd = vcpu->pd;
    struct space *gst = vcpu->gst, *msr = vcpu->msr;

    vcpu_end(object);
    slab_free(vcpu);
    if (msr)
        object_release(&msr->object);
    if (gst)
        object_release(&gst->object);
    if (pd)
        object_release(&pd->object);
    return true;
}

const struct object_operations vcpu_operations = {
    .home = vcpu_home, .end = vcpu_end, .ended = vcpu_ended, .wake = vcpu_wake, .free = vcpu_free};

/* What the processor has to find consistent; the checks of VMRUN and VM entry (APM vol. 2, 15.5.1; SDM vol.
 * 3, 27.3.1) that depend on registers a monitor sets. The rest is the kernel's own and right by construction.
 */

#define CR0_RESERVED    (~0xe005003ful)
#define RFLAGS_RESERVED (~0x3f7fd7ul)
#define SEG_P           0x80u
#define SEG_L           0x200u
#define SEG_DB          0x400u
#define SEG_MASK        0xfffu
#define WINDOW_BITS                                                                                          \
    (uint64_t)(VCPU_WINDOW_INTERRUPT | VCPU_WINDOW_NMI | VCPU_WINDOW_CLASS | VCPU_WINDOW_EXCEPTIONS)

static bool control_registers_valid(const struct vcpu_state *s)
{
    bool paging = s->cr0 & CR0_PG, wide = s->efer & EFER_LME;

    if ((s->cr0 & CR0_RESERVED) || (s->cr4 & ~cpu_features.guest_cr4) ||
        (s->efer & ~cpu_features.guest_efer) || s->cr8 > 15)
        return false;
    if ((s->cr0 & CR0_NW) && !(s->cr0 & CR0_CD))
        return false;
    if (paging && !(s->cr0 & CR0_PE))
        return false;
    if (s->cr3 & ~cpu_features.physical_mask)
        return false;
    if ((s->cr4 & CR4_OSXSAVE) && !cpu_features.xsave)
        return false;
    if (!paging || !wide)
        return !(s->cr4 & CR4_PCIDE);
    /* Long mode: PAE, and a code segment that is not both 64 and 32 bits wide. */
    return (s->cr4 & CR4_PAE) && (s->cs.attributes & (SEG_L | SEG_DB)) != (SEG_L | SEG_DB);
}

static bool segment_valid(const struct vcpu_segment *segment)
{
    return !(segment->attributes & ~SEG_MASK) && address_is_canonical(segment->base);
}

static bool event_valid(uint64_t event)
{
    uint64_t type = event & VCPU_EVENT_TYPE, vector = event & 0xff;

    if (!(event & VCPU_EVENT_VALID))
        return true;
    if (event & 0x7ffff000ul)
        return false;
    switch (type) {
    case VCPU_EVENT_INTERRUPT:
    case VCPU_EVENT_SOFTWARE:
        return !(event & VCPU_EVENT_ERROR);
    case VCPU_EVENT_NMI:
        return vector == 2 && !(event & VCPU_EVENT_ERROR);
    case VCPU_EVENT_EXCEPTION:
        return vector < EXCEPTIONS && vector != 2;
    default:
        return false;
    }
}

/* The lower bits of a memory type in each byte of PAT: 0, 1, 4 to 7. */
static bool pat_valid(uint64_t pat)
{
    for (unsigned i = 0; i < 8; i++, pat >>= 8)
        if ((pat & 0xff) > 7 || (pat & 0xff) == 2 || (pat & 0xff) == 3)
            return false;
    return true;
}

/* Of RIP as VM entry has it (SDM vol. 3, 27.3.1.4): bit 47 may differ from those above it. That is RIP behind
 * an instruction that ends at 0x7fffffffffff, and the guest gets #GP when it fetches the next one. */
static bool rip_valid(const struct vcpu_state *s)
{
    return (uint64_t)((int64_t)(s->rip << 15) >> 15) == s->rip && !(s->rflags & RFLAGS_RESERVED) &&
           (s->rflags & RFLAGS_FIXED);
}

/* The first group that is refused, 0 if all is well. `s` holds all registers that the checks relate. */
static uint32_t invalid_group(const struct vcpu_state *s, uint32_t dirty)
{
    if ((dirty & VCPU_RIP) && !rip_valid(s))
        return VCPU_RIP;
    if ((dirty & VCPU_EVENT) && (!event_valid(s->inject) || (s->window & ~WINDOW_BITS)))
        return VCPU_EVENT;
    if ((dirty & VCPU_CS_SS) && (!segment_valid(&s->cs) || !segment_valid(&s->ss)))
        return VCPU_CS_SS;
    if ((dirty & VCPU_DS_ES) && (!segment_valid(&s->ds) || !segment_valid(&s->es)))
        return VCPU_DS_ES;
    if ((dirty & VCPU_FS_GS) &&
        (!segment_valid(&s->fs) || !segment_valid(&s->gs) || !address_is_canonical(s->kernel_gs_base)))
        return VCPU_FS_GS;
    if ((dirty & VCPU_TR_LDTR) && (!segment_valid(&s->tr) || !segment_valid(&s->ldtr)))
        return VCPU_TR_LDTR;
    if ((dirty & VCPU_TABLES) &&
        (!address_is_canonical(s->gdtr.base) || !address_is_canonical(s->idtr.base) ||
         s->gdtr.limit > 0xffff || s->idtr.limit > 0xffff))
        return VCPU_TABLES;
    if ((dirty & VCPU_DR) && ((s->dr6 | s->dr7) >> 32))
        return VCPU_DR;
    if ((dirty & VCPU_EFER) && !pat_valid(s->pat))
        return VCPU_EFER;
    if ((dirty & VCPU_SYSCALL) &&
        (!address_is_canonical(s->lstar) || !address_is_canonical(s->cstar) ||
         !address_is_canonical(s->sysenter_esp) || !address_is_canonical(s->sysenter_eip) || s->sfmask >> 32))
        return VCPU_SYSCALL;
    if ((dirty & VCPU_TSC) && (cpu_features.rdtscp ? s->tsc_aux >> 32 : s->tsc_aux))
        return VCPU_TSC;
    if ((dirty & VCPU_XCR0) && !fpu_xcr0_valid(s->xcr0))
        return VCPU_XCR0;
    if ((dirty & (VCPU_CR | VCPU_EFER | VCPU_CS_SS)) && !control_registers_valid(s))
        return dirty & VCPU_CR ? VCPU_CR : dirty & VCPU_EFER ? VCPU_EFER : VCPU_CS_SS;
    return 0;
}

/* Where the registers of each group stand; RIP, the frequent one, is not in the table. */
#define GROUP(group, first, last)                                                                            \
    {                                                                                                        \
        group, offsetof(struct vcpu_state, first),                                                           \
            offsetof(struct vcpu_state, last) + sizeof(((struct vcpu_state *)0)->last)                       \
    }
static const struct {
    uint32_t group;
    uint16_t begin, end;
} groups[] = {
    GROUP(VCPU_EVENT, inject, window),
    GROUP(VCPU_CS_SS, cs, ss),
    GROUP(VCPU_DS_ES, ds, es),
    GROUP(VCPU_FS_GS, fs, kernel_gs_base),
    GROUP(VCPU_TR_LDTR, tr, ldtr),
    GROUP(VCPU_TABLES, gdtr, idtr),
    GROUP(VCPU_CR, cr0, pdpte),
    GROUP(VCPU_DR, dr0, dr7),
    GROUP(VCPU_EFER, efer, pat),
    GROUP(VCPU_SYSCALL, star, sysenter_eip),
    GROUP(VCPU_TSC, tsc_offset, tsc_aux),
    GROUP(VCPU_XCR0, xcr0, xcr0),
};

/* Everything from the shared page is read once. */
static void copy_rip(struct vcpu_state *to, const volatile struct vcpu_state *from)
{
    to->rip = from->rip;
    to->rflags = from->rflags;
    to->interruptibility = from->interruptibility;
}

/* The groups that are dirty. */
static void copy_groups(struct vcpu_state *to, const struct vcpu_state *from, uint32_t dirty)
{
    if (dirty & VCPU_RIP)
        copy_rip(to, from);
    dirty &= ~(uint32_t)VCPU_RIP;
    for (unsigned i = 0; dirty && i < sizeof(groups) / sizeof(*groups); i++) {
        if (dirty & groups[i].group)
            memcpy((char *)to + groups[i].begin, (const char *)from + groups[i].begin,
                   (size_t)(groups[i].end - groups[i].begin));
        dirty &= ~groups[i].group;
    }
}

void vcpu_look(struct vcpu *vcpu)
{
    struct vcpu_state *page = vcpu->state;
    uint32_t want;

    virt->get(vcpu, page, VCPU_RIP);
    page->valid = VCPU_GPR | VCPU_RIP;
    page->exit = VCPU_EXIT_NONE;
    page->interrupted = 0;
    want = *(volatile uint32_t *)&page->want[VCPU_EXIT_NONE] & VCPU_GROUPS & ~(uint32_t)VCPU_EVENT;
    if (__builtin_expect(want != 0, 0)) {
        virt->get(vcpu, page, want);
        page->valid |= want;
    }
}

static bool refuse(struct vcpu_state *page, uint32_t group)
{
    page->exit = VCPU_EXIT_INVALID_STATE;
    page->info[0] = group;
    page->info[1] = 0;
    page->valid = 0;
    return false;
}

static bool __attribute__((noinline)) load(struct vcpu *vcpu, uint32_t dirty)
{
    struct vcpu_state *page = vcpu->state;
    uint64_t cr0 = 0, cr3 = 0, cr4 = 0;
    struct vcpu_state copy;
    uint32_t refused;

    copy.cr8 = 0; /* comes with RIP, and is checked with these */
    if (dirty & (VCPU_CR | VCPU_EFER | VCPU_CS_SS)) {
        virt->get(vcpu, &copy, VCPU_CR | VCPU_EFER | VCPU_CS_SS);
        cr0 = copy.cr0;
        cr3 = copy.cr3;
        cr4 = copy.cr4;
    }
    copy_groups(&copy, page, dirty);
    refused = invalid_group(&copy, dirty);
    if (refused)
        return refuse(page, refused);
    if ((dirty & VCPU_CR) && (copy.cr0 != cr0 || copy.cr3 != cr3 || copy.cr4 != cr4))
        vcpu->asid.generation = 0; /* a fresh tag: what is cached under this one is other tables' */
    if (dirty & VCPU_TSC)
        vcpu->tsc_aux = (uint32_t)copy.tsc_aux;
    virt->set(vcpu, &copy, dirty);
    page->dirty = 0;
    return true;
}

bool vcpu_load(struct vcpu *vcpu)
{
    uint32_t dirty = *(volatile uint32_t *)&vcpu->state->dirty & VCPU_GROUPS & ~(uint32_t)VCPU_GPR;

    struct vcpu_state copy;

    if (!dirty)
        return true;
    if (dirty != VCPU_RIP)
        return load(vcpu, dirty);
    copy_rip(&copy, vcpu->state); /* as nearly always */
    if (!rip_valid(&copy))
        return refuse(vcpu->state, VCPU_RIP);
    virt->set(vcpu, &copy, VCPU_RIP);
    vcpu->state->dirty = 0;
    return true;
}
