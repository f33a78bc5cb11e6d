/* SPDX-License-Identifier: ISC */
/*
 * A disk by its command block: identity, addresses, every way to read and write, errors, reset, absent drives, and
 * all 256 commands.
 */
#include <cmocka.h>

#include "vmm/device/test_ide.h"

#define BASE 0x1f0u
#define CTRL 0x3f6u

static struct test_ide test;
static uint8_t host[TEST_RAM];

static uint8_t status(void)
{
    return (uint8_t)test_in(&test, BASE + 7, 1);
}

static void set_up(void)
{
    assert_true(test_ide_init(&test, true));
}

/* Whether the interrupt came, and only once; it is taken back by reading the status. */
static void take_interrupt(uint8_t expected)
{
    test_ide_work(&test);
    assert_true(test.irq[0]);
    assert_int_equal(test_in(&test, CTRL, 1), expected);
    assert_true(test.irq[0]); /* the alternate status does not take it back */
    assert_int_equal(status(), expected);
    assert_false(test.irq[0]);
}

static void read_words(uint8_t *to, unsigned bytes, uint8_t size)
{
    for (unsigned i = 0; i < bytes; i += size) {
        uint32_t value = test_in(&test, BASE, size);

        memcpy(to + i, &value, size);
    }
}

static void write_words(const uint8_t *from, unsigned bytes, uint8_t size)
{
    for (unsigned i = 0; i < bytes; i += size) {
        uint32_t value = 0;

        memcpy(&value, from + i, size);
        test_out(&test, BASE, size, value);
    }
}

static const uint8_t *sector(uint64_t number)
{
    return &test.disk[0].bytes[number * DISK_SECTOR];
}

static void test_identify(void **state)
{
    uint16_t words[256];
    uint8_t sum = 0, *bytes = (uint8_t *)words;

    (void)state;
    set_up();
    assert_int_equal(status(), 0x50);
    test_out(&test, BASE + 7, 1, 0xec);
    take_interrupt(0x58);
    read_words(bytes, 512, 2);
    assert_int_equal(status(), 0x50);
    assert_false(test.irq[0]);
    assert_int_equal(words[0], 0x40);
    assert_int_equal(words[1], TEST_SECTORS / 1008);
    assert_int_equal(words[3], 16);
    assert_int_equal(words[6], 63);
    assert_memory_equal(&words[27], "BVXOH RADDSI K  ", 16);
    assert_memory_equal(&words[10], "BV21435-76 8", 12);
    assert_int_equal(words[47], 0x8010);
    assert_int_equal(words[60] | words[61] << 16, TEST_SECTORS);
    assert_int_equal(words[100], TEST_SECTORS);
    assert_int_equal(words[63], 0x0007);
    assert_int_equal(words[88], 0x0407);
    assert_int_equal(words[83], 0x7400);
    assert_int_equal(words[106], 0x6003);
    assert_int_equal(words[169], 1);
    for (unsigned i = 0; i < 512; i++)
        sum = (uint8_t)(sum + bytes[i]);
    assert_int_equal(sum, 0);
}

/* One interrupt a sector; the last word ends the command without one. */
static void test_read_pio(void **state)
{
    static const struct {
        uint8_t code, size;
        bool ext;
    } reads[] = {{0x20, 2, false}, {0x21, 4, false}, {0x24, 2, true}};

    (void)state;
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        set_up();
        test_command(&test, BASE, reads[i].code, 100, 40, reads[i].ext);
        assert_int_equal(test_in(&test, CTRL, 1), 0xd0);
        assert_int_equal(test_in(&test, BASE, 2), 0);
        for (unsigned s = 0; s < 40; s++) {
            take_interrupt(0x58);
            test_out(&test, BASE + 3, 1, 0x55); /* lost, as long as the drive is not done */
            assert_int_equal(test_in(&test, BASE + 3, 1), 100);
            read_words(host, DISK_SECTOR, reads[i].size);
            assert_memory_equal(host, sector(100 + s), DISK_SECTOR);
        }
        assert_int_equal(test.raised[0], 40);
        assert_int_equal(test_in(&test, CTRL, 1), 0x50);
        assert_int_equal(test.disk[0].requests, 3);
    }
}

