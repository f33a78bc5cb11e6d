/* SPDX-License-Identifier: ISC */
/*
 * Memory from 0xc0000 to 1 MiB of a machine with firmware: what the host bridge's PAM registers make of it.
 *
 * The bridge says for each segment whether reads and writes reach RAM. From then on the monitor's own accesses do
 * as it says (ram.h); what the guest finds there without an exit is changed by the owner, on the thread of
 * processor 0. Another processor that writes to PAM does not run on until that is done, as it would not on a PC.
 * One that accesses a segment meanwhile exits, and is answered as the registers say, or waits for the lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct machine;

/* What the guest finds at a range. */
enum machine_memory {
    MEMORY_NOTHING, /* all accesses exit */
    MEMORY_RAM,
    MEMORY_RAM_READ_ONLY, /* writes exit */
    MEMORY_ROM            /* the ROM's end; writes exit */
};

struct machine_shadow {
    uint32_t mapped;  /* as guest_ram.shadow, of what the guest finds */
    uint32_t waiting; /* atomic; a bit a processor that does not run on */
};

/* For machine_init, before the bridge is. */
void shadow_init(struct machine *machine);

/* i440fx_wiring.memory_changed. */
void shadow_changed(void *machine);

/* What the guest finds in its memory is to change: here and now on the thread of processor 0; else by that, before
 * the caller's processor runs on. With the lock. vga_wiring.mapping. */
void shadow_change(void *machine);

/* By the thread of processor 0, before it decides: does what others have asked for. */
void shadow_sync(struct machine *machine);

/* Whether a processor must not run on yet. */
bool shadow_waits(const struct machine *machine, unsigned cpu);
