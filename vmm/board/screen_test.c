/* SPDX-License-Identifier: ISC */
/*
 * The screen's memory for the guest: text and frame buffer come and go with registers and BAR, whoever writes them;
 * not over something else, and not if the owner cannot.
 */
#include <cmocka.h>
#include <string.h>

#include "vmm/board/machine.h"
#include "vmm/board/parts.h"

#define VRAM 0x100000u
#define BAR  0xe0000000u

static uint8_t low[E820_MIN_RAM], memory[VRAM + VGA_TEXT_SIZE];

struct fixture {
    struct machine machine;
    struct machine_screen screen;
    struct vga_mapping found[2]; /* by the guest: text, frame buffer */
    unsigned changes, woken[2];
    bool fails;
};

static bool map(void *context, const struct vga_mapping *mapping, bool there)
{
    struct fixture *f = context;
    struct vga_mapping *found = &f->found[mapping->length == VRAM];

    f->changes++;
    assert_int_equal(mapping->offset, mapping->length == VRAM ? 0 : VRAM);
    if (there) {
        assert_int_equal(found->length, 0);
        if (f->fails)
            return false;
        *found = *mapping;
    } else {
        assert_int_equal(found->at, mapping->at);
        *found = (struct vga_mapping){0};
    }
    return true;
}

static void wake(void *context, unsigned cpu)
{
    ((struct fixture *)context)->woken[cpu]++;
}

static void no_wait(void *context, unsigned cpu)
{
    (void)context;
    (void)cpu;
    fail();
}

static void fresh(struct fixture *f)
{
    static const struct lock lock = {.wait = no_wait, .wake = no_wait};
    struct machine_config config = {.name = "test",
                                    .ram = {.low = low, .low_size = sizeof(low)},
                                    .cpus = 2,
                                    .wake = wake,
                                    .wake_context = f,
                                    .lock = &lock,
                                    .screen = &f->screen};

    memset(f, 0, sizeof(*f));
    f->screen = (struct machine_screen){.memory = memory, .vram = VRAM, .map = map, .context = f};
    clock_init(&config.clock, 0, 2000000000);
    assert_true(e820_layout(sizeof(low), &config.map));
    assert_true(machine_init(&f->machine, &config));
    f->machine.cpu[0].attention = f->machine.cpu[1].attention = false;
    f->woken[0] = f->woken[1] = 0;
}

static void configure(struct fixture *f, unsigned at, uint32_t value, uint8_t cpu)
{
    bus_write(&f->machine.bus, BUS_PORT, 0xcf8, 4, 0x80000000 | MACHINE_VGA_SLOT << 11 | at, cpu, 0);
    bus_write(&f->machine.bus, BUS_PORT, 0xcfc, 4, value, cpu, 0);
}

static void set(struct fixture *f, unsigned port, unsigned index, unsigned value, uint8_t cpu)
{
    bus_write(&f->machine.bus, BUS_PORT, port, 2, index | value << 8, cpu, 0);
}

/* The registers that make the window text, the last of them last. */
static void set_text(struct fixture *f, uint8_t cpu)
{
    set(f, 0x3c4, 2, 3, cpu);
    set(f, 0x3c4, 4, 2, cpu);
    set(f, 0x3ce, 5, 0x10, cpu);
    set(f, 0x3ce, 6, 0x0e, cpu);
}

static void test_views(void **state)
{
    static struct fixture f;

    (void)state;
    fresh(&f);
    assert_int_equal(f.changes, 0);
    configure(&f, 0x10, BAR, 0);
    assert_int_equal(f.changes, 0);
    configure(&f, 4, PCI_COMMAND_MEMORY, 0);
    assert_int_equal(f.found[1].at, BAR);
    configure(&f, 0x10, BAR + 2 * VRAM, 0);
    assert_int_equal(f.found[1].at, BAR + 2 * VRAM);
    assert_int_equal(f.changes, 3);
    set_text(&f, 0);
    assert_int_equal(f.found[0].at, 0xb8000);
    set(&f, 0x3ce, 6, 0x0a, 0);
    assert_int_equal(f.found[0].at, 0xb0000);
    set(&f, 0x3c4, 2, 4, 0);
    assert_int_equal(f.found[0].length, 0);
    set(&f, 0x3c4, 2, 3, 0);
    assert_int_equal(f.found[0].at, 0xb0000);
    machine_reset(&f.machine, 0);
    assert_int_equal(f.found[0].length + f.found[1].length, 0);
}

/* Not over the I/O APIC or RAM, which answer first. */
static void test_covered(void **state)
{
    static struct fixture f;

    (void)state;
    fresh(&f);
    configure(&f, 4, PCI_COMMAND_MEMORY, 0);
    configure(&f, 0x10, I82093AA_MMIO_BASE & ~(VRAM - 1), 0);
    assert_int_equal(f.changes, 0);
    configure(&f, 0x10, 0, 0);
    configure(&f, 0x10, 0x100000, 0);
    assert_int_equal(f.changes, 0);
    configure(&f, 0x10, BAR, 0);
    assert_int_equal(f.found[1].at, BAR);
}

static void test_fails(void **state)
{
    static struct fixture f;

    (void)state;
    fresh(&f);
    f.fails = true;
    configure(&f, 0x10, BAR, 0);
    configure(&f, 4, PCI_COMMAND_MEMORY, 0);
    assert_int_equal(f.changes, 1);
    configure(&f, 0x3c, 5, 0); /* nothing to do with it: not tried again */
    assert_int_equal(f.changes, 1);
    assert_int_equal(f.machine.request, MACHINE_RUNS);
    f.fails = false;
    configure(&f, 0x10, BAR + VRAM, 0); /* and what was not mapped is not taken away */
    assert_int_equal(f.changes, 2);
    assert_int_equal(f.found[1].at, BAR + VRAM);
}

/* Another processor waits until the first one's thread has made the change. */
static void test_other_processor(void **state)
{
    static struct fixture f;

    (void)state;
    fresh(&f);
    set_text(&f, 1);
    assert_int_equal(f.changes, 0);
    assert_true(shadow_waits(&f.machine, 1));
    assert_true(f.machine.cpu[1].attention);
    assert_int_not_equal(f.woken[0], 0);
    shadow_sync(&f.machine);
    assert_false(shadow_waits(&f.machine, 1));
    assert_int_equal(f.found[0].at, 0xb8000);
    assert_int_equal(f.changes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_covered),
        cmocka_unit_test(test_fails),
        cmocka_unit_test(test_other_processor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
