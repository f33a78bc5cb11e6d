/* SPDX-License-Identifier: ISC */
/*
 * The local APIC's registers, priorities and interrupt acceptance (Intel SDM vol. 3 ch. 11).
 *
 * What runs at each interrupt is kept short: the highest vector in service and PPR are kept, not computed,
 * and IRR and ISR are scanned in 64-bit words from the top. Both register faces, page and MSRs, end in the
 * same register_read and register_write; the x2APIC face checks reserved bits first, as there they are #GP.
 */
#include "vmm/device/lapic.h"

enum { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_ENTRIES };

#define LVT_REMOTE_IRR     APIC_LVT_REMOTE_IRR
#define LVT_LEVEL          APIC_LVT_LEVEL
#define LVT_VECTOR         0xffu
#define LVT_DELIVERY       0x700u
#define LVT_DELIVERY_SHIFT 8

/* Bits that a guest can write in each LVT entry. */
static const uint32_t lvt_writable[LVT_ENTRIES] = {
    [LVT_TIMER] = LVT_VECTOR | APIC_LVT_MASKED | APIC_TIMER_MODE,
    [LVT_THERMAL] = LVT_VECTOR | LVT_DELIVERY | APIC_LVT_MASKED,
    [LVT_PERF] = LVT_VECTOR | LVT_DELIVERY | APIC_LVT_MASKED,
    [LVT_LINT0] = LVT_VECTOR | LVT_DELIVERY | 1u << 13 | LVT_LEVEL | APIC_LVT_MASKED,
    [LVT_LINT1] = LVT_VECTOR | LVT_DELIVERY | 1u << 13 | LVT_LEVEL | APIC_LVT_MASKED,
    [LVT_ERROR] = LVT_VECTOR | APIC_LVT_MASKED,
};

#define LVT_READ_ONLY (1u << 12 | LVT_REMOTE_IRR)
#define VERSION_VALUE (0x14u | (LVT_ENTRIES - 1) << 16 | 1u << 24)

static int highest_bit(const uint64_t words[4])
{
    for (int i = 3; i >= 0; i--) {
        uint64_t word = __atomic_load_n(&words[i], __ATOMIC_RELAXED);

        if (word)
            return i * 64 + 63 - __builtin_clzll(word);
    }
    return -1;
}

static void update_ppr(struct lapic *lapic)
{
    unsigned service = lapic->isr_top < 0 ? 0 : (unsigned)lapic->isr_top & 0xf0;

    lapic->ppr = (uint8_t)((lapic->tpr & 0xf0u) >= service ? lapic->tpr : service);
}

void lapic_cr8_write(struct lapic *lapic, uint64_t value)
{
    lapic->tpr = (uint8_t)((value & 0xf) << 4);
    update_ppr(lapic);
}

int lapic_pending_vector(const struct lapic *lapic)
{
    int vector = highest_bit(lapic->irr);

    return (vector & 0xf0) > (lapic->ppr & 0xf0) && vector >= 0 ? vector : -1;
}

uint8_t lapic_masked_class(const struct lapic *lapic)
{
    unsigned masked = lapic->tpr >> 4;
    int vector;

    if (masked == 0)
        return 0;
    vector = highest_bit(lapic->irr);
    return vector >> 4 <= (int)masked && vector >> 4 > lapic->isr_top >> 4 ? (uint8_t)(vector >> 4) : 0;
}

void lapic_accept(struct lapic *lapic, unsigned vector)
{
    uint64_t bit = 1ull << (vector & 63);
    unsigned word = vector >> 6 & 3;

    __atomic_fetch_and(&lapic->irr[word], ~bit, __ATOMIC_ACQUIRE);
    lapic->isr[word] |= bit;
    if ((int)(vector & 0xff) > lapic->isr_top)
        lapic->isr_top = (int16_t)(vector & 0xff);
    update_ppr(lapic);
}

