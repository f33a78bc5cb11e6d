/* SPDX-License-Identifier: ISC */
/*
 * A CD drive: its signature, packets by PIO and DMA, byte counts of all sizes, sense and unit attention, the tray,
 * an empty drive, and all 256 packets and commands.
 */
#include <cmocka.h>

#include "vmm/device/test_ide.h"

#define BASE       0x170u
#define CTRL       0x376u
#define CD_SECTORS (TEST_SECTORS / 4)

static struct test_ide test;
static uint8_t host[TEST_RAM];

static uint8_t status(void)
{
    return (uint8_t)test_in(&test, BASE + 7, 1);
}

/* Gives a packet to the drive. */
static void send(const uint8_t *packet, unsigned limit, bool dma)
{
    test_out(&test, BASE + 6, 1, 0xa0);
    test_out(&test, BASE + 1, 1, dma);
    test_out(&test, BASE + 4, 1, limit & 0xff);
    test_out(&test, BASE + 5, 1, limit >> 8);
    test_out(&test, BASE + 7, 1, 0xa0);
    assert_int_equal(status(), 0x58);
    assert_int_equal(test_in(&test, BASE + 2, 1), 1);
    assert_false(test.irq[1]);
    for (unsigned i = 0; i < 12; i += 2)
        test_out(&test, BASE, 2, packet[i] | (uint32_t)packet[i + 1] << 8);
}

/* Takes the answer by PIO; its length. `expected`: the last status. */
static unsigned receive(uint8_t expected, unsigned limit)
{
    unsigned length = 0;

    for (;;) {
        unsigned bytes;

        test_ide_work(&test);
        assert_true(test.irq[1]);
        if (!(test_in(&test, CTRL, 1) & 8))
            break;
        assert_int_equal(status(), 0x58);
        assert_int_equal(test_in(&test, BASE + 2, 1), 2);
        bytes = test_in(&test, BASE + 4, 1) | test_in(&test, BASE + 5, 1) << 8;
        assert_true(bytes > 0 && bytes <= (limit ? limit : 0xffff));
        for (unsigned i = 0; i < bytes; i += 2) {
            uint32_t value = test_in(&test, BASE, 2);

            memcpy(host + length + i, &value, 2);
        }
        length += bytes;
    }
    assert_int_equal(test_in(&test, BASE + 2, 1), 3);
    assert_int_equal(status(), expected);
    return length;
}

static unsigned run(const uint8_t *packet, uint8_t expected)
{
    send(packet, 0xfffe, false);
    return receive(expected, 0xfffe);
}

static void check_sense(uint8_t key, uint8_t code)
{
    static const uint8_t sense[12] = {3, [4] = 18};

    assert_int_equal(run(sense, 0x50), 18);
    assert_int_equal(host[0], 0x70);
    assert_int_equal(host[2], key);
    assert_int_equal(host[12], code);
}

static void set_up(bool medium)
{
    assert_true(test_ide_init(&test, medium));
    if (medium)
        check_sense(6, 0x29);
    check_sense(0, 0);
}

static void test_signature(void **state)
{
    (void)state;
    assert_true(test_ide_init(&test, true));
    assert_int_equal(test_in(&test, CTRL, 1), 0);
    assert_int_equal(test_in(&test, BASE + 4, 1), 0x14);
    assert_int_equal(test_in(&test, BASE + 5, 1), 0xeb);
    test_out(&test, BASE + 4, 1, 0);
    test_out(&test, BASE + 7, 1, 0xec); /* what a disk knows: aborted, and the signature again */
    assert_int_equal(status(), 0x51);
    assert_int_equal(test_in(&test, BASE + 4, 1), 0x14);
    test_out(&test, BASE + 7, 1, 0xa1);
    assert_int_equal(status(), 0x58);
    for (unsigned i = 0; i < 512; i += 2) {
        uint32_t value = test_in(&test, BASE, 2);

        memcpy(host + i, &value, 2);
    }
    assert_memory_equal(host, "\xc0\x85", 2);
    assert_memory_equal(host + 54, "BVXOC -DOR M", 12);
    test_out(&test, BASE + 4, 1, 0);
    test_out(&test, BASE + 7, 1, 8);
    assert_int_equal(status(), 0);
    assert_int_equal(test_in(&test, BASE + 4, 1), 0x14);
}

