/* SPDX-License-Identifier: ISC */
/*
 * The controller: configuration space and ports, DMA by tables of all kinds, drives that are not there, saved state
 * in the middle of commands, and random accesses.
 */
#include <cmocka.h>

#include "vmm/device/test_ide.h"

#define BASE   0x1f0u
#define CTRL   0x3f6u
#define ROUNDS 300u
#define STEPS  400u
#define STATE  40000u
#define ACTIVE 0x01u
#define ERROR  0x02u
#define DONE   0x04u
#define LAST   0x80000000u

static struct test_ide test, other;

static void set_up(void)
{
    assert_true(test_ide_init(&test, true));
}

static uint8_t master_status(void)
{
    return (uint8_t)test_in(&test, TEST_BMDMA + 2, 1) & 7;
}

static uint8_t drive_status(void)
{
    return (uint8_t)test_in(&test, CTRL, 1);
}

static void test_identity(void **state)
{
    (void)state;
    set_up();
    assert_int_equal(test_config(&test, 0), 0x71118086);
    assert_int_equal(test_config(&test, 8), 0x01018001);
    assert_int_equal(test_config(&test, 4) & 0xffff, 5);
    assert_int_equal(test_config(&test, 0x20), TEST_BMDMA | 1);
    assert_int_equal(test_config(&test, 0x40), 0x80008000);
    test_configure(&test, 0x20, 4, 0xffffffff);
    assert_int_equal(test_config(&test, 0x20), 0xfffffff1);
    for (unsigned at = 0x10; at < 0x20; at += 4)
        assert_int_equal(test_config(&test, at), 0);
}

static void test_ports(void **state)
{
    (void)state;
    set_up();
    assert_int_equal(drive_status(), 0x50);
    test_configure(&test, 0x40, 4, 0x80000000); /* one cable off */
    assert_int_equal(drive_status(), 0xff);
    assert_int_equal(test_in(&test, 0x376, 1), 0);
    test_configure(&test, 0x40, 4, 0x00008000);
    assert_int_equal(test_in(&test, BASE + 7, 1), 0x50);
    assert_int_equal(test_in(&test, 0x376, 1), 0xff);
    test_configure(&test, 4, 2, 0);
    assert_int_equal(drive_status(), 0xff);
    assert_int_equal(test_in(&test, TEST_BMDMA + 2, 1), 0xff);
    test_configure(&test, 4, 2, 1);
    assert_int_equal(drive_status(), 0x50);
    piix4_ide_class.reset(&test.ide, 0);
    assert_int_equal(drive_status(), 0xff);
}

/* Without drives there is neither a function nor a port; a cable without drives has no ports. */
static void test_absent(void **state)
{
    struct piix4_ide_config config = {.slot = 1, .function = 1};
    struct piix4_ide_wiring wiring = {.bus = &test.bus, .pci = &test.host.pci, .ram = &test.ram};

    (void)state;
    for (unsigned drives = 0; drives < 2; drives++) {
        set_up();
        bus_init(&test.bus);
        i440fx_init(&test.host, &(struct i440fx_wiring){0});
        assert_int_equal(i440fx_attach(&test.host, &test.bus), BUS_OK);
        if (drives)
            config.drive[1][1] = (struct ata_config){.kind = ATA_DISK, .disk = &test.disk[0].disk};
        piix4_ide_init(&test.ide, &config, &wiring);
        assert_int_equal(piix4_ide_class.attach(&test.ide, &test.bus), BUS_OK);
        test_configure(&test, 4, 2, 5);
        assert_int_equal(test_config(&test, 0), drives ? 0x71118086 : 0xffffffff);
        assert_int_equal(drive_status(), 0xff);
        assert_false(bus_port_decodes(&test.bus, BASE, 1));
        assert_int_equal(bus_port_decodes(&test.bus, 0x170, 1), drives);
        test_out(&test, 0x176, 1, 0xb0); /* without device 0, device 1 answers for itself alone */
        assert_int_equal(test_in(&test, 0x177, 1), drives ? 0x50 : 0xff);
        test_out(&test, 0x176, 1, 0xa0);
        assert_int_equal(test_in(&test, 0x177, 1), 0xff);
        piix4_ide_class.reset(&test.ide, 0);
    }
}

