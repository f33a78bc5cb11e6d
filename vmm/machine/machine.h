/* SPDX-License-Identifier: ISC */
/*
 * A PC: the chips, how they are wired, and the state that its processor's loop looks at.
 *
 * i440FX with PIIX3 and its power management block, two 8259A, 8254, MC146818, 8042, 16550 at COM1, local
 * APIC and I/O APIC, ACPI tables. ISA interrupts go to the 8259s and to the I/O APIC alike, IRQ 0 to pin 2 of
 * the latter. The output of the 8259s is LINT0 of the local APIC, which lets it through as after power-up
 * (virtual wire).
 *
 * Nothing here knows the kernel or a clock: RAM, the time and the console come from the caller, so a test can
 * build a machine as well. One thread uses it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/bus/bus.h"
#include "vmm/cpu/clock.h"
#include "vmm/device/i440fx.h"
#include "vmm/device/i8042.h"
#include "vmm/device/i82093aa.h"
#include "vmm/device/i8254.h"
#include "vmm/device/i8259.h"
#include "vmm/device/lapic.h"
#include "vmm/device/mc146818.h"
#include "vmm/device/piix3.h"
#include "vmm/device/piix4_pm.h"
#include "vmm/device/uart16550.h"
#include "vmm/machine/e820.h"
#include "vmm/machine/kvmclock.h"

#define MACHINE_COM1     0x3f8u
#define MACHINE_COM1_IRQ 4u
#define MACHINE_PM_BASE  0x600u

#define MACHINE_PORT_MAP (0x10000 / 8 + 1) /* bytes; an access of four ports may look beyond the last */

/* What the machine wants of its owner. */
enum machine_request { MACHINE_RUNS, MACHINE_RESET, MACHINE_POWER_OFF };

struct machine_config {
    const char *name; /* must outlive the machine */
    struct clock clock;
    struct guest_ram ram;
    struct e820_map map;
    int64_t wall_seconds; /* since 1970, at virtual time 0 */
    /* The far end of COM1; `irq` is ignored. `console_clock` may have NULL callbacks: none. */
    struct uart16550_wiring console;
    struct bus_clock console_clock;
};

struct machine {
    /* First what the loop looks at. */
    bool attention; /* an interrupt line or the local APIC has changed: decide on injection */
    bool intr;      /* output of the 8259s */
    bool nmi;       /* waits */
    enum machine_request request;
    const char *reason; /* of a reset */
    const char *name;
    struct clock clock;
    struct guest_ram ram;
    struct e820_map map;
    struct lapic lapic;
    struct bus bus;
    uint8_t decoded[MACHINE_PORT_MAP]; /* a bit a port: some chip answers */
    uint8_t timed[MACHINE_PORT_MAP];   /* likewise: an access may move the deadline of a clock */

    struct i8259 pic;
    struct i8254 pit;
    struct mc146818 rtc;
    struct uart16550 uart;
    struct i8042 i8042;
    struct i82093aa ioapic;
    struct i440fx i440fx;
    struct piix3 piix3;
    struct piix4_pm pm;
    struct kvmclock kvmclock;
};

/* Puts the machine together and switches it on. False: a device does not fit on the bus (a mistake of ours).
 */
__attribute__((warn_unused_result)) bool machine_init(struct machine *machine,
                                                      const struct machine_config *config);

/* The reset line: all chips, not RAM; takes back the request. */
void machine_reset(struct machine *machine, uint64_t now);

/* Writes ACPI tables to guest RAM; the address of the RSDP, 0: could not. */
__attribute__((warn_unused_result)) uint64_t machine_write_tables(struct machine *machine);

/* First request wins until machine_reset. reason: static. */
void machine_request(struct machine *machine, enum machine_request request, const char *reason);

/* Guest RAM, or NULL if not all of the range is. */
static inline void *machine_ram(const struct machine *machine, uint64_t physical, uint64_t length)
{
    return guest_ram_at(&machine->ram, physical, length);
}

/* Whether any of `size` (1, 2 or 4) ports is in a map. */
static inline bool machine_port_is(const uint8_t map[MACHINE_PORT_MAP], uint16_t port, unsigned size)
{
    uint16_t bits;

    __builtin_memcpy(&bits, &map[port >> 3], sizeof bits); /* one load: this is on every port access's way */
    return (unsigned)bits >> (port & 7) & ((1u << size) - 1);
}

/* Virtual time of the next event of all clocks, and letting what is due happen. */
static inline uint64_t machine_deadline(const struct machine *machine)
{
    uint64_t devices = bus_deadline(&machine->bus), timer = lapic_deadline(&machine->lapic);

    return devices < timer ? devices : timer;
}

static inline void machine_advance(struct machine *machine, uint64_t now)
{
    bus_advance(&machine->bus, now);
    lapic_advance(&machine->lapic, now);
}