/* At each byte count that a host can name. */
static void test_read(void **state)
{
    static const uint16_t limits[] = {0, 1, 2, 3, 100, 511, 512, 2048, 2049, 4096, 8192, 0xfffe, 0xffff};
    static const uint8_t read[12] = {0x28, 0, 0, 0, 0, 7, 0, 0, 9}, read12[12] = {0xa8, [5] = 7, [9] = 9};

    (void)state;
    set_up(true);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        memset(host, 0, sizeof(host));
        send(i & 1 ? read12 : read, limits[i], false);
        assert_int_equal(receive(0x50, limits[i] & ~1u), 9 * 2048);
        assert_memory_equal(host, &test.disk[1].bytes[7 * 2048], 9 * 2048);
    }
    check_sense(0, 0);
}

static void test_range(void **state)
{
    static const uint8_t cases[][12] = {
        {0x28, 0, 0, 0, CD_SECTORS >> 8, CD_SECTORS & 0xff, 0, 0, 1},
        {0x28, 0, 0, 0, 3, 0xff, 0, 0, 2},
        {0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
        {0xa8, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1},
        {0x2b, 0, 0x7f, 0xff, 0xff, 0xff},
    };
    static const uint8_t nothing[12] = {0x28}, last[12] = {0x28, 0, 0, 0, 3, 0xff, 0, 0, 1};

    (void)state;
    set_up(true);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(run(cases[i], 0x51), 0);
        assert_int_equal(test_in(&test, BASE + 1, 1), 0x54);
        check_sense(5, 0x21);
    }
    assert_int_equal(run(nothing, 0x50), 0);
    assert_int_equal(run(last, 0x50), 2048);
    assert_memory_equal(host, &test.disk[1].bytes[1023 * 2048], 2048);
    test.disk[1].fails = true;
    assert_int_equal(run(last, 0x51), 0);
    assert_int_equal(test_in(&test, BASE + 1, 1), 0x34);
    check_sense(3, 0x11);
}

static void test_dma(void **state)
{
    static const uint8_t read[12] = {0x28, 0, 0, 0, 0, 7, 0, 1, 4}; /* 260 sectors */
    static const uint8_t inquiry[12] = {0x12, [4] = 35};

    (void)state;
    set_up(true);
    for (unsigned i = 0; i < 9; i++)
        test_prd(&test, i, TEST_DATA + i * 0x10000, i == 8 ? 0x80002000u : 0);
    send(read, 0, true);
    assert_int_equal(test_in(&test, CTRL, 1), 0x58);
    test_start_dma(&test, 1);
    test_ide_work(&test);
    assert_true(test.irq[1]);
    assert_int_equal(status(), 0x50);
    assert_int_equal(test_in(&test, TEST_BMDMA + 10, 1), 0x64);
    assert_memory_equal(test.memory + TEST_DATA, &test.disk[1].bytes[7 * 2048], 260 * 2048);
    test_prd(&test, 0, TEST_DATA, 0x80000040);
    memset(test.memory + TEST_DATA, 0xaa, 64);
    test_start_dma(&test, 1); /* before the packet, too */
    send(inquiry, 0, true);
    assert_int_equal(status(), 0x50);
    assert_memory_equal(test.memory + TEST_DATA + 8, "VBOX    CD-ROM", 14);
    assert_int_equal(test.memory[TEST_DATA + 35], 0xaa);
    assert_int_equal(test_in(&test, TEST_BMDMA + 10, 1), 0x65); /* the table has more */
}

static void test_answers(void **state)
{
    static const uint8_t capacity[12] = {0x25}, ready[12] = {0}, toc[12] = {0x43, [8] = 100},
                         msf[12] = {0x43, 2, [8] = 100}, lead_out[12] = {0x43, [6] = 0xaa, [8] = 100},
                         session[12] = {0x43, 0, 1, [8] = 100}, full[12] = {0x43, 0, 2, [8] = 100},
                         event[12] = {0x4a, 1, [4] = 0x10, [8] = 8},
                         wait[12] = {0x4a, 0, [4] = 0x10, [8] = 8}, mode[12] = {0x5a, 0, 0x3f, [8] = 200},
                         page[12] = {0x5a, 0, 5, [8] = 200}, part[12] = {0x5a, 0, 0x2a, [8] = 3},
                         configuration[12] = {0x46, [8] = 200}, disc[12] = {0x51, [8] = 200},
                         vital[12] = {0x12, 1, 0x80, [4] = 36}, unknown[12] = {0xff},
                         mechanism[12] = {0xbd, [9] = 8};

    (void)state;
    set_up(true);
    assert_int_equal(run(ready, 0x50), 0);
    assert_int_equal(run(capacity, 0x50), 8);
    assert_memory_equal(host, "\0\0\x03\xff\0\0\x08\0", 8);
    assert_int_equal(run(toc, 0x50), 20);
    assert_memory_equal(host, "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x14\xaa\0\0\0\4\0", 20);
    assert_int_equal(run(msf, 0x50), 20);
    assert_memory_equal(host + 8, "\0\0\2\0\0\x14\xaa\0\0\0\x0f\x31", 12); /* (1024 + 150) / 75 */
    assert_int_equal(run(lead_out, 0x50), 12);
    assert_int_equal(run(session, 0x50), 12);
    assert_int_equal(run(full, 0x51), 0);
    check_sense(5, 0x24);
    assert_int_equal(run(event, 0x50), 8);
    assert_memory_equal(host, "\0\6\4\x10\0\2\0\0", 8);
    assert_int_equal(run(wait, 0x51), 0);
    assert_int_equal(run(mode, 0x50), 36);
    assert_memory_equal(host, "\0\x22\1", 3);
    assert_int_equal(run(page, 0x51), 0);
    assert_int_equal(run(part, 0x50), 3);
    assert_int_equal(run(configuration, 0x50), 20);
    assert_memory_equal(host, "\0\0\0\x10\0\0\0\x08", 8);
    assert_int_equal(run(disc, 0x50), 34);
    assert_int_equal(run(mechanism, 0x50), 8);
    assert_int_equal(run(vital, 0x51), 0);
    assert_int_equal(run(unknown, 0x51), 0);
    check_sense(5, 0x20);
}