/* A level-triggered LINT pin in fixed mode asks again if its line is still high. */
static void eoi_level(struct lapic *lapic, unsigned vector)
{
    for (unsigned pin = 0; pin < 2; pin++) {
        uint32_t *lvt = &lapic->lvt[LVT_LINT0 + pin];

        if (*lvt & LVT_REMOTE_IRR && (*lvt & LVT_VECTOR) == vector) {
            *lvt &= ~LVT_REMOTE_IRR;
            if (lapic->lint_level[pin])
                lapic_fire(lapic, LVT_LINT0 + pin);
        }
    }
    if (!(lapic->svr & APIC_SVR_NO_EOI) && lapic->link.eoi)
        lapic->link.eoi(lapic->link.sink, (uint8_t)vector);
}

void lapic_eoi(struct lapic *lapic)
{
    unsigned vector, word;
    uint64_t bit;

    if (lapic->isr_top < 0)
        return;
    vector = (unsigned)lapic->isr_top;
    word = vector >> 6 & 3;
    bit = 1ull << (vector & 63);
    lapic->isr[word] &= ~bit;
    lapic->isr_top = (int16_t)highest_bit(lapic->isr);
    update_ppr(lapic);
    if (__atomic_load_n(&lapic->tmr[word], __ATOMIC_RELAXED) & bit)
        eoi_level(lapic, vector);
}

bool lapic_eoi_is_quiet(const struct lapic *lapic, unsigned vector)
{
    for (unsigned i = 0; i < 4; i++)
        if (__atomic_load_n(&lapic->irr[i], __ATOMIC_RELAXED))
            return false;
    return lapic->isr_top == (int)vector &&
           !(__atomic_load_n(&lapic->tmr[vector >> 6 & 3], __ATOMIC_RELAXED) >> (vector & 63) & 1);
}

/* The error interrupt itself is sent only with a legal vector: an illegal one would be an error again. */
void lapic_error(struct lapic *lapic, uint32_t bit)
{
    uint32_t lvt = lapic->lvt[LVT_ERROR];

    __atomic_fetch_or(&lapic->esr_pending, bit, __ATOMIC_RELAXED);
    if (!(lvt & APIC_LVT_MASKED) && (lvt & LVT_VECTOR) >= 16)
        lapic_set_irr(lapic, lvt & LVT_VECTOR, false);
}

void lapic_fire(struct lapic *lapic, unsigned entry)
{
    uint32_t *lvt = &lapic->lvt[entry];
    unsigned delivery = entry == LVT_TIMER ? LAPIC_FIXED : *lvt >> 8 & 7;
    bool level = entry >= LVT_LINT0 && entry <= LVT_LINT1 && *lvt & LVT_LEVEL;

    if (*lvt & APIC_LVT_MASKED || lapic_mode(lapic) == LAPIC_MODE_OFF)
        return;
    if (delivery == LAPIC_FIXED) {
        if (level && *lvt & LVT_REMOTE_IRR)
            return;
        if (level)
            *lvt |= LVT_REMOTE_IRR;
        lapic_set_irr(lapic, *lvt & LVT_VECTOR, level);
    } else if (delivery != LAPIC_EXTINT && lapic->link.event) {
        if (delivery == LAPIC_NMI || delivery == LAPIC_SMI || delivery == LAPIC_INIT)
            lapic->link.event(lapic->link.sink, lapic->config.cpu, (enum lapic_delivery)delivery, 0);
    }
}

void lapic_set_lint(void *context, unsigned pin, bool level)
{
    struct lapic *lapic = context;
    bool rises;

    if (pin > 1)
        return;
    rises = level && !lapic->lint_level[pin];
    lapic->lint_level[pin] = level;
    if (!rises)
        return;
    if (lapic_mode(lapic) != LAPIC_MODE_OFF)
        lapic_fire(lapic, LVT_LINT0 + pin);
    else if (pin == 1 && lapic->link.event)
        lapic->link.event(lapic->link.sink, lapic->config.cpu, LAPIC_NMI, 0);
}

