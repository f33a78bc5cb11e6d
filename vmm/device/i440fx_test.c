/* SPDX-License-Identifier: ISC */
/* The host bridge: configuration ports, absent functions, masks, PAM, narrow accesses, random traffic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/device/i440fx.h"

struct fixture {
    struct bus bus;
    struct i440fx bridge;
    unsigned changes, narrow;
    struct bus_access last;
};

static void changed(void *context)
{
    ((struct fixture *)context)->changes++;
}

static void narrow(void *device, struct bus_access *access)
{
    struct fixture *f = device;

    f->narrow++;
    f->last = *access;
}

static void out(struct fixture *f, uint16_t port, uint8_t size, uint32_t value)
{
    bus_write(&f->bus, BUS_PORT, port, size, value, 0, 0);
}

static uint32_t in(struct fixture *f, uint16_t port, uint8_t size)
{
    return (uint32_t)bus_read(&f->bus, BUS_PORT, port, size, 0, 0);
}

static uint32_t config(struct fixture *f, unsigned slot, unsigned reg, uint8_t size)
{
    out(f, 0xcf8, 4, 0x80000000 | slot << 11 | (reg & 0xfc));
    return in(f, (uint16_t)(0xcfc + (reg & 3)), size);
}

static void configure(struct fixture *f, unsigned reg, uint8_t size, uint32_t value)
{
    out(f, 0xcf8, 4, 0x80000000 | (reg & 0xfc));
    out(f, (uint16_t)(0xcfc + (reg & 3)), size, value);
}

static void fresh(struct fixture *f)
{
    struct i440fx_wiring wiring = {.memory_changed = changed, .context = f};

    memset(f, 0, sizeof *f);
    bus_init(&f->bus);
    i440fx_init(&f->bridge, &wiring);
    assert_int_equal(i440fx_attach(&f->bridge, &f->bus), BUS_OK);
    f->changes = 0;
}

static void test_mechanism(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0xcf8, 4, 0xffffffff);
    assert_int_equal(in(&f, 0xcf8, 4), 0x80fffffc);
    out(&f, 0xcf8, 4, 0x80000000);
    assert_int_equal(in(&f, 0xcf8, 4), 0x80000000);
    assert_int_equal(in(&f, 0xcfc, 4), 0x12378086);
    assert_int_equal(in(&f, 0xcfc, 2), 0x8086);
    assert_int_equal(in(&f, 0xcfe, 2), 0x1237);
    assert_int_equal(in(&f, 0xcfd, 2), 0x3780);
    assert_int_equal(in(&f, 0xcff, 1), 0x12);
    assert_int_equal(in(&f, 0xcfd, 4), 0xff123780); /* the last byte is beyond the window */
    out(&f, 0xcf8, 4, 0x00000000);                  /* not enabled */
    assert_int_equal(in(&f, 0xcfc, 4), 0xffffffff);
    out(&f, 0xcf8, 4, 0x80010000); /* another bus */
    assert_int_equal(in(&f, 0xcfc, 4), 0xffffffff);
    for (unsigned slot = 1; slot < 32; slot++)
        assert_int_equal(config(&f, slot, 0, 4), 0xffffffff);
    out(&f, 0xcf8, 4, 0x80000100); /* function 1 */
    assert_int_equal(in(&f, 0xcfc, 4), 0xffffffff);
    assert_int_equal(config(&f, 0, 8, 4), 0x06000002);
    assert_int_equal(config(&f, 0, 0x0e, 1), 0);
}

static void test_narrow(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    out(&f, 0xcf8, 4, 0x80000000);
    out(&f, 0xcfb, 1, 0x01); /* the classic probe: changes nothing */
    assert_int_equal(in(&f, 0xcf8, 4), 0x80000000);
    assert_int_equal(in(&f, 0xcf9, 1), 0xff);
    i440fx_forward(&f.bridge, narrow, &f);
    out(&f, 0xcf9, 1, 0x06);
    assert_int_equal(f.narrow, 1);
    assert_int_equal(f.last.offset, 1);
    assert_int_equal(f.last.value, 6);
    assert_int_equal(in(&f, 0xcfa, 4), 0x8086ffff); /* across both registers */
    assert_int_equal(f.narrow, 3);
}

static void test_registers(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    assert_int_equal(config(&f, 0, 4, 4), 0x02800006);
    configure(&f, 4, 2, 0xffff);
    assert_int_equal(config(&f, 0, 4, 2), 0x0146);
    configure(&f, 0, 4, 0);
    assert_int_equal(config(&f, 0, 0, 4), 0x12378086);
    for (unsigned i = 0; i < 7; i++) {
        configure(&f, 0x59 + i, 1, 0xff);
        assert_int_equal(config(&f, 0, 0x59 + i, 1), i ? 0x33 : 0x30);
    }
    assert_int_equal(f.changes, 7);
    configure(&f, 0x59, 1, 0xff);
    assert_int_equal(f.changes, 7);
    configure(&f, 0x59, 1, 0x10); /* 0xf0000: read from RAM, write to ROM */
    configure(&f, 0x5a, 1, 0x21);
    configure(&f, 0x5f, 1, 0x00);
    assert_int_equal(i440fx_pam(&f.bridge, 0xf0000), PAM_READ);
    assert_int_equal(i440fx_pam(&f.bridge, 0xfffff), PAM_READ);
    assert_int_equal(i440fx_pam(&f.bridge, 0xc0000), PAM_READ);
    assert_int_equal(i440fx_pam(&f.bridge, 0xc4000), PAM_WRITE);
    assert_int_equal(i440fx_pam(&f.bridge, 0xdc000), PAM_READ | PAM_WRITE);
    assert_int_equal(i440fx_pam(&f.bridge, 0xe8000), 0);
    assert_int_equal(i440fx_pam(&f.bridge, 0xbffff), 0);
    assert_int_equal(i440fx_pam(&f.bridge, 0x100000), 0);
    assert_int_equal(config(&f, 0, I440FX_SMRAM, 1), 0x02);
    configure(&f, I440FX_SMRAM, 1, 0x4a);
    assert_int_equal(config(&f, 0, I440FX_SMRAM, 1), 0x4a);
    configure(&f, I440FX_SMRAM, 1, 0x5a); /* the lock closes and keeps */
    assert_int_equal(config(&f, 0, I440FX_SMRAM, 1), 0x1a);
    configure(&f, I440FX_SMRAM, 1, 0x40);
    assert_int_equal(config(&f, 0, I440FX_SMRAM, 1), 0x1a);
    i440fx_reset(&f.bridge);
    assert_int_equal(config(&f, 0, I440FX_SMRAM, 1), 0x02);
    assert_int_equal(config(&f, 0, 0x60, 4), 0x01010101);
}

static void test_random(void **state)
{
    struct fixture f;

    (void)state;
    srand(11);
    fresh(&f);
    i440fx_forward(&f.bridge, narrow, &f);
    for (unsigned i = 0; i < 100000; i++) {
        uint16_t port = (uint16_t)(0xcf7 + rand() % 10);
        uint8_t size = (uint8_t)(1 << rand() % 3);

        if (rand() % 4 == 0)
            out(&f, 0xcf8, 4, 0x80000000 | ((uint32_t)rand() & (rand() & 1 ? 0xff : 0xffff)));
        if (rand() & 1)
            out(&f, port, size, (uint32_t)rand());
        else
            (void)in(&f, port, size);
        (void)i440fx_pam(&f.bridge, (uint32_t)rand());
    }
    assert_int_equal(config(&f, 0, 0, 4), 0x12378086);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mechanism),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests_name("i440fx", tests, NULL, NULL);
}
