/* SPDX-License-Identifier: ISC */
/* Shadow RAM: what the guest and the monitor find below 1 MiB, whoever writes the PAM registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/board/saved.h"

#define UNITS 13u

static uint8_t low[E820_MIN_RAM], rom[0x40000];

struct fixture {
    struct machine machine;
    struct machine_firmware firmware;
    enum machine_memory found[UNITS]; /* by the guest */
    uint64_t bytes[UNITS];
    unsigned changes, woken[2];
    uint32_t seen; /* guest_ram.shadow at the last change */
    bool fails;
};

static bool map(void *context, uint64_t gpa, uint64_t bytes, enum machine_memory what)
{
    struct fixture *f = context;
    uint64_t unit = (gpa - RAM_ROM) / RAM_SEGMENT;

    assert_true(gpa >= RAM_ROM && unit < UNITS);
    assert_int_not_equal(what, f->found[unit]);
    f->found[unit] = what;
    f->bytes[unit] = bytes;
    f->seen = f->machine.ram.shadow;
    f->changes++;
    return !f->fails;
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
                                    .firmware = &f->firmware};

    memset(f, 0, sizeof(*f));
    f->firmware = (struct machine_firmware){.rom = rom, .rom_size = sizeof(rom), .map = map, .context = f};
    for (unsigned i = 0; i < UNITS; i++)
        f->found[i] = MEMORY_RAM;
    clock_init(&config.clock, 0, 2000000000);
    assert_true(e820_layout(sizeof(low), &config.map));
    assert_true(machine_init(&f->machine, &config));
    f->changes = 0;
    f->woken[0] = f->woken[1] = 0;
    f->machine.cpu[0].attention = f->machine.cpu[1].attention = false;
}

static void write_pam(struct fixture *f, unsigned number, uint8_t value, uint8_t cpu)
{
    bus_write(&f->machine.bus, BUS_PORT, 0xcf8, 4, 0x80000000 | ((I440FX_PAM0 + number) & 0xfc), cpu, 0);
    bus_write(&f->machine.bus, BUS_PORT, (uint16_t)(0xcfc + ((I440FX_PAM0 + number) & 3)), 1, value, cpu, 0);
}

/* From power-up and reset on: the ROM, twice, and nothing. */
static void expect_reset(const struct fixture *f)
{
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(f->found[i], MEMORY_NOTHING);
    for (unsigned i = 8; i < UNITS; i++)
        assert_int_equal(f->found[i], MEMORY_ROM);
    assert_int_equal(f->bytes[7], 0x4000);
    assert_int_equal(f->bytes[12], 0x10000);
    assert_null(machine_ram(&f->machine, 0xffff0, 16));
    assert_ptr_equal(machine_to_read(&f->machine, 0xffff0, 16), rom + 0x3fff0);
    assert_ptr_equal(machine_to_read(&f->machine, 0xfffffff0, 16), rom + 0x3fff0);
    assert_null(machine_to_read(&f->machine, 0xc0000, 1));
}

static void test_states(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    expect_reset(&f);
    write_pam(&f, 0, 0x30, 0);
    assert_int_equal(f.found[12], MEMORY_RAM);
    assert_int_equal(f.changes, 1);
    assert_int_equal(f.seen, f.machine.ram.shadow);
    assert_ptr_equal(machine_ram(&f.machine, 0xf0000, 0x10000), low + 0xf0000);
    write_pam(&f, 0, 0x10, 0);
    assert_int_equal(f.found[12], MEMORY_RAM_READ_ONLY);
    assert_ptr_equal(machine_to_read(&f.machine, 0xf0000, 0x10000), low + 0xf0000);
    assert_null(guest_ram_to_write(&f.machine.ram, 0xf0000, 1));
    write_pam(&f, 0, 0x20, 0);
    assert_int_equal(f.found[12], MEMORY_ROM);
    assert_ptr_equal(guest_ram_to_write(&f.machine.ram, 0xf0000, 0x10000), low + 0xf0000);
    f.changes = 0;
    write_pam(&f, 0, 0x00, 0); /* the guest finds the same; writes go nowhere now */
    assert_int_equal(f.changes, 0);
    assert_null(guest_ram_to_write(&f.machine.ram, 0xf0000, 1));
    write_pam(&f, 1, 0x13, 0); /* c0000 and c4000 */
    assert_int_equal(f.found[0], MEMORY_RAM);
    assert_int_equal(f.found[1], MEMORY_RAM_READ_ONLY);
    write_pam(&f, 1, 0x02, 0); /* written, but not read */
    assert_int_equal(f.found[0], MEMORY_NOTHING);
    assert_ptr_equal(guest_ram_to_write(&f.machine.ram, 0xc0000, 1), low + 0xc0000);
    machine_reset(&f.machine, 0);
    expect_reset(&f);
    assert_int_equal(f.machine.request, MACHINE_RUNS);
}

