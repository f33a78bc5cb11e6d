/* SPDX-License-Identifier: ISC */
/* Power management: mode switch, timer and its interrupt, button, soft-off, PCI function, random traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/bus/ticks.h"
#include "vmm/device/piix4_pm.h"

#define BASE 0x600

struct fixture {
    struct bus bus;
    struct pci_bus pci;
    struct piix4_pm pm;
    uint64_t now;
    unsigned offs;
    bool level;
};

static void set_sci(void *sink, unsigned pin, bool level)
{
    assert_int_equal(pin, 9);
    ((struct fixture *)sink)->level = level;
}

static void power_off(void *context)
{
    ((struct fixture *)context)->offs++;
}

static void out(struct fixture *f, unsigned port, uint8_t size, uint32_t value)
{
    bus_write(&f->bus, BUS_PORT, port, size, value, 0, f->now);
}

static uint32_t in(struct fixture *f, unsigned port, uint8_t size)
{
    return (uint32_t)bus_read(&f->bus, BUS_PORT, port, size, 0, f->now);
}

static void fresh(struct fixture *f, uint8_t timer_bits)
{
    struct piix4_pm_config config = {
        .base = BASE, .timer_bits = timer_bits, .s5_type = 5, .acpi_enable = 0xf1, .acpi_disable = 0xf0};
    struct piix4_pm_wiring wiring = {
        .power_off = power_off, .context = f, .sci = {.set = set_sci, .sink = f, .pin = 9}};

    memset(f, 0, sizeof *f);
    bus_init(&f->bus);
    pci_bus_init(&f->pci);
    piix4_pm_init(&f->pm, &config, &wiring);
    assert_int_equal(piix4_pm_attach(&f->pm, &f->bus), BUS_OK);
    assert_int_equal(piix4_pm_attach_pci(&f->pm, &f->pci, 1, 3), BUS_OK);
}

static void test_mode(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 32);
    assert_int_equal(in(&f, BASE + 4, 2), 0);
    out(&f, 0xb3, 1, 0x55);
    out(&f, 0xb2, 1, 0xf1);
    assert_int_equal(in(&f, BASE + 4, 2), 1);
    assert_int_equal(in(&f, 0xb2, 2), 0x55f1);
    out(&f, 0xb2, 1, 0x12);
    assert_int_equal(in(&f, BASE + 4, 2), 1);
    out(&f, 0xb2, 1, 0xf0);
    assert_int_equal(in(&f, BASE + 4, 2), 0);
    for (unsigned offset = 12; offset < 64; offset += 4) {
        out(&f, BASE + offset, 4, 0xffffffff);
        assert_int_equal(in(&f, BASE + offset, 4), 0);
    }
}

static void test_timer(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 24);
    f.now = NS_PER_SECOND;
    assert_int_equal(in(&f, BASE + 8, 4), 3579545);
    out(&f, BASE + 8, 4, 0);
    f.now = 100 * NS_PER_SECOND;
    assert_int_equal(in(&f, BASE + 8, 4), 357954500 & 0xffffff);
    assert_int_equal(in(&f, BASE + 9, 1), 357954500 >> 8 & 0xff);
    assert_int_equal(in(&f, BASE + 0, 2), 1); /* the high bit has changed in between */
    fresh(&f, 32);
    f.now = 2000 * NS_PER_SECOND;
    assert_int_equal(in(&f, BASE + 8, 4), UINT64_C(7159090000) & 0xffffffff);
}

static void test_timer_interrupt(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 24);
    out(&f, BASE + 2, 2, 1);
    assert_true(bus_deadline(&f.bus) == BUS_NEVER); /* legacy mode */
    out(&f, 0xb2, 1, 0xf1);
    for (uint64_t i = 1; i < 100; i++) {
        f.now = bus_deadline(&f.bus);
        assert_int_equal(f.now, ns_from_ticks(i << 23, PIIX4_PM_HZ));
        bus_advance(&f.bus, f.now - 1);
        assert_false(f.level);
        bus_advance(&f.bus, f.now);
        assert_true(f.level);
        assert_true(bus_deadline(&f.bus) == BUS_NEVER);
        out(&f, BASE, 2, 1);
        assert_false(f.level);
    }
    f.now += 86400 * NS_PER_SECOND;
    bus_advance(&f.bus, f.now);
    assert_true(f.level);
    out(&f, BASE, 2, 1);
    assert_true(bus_deadline(&f.bus) > f.now);
    fresh(&f, 32);
    out(&f, BASE + 2, 2, 1);
    out(&f, 0xb2, 1, 0xf1);
    assert_int_equal(bus_deadline(&f.bus), ns_from_ticks(UINT64_C(1) << 31, PIIX4_PM_HZ));
}

