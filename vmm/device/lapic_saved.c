/* SPDX-License-Identifier: ISC */
/*
 * The local APIC's saved state. The highest vector in service and PPR follow from the rest and are not in it.
 */
#include "vmm/device/lapic.h"

static void reset_device(void *device, uint64_t now)
{
    (void)now;
    lapic_reset(device);
}

static void fields(struct state *state, struct lapic *lapic)
{
    for (unsigned i = 0; i < 4; i++) {
        state_u64(state, &lapic->irr[i]);
        state_u64(state, &lapic->isr[i]);
        state_u64(state, &lapic->tmr[i]);
    }
    for (unsigned i = 0; i < LAPIC_LVT_ENTRIES; i++)
        state_u32(state, &lapic->lvt[i]);
    state_u8(state, &lapic->tpr);
    state_u32(state, &lapic->svr);
    state_u64(state, &lapic->base);
    state_u32(state, &lapic->id);
    state_u32(state, &lapic->ldr);
    state_u32(state, &lapic->dfr);
    state_u32(state, &lapic->esr);
    state_u32(state, &lapic->esr_pending);
    state_u64(state, &lapic->icr);
    state_u32(state, &lapic->timer_initial);
    state_u32(state, &lapic->timer_divide);
    state_u64(state, &lapic->timer_start);
    state_u64(state, &lapic->tsc_deadline);
    state_u64(state, &lapic->deadline);
    state_u64(state, &lapic->config.tsc_at_zero);
    for (unsigned pin = 0; pin < 2; pin++)
        state_bool(state, &lapic->lint_level[pin]);
    state_bool(state, &lapic->extint_request);
}

static bool is_valid_base(const struct lapic *lapic)
{
    uint64_t address = lapic->base & APIC_BASE_ADDRESS;
    uint64_t fixed = address | (lapic->config.bsp ? APIC_BASE_BSP : 0);

    if (address >> lapic_address_bits(lapic) || (lapic->base & APIC_BASE_BSP) != (fixed & APIC_BASE_BSP))
        return false;
    switch (lapic->base & ~fixed) {
    case APIC_BASE_ENABLED | APIC_BASE_EXTD:
        return lapic->config.x2apic && lapic->id == lapic->config.cpu;
    case APIC_BASE_ENABLED:
    case 0:
        return lapic->id <= 0xff;
    default:
        return false;
    }
}

static bool is_valid_lvt(const struct lapic *lapic)
{
    for (unsigned i = 0; i < LAPIC_LVT_ENTRIES; i++) {
        uint32_t lvt = lapic->lvt[i], writable = lapic_lvt_writable(i);

        if (lvt & ~(writable | (lvt & writable & APIC_LVT_LEVEL ? APIC_LVT_REMOTE_IRR : 0)))
            return false;
    }
    return (lapic->lvt[0] & APIC_TIMER_MODE) != APIC_TIMER_MODE;
}

/* A timer that runs has something to count. */
static bool is_valid_timer(const struct lapic *lapic)
{
    bool runs = lapic->deadline != BUS_NEVER;

    if (lapic->timer_divide & ~0xbu)
        return false;
    if (lapic->lvt[0] & APIC_TIMER_DEADLINE)
        return lapic->timer_initial == 0 && (!runs || lapic->tsc_deadline);
    return lapic->tsc_deadline == 0 && (!runs || lapic->timer_initial);
}

static bool is_valid(const struct lapic *lapic)
{
    const uint64_t low = 0xffff; /* vectors that are none */

    return !((lapic->irr[0] | lapic->isr[0] | lapic->tmr[0]) & low) && !(lapic->svr & ~APIC_SVR_WRITABLE) &&
           !(lapic->ldr & 0xffffffu) && (lapic->dfr & 0xfffffffu) == 0xfffffffu &&
           !((lapic->esr | lapic->esr_pending) & ~APIC_ESR_BITS) &&
           !((uint32_t)lapic->icr & ~APIC_ICR_WRITABLE) && is_valid_base(lapic) && is_valid_lvt(lapic) &&
           is_valid_timer(lapic);
}

static void save_device(const void *device, struct state *state)
{
    struct lapic lapic = *(const struct lapic *)device;

    fields(state, &lapic);
}

/* The page moves last, for it may be refused. */
static bool load_device(void *device, struct state *state)
{
    struct lapic *lapic = device, loaded = *lapic;
    uint64_t base = lapic->base & APIC_BASE_ADDRESS;

    fields(state, &loaded);
    if (!state_is_whole(state) || !is_valid(&loaded))
        return false;
    if ((loaded.base & APIC_BASE_ADDRESS) != base &&
        (!lapic->link.move || !lapic->link.move(lapic->link.sink, loaded.base & APIC_BASE_ADDRESS)))
        return false;
    lapic_rescan(&loaded);
    *lapic = loaded;
    return true;
}

const struct device_class lapic_class = {
    .name = "lapic", .version = 1, .save = save_device, .load = load_device, .reset = reset_device};