/* The owner acts on the first processor's thread; the other one waits for it. */
static void test_other_processor(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    write_pam(&f, 0, 0x30, 1);
    assert_int_equal(f.changes, 0);
    assert_int_equal(f.woken[0], 1);
    assert_true(f.machine.cpu[1].attention);
    assert_true(shadow_waits(&f.machine, 1));
    assert_false(shadow_waits(&f.machine, 0));
    assert_ptr_equal(machine_ram(&f.machine, 0xf0000, 1), low + 0xf0000);
    f.machine.cpu[1].attention = false; /* it has looked, and sleeps */
    shadow_sync(&f.machine);
    assert_int_equal(f.found[12], MEMORY_RAM);
    assert_false(shadow_waits(&f.machine, 1));
    assert_int_equal(f.woken[1], 1);
    f.changes = 0;
    shadow_sync(&f.machine);
    assert_int_equal(f.changes, 0);
    /* The first one's own change does what waits as well. */
    write_pam(&f, 1, 0x33, 1);
    write_pam(&f, 2, 0x33, 0);
    assert_int_equal(f.changes, 4);
    assert_false(shadow_waits(&f.machine, 1));
}

static void test_failure(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    f.fails = true;
    write_pam(&f, 0, 0x30, 0);
    assert_int_equal(f.machine.request, MACHINE_FAILED);
}

static void test_saved(void **state)
{
    static uint8_t bytes[MACHINE_SAVED_MAX];
    struct fixture f, other;
    struct machine_saved saved;

    (void)state;
    fresh(&f);
    fresh(&other);
    write_pam(&f, 0, 0x10, 0);
    write_pam(&f, 3, 0x33, 0);
    saved = machine_save(&f.machine, 0, bytes, sizeof(bytes));
    assert_int_equal(saved.status, DEVICE_OK);
    saved = machine_load(&other.machine, bytes, saved.bytes);
    assert_int_equal(saved.status, DEVICE_OK);
    assert_memory_equal(f.found, other.found, sizeof(f.found));
    assert_int_equal(other.found[12], MEMORY_RAM_READ_ONLY);
    assert_int_equal(f.machine.ram.shadow, other.machine.ram.shadow);
}

/* Without firmware it is all RAM, whatever PAM says. */
static void test_no_firmware(void **state)
{
    static struct machine machine;
    struct machine_config config = {.name = "test", .ram = {.low = low, .low_size = sizeof(low)}};

    (void)state;
    clock_init(&config.clock, 0, 2000000000);
    assert_true(e820_layout(sizeof(low), &config.map));
    assert_true(machine_init(&machine, &config));
    bus_write(&machine.bus, BUS_PORT, 0xcf8, 4, 0x80000058, 0, 0);
    bus_write(&machine.bus, BUS_PORT, 0xcfd, 1, 0x10, 0, 0);
    assert_ptr_equal(machine_ram(&machine, RAM_ROM, 0x40000), low + RAM_ROM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states), cmocka_unit_test(test_other_processor), cmocka_unit_test(test_failure),
        cmocka_unit_test(test_saved),  cmocka_unit_test(test_no_firmware),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