static void test_write_pio(void **state)
{
    (void)state;
    for (unsigned ext = 0; ext < 2; ext++) {
        set_up();
        for (unsigned i = 0; i < sizeof(host); i++)
            host[i] = (uint8_t)(i * 7 + i / 256);
        test_command(&test, BASE, ext ? 0x34 : 0x30, 4000, 40, ext);
        assert_false(test.irq[0]); /* none before the first sector */
        assert_int_equal(status(), 0x58);
        for (unsigned s = 0; s < 40; s++) {
            write_words(host + s * DISK_SECTOR, DISK_SECTOR, 2);
            take_interrupt(s == 39 ? 0x50 : 0x58);
        }
        assert_memory_equal(host, sector(4000), 40 * DISK_SECTOR);
        assert_false(test.disk[0].durable);
    }
}

/* REP INS and OUTS over several sectors, with and without a word that is the drive's in part only. */
static void test_blocks(void **state)
{
    (void)state;
    for (uint8_t size = 2; size <= 4; size += 2) {
        set_up();
        test_command(&test, BASE, 0x20, 3, 20, false);
        test_ide_work(&test);
        bus_port_block(&test.bus, BASE, size, false, host, 16 * DISK_SECTOR / size, 0, 0);
        test_ide_work(&test); /* the buffer holds so much */
        bus_port_block(&test.bus, BASE, size, false, host + 16 * DISK_SECTOR, 5 * DISK_SECTOR / size, 0, 0);
        assert_memory_equal(host, sector(3), 20 * DISK_SECTOR);
        for (unsigned i = 0; i < DISK_SECTOR; i++)
            assert_int_equal(host[20 * DISK_SECTOR + i], 0);
        assert_int_equal(status(), 0x50);
        test_command(&test, BASE, 0x30, 100, 2, false);
        bus_port_block(&test.bus, BASE, size, true, host, 2 * DISK_SECTOR / size, 0, 0);
        take_interrupt(0x50);
        assert_memory_equal(host, sector(100), 2 * DISK_SECTOR);
    }
    /* Six bytes of a packet's answer by four. */
    test_out(&test, 0x176, 1, 0xa0);
    test_out(&test, 0x174, 1, 6);
    test_out(&test, 0x177, 1, 0xa0);
    bus_port_block(&test.bus, 0x170, 2, true, (uint8_t[]){0x12, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0}, 6, 0, 0);
    memset(host, 0xaa, 12);
    bus_port_block(&test.bus, 0x170, 4, false, host, 3, 0, 0);
    assert_memory_equal(host, "\5\x80\0\x21\x1f\0\0\0\0\0\0\0", 12);
    assert_int_equal(test_in(&test, 0x177, 1), 0x50);
}

static void test_multiple(void **state)
{
    (void)state;
    set_up();
    test_command(&test, BASE, 0xc4, 0, 8, false); /* not set */
    take_interrupt(0x51);
    test_command(&test, BASE, 0xc6, 0, 3, false);
    take_interrupt(0x51);
    test_command(&test, BASE, 0xc6, 0, 32, false);
    take_interrupt(0x51);
    test_command(&test, BASE, 0xc6, 0, 8, false);
    take_interrupt(0x50);
    test.raised[0] = 0;
    test_command(&test, BASE, 0x29, 5, 20, true);
    for (unsigned s = 0; s < 20; s += 8) {
        unsigned count = s == 16 ? 4 : 8;

        take_interrupt(0x58);
        read_words(host, count * DISK_SECTOR, 2);
        assert_memory_equal(host, sector(5 + s), count * DISK_SECTOR);
    }
    assert_int_equal(test.raised[0], 3);
    memset(host, 0x5a, sizeof(host));
    test_command(&test, BASE, 0xc5, 9, 12, false);
    write_words(host, 8 * DISK_SECTOR, 2);
    take_interrupt(0x58);
    write_words(host, 4 * DISK_SECTOR, 4);
    take_interrupt(0x50);
    assert_memory_equal(host, sector(9), 12 * DISK_SECTOR);
}