bool lapic_accepts_extint(const struct lapic *lapic)
{
    uint32_t lvt = lapic->lvt[LVT_LINT0];

    if (lapic_mode(lapic) == LAPIC_MODE_OFF)
        return true;
    if (!(lvt & APIC_LVT_MASKED) && (lvt >> 8 & 7) == LAPIC_EXTINT)
        return true;
    return __atomic_load_n(&lapic->extint_request, __ATOMIC_ACQUIRE);
}

void lapic_extint_done(struct lapic *lapic)
{
    __atomic_store_n(&lapic->extint_request, false, __ATOMIC_RELEASE);
}

void lapic_reset_init(struct lapic *lapic)
{
    for (unsigned i = 0; i < 4; i++) {
        __atomic_store_n(&lapic->irr[i], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&lapic->tmr[i], 0, __ATOMIC_RELAXED);
        lapic->isr[i] = 0;
    }
    for (unsigned i = 0; i < LVT_ENTRIES; i++)
        lapic->lvt[i] = APIC_LVT_MASKED;
    lapic->isr_top = -1;
    lapic->tpr = 0;
    lapic->ppr = 0;
    lapic->svr = 0xff;
    lapic->ldr = 0;
    lapic->dfr = UINT32_MAX;
    lapic->esr = 0;
    lapic->esr_pending = 0;
    lapic->icr = 0;
    lapic->extint_request = false;
    lapic_timer_reset(lapic);
}

void lapic_reset(struct lapic *lapic)
{
    lapic_reset_init(lapic);
    lapic->id = lapic->config.cpu & 0xff;
    lapic->base = LAPIC_MMIO_BASE | APIC_BASE_ENABLED | (lapic->config.bsp ? APIC_BASE_BSP : 0);
}

void lapic_wire(struct lapic *lapic)
{
    lapic->lvt[LVT_LINT0] = LAPIC_EXTINT << LVT_DELIVERY_SHIFT;
    lapic->lvt[LVT_LINT1] = LAPIC_NMI << LVT_DELIVERY_SHIFT;
}

void lapic_init(struct lapic *lapic, const struct lapic_config *config, const struct lapic_link *link)
{
    *lapic = (struct lapic){.config = *config, .link = *link};
    if (lapic->config.tsc_khz == 0)
        lapic->config.tsc_khz = 1;
    lapic_reset(lapic);
}

static void send_ipi(struct lapic *lapic)
{
    uint32_t low = (uint32_t)lapic->icr;
    uint32_t destination = (uint32_t)(lapic->icr >> 32);
    struct lapic_message message = {
        .destination = destination,
        .source = lapic->config.cpu,
        .vector = (uint8_t)low,
        .delivery = low >> 8 & 7,
        .shorthand = low >> 18 & 3,
        .logical = low >> 11 & 1,
        .level = false, /* IPIs are edge-triggered on all processors since the Pentium 4 */
    };

    if (lapic_mode(lapic) == LAPIC_MODE_XAPIC)
        message.destination = destination >> 24 == 0xff ? LAPIC_BROADCAST : destination >> 24;
    if (message.delivery <= LAPIC_LOWEST && message.vector < 16) {
        lapic_error(lapic, APIC_ESR_SEND_VEC);
        return;
    }
    /* INIT level de-assert only synchronises arbitration IDs, which nobody has. */
    if (message.delivery == LAPIC_INIT && low & 1u << 15 && !(low & 1u << 14))
        return;
    if (message.shorthand == LAPIC_SELF && message.delivery == LAPIC_FIXED)
        lapic_set_irr(lapic, message.vector, false);
    else
        lapic->link.send(lapic->link.sink, &message);
}

static void write_svr(struct lapic *lapic, uint32_t value)
{
    lapic->svr = value & APIC_SVR_WRITABLE;
    if (value & APIC_SVR_ENABLED)
        return;
    for (unsigned i = 0; i < LVT_ENTRIES; i++)
        lapic->lvt[i] |= APIC_LVT_MASKED;
}