static void test_attention(void **state)
{
    static const uint8_t ready[12] = {0}, inquiry[12] = {0x12, [4] = 36};

    (void)state;
    assert_true(test_ide_init(&test, true));
    assert_int_equal(run(inquiry, 0x50), 36); /* is answered, and leaves it */
    assert_int_equal(run(ready, 0x51), 0);
    assert_int_equal(test_in(&test, BASE + 1, 1), 0x64);
    check_sense(6, 0x29);
    assert_int_equal(run(ready, 0x50), 0);
}

static void test_tray(void **state)
{
    static const uint8_t ready[12] = {0}, eject[12] = {0x1b, [4] = 2}, load[12] = {0x1b, [4] = 3},
                         lock[12] = {0x1e, [4] = 1}, unlock[12] = {0x1e}, read[12] = {0x28, [8] = 1},
                         event[12] = {0x4a, 1, [4] = 0x10, [8] = 8};

    (void)state;
    set_up(true);
    assert_int_equal(run(lock, 0x50), 0);
    assert_int_equal(run(eject, 0x51), 0);
    check_sense(5, 0x53);
    assert_int_equal(run(unlock, 0x50), 0);
    assert_int_equal(run(eject, 0x50), 0);
    assert_int_equal(run(read, 0x51), 0);
    check_sense(2, 0x3a);
    assert_int_equal(run(event, 0x50), 8);
    assert_memory_equal(host + 4, "\3\1", 2);
    assert_int_equal(run(load, 0x50), 0);
    assert_int_equal(run(ready, 0x51), 0);
    check_sense(6, 0x28);
    assert_int_equal(run(event, 0x50), 8);
    assert_memory_equal(host + 4, "\2\2", 2);
    assert_int_equal(run(read, 0x50), 2048);
}

/* All packets and all commands, with a medium and without; then reset, in whatever phase that was. */
static void test_everything(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (unsigned medium = 0; medium < 2; medium++)
        for (unsigned code = 0; code < 512; code++) {
            uint8_t packet[12];

            if (code % 64 == 0)
                set_up(medium);
            test_prd(&test, 0, TEST_DATA, code & 4 ? 0x80000006u : 0x80000000u);
            for (unsigned i = 1; i < 12; i++)
                packet[i] = code & 2 ? (uint8_t)test_ide_random(&seed) & 0x83 : (uint8_t)(i == 8);
            packet[0] = (uint8_t)code;
            if (code & 1)
                test_start_dma(&test, 1);
            if (code < 256)
                send(packet, code & 0x15, code & 1);
            else
                test_command(&test, BASE, (uint8_t)code, code, 3, code & 1);
            for (unsigned i = 0; i < 3000; i++) {
                (void)test_in(&test, BASE, i % 3 ? 2 : 4);
                test_out(&test, BASE, 2, i);
                if (i % 64 == 0)
                    (void)test_disk_answer(&test.disk[1]);
            }
            test_out(&test, CTRL, 1, 4);
            test_out(&test, CTRL, 1, 0);
            assert_int_equal(test_in(&test, CTRL, 1), 0);
            test_ide_work(&test);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature), cmocka_unit_test(test_read),       cmocka_unit_test(test_range),
        cmocka_unit_test(test_dma),       cmocka_unit_test(test_answers),    cmocka_unit_test(test_attention),
        cmocka_unit_test(test_tray),      cmocka_unit_test(test_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