static void test_addresses(void **state)
{
    static const struct {
        uint8_t device, high, mid, low, count;
        bool ok;
        uint64_t at;
    } cases[] = {
        {0xe0, 0, 0, 0, 1, true, 0},           {0xe0, 0, 0x0f, 0xff, 1, true, 4095},
        {0xe0, 0, 0x0f, 0xff, 2, false, 0},    {0xe0, 0, 0x10, 0, 1, false, 0},
        {0xef, 0xff, 0xff, 0xff, 0, false, 0}, {0xe0, 0, 0x0f, 0, 0, true, 0xf00}, /* 256 */
        {0xe0, 0, 0x0f, 1, 0, false, 0},       {0xa0, 0, 0, 1, 1, true, 0},
        {0xa0, 0, 0, 0, 1, false, 0},          {0xa1, 0, 0, 0, 1, false, 0},
        {0xa0, 0, 0, 64, 1, false, 0},         {0xa1, 0, 0, 63, 1, true, 125},
        {0xaf, 0, 3, 63, 1, true, 4031},       {0xa1, 0, 4, 1, 1, true, 4095},
        {0xa1, 0, 4, 2, 1, false, 0},          {0xaf, 0xff, 0xff, 63, 1, false, 0},
    };

    (void)state;
    set_up();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_out(&test, BASE + 6, 1, cases[i].device);
        test_out(&test, BASE + 2, 1, cases[i].count);
        test_out(&test, BASE + 3, 1, cases[i].low);
        test_out(&test, BASE + 4, 1, cases[i].mid);
        test_out(&test, BASE + 5, 1, cases[i].high);
        test_out(&test, BASE + 7, 1, 0x20);
        if (!cases[i].ok) {
            take_interrupt(0x51);
            assert_int_equal(test_in(&test, BASE + 1, 1), 0x10);
            continue;
        }
        for (unsigned s = 0; s < (cases[i].count ? cases[i].count : 256u); s++) {
            take_interrupt(0x58);
            read_words(host, DISK_SECTOR, 2);
            assert_memory_equal(host, sector(cases[i].at + s), DISK_SECTOR);
        }
    }
    /* Other heads and tracks: CHS is counted with them. */
    test_out(&test, BASE + 6, 1, 0xa3);
    test_out(&test, BASE + 2, 1, 10);
    test_out(&test, BASE + 7, 1, 0x91);
    take_interrupt(0x50);
    test_command(&test, BASE, 0xec, 0, 0, false);
    take_interrupt(0x58);
    read_words(host, 512, 2);
    assert_memory_equal(host + 54 * 2, "\x66\0\x04\0\x0a\0", 6);
    test_out(&test, BASE + 6, 1, 0xa2);
    test_out(&test, BASE + 2, 1, 1);
    test_out(&test, BASE + 3, 1, 5);
    test_out(&test, BASE + 4, 1, 7);
    test_out(&test, BASE + 5, 1, 0);
    test_out(&test, BASE + 7, 1, 0x20);
    take_interrupt(0x58);
    read_words(host, 512, 2);
    assert_memory_equal(host, sector((7 * 4 + 2) * 10 + 4), DISK_SECTOR);
}

/* The high bytes of a 48-bit address are what was written first. */
static void test_high_order(void **state)
{
    (void)state;
    set_up();
    test_command(&test, BASE, 0x24, 0x123456789abcull, 0x1234, true);
    take_interrupt(0x51);
    assert_int_equal(test_in(&test, BASE + 3, 1), 0xbc);
    test_out(&test, CTRL, 1, 0x80);
    assert_int_equal(test_in(&test, BASE + 2, 1), 0x12);
    assert_int_equal(test_in(&test, BASE + 3, 1), 0x56);
    assert_int_equal(test_in(&test, BASE + 4, 1), 0x34);
    assert_int_equal(test_in(&test, BASE + 5, 1), 0x12);
    test_out(&test, BASE + 2, 1, 0);
    assert_int_equal(test_in(&test, BASE + 2, 1), 0);
}

static void test_settings(void **state)
{
    (void)state;
    set_up();
    test_out(&test, BASE + 1, 1, 0x82); /* no write cache: writes are durable when they are done */
    test_command(&test, BASE, 0xef, 0, 0, false);
    take_interrupt(0x50);
    test_command(&test, BASE, 0x30, 0, 1, false);
    write_words(host, 512, 2);
    take_interrupt(0x50);
    assert_true(test.disk[0].durable);
    test_out(&test, BASE + 1, 1, 0x02);
    test_command(&test, BASE, 0xef, 0, 0, false);
    take_interrupt(0x50);
    test_command(&test, BASE, 0x30, 0, 1, false);
    write_words(host, 512, 2);
    take_interrupt(0x50);
    assert_false(test.disk[0].durable);
    for (unsigned mode = 0; mode < 256; mode++) {
        bool known = mode < 2 || (mode >= 8 && mode < 13) || (mode >= 0x20 && mode < 0x23) ||
                     (mode >= 0x40 && mode < 0x43);

        test_out(&test, BASE + 1, 1, 0x03);
        test_command(&test, BASE, 0xef, 0, mode, false);
        take_interrupt(known ? 0x50 : 0x51);
    }
    test_out(&test, BASE + 1, 1, 0x05);
    test_command(&test, BASE, 0xef, 0, 0, false);
    take_interrupt(0x51);
    assert_int_equal(test_in(&test, BASE + 1, 1), 0x04);
    test_command(&test, BASE, 0xe5, 0, 0, false);
    take_interrupt(0x50);
    assert_int_equal(test_in(&test, BASE + 2, 1), 0xff);
}