static void write_lvt(struct lapic *lapic, unsigned entry, uint32_t value, uint64_t now)
{
    uint32_t kept = lapic->lvt[entry] & LVT_READ_ONLY;

    value = (value & lvt_writable[entry]) | kept;
    if (!(lapic->svr & APIC_SVR_ENABLED))
        value |= APIC_LVT_MASKED;
    if (entry == LVT_TIMER) {
        if ((value & APIC_TIMER_MODE) == APIC_TIMER_MODE)
            value &= ~APIC_TIMER_PERIODIC;
        lapic_timer_set_lvt(lapic, value, now);
        return;
    }
    if (!(value & LVT_LEVEL))
        value &= ~LVT_REMOTE_IRR;
    lapic->lvt[entry] = value;
    if (entry >= LVT_LINT0 && entry <= LVT_LINT1 && value & LVT_LEVEL && lapic->lint_level[entry - LVT_LINT0])
        lapic_fire(lapic, entry);
}

static uint8_t arbitration_priority(const struct lapic *lapic)
{
    int request = highest_bit(lapic->irr);
    unsigned irr_class = request < 0 ? 0 : (unsigned)request & 0xf0;
    unsigned isr_class = lapic->isr_top < 0 ? 0 : (unsigned)lapic->isr_top & 0xf0;
    unsigned tpr_class = lapic->tpr & 0xf0;

    if (tpr_class >= irr_class && tpr_class > isr_class)
        return lapic->tpr;
    return (uint8_t)(irr_class > isr_class ? irr_class : isr_class);
}

static uint32_t vector_word(const uint64_t words[4], uint32_t index)
{
    return (uint32_t)(__atomic_load_n(&words[index / 2], __ATOMIC_RELAXED) >> index % 2 * 32);
}

static uint32_t read_id(const struct lapic *lapic)
{
    return lapic_mode(lapic) == LAPIC_MODE_X2APIC ? lapic->id : lapic->id << 24;
}

static uint32_t read_ldr(const struct lapic *lapic)
{
    if (lapic_mode(lapic) == LAPIC_MODE_X2APIC)
        return (lapic->id >> 4) << 16 | 1u << (lapic->id & 15);
    return lapic->ldr;
}

/* False: no such register (in xAPIC terms; what x2APIC lacks was refused before). */
static bool register_read(const struct lapic *lapic, uint32_t offset, uint64_t now, uint32_t *value)
{
    if (offset >= APIC_ISR && offset < APIC_ESR) {
        const uint64_t *words = offset < APIC_TMR ? lapic->isr : offset < APIC_IRR ? lapic->tmr : lapic->irr;

        *value = vector_word(words, offset >> 4 & 7);
        return true;
    }
    if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR) {
        *value = lapic->lvt[(offset - APIC_LVT_TIMER) >> 4];
        return true;
    }
    switch (offset) {
    case APIC_ID:
        *value = read_id(lapic);
        return true;
    case APIC_VERSION:
        *value = VERSION_VALUE;
        return true;
    case APIC_TPR:
        *value = lapic->tpr;
        return true;
    case APIC_APR:
        *value = arbitration_priority(lapic);
        return true;
    case APIC_PPR:
        *value = lapic->ppr;
        return true;
    case APIC_EOI:
    case APIC_RRD:
        *value = 0;
        return true;
    case APIC_LDR:
        *value = read_ldr(lapic);
        return true;
    case APIC_DFR:
        *value = lapic->dfr;
        return true;
    case APIC_SVR:
        *value = lapic->svr;
        return true;
    case APIC_ESR:
        *value = lapic->esr;
        return true;
    case APIC_ICR:
        *value = (uint32_t)lapic->icr;
        return true;
    case APIC_ICR_HIGH:
        *value = (uint32_t)(lapic->icr >> 32);
        return true;
    case APIC_TIMER_INITIAL:
        *value = lapic->timer_initial;
        return true;
    case APIC_TIMER_CURRENT:
        *value = lapic_timer_current(lapic, now);
        return true;
    case APIC_TIMER_DIVIDE:
        *value = lapic->timer_divide;
        return true;
    default:
        return false;
    }
}

