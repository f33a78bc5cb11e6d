/* SPDX-License-Identifier: ISC */
/*
 * A PC: the chips, their wiring, and the state that its processors' loops check.
 *
 * i440FX with PIIX3 and its power management block, two 8259A, 8254, MC146818, 8042, 16550 at COM1, local
 * APIC and I/O APIC, ACPI tables. ISA interrupts go to the 8259s and to the I/O APIC alike, IRQ 0 to pin 2 of
 * the latter. The output of the 8259s is LINT0 of the local APIC, which lets it through as firmware leaves it
 * (virtual wire).
 *
 * Nothing here knows the kernel or a clock: RAM, the time and the console come from the caller, so a test can
 * build a machine as well.
 *
 * Each processor has a thread; that of number 0 also advances the chips' clocks. One lock, taken by the bus, is
 * for all chips: an access to most of them ends in the 8259s and the I/O APIC. A local APIC belongs to its
 * processor and has no lock. Another processor's thread that wants something of it sets its atomic words, then
 * `attention`, and wakes it. With one processor there is no lock, and no thread is woken.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/board/firmware.h"
#include "vmm/board/screen.h"
#include "vmm/bus/bus.h"
#include "vmm/cpu/clock.h"
#include "vmm/cpu/startup.h"
#include "vmm/device/debug_port.h"
#include "vmm/device/fw_cfg.h"
#include "vmm/device/i440fx.h"
#include "vmm/device/i8042.h"
#include "vmm/device/i82093aa.h"
#include "vmm/device/i8254.h"
#include "vmm/device/i8259.h"
#include "vmm/device/lapic.h"
#include "vmm/device/mc146818.h"
#include "vmm/device/piix3.h"
#include "vmm/device/piix4_ide.h"
#include "vmm/device/piix4_pm.h"
#include "vmm/device/uart16550.h"
#include "vmm/firmware/e820.h"
#include "vmm/kvm/kvmclock.h"

#define MACHINE_COM1         0x3f8u
#define MACHINE_COM1_IRQ     4u
#define MACHINE_PM_BASE      0x600u
#define MACHINE_BRIDGE_SLOT  1u /* of the PIIX3 */
#define MACHINE_VGA_SLOT     2u
#define MACHINE_IDE_FUNCTION 1u
#define MACHINE_PM_FUNCTION  3u
#define MACHINE_ACPI_ENABLE  0xf1u /* at the SMI port */
#define MACHINE_ACPI_DISABLE 0xf0u

/* The machine's requests to its owner. */
enum machine_request { MACHINE_RUNS, MACHINE_RESET, MACHINE_POWER_OFF, MACHINE_FAILED };

#define MACHINE_CPUS LOCK_THREADS

struct machine;

/* A processor, as the others see it. */
struct machine_cpu {
    /* Decide on injection: an interrupt line, the local APIC or one of the words below has changed. Atomic:
     * the thread that sets it when it was clear wakes the processor. */
    bool attention;
    bool nmi;         /* atomic; waits */
    bool kicked;      /* atomic; its next HLT, or the one it is in, ends at once */
    uint8_t number;   /* and APIC ID */
    uint32_t startup; /* atomic; see startup.h */
    struct machine *machine;
    struct lapic lapic;
} __attribute__((aligned(64)));

struct machine_config {
    const char *name; /* must outlive the machine */
    struct clock clock;
    struct guest_ram ram;
    struct e820_map map;
    unsigned cpus; /* 0: one */
    /* With several processors: makes the thread of one check its attention; and how to lock. */
    void (*wake)(void *context, unsigned cpu);
    void *wake_context;
    const struct lock *lock;
    int64_t wall_seconds; /* since 1970, at virtual time 0 */
    /* NULL: none, and all memory below 1 MiB is RAM, but for the VGA window. Must outlive the machine. */
    const struct machine_firmware *firmware;
    struct debug_port debug; /* transmit NULL: none */
    /* The far end of COM1; `irq` is ignored. `console_clock` may have NULL callbacks: none. */
    struct uart16550_wiring console;
    struct bus_clock console_clock;
    const struct machine_screen *screen;                   /* NULL: there is no VGA; stays the caller's */
    struct ata_config ide[PIIX4_IDE_CHANNELS][ATA_DRIVES]; /* without drives there is no controller */
};

struct machine {
    /* First the fields that the loop checks. */
    enum machine_request request; /* atomic */
    bool intr;                    /* atomic; output of the 8259s */
    unsigned cpus;
    const char *reason; /* of a reset */
    const char *name;
    struct clock clock;
    struct guest_ram ram;
    struct e820_map map;
    const struct machine_firmware *firmware; /* NULL: none */
    struct machine_shadow shadow;
    struct bus bus;
    struct machine_cpu cpu[MACHINE_CPUS];
    struct lapic *lapics[MACHINE_CPUS];
    struct lock lock; /* of the chips; the bus takes it */
    /* How often other threads than its own have raised the first local APIC's LINT0, and how many of these its
     * own thread has seen. */
    uint32_t lint_raised, lint_seen;
    void (*wake)(void *context, unsigned cpu);
    void *wake_context;

