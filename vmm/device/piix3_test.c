/* SPDX-License-Identifier: ISC */
/* The ISA bridge: identity, routing and sharing of PCI interrupts, reset control, random traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/device/piix3.h"

struct fixture {
    struct bus bus;
    struct i440fx host;
    struct piix3 bridge;
    uint16_t isa;
    unsigned soft, hard;
};

static void set_isa(void *sink, unsigned pin, bool level)
{
    struct fixture *f = sink;

    assert_true(pin < 16);
    f->isa = (uint16_t)((f->isa & ~(1u << pin)) | (unsigned)level << pin);
}

static void reset(void *context, bool hard)
{
    struct fixture *f = context;

    f->hard += hard;
    f->soft += !hard;
}

static uint32_t config(struct fixture *f, unsigned reg, uint8_t size)
{
    bus_write(&f->bus, BUS_PORT, 0xcf8, 4, 0x80000800 | (reg & 0xfc), 0, 0);
    return (uint32_t)bus_read(&f->bus, BUS_PORT, 0xcfc + (reg & 3), size, 0, 0);
}

static void configure(struct fixture *f, unsigned reg, uint8_t size, uint32_t value)
{
    bus_write(&f->bus, BUS_PORT, 0xcf8, 4, 0x80000800 | (reg & 0xfc), 0, 0);
    bus_write(&f->bus, BUS_PORT, 0xcfc + (reg & 3), size, value, 0, 0);
}

static void fresh(struct fixture *f)
{
    struct i440fx_wiring host = {0};
    struct piix3_wiring wiring = {.reset = reset, .context = f, .isa = {.set = set_isa, .sink = f}};

    memset(f, 0, sizeof *f);
    bus_init(&f->bus);
    i440fx_init(&f->host, &host);
    piix3_init(&f->bridge, &wiring);
    assert_int_equal(i440fx_attach(&f->host, &f->bus), BUS_OK);
    assert_int_equal(piix3_attach(&f->bridge, &f->host, 1), BUS_OK);
    assert_int_equal(piix3_attach(&f->bridge, &f->host, 1), BUS_OVERLAP);
}

static void test_identity(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    assert_int_equal(config(&f, 0, 4), 0x70008086);
    assert_int_equal(config(&f, 4, 4), 0x02000007);
    assert_int_equal(config(&f, 8, 4), 0x06010000);
    assert_int_equal(config(&f, 0x0e, 1), 0x80);
    assert_int_equal(config(&f, 0x60, 4), 0x80808080);
    assert_int_equal(config(&f, 0x4c, 1), 0x4d);
    configure(&f, 0, 4, 0);
    configure(&f, 4, 4, 0xffffffff);
    assert_int_equal(config(&f, 0, 4), 0x70008086);
    assert_int_equal(config(&f, 4, 2), 0x010f);
    configure(&f, 0x60, 4, 0xffffffff);
    assert_int_equal(config(&f, 0x60, 4), 0x8f8f8f8f);
}

static void test_routing(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    piix3_set_irq(&f.bridge, PIIX3_PIRQA, true);
    assert_int_equal(f.isa, 0); /* off after reset */
    configure(&f, 0x60, 1, 0x0a);
    assert_int_equal(f.isa, 1 << 10); /* a line that is up shows as soon as it is routed */
    configure(&f, 0x61, 1, 0x0a);
    piix3_set_irq(&f.bridge, PIIX3_PIRQB, true);
    piix3_set_irq(&f.bridge, PIIX3_PIRQA, false);
    assert_int_equal(f.isa, 1 << 10); /* shared */
    configure(&f, 0x61, 1, 0x0b);
    assert_int_equal(f.isa, 1 << 11);
    configure(&f, 0x61, 1, 0x8b);
    assert_int_equal(f.isa, 0);
    configure(&f, 0x60, 4, 0x09090909);
    assert_int_equal(f.isa, 1 << 9);
    piix3_set_irq(&f.bridge, PIIX3_SCI, true);
    piix3_set_irq(&f.bridge, PIIX3_PIRQB, false);
    assert_int_equal(f.isa, 1 << 9);
    piix3_set_irq(&f.bridge, PIIX3_SCI, false);
    assert_int_equal(f.isa, 0);
    piix3_set_irq(&f.bridge, PIIX3_PINS, true);
    assert_int_equal(f.isa, 0);
    piix3_set_irq(&f.bridge, PIIX3_PIRQA, true);
    for (unsigned irq = 0; irq < 16; irq++) {
        configure(&f, 0x60, 1, irq);
        assert_int_equal(f.isa, 1u << irq & 0xdef8);
    }
    piix3_reset(&f.bridge);
    assert_int_equal(f.isa, 0);
    assert_int_equal(piix3_pirq(1, 0), 0);
    assert_int_equal(piix3_pirq(2, 0), 1);
    assert_int_equal(piix3_pirq(4, 3), 2);
    assert_int_equal(piix3_pirq(0, 0), 3);
}