/* False: no such register. Read-only ones swallow the write. */
static bool register_write(struct lapic *lapic, uint32_t offset, uint32_t value, uint64_t now)
{
    if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR) {
        write_lvt(lapic, (offset - APIC_LVT_TIMER) >> 4, value, now);
        return true;
    }
    switch (offset) {
    case APIC_EOI:
        lapic_eoi(lapic);
        return true;
    case APIC_TIMER_INITIAL:
        lapic_timer_set_initial(lapic, value, now);
        return true;
    case APIC_ICR:
        lapic->icr = (lapic->icr & ~0xffffffffull) | (value & APIC_ICR_WRITABLE);
        send_ipi(lapic);
        return true;
    case APIC_ICR_HIGH:
        lapic->icr = (uint32_t)lapic->icr | (uint64_t)(value & 0xff000000u) << 32;
        return true;
    case APIC_TPR:
        lapic->tpr = (uint8_t)value;
        update_ppr(lapic);
        return true;
    case APIC_ID:
        lapic->id = value >> 24;
        return true;
    case APIC_LDR:
        lapic->ldr = value & 0xff000000u;
        return true;
    case APIC_DFR:
        lapic->dfr = value | 0x0fffffffu;
        return true;
    case APIC_SVR:
        write_svr(lapic, value);
        return true;
    case APIC_ESR:
        lapic->esr = __atomic_exchange_n(&lapic->esr_pending, 0, __ATOMIC_RELAXED);
        return true;
    case APIC_TIMER_DIVIDE:
        lapic_timer_set_divide(lapic, value, now);
        return true;
    default:
        return register_read(lapic, offset, now, &value);
    }
}

/* Registers stand at multiples of 16 and are 4 bytes wide; a narrower or misplaced read gets what lies there,
 * with zeros between registers, and such a write vanishes. */
static void access_page(struct lapic *lapic, struct bus_access *access)
{
    uint32_t offset = (uint32_t)access->offset & 0xff0;
    uint32_t byte = (uint32_t)access->offset & 0xf;
    uint32_t value = 0;

    if (access->write) {
        if (byte == 0 && access->size >= 4 &&
            !register_write(lapic, offset, (uint32_t)access->value, access->now))
            lapic_error(lapic, APIC_ESR_REGISTER);
        return;
    }
    if (!register_read(lapic, offset, access->now, &value)) {
        lapic_error(lapic, APIC_ESR_REGISTER);
        value = 0;
    }
    access->value = byte < 4 ? value >> byte * 8 : 0;
}

void lapic_access(void *context, struct bus_access *access)
{
    struct lapic *lapic = context;

    if ((lapic->base & (APIC_BASE_ADDRESS | APIC_BASE_ENABLED | APIC_BASE_EXTD)) ==
        (LAPIC_MMIO_BASE | APIC_BASE_ENABLED))
        access_page(lapic, access);
}

void lapic_access_moved(void *context, struct bus_access *access)
{
    struct lapic *lapic = context;

    if (lapic_mode(lapic) == LAPIC_MODE_XAPIC)
        access_page(lapic, access);
}

/* Whether an x2APIC register can be written, and which bits must be zero then (11.12.1.2). */
static bool x2apic_writable(uint32_t offset, uint64_t *reserved)
{
    if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR) {
        *reserved = ~(uint64_t)(lvt_writable[(offset - APIC_LVT_TIMER) >> 4] | LVT_READ_ONLY);
        return true;
    }
    switch (offset) {
    case APIC_EOI:
    case APIC_ESR:
        *reserved = UINT64_MAX;
        return true;
    case APIC_TPR:
    case APIC_SELF_IPI:
        *reserved = ~0xffull;
        return true;
    case APIC_SVR:
        *reserved = ~(uint64_t)APIC_SVR_WRITABLE;
        return true;
    case APIC_ICR:
        *reserved = 0xfff32000u;
        return true;
    case APIC_TIMER_INITIAL:
        *reserved = ~0xffffffffull;
        return true;
    case APIC_TIMER_DIVIDE:
        *reserved = ~0xbull;
        return true;
    default:
        return false;
    }
}