/* A transfer of `sectors` by the table that is there, the engine started before the command or after it. */
static void transfer(bool write, unsigned sectors, bool start_first)
{
    if (start_first)
        test_start_dma(&test, 0);
    test_command(&test, BASE, write ? 0x35 : 0x25, 10, sectors, true);
    if (!start_first) {
        assert_int_equal(drive_status(), 0x58);
        assert_int_equal(test.disk[0].requests, 0);
        test_start_dma(&test, 0);
    }
    test_ide_work(&test);
}

static void test_dma(void **state)
{
    const uint8_t *disk = &test.disk[0].bytes[10 * DISK_SECTOR];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        set_up();
        memset(test.memory + TEST_DATA, 0x77, 0x80000);
        for (unsigned entry = 0; entry < 5; entry++) /* 64 KiB each, the last half of that */
            test_prd(&test, entry, TEST_DATA + (4 - entry) * 0x10000, entry == 4 ? LAST | 0x8000 : 0);
        transfer(i & 1, 576, i & 2);
        assert_true(test.irq[0]);
        assert_int_equal(master_status(), DONE);
        assert_int_equal(test_in(&test, BASE + 7, 1), 0x50);
        for (unsigned entry = 0; entry < 5; entry++)
            assert_memory_equal(disk + entry * 0x10000, test.memory + TEST_DATA + (4 - entry) * 0x10000,
                                entry == 4 ? 0x8000 : 0x10000);
        assert_int_equal(disk[0] == 0x77, i & 1);
        test_out(&test, TEST_BMDMA + 2, 1, 0x64);
        assert_int_equal(master_status(), 0);
    }
}

/* The manual's four ends of a transfer. */
static void test_ends(void **state)
{
    (void)state;
    set_up();
    test_prd(&test, 0, TEST_DATA, LAST | 4096);
    transfer(false, 2, true); /* the table has more */
    assert_int_equal(master_status(), ACTIVE | DONE);
    test_out(&test, TEST_BMDMA, 1, 0);
    assert_int_equal(master_status(), DONE);
    set_up();
    test_prd(&test, 0, TEST_DATA, LAST | 512);
    transfer(false, 2, true); /* the drive has more, and keeps it */
    assert_int_equal(master_status(), 0);
    assert_false(test.irq[0]);
    assert_int_equal(drive_status(), 0x58);
    test_command(&test, BASE, 0xec, 0, 0, false);
    assert_int_equal(test_in(&test, BASE, 2), 0);
    test_start_dma(&test, 0); /* it has lost its place */
    test_ide_work(&test);
    assert_int_equal(drive_status(), 0x58);
    test_out(&test, CTRL, 1, 4);
    test_out(&test, CTRL, 1, 0);
    assert_int_equal(drive_status(), 0x50);
    set_up();
    test_prd(&test, 0, TEST_DATA, LAST | 512);
    test.disk[0].fails = true;
    transfer(false, 1, false);
    assert_int_equal(master_status(), ACTIVE | DONE);
    assert_int_equal(drive_status(), 0x51);
}

/* Tables that a guest should not make: they end, in an error or in no transfer, and nothing beyond RAM is
 * touched. */
static void test_tables(void **state)
{
    static const struct {
        uint32_t table, address, count;
        uint8_t status;
    } cases[] = {
        {TEST_TABLE, 0xfffff000, LAST, ERROR},           /* not RAM */
        {TEST_TABLE, TEST_RAM - 256, LAST | 512, ERROR}, /* its end */
        {TEST_TABLE, 0x9ff00, LAST | 512, ERROR},        /* into the VGA window */
        {TEST_TABLE, 0xfffffffe, LAST | 4, ERROR},
        {TEST_RAM - 4, 0, 0, ERROR}, /* the table itself */
        {0xfffffffc, 0, 0, ERROR},
        {0xc0000000, 0, 0, ERROR},
        {TEST_TABLE, TEST_DATA, LAST | 2, 0},     /* no complete sector */
        {TEST_TABLE, TEST_DATA | 1, LAST | 3, 0}, /* odd */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 2; i++) {
        const unsigned n = (unsigned)i / 2;

        set_up();
        test_prd(&test, 0, cases[n].address, cases[n].count);
        test_start_dma(&test, 0);
        test_out(&test, TEST_BMDMA, 1, 0);
        test_out(&test, TEST_BMDMA + 4, 4, cases[n].table);
        test_out(&test, TEST_BMDMA, 1, 9);
        test_command(&test, BASE, i & 1 ? 0x35 : 0x25, 0, 8, true);
        test_ide_work(&test);
        assert_int_equal(master_status(), cases[n].status);
        assert_int_equal(drive_status(), 0x58);
        assert_false(test.irq[0]);
    }
}