    struct i8259 pic;
    struct i8254 pit;
    struct mc146818 rtc;
    struct uart16550 uart;
    struct i8042 i8042;
    struct i82093aa ioapic;
    struct i440fx i440fx;
    struct piix3 piix3;
    struct piix4_pm pm;
    struct piix4_ide ide;
    struct vga vga;
    const struct machine_screen *screen;
    struct machine_view view[SCREEN_VIEWS];
    struct kvmclock kvmclock;
    struct fw_cfg fw_cfg;
    struct debug_port debug;
    struct firmware_tables firmware_tables; /* what fw_cfg gives */
};

/* Puts the machine together and switches it on. False: a device does not fit on the bus (our own mistake), or a file
 * cannot be offered to the firmware. */
__attribute__((warn_unused_result)) bool machine_init(struct machine *machine,
                                                      const struct machine_config *config);

/* The reset line: all chips, not RAM; takes back the request. */
void machine_reset(struct machine *machine, uint64_t now);

/* Writes the reset vector's code, the BIOS data area, ACPI and MP tables to guest RAM, and routes the interrupts of
 * PCI, while no vCPU runs; the address of the RSDP, 0: could not. The processors' signature and features as CPUID 1 has them in EAX and EDX. */
__attribute__((warn_unused_result)) uint64_t machine_write_tables(struct machine *machine, uint32_t signature,
                                                                  uint32_t features);

/* The machine as ACPI tables describe it; where they are is left out. */
struct acpi_config machine_acpi(const struct machine *machine);

/* The chips' lock, for accesses that do not come by the bus; `cpu` is the caller's number. */
static inline void machine_lock(struct machine *machine, unsigned cpu)
{
    lock_take(machine->bus.lock, cpu);
}

static inline void machine_unlock(struct machine *machine, unsigned cpu)
{
    lock_release(machine->bus.lock, cpu);
}

/* The guest's TSCs are 0 at the host's `tsc`. */
void machine_start_tsc(struct machine *machine, uint64_t tsc);

/* Makes a processor decide on injection. */
static inline void machine_wake(struct machine *machine, unsigned cpu)
{
    bool *attention = &machine->cpu[cpu].attention;

    if (!machine->wake)
        *attention = true;
    else if (!__atomic_exchange_n(attention, true, __ATOMIC_SEQ_CST))
        machine->wake(machine->wake_context, cpu);
}

/* An irq_line's function: the 8259s' output goes to the first processor only. If another processor's
 * thread calls it, the first one's reads the line later; each rise is an edge for it, however short. */
void machine_set_intr(void *machine, unsigned pin, bool level);

/* By the thread of processor 0, before it decides: LINT0 as the 8259s have it. */
void machine_sync_lint(struct machine *machine);

/* First request wins until machine_reset; all processors are woken. reason: static. */
void machine_request(struct machine *machine, enum machine_request request, const char *reason);

/* Guest RAM, or NULL if not all of the range is; and what of memory can be read or written: RAM, ROM or their
 * shadow. Accesses to devices are looked for first, as they are on an exit's way. */
static inline void *machine_ram(const struct machine *machine, uint64_t physical, uint64_t length)
{
    return guest_ram_is_hole(&machine->ram, physical) ? NULL : guest_ram_at(&machine->ram, physical, length);
}

static inline const void *machine_to_read(const struct machine *machine, uint64_t physical, uint64_t length)
{
    return guest_ram_is_hole(&machine->ram, physical) ? NULL
                                                      : guest_ram_to_read(&machine->ram, physical, length);
}

static inline void *machine_to_write(const struct machine *machine, uint64_t physical, uint64_t length)
{
    return guest_ram_is_hole(&machine->ram, physical) ? NULL
                                                      : guest_ram_to_write(&machine->ram, physical, length);
}

/* Virtual time of the next event of a processor's clocks, and handling all events that are due: its timer's and,
 * for number 0, the chips' clocks'. By its own thread. */
static inline uint64_t machine_deadline(const struct machine *machine, unsigned cpu)
{
    uint64_t devices = cpu == 0 ? bus_earliest(&machine->bus) : BUS_NEVER;
    uint64_t timer = lapic_deadline(&machine->cpu[cpu].lapic);

    return devices < timer ? devices : timer;
}

static inline void machine_advance(struct machine *machine, unsigned cpu, uint64_t now)
{
    if (cpu == 0 && now >= bus_earliest(&machine->bus))
        bus_advance(&machine->bus, now);
    lapic_advance(&machine->cpu[cpu].lapic, now);
}