static bool x2apic_write(struct lapic *lapic, uint32_t offset, uint64_t value, uint64_t now)
{
    uint64_t reserved;

    if (lapic_mode(lapic) != LAPIC_MODE_X2APIC || !x2apic_writable(offset, &reserved) || value & reserved)
        return false;
    switch (offset) {
    case APIC_ICR:
        lapic->icr = value & ~(uint64_t)(1u << 12);
        send_ipi(lapic);
        return true;
    case APIC_SELF_IPI:
        if (value < 16)
            lapic_error(lapic, APIC_ESR_SEND_VEC);
        else
            lapic_set_irr(lapic, (unsigned)value, false);
        return true;
    default:
        return register_write(lapic, offset, (uint32_t)value, now);
    }
}

static bool x2apic_read(const struct lapic *lapic, uint32_t offset, uint64_t now, uint64_t *value)
{
    uint32_t word;

    if (lapic_mode(lapic) != LAPIC_MODE_X2APIC)
        return false;
    switch (offset) {
    case APIC_APR:
    case APIC_EOI:
    case APIC_RRD:
    case APIC_DFR:
    case APIC_ICR_HIGH:
    case APIC_SELF_IPI:
        return false;
    case APIC_ICR:
        *value = lapic->icr;
        return true;
    default:
        if (!register_read(lapic, offset, now, &word))
            return false;
        *value = word;
        return true;
    }
}

/* Mode transitions (11.12.5): x2APIC is entered from xAPIC and left by switching off only; off loses all
 * state. The page may be anywhere below the end of physical addresses (11.4.5), if the machine can have it
 * there. */
static bool write_base(struct lapic *lapic, uint64_t value)
{
    uint64_t base = value & APIC_BASE_ADDRESS;
    uint64_t mode = value & (APIC_BASE_ENABLED | APIC_BASE_EXTD);
    uint64_t old = lapic->base & (APIC_BASE_ENABLED | APIC_BASE_EXTD);
    uint64_t allowed = APIC_BASE_BSP | APIC_BASE_ENABLED | (lapic->config.x2apic ? APIC_BASE_EXTD : 0);
    uint64_t bsp = lapic->base & APIC_BASE_BSP;

    if ((value & ~allowed) != base || base >> lapic_address_bits(lapic) || mode == APIC_BASE_EXTD)
        return false;
    if (mode & APIC_BASE_EXTD && old == 0)
        return false;
    if (mode == APIC_BASE_ENABLED && old & APIC_BASE_EXTD)
        return false;
    if (base != (lapic->base & APIC_BASE_ADDRESS) &&
        (!lapic->link.move || !lapic->link.move(lapic->link.sink, base)))
        return false;
    if (mode == 0 && old != 0)
        lapic_reset(lapic);
    if (mode & APIC_BASE_EXTD)
        lapic->id = lapic->config.cpu;
    lapic->base = base | mode | bsp;
    return true;
}

bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t now, uint64_t *value)
{
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
        return x2apic_read(lapic, (msr - MSR_X2APIC_FIRST) << 4, now, value);
    if (msr == MSR_APIC_BASE) {
        *value = lapic->base;
        return true;
    }
    if (msr == MSR_TSC_DEADLINE) {
        lapic_advance(lapic, now);
        *value = lapic->tsc_deadline;
        return true;
    }
    return false;
}

bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value, uint64_t now)
{
    if (msr >= MSR_X2APIC_FIRST && msr <= MSR_X2APIC_LAST)
        return x2apic_write(lapic, (msr - MSR_X2APIC_FIRST) << 4, value, now);
    if (msr == MSR_TSC_DEADLINE) {
        lapic_timer_set_deadline(lapic, value, now);
        return true;
    }
    if (msr == MSR_APIC_BASE)
        return write_base(lapic, value);
    return false;
}

uint32_t lapic_lvt_writable(unsigned entry)
{
    return lvt_writable[entry];
}

void lapic_rescan(struct lapic *lapic)
{
    lapic->isr_top = (int16_t)highest_bit(lapic->isr);
    update_ppr(lapic);
}