static void test_button(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 32);
    piix4_pm_power_button(&f.pm, 0);
    assert_false(f.level);
    assert_int_equal(in(&f, BASE, 2), 0x100);
    out(&f, BASE + 2, 2, 0xffff);
    assert_int_equal(in(&f, BASE + 2, 2), 0x0521);
    assert_false(f.level);
    out(&f, 0xb2, 1, 0xf1);
    assert_true(f.level);
    out(&f, BASE, 2, 0x20);
    assert_true(f.level);
    out(&f, BASE + 1, 1, 0x01);
    assert_false(f.level);
    assert_int_equal(in(&f, BASE, 4), 0x05210000);
}

static void test_sleep(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f, 32);
    for (unsigned type = 0; type < 8; type++) {
        unsigned offs = f.offs;

        out(&f, BASE + 4, 2, type << 10 | 1); /* SLP_EN clear: nothing */
        assert_int_equal(f.offs, offs);
        out(&f, BASE + 4, 2, type << 10 | 0x2001);
        assert_int_equal(f.offs, offs + (type == 5));
        assert_int_equal(in(&f, BASE + 4, 2), type << 10 | 1); /* SLP_EN reads zero */
        assert_int_equal(in(&f, BASE, 2), type == 5 ? 0 : 0x8000);
        out(&f, BASE, 2, 0x8000);
    }
    out(&f, BASE + 5, 1, 0x34);
    assert_int_equal(f.offs, 2);
    piix4_pm_reset(&f.pm, 0);
    assert_int_equal(in(&f, BASE + 4, 2), 0);
}

static uint32_t config(struct fixture *f, unsigned reg)
{
    struct bus_access access = {.size = 4, .value = 0xffffffff};

    pci_bus_config(&f->pci, 0x80000b00 | reg, &access);
    return (uint32_t)access.value;
}

static void test_function(void **state)
{
    struct fixture f;
    struct bus_access write = {.size = 4, .value = 0xffffffff, .write = true};

    (void)state;
    fresh(&f, 32);
    assert_int_equal(config(&f, 0), 0x71138086);
    assert_int_equal(config(&f, 8), 0x06800003);
    assert_int_equal(config(&f, 0x40), 0x0601);
    assert_int_equal(config(&f, 0x3c), 0x0109);
    assert_int_equal(config(&f, 0x58), 0x02000000);
    for (unsigned reg = 0; reg < 256; reg += 4)
        pci_bus_config(&f.pci, 0x80000b00 | reg, &write);
    assert_int_equal(config(&f, 0), 0x71138086);
    assert_int_equal(config(&f, 0x40), 0x0601);
}

static void test_random(void **state)
{
    struct fixture f;

    (void)state;
    srand(13);
    fresh(&f, 24);
    for (unsigned i = 0; i < 100000; i++) {
        unsigned port = rand() % 8 ? BASE - 1 + (unsigned)rand() % 66 : 0xb1 + (unsigned)rand() % 4;
        uint8_t size = (uint8_t)(1 << rand() % 3);

        f.now += (uint64_t)rand() * 16 >> rand() % 36;
        if (rand() & 1)
            out(&f, port, size, (uint32_t)rand());
        else
            (void)in(&f, port, size);
        if (rand() % 16 == 0)
            piix4_pm_power_button(&f.pm, f.now);
        bus_advance(&f.bus, f.now);
        assert_true(bus_deadline(&f.bus) > f.now);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode),   cmocka_unit_test(test_timer), cmocka_unit_test(test_timer_interrupt),
        cmocka_unit_test(test_button), cmocka_unit_test(test_sleep), cmocka_unit_test(test_function),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("piix4_pm", tests, NULL, NULL);
}