/* 64 K of two-byte entries, and entries that overlap each other and the table. */
static void test_long_tables(void **state)
{
    (void)state;
    set_up();
    for (unsigned i = 0; i < 0x20000; i++) /* beyond what a table can hold, without an end */
        if (TEST_TABLE + i * 8 + 8 <= 0xa0000)
            test_prd(&test, i, TEST_DATA, 2);
    transfer(false, 100, true);
    assert_int_equal(master_status(), ERROR);
    assert_int_equal(drive_status(), 0x58);
    set_up();
    for (unsigned i = 0; i < 16; i++)
        test_prd(&test, i, TEST_TABLE, 0); /* the table is overwritten by what the disk holds */
    transfer(false, 2048, true);
    assert_true(drive_status() == 0x50 || drive_status() == 0x58);
}

static void test_no_master(void **state)
{
    (void)state;
    set_up();
    test_configure(&test, 4, 2, PCI_COMMAND_IO);
    test_prd(&test, 0, TEST_DATA, LAST | 512);
    transfer(false, 1, true);
    assert_int_equal(test.memory[TEST_DATA], 0);
    assert_false(test.irq[0]);
}

/* The engine is stopped while the disk works, and a reset comes while it does. */
static void test_stopped(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        set_up();
        test_prd(&test, 0, TEST_DATA, LAST | 512);
        test_start_dma(&test, 0);
        test_command(&test, BASE, 0x25, 0, 1, true);
        assert_non_null(test.disk[0].waiting);
        if (i == 0) {
            test_out(&test, TEST_BMDMA, 1, 0);
        } else {
            test_out(&test, CTRL, 1, 4);
            test_out(&test, CTRL, 1, 0);
        }
        test_ide_work(&test);
        assert_int_equal(test.memory[TEST_DATA + 8], 0);
        assert_false(test.irq[0]);
    }
}

static void trim(uint64_t a, uint64_t b)
{
    memset(&test.memory[TEST_DATA], 0, 512);
    memcpy(&test.memory[TEST_DATA], &a, 8);
    memcpy(&test.memory[TEST_DATA + 504], &b, 8);
    test_prd(&test, 0, TEST_DATA, LAST | 512);
    test_out(&test, BASE + 1, 1, 1);
    test_command(&test, BASE, 0x06, 0, 1, true);
    test_start_dma(&test, 0);
    test_ide_work(&test);
}

static void test_trim(void **state)
{
    (void)state;
    set_up();
    trim(5ull << 48 | 100, 3ull << 48 | (TEST_SECTORS - 3));
    assert_int_equal(test_in(&test, BASE + 7, 1), 0x50);
    assert_int_equal(test.disk[0].discarded, 8);
    assert_int_equal(test.disk[0].bytes[102 * DISK_SECTOR], 0);
    trim(1, 4ull << 48 | (TEST_SECTORS - 3));
    assert_int_equal(test_in(&test, BASE + 7, 1), 0x51);
    assert_int_equal(test_in(&test, BASE + 1, 1), 0x10);
    trim(0xffffull << 48 | 0xffffffffffffull, 0);
    assert_int_equal(test_in(&test, BASE + 7, 1), 0x51);
    assert_int_equal(test.disk[0].discarded, 8);
    test.disk[0].disk.discards = false;
    trim(5ull << 48, 0);
    assert_int_equal(test_in(&test, BASE + 7, 1), 0x51);
    assert_int_equal(test_in(&test, BASE + 1, 1), 0x04);
}

/* ---- saved state */

static size_t save(struct test_ide *from, uint8_t *bytes)
{
    struct state state = {.bytes = bytes, .size = STATE};

    assert_int_equal(device_save(&piix4_ide_class, 0, &from->ide, &state), DEVICE_OK);
    return state.at;
}

static bool load(struct test_ide *to, uint8_t *bytes, size_t size)
{
    struct state state = {.bytes = bytes, .size = size, .loads = true};

    return device_load(&piix4_ide_class, 0, &to->ide, &state) == DEVICE_OK;
}