static void test_flush(void **state)
{
    (void)state;
    set_up();
    test_command(&test, BASE, 0xe7, 0, 0, false);
    assert_int_equal(test_in(&test, CTRL, 1), 0xd0);
    assert_false(test.irq[0]);
    take_interrupt(0x50);
    test_command(&test, BASE, 0xea, 0, 0, true);
    take_interrupt(0x50);
    assert_int_equal(test.disk[0].flushes, 2);
    test.disk[0].fails = true;
    test_command(&test, BASE, 0xe7, 0, 0, false);
    take_interrupt(0x51);
}

static void test_errors(void **state)
{
    (void)state;
    set_up();
    test_command(&test, BASE, 0x24, 20, 20, true);
    for (unsigned s = 0; s < 16; s++) {
        take_interrupt(0x58);
        test.disk[0].fails = s == 15;
        read_words(host, 512, 2);
    }
    take_interrupt(0x51);
    assert_int_equal(test_in(&test, BASE + 1, 1), 0x40);
    assert_int_equal(test_in(&test, BASE + 3, 1), 36);
    test_out(&test, BASE + 6, 1, 0xa0); /* by cylinder 2, head 3, sector 4 */
    test_out(&test, BASE + 6, 1, 0xa3);
    test_out(&test, BASE + 2, 1, 1);
    test_out(&test, BASE + 3, 1, 4);
    test_out(&test, BASE + 4, 1, 2);
    test_out(&test, BASE + 5, 1, 0);
    test_out(&test, BASE + 7, 1, 0x20);
    take_interrupt(0x51);
    assert_int_equal(test_in(&test, BASE + 3, 1), 4);
    assert_int_equal(test_in(&test, BASE + 4, 1), 2);
    assert_int_equal(test_in(&test, BASE + 6, 1) & 15, 3);
    test.disk[0].fails = false;
    test.disk[0].disk.read_only = true;
    for (unsigned i = 0; i < 2; i++) {
        test_command(&test, BASE, i ? 0xca : 0x30, 0, 1, false);
        take_interrupt(0x51);
        assert_int_equal(test_in(&test, BASE + 1, 1), 0x04);
    }
}

/* Verify reads what there is, and gives nothing away. */
static void test_verify(void **state)
{
    (void)state;
    set_up();
    test_command(&test, BASE, 0x42, 0, 600, true);
    take_interrupt(0x50);
    assert_int_equal(test.disk[0].requests, 3);
    test_command(&test, BASE, 0x40, TEST_SECTORS - 1, 2, false);
    take_interrupt(0x51);
    test.disk[0].fails = true;
    test_command(&test, BASE, 0x40, 0, 2, false);
    take_interrupt(0x51);
    assert_int_equal(test_in(&test, BASE + 1, 1), 0x40);
    test_command(&test, BASE, 0x70, 5, 1, false);
    take_interrupt(0x50);
}

static void test_nien(void **state)
{
    (void)state;
    set_up();
    test_out(&test, CTRL, 1, 2);
    test_command(&test, BASE, 0xe7, 0, 0, false);
    test_ide_work(&test);
    assert_false(test.irq[0]);
    test_out(&test, CTRL, 1, 0);
    assert_true(test.irq[0]); /* it waited */
    test_out(&test, BASE + 6, 1, 0xf0);
    assert_false(test.irq[0]); /* of the other drive */
    test_out(&test, BASE + 6, 1, 0xe0);
    assert_true(test.irq[0]);
    test_out(&test, BASE + 7, 1, 0xe5); /* a command takes it back, and gives its own */
    assert_int_equal(test.raised[0], 3);
}

static void test_absent(void **state)
{
    (void)state;
    set_up();
    test_out(&test, BASE + 6, 1, 0xf0);
    assert_int_equal(status(), 0);
    assert_int_equal(test_in(&test, BASE + 6, 1) & 0x10, 0x10);
    test_out(&test, BASE + 7, 1, 0xec);
    assert_int_equal(status(), 0);
    assert_false(test.irq[0]);
    test_out(&test, BASE + 6, 1, 0xe0);
    assert_int_equal(status(), 0x50);
}