static void test_reset_control(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    assert_int_equal(bus_read(&f.bus, BUS_PORT, 0xcf9, 1, 0, 0), 0);
    bus_write(&f.bus, BUS_PORT, 0xcf9, 1, 0x02, 0, 0);
    assert_int_equal(f.hard, 0);
    bus_write(&f.bus, BUS_PORT, 0xcf9, 1, 0x06, 0, 0);
    assert_int_equal(f.hard, 1);
    bus_write(&f.bus, BUS_PORT, 0xcf9, 1, 0x06, 0, 0); /* no transition */
    assert_int_equal(f.hard, 1);
    assert_int_equal(bus_read(&f.bus, BUS_PORT, 0xcf9, 1, 0, 0), 0x06);
    piix3_reset(&f.bridge);
    bus_write(&f.bus, BUS_PORT, 0xcf9, 1, 0x04, 0, 0);
    assert_int_equal(f.soft, 1);
    bus_write(&f.bus, BUS_PORT, 0xcf8, 4, 0x80000600, 0, 0); /* a dword is CONFIG_ADDRESS */
    assert_int_equal(f.hard + f.soft, 2);
}

static void test_random(void **state)
{
    struct fixture f;

    (void)state;
    srand(12);
    fresh(&f);
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t size = (uint8_t)(1 << rand() % 3);

        if (rand() & 1)
            piix3_set_irq(&f.bridge, (unsigned)rand() % 6, rand() & 1);
        if (rand() & 1)
            configure(&f, (unsigned)rand() % 256, size, (uint32_t)rand());
        else
            (void)config(&f, (unsigned)rand() % 256, size);
        if (rand() % 8 == 0)
            bus_write(&f.bus, BUS_PORT, 0xcf8 + (unsigned)rand() % 4, size, (uint64_t)rand(), 0, 0);
        assert_int_equal(f.isa, f.bridge.reg.driven);
        assert_int_equal(f.isa & ~0xdef8, 0);
    }
}

/* Slots that share a PIRQ: it is up as long as one of them holds it. */
static void test_shared(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    configure(&f, 0x60, 4, 0x0f0a0b09); /* PIRQA 9, B 11, C 10, D 15 */
    piix3_set_intx(&f.bridge, 4 * 2, true);
    assert_int_equal(f.isa, 1 << 11); /* INTA of slot 2 */
    piix3_set_intx(&f.bridge, 4 * 6, true);
    piix3_set_intx(&f.bridge, 4 * 6 + 1, true);
    assert_int_equal(f.isa, 1 << 11 | 1 << 10);
    piix3_set_intx(&f.bridge, 4 * 2, false);
    assert_int_equal(f.isa, 1 << 11 | 1 << 10);
    piix3_set_intx(&f.bridge, 4 * 6, false);
    assert_int_equal(f.isa, 1 << 10);
    piix3_set_intx(&f.bridge, 4 * 6 + 1, false);
    assert_int_equal(f.isa, 0);
    piix3_set_intx(&f.bridge, 4 * 32, true); /* no such slot */
    piix3_set_intx(&f.bridge, UINT32_MAX, true);
    assert_int_equal(f.isa, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),      cmocka_unit_test(test_routing), cmocka_unit_test(test_shared),
        cmocka_unit_test(test_reset_control), cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("piix3", tests, NULL, NULL);
}