/* Whatever a guest does, mostly to registers. Returns what was read. */
static uint64_t step(struct test_ide *t, uint64_t *seed)
{
    static const uint16_t ports[] = {0x1f0, 0x1f0, 0x1f1, 0x1f2, 0x1f3,      0x1f4,          0x1f5,
                                     0x1f6, 0x1f7, 0x1f7, 0x3f6, TEST_BMDMA, TEST_BMDMA + 2, TEST_BMDMA + 4};
    static const uint8_t codes[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0x3d,
                                    0x42, 0x06, 0xa0, 0xa0, 0xa0, 0xa1, 0xc4, 0xc5, 0xc6,
                                    0xc8, 0xca, 0xe7, 0xec, 0xef, 0x90, 0x08};
    uint64_t choice = test_ide_random(seed), value = test_ide_random(seed);
    uint16_t port = ports[choice % (sizeof(ports) / sizeof(ports[0]))];
    uint8_t size = (uint8_t)(1u << (choice >> 8 & 3) % 3);
    unsigned base;

    if (choice >> 16 & 1) {
        port ^= port >= TEST_BMDMA ? 8 : 0x80;
        if (port == (0x3f6 ^ 0x80))
            port = 0x376;
    }
    switch (choice >> 24 & 15) {
    case 0:
        return test_disk_answer(&t->disk[choice >> 32 & 1]);
    case 1:
    case 2: /* most commands name sectors that the disk has */
        base = choice >> 16 & 1 ? 0x170 : 0x1f0;
        if (choice >> 33 & 3) {
            test_out(t, (uint16_t)(base + 2), 1, value >> 8 & 0x1f);
            test_out(t, (uint16_t)(base + 4), 1, value >> 16 & 15);
            test_out(t, (uint16_t)(base + 5), 1, 0);
            test_out(t, (uint16_t)(base + 6), 1, choice >> 35 & 7 ? 0xe0 : 0xf0);
        }
        test_out(t, (uint16_t)(base + 7), 1, codes[(value >> 32) % (sizeof(codes) / sizeof(codes[0]))]);
        return 0;
    case 4: { /* a block of the data register, sometimes of what is a packet */
        uint64_t sum = 0;

        for (unsigned i = 0; i < 256; i++)
            if (choice & 0x80)
                test_out(t, (uint16_t)(choice >> 16 & 1 ? 0x170 : 0x1f0), 2,
                         i % 6 == 0   ? 0x28 + (value & 0x80)
                         : i % 6 == 4 ? value & 0x300
                                      : 0);
            else
                sum += test_in(t, (uint16_t)(choice >> 16 & 1 ? 0x170 : 0x1f0), 2) * (i + 1);
        return sum;
    }
    case 5:
        memcpy(&t->memory[TEST_TABLE + (value & 0x38)], &value, 8);
        t->memory[TEST_TABLE + (value & 0x38) + 3] = 0;
        t->memory[TEST_TABLE + (value & 0x38) + 2] = 0x12;
        return 0;
    case 6:
        test_out(t, (uint16_t)(TEST_BMDMA + (choice >> 13 & 8) + 4), 4, TEST_TABLE);
        test_out(t, (uint16_t)(TEST_BMDMA + (choice >> 13 & 8)), 1, value & 1);
        return 0;
    case 7:
        if ((choice >> 32 & 31) == 0)
            test_configure(t, 0x40, 4, (uint32_t)value | 0x80008000);
        return test_config(t, value & 0xfc);
    case 8:
        if (choice >> 32 & 7) /* not too often, else no command gets far */
            return 0;
        break;
    default:
        break;
    }
    if (port == 0x3f6 || port == 0x376)
        value &= choice >> 33 & 7 ? 0x82 : 0x86;
    if (choice >> 40 & 1)
        return test_in(t, port, size);
    test_out(t, port, size, (uint32_t)value & (UINT32_MAX >> (32 - 8 * size)));
    return 0;
}

