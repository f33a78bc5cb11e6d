/* SPDX-License-Identifier: ISC */
/*
 * Messages between local APICs, IOAPICs and MSI writers: who is meant, and what the receiver does.
 *
 * Intel SDM vol. 3, 11.6.2 (destinations), 11.11 (MSI), 11.12.10 (x2APIC logical IDs). Every function here
 * may be called from any thread; see lapic.h.
 */
#include "vmm/device/lapic.h"

static bool matches_logical(const struct lapic *lapic, uint32_t destination)
{
    uint32_t ldr = lapic->ldr >> 24;

    if (lapic_mode(lapic) == LAPIC_MODE_X2APIC) {
        uint32_t cluster = lapic->config.cpu >> 4;

        return destination >> 16 == cluster && (destination & 1u << (lapic->config.cpu & 15)) != 0;
    }
    if (destination > 0xff)
        return false;
    if (lapic->dfr >> 28 == 0xf)
        return (destination & ldr) != 0;
    if (lapic->dfr >> 28 == 0)
        return destination >> 4 == ldr >> 4 && (destination & ldr & 0xf) != 0;
    return false;
}

bool lapic_matches(const struct lapic *lapic, uint32_t destination, bool logical)
{
    if (lapic_mode(lapic) == LAPIC_MODE_OFF)
        return false;
    if (destination == LAPIC_BROADCAST)
        return true;
    return logical ? matches_logical(lapic, destination) : destination == lapic->id;
}

bool lapic_message_matches(const struct lapic *lapic, const struct lapic_message *message)
{
    switch (message->shorthand & 3) {
    case LAPIC_SELF:
        return lapic->config.cpu == message->source;
    case LAPIC_ALL:
        return lapic_mode(lapic) != LAPIC_MODE_OFF;
    case LAPIC_OTHERS:
        return lapic_mode(lapic) != LAPIC_MODE_OFF && lapic->config.cpu != message->source;
    default:
        return lapic_matches(lapic, message->destination, message->logical);
    }
}

void lapic_set_irr(struct lapic *lapic, unsigned vector, bool level)
{
    uint64_t bit = 1ull << (vector & 63);
    unsigned word = vector >> 6 & 3;

    if (vector < 16 || vector > 255) {
        lapic_error(lapic, APIC_ESR_RECV_VEC);
        return;
    }
    if (!(lapic->svr & APIC_SVR_ENABLED) || lapic_mode(lapic) == LAPIC_MODE_OFF)
        return;
    if (level)
        __atomic_fetch_or(&lapic->tmr[word], bit, __ATOMIC_RELAXED);
    else if (__atomic_load_n(&lapic->tmr[word], __ATOMIC_RELAXED) & bit)
        __atomic_fetch_and(&lapic->tmr[word], ~bit, __ATOMIC_RELAXED);
    __atomic_fetch_or(&lapic->irr[word], bit, __ATOMIC_RELEASE);
    if (lapic->link.wake)
        lapic->link.wake(lapic->link.sink, lapic->config.cpu);
}

static bool receive_event(struct lapic *lapic, enum lapic_delivery delivery, uint8_t vector)
{
    if (lapic->link.event)
        lapic->link.event(lapic->link.sink, lapic->config.cpu, delivery, vector);
    return true;
}

bool lapic_receive(struct lapic *lapic, const struct lapic_message *message)
{
    if (lapic_mode(lapic) == LAPIC_MODE_OFF)
        return false;
    switch (message->delivery) {
    case LAPIC_FIXED:
    case LAPIC_LOWEST:
        if (!(lapic->svr & APIC_SVR_ENABLED))
            return false;
        lapic_set_irr(lapic, message->vector, message->level);
        return true;
    case LAPIC_SMI:
    case LAPIC_NMI:
    case LAPIC_INIT:
    case LAPIC_STARTUP:
        return receive_event(lapic, (enum lapic_delivery)message->delivery, message->vector);
    case LAPIC_EXTINT:
        __atomic_store_n(&lapic->extint_request, true, __ATOMIC_RELEASE);
        if (lapic->link.wake)
            lapic->link.wake(lapic->link.sink, lapic->config.cpu);
        return true;
    default:
        return false;
    }
}

/* Ties go round by vector, so that equally idle processors share the work without any state. */
static bool route_lowest(struct lapic *const *lapics, size_t count, const struct lapic_message *message)
{
    struct lapic *best = NULL;

    for (size_t i = 0; i < count; i++) {
        struct lapic *lapic = lapics[(i + message->vector) % count];

        if (!(lapic->svr & APIC_SVR_ENABLED) || !lapic_message_matches(lapic, message))
            continue;
        if (!best || lapic->ppr < best->ppr)
            best = lapic;
    }
    return best && lapic_receive(best, message);
}

bool lapic_route(struct lapic *const *lapics, size_t count, const struct lapic_message *message)
{
    bool accepted = false;

    if (message->delivery == LAPIC_LOWEST)
        return route_lowest(lapics, count, message);
    for (size_t i = 0; i < count; i++)
        if (lapic_message_matches(lapics[i], message) && lapic_receive(lapics[i], message))
            accepted = true;
    return accepted;
}

bool lapic_message_from_msi(uint64_t address, uint32_t data, struct lapic_message *message)
{
    uint32_t destination = (uint32_t)(address >> 12 & 0xff);

    if (address >> 20 != LAPIC_MMIO_BASE >> 20)
        return false;
    *message = (struct lapic_message){
        .destination = destination == 0xff ? LAPIC_BROADCAST : destination,
        .source = LAPIC_NO_CPU,
        .vector = (uint8_t)data,
        .delivery = data >> 8 & 7,
        .shorthand = LAPIC_NONE,
        .logical = address >> 2 & 1,
        .level = data >> 15 & 1,
    };
    return true;
}