static void test_reset(void **state)
{
    (void)state;
    set_up();
    test_command(&test, BASE, 0xc6, 0, 4, false);
    take_interrupt(0x50);
    test_command(&test, BASE, 0x24, 100, 5, true);
    test_out(&test, CTRL, 1, 4); /* with a request under way */
    assert_int_equal(status(), 0x80);
    test_out(&test, BASE + 7, 1, 0xec); /* lost */
    test_out(&test, CTRL, 1, 0);
    assert_int_equal(status(), 0x50);
    assert_int_equal(test_in(&test, BASE + 1, 1), 1);
    assert_int_equal(test_in(&test, BASE + 2, 1), 1);
    assert_int_equal(test_in(&test, BASE + 3, 1), 1);
    assert_int_equal(test_in(&test, BASE + 4, 1), 0);
    assert_int_equal(test_in(&test, BASE + 5, 1), 0);
    test_command(&test, BASE, 0x20, 200, 1, false);
    assert_int_equal(test.disk[0].requests, 1); /* the old one comes first */
    assert_true(test_disk_answer(&test.disk[0]));
    assert_int_equal(test_in(&test, CTRL, 1), 0xd0);
    take_interrupt(0x58);
    read_words(host, 512, 2);
    assert_memory_equal(host, sector(200), DISK_SECTOR);
    test_command(&test, BASE, 0x90, 0, 0, false);
    take_interrupt(0x50);
    assert_int_equal(test_in(&test, BASE + 1, 1), 1);
    test_command(&test, BASE, 0xc4, 0, 4, false); /* the setting is kept */
    take_interrupt(0x58);
    piix4_ide_class.reset(&test.ide, 0);
    test_configure(&test, 4, 2, PCI_COMMAND_IO);
    test_command(&test, BASE, 0xc4, 0, 4, false);
    take_interrupt(0x51);
}

/* A write that reset has dropped writes nothing, if it was not on its way. */
static void test_reset_write(void **state)
{
    (void)state;
    set_up();
    memcpy(host, sector(0), DISK_SECTOR);
    test_command(&test, BASE, 0x30, 0, 1, false);
    for (unsigned i = 0; i < 256; i++)
        test_out(&test, BASE, 2, 0xdead);
    assert_non_null(test.disk[0].waiting);
    test_out(&test, CTRL, 1, 4);
    test_out(&test, CTRL, 1, 0);
    test_command(&test, BASE, 0x30, 10, 1, false);
    for (unsigned i = 0; i < 256; i++)
        test_out(&test, BASE, 2, 0xbeef);
    take_interrupt(0x50);
    assert_memory_equal(host, sector(0), DISK_SECTOR);
    assert_memory_equal(sector(10), "\xef\xbe\xef\xbe", 4);
}

/* Every command, with each kind of data after it; in the middle of each a reset. */
static void test_all_commands(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++)
        for (unsigned feature = 0; feature < 4; feature++) {
            if (code % 16 == 0)
                set_up();
            test_out(&test, BASE + 1, 1, feature);
            test_command(&test, BASE, (uint8_t)code, code * 9, feature * 3, code & 1);
            for (unsigned i = 0; i < 3000; i++) {
                test_out(&test, BASE, 2, i);
                (void)test_in(&test, BASE, i % 3 ? 2 : 4);
                (void)test_disk_answer(&test.disk[0]);
            }
            assert_false(status() & 0x20);
            test_out(&test, BASE + 7, 1, 0x25);
            (void)test_disk_answer(&test.disk[0]);
            test_out(&test, CTRL, 1, 4);
            test_out(&test, CTRL, 1, 0);
            assert_int_equal(test_in(&test, CTRL, 1), 0x50);
            test_ide_work(&test);
            assert_int_equal(test_in(&test, CTRL, 1), 0x50);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identify),    cmocka_unit_test(test_read_pio),
        cmocka_unit_test(test_write_pio),   cmocka_unit_test(test_multiple),
        cmocka_unit_test(test_blocks),      cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_high_order),  cmocka_unit_test(test_settings),
        cmocka_unit_test(test_flush),       cmocka_unit_test(test_errors),
        cmocka_unit_test(test_verify),      cmocka_unit_test(test_nien),
        cmocka_unit_test(test_absent),      cmocka_unit_test(test_reset),
        cmocka_unit_test(test_reset_write), cmocka_unit_test(test_all_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