/* Two controllers, of which one was loaded from the other in the middle of whatever it did, go on alike. */
static void test_saved(void **state)
{
    static uint8_t bytes[STATE], again[STATE];
    uint64_t seed = 5;
    unsigned phases[ATA_PHASES] = {0};

    (void)state;
    set_up();
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t size;

        for (unsigned i = 0; i < STEPS; i++)
            (void)step(&test, &seed);
        size = save(&test, bytes);
        assert_true(test_ide_init(&other, true));
        memcpy(other.memory, test.memory, sizeof(test.memory));
        for (unsigned i = 0; i < 2; i++) {
            memcpy(other.disk[i].bytes, test.disk[i].bytes, sizeof(test.disk[i].bytes));
            phases[test.ide.channel[i].ata.drive[0].reg.phase]++;
        }
        other.host.reg = test.host.reg;
        memcpy(other.irq, test.irq, sizeof(test.irq));
        assert_true(load(&other, bytes, size));
        assert_int_equal(save(&other, again), size);
        assert_memory_equal(bytes, again, size);
        test_ide_work(&test); /* an answer that a reset has dropped is not to come to one of them alone */
        test_ide_work(&other);
        for (unsigned i = 0; i < STEPS; i++) {
            uint64_t mine = seed;

            assert_true(step(&test, &seed) == step(&other, &mine));
        }
        size = save(&test, bytes);
        assert_int_equal(save(&other, again), size);
        assert_memory_equal(bytes, again, size);
        assert_memory_equal(test.memory, other.memory, sizeof(test.memory));
        assert_memory_equal(test.disk[0].bytes, other.disk[0].bytes, sizeof(test.disk[0].bytes));
        if (round % 16 == 15) {
            piix4_ide_class.reset(&test.ide, 0);
            test_ide_work(&test);
            test_configure(&test, 0x20, 4, TEST_BMDMA);
            test_configure(&test, 4, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
        }
    }
    for (unsigned i = 0; i < ATA_PHASES; i++)
        assert_true(phases[i] > 5);
}

/* Each byte of the state of a busy controller replaced: refused, or taken and then harmless. */
static void test_broken(void **state)
{
    static uint8_t bytes[STATE], before[STATE], after[STATE];
    uint64_t seed = 9;
    unsigned taken = 0;

    (void)state;
    for (unsigned round = 0; round < 12; round++) {
        size_t size;

        set_up();
        for (unsigned i = 0; i < 200 + round * 37; i++)
            (void)step(&test, &seed);
        size = save(&test, bytes);
        for (size_t at = 0; at < size; at++) {
            uint8_t old = bytes[at];
            size_t clean;

            if (at > 700 && at % 97) /* what is in the buffer is as good as anything else */
                continue;
            assert_true(test_ide_init(&other, true));
            clean = save(&other, before);
            bytes[at] = (uint8_t)(at % 3 ? old ^ 1u << at % 8 : test_ide_random(&seed));
            if (load(&other, bytes, size)) {
                uint64_t mine = seed;

                taken++;
                memcpy(other.irq,
                       (bool[]){other.ide.channel[0].ata.reg.irq, other.ide.channel[1].ata.reg.irq}, 2);
                for (unsigned i = 0; i < 100; i++)
                    (void)step(&other, &mine);
                test_ide_work(&other);
            } else {
                assert_int_equal(save(&other, after), clean);
                assert_memory_equal(before, after, clean);
            }
            bytes[at] = old;
        }
    }
    assert_true(taken > 100);
}

/* A drive that gives a sector away, with one field each that cannot be. */
static void test_refused(void **state)
{
    static const struct {
        size_t at, bytes;
        uint64_t value;
    } wrong[] = {
        {297, 1, ATA_DMA},        {297, 1, ATA_OUT},          {297, 1, ATA_PHASES},
        {298, 1, ATA_BY_DMA},     {299, 1, DISK_ACTIONS},     {300, 1, 1},
        {302, 8, UINT64_MAX},     {310, 8, TEST_SECTORS + 1}, {322, 2, 0},
        {324, 2, DISK_SECTOR},    {324, 2, 0xffff},           {328, 2, 8192 + 1},
        {326, 2, ATA_BUFFER + 1}, {326, 2, DISK_SECTOR - 1},
    };
    static uint8_t bytes[STATE];
    size_t size;

    (void)state;
    set_up();
    test_command(&test, BASE, 0x20, 0, 40, false);
    test_ide_work(&test);
    assert_int_equal(test.ide.channel[0].ata.drive[0].reg.phase, ATA_IN);
    size = save(&test, bytes);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t *field = bytes + DEVICE_NAME + 12 + wrong[i].at;
        uint64_t old = 0;

        memcpy(&old, field, wrong[i].bytes);
        memcpy(field, &wrong[i].value, wrong[i].bytes);
        if (load(&test, bytes, size))
            fail_msg("field at %zu was taken", wrong[i].at);
        memcpy(field, &old, wrong[i].bytes);
    }
    assert_true(load(&test, bytes, size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),  cmocka_unit_test(test_ports),       cmocka_unit_test(test_absent),
        cmocka_unit_test(test_dma),       cmocka_unit_test(test_ends),        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_no_master), cmocka_unit_test(test_long_tables), cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_trim),      cmocka_unit_test(test_saved),       cmocka_unit_test(test_broken),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
