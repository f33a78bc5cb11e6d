/* SPDX-License-Identifier: ISC */
/* fw_cfg: items by port and by descriptor, the directory, hostile descriptors, saved state, random accesses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/device/fw_cfg.h"

#define DESCRIPTOR 0x100u
#define BUFFER     0x2000u
#define RAM_SIZE   0x8000u

enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

struct fixture {
    struct bus bus;
    struct guest_ram ram;
    struct fw_cfg fw;
    uint8_t low[RAM_SIZE];
};

static const uint8_t file[] = "0123456789";

static void fresh(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    memset(f->low, 0xcc, sizeof(f->low));
    f->ram = (struct guest_ram){.low = f->low, .low_size = sizeof(f->low)};
    bus_init(&f->bus);
    fw_cfg_init(&f->fw, &f->ram, true);
    assert_true(fw_cfg_add_number(&f->fw, FW_CFG_CPUS, 0x0102, 2));
    assert_true(fw_cfg_add_file(&f->fw, "etc/file", file, 10));
    assert_true(fw_cfg_add_file_number(&f->fw, "etc/number", 0x0807060504030201, 8));
    assert_int_equal(fw_cfg_class.attach(&f->fw, &f->bus), BUS_OK);
}

static void out(struct fixture *f, uint16_t port, uint8_t size, uint32_t value)
{
    bus_write(&f->bus, BUS_PORT, port, size, value, 0, 0);
}

static uint32_t in(struct fixture *f, uint16_t port, uint8_t size)
{
    return (uint32_t)bus_read(&f->bus, BUS_PORT, port, size, 0, 0);
}

static void expect(struct fixture *f, uint16_t key, const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;

    out(f, 0x510, 2, key);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(in(f, 0x511, 1), byte[i]);
}

static void put_big(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (bytes - 1 - i) * 8);
}

static void start(struct fixture *f, uint64_t descriptor)
{
    out(f, 0x514, 4, __builtin_bswap32((uint32_t)(descriptor >> 32)));
    out(f, 0x518, 4, __builtin_bswap32((uint32_t)descriptor));
}

/* Carries out a descriptor; its first word afterwards. */
static uint32_t transfer(struct fixture *f, uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t *at = f->low + DESCRIPTOR;

    put_big(at, control, 4);
    put_big(at + 4, length, 4);
    put_big(at + 8, address, 8);
    start(f, DESCRIPTOR);
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void test_items(void **state)
{
    static const uint8_t number[] = {1, 2, 3, 4, 5, 6, 7, 8, 0, 0};
    struct fixture f;

    (void)state;
    fresh(&f);
    expect(&f, FW_CFG_SIGNATURE, "QEMU\0\0", 6);
    expect(&f, FW_CFG_ID, "\3\0\0\0\0", 5);
    expect(&f, FW_CFG_CPUS, "\2\1\0", 3);
    expect(&f, FW_CFG_FILE, "0123456789\0\0", 12);
    expect(&f, FW_CFG_FILE + 1, number, sizeof(number));
    expect(&f, 0x7777, "\0\0", 2);
}

static void test_directory(void **state)
{
    uint8_t expected[4 + 2 * 64] = {0, 0, 0, 2, 0, 0, 0, 10, 0, 0x20};
    struct fixture f;

    (void)state;
    fresh(&f);
    memcpy(expected + 12, "etc/file", 8);
    memcpy(expected + 68, (uint8_t[]){0, 0, 0, 8, 0, 0x21}, 6);
    memcpy(expected + 76, "etc/number", 10);
    expect(&f, FW_CFG_FILE_DIRECTORY, expected, sizeof(expected));
}

/* What the ports do not do. */
static void test_ports(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    expect(&f, FW_CFG_FILE, "01", 2);
    out(&f, 0x511, 1, 'x');       /* items cannot be written */
    out(&f, 0x510, 1, FW_CFG_ID); /* half a key chooses nothing */
    out(&f, 0x511, 1, FW_CFG_ID);
    assert_int_equal(in(&f, 0x511, 1), '2');
    assert_int_equal(in(&f, 0x510, 2), 0xffff);
    assert_int_equal(in(&f, 0x511, 1), '3');
    assert_int_equal(in(&f, 0x514, 4), 0x554d4551);
    assert_int_equal(in(&f, 0x518, 4), 0x47464320);
    assert_int_equal(in(&f, 0x519, 1), 'C');
}

static void test_absent(void **state)
{
    struct fixture f;

    (void)state;
    memset(&f, 0, sizeof(f));
    bus_init(&f.bus);
    fw_cfg_init(&f.fw, &f.ram, false);
    assert_int_equal(fw_cfg_class.attach(&f.fw, &f.bus), BUS_OK);
    assert_false(bus_port_decodes(&f.bus, 0x510, 2));
    assert_false(bus_port_decodes(&f.bus, 0x514, 4));
}

static void test_transfers(void **state)
{
    struct fixture f;

    (void)state;
    fresh(&f);
    assert_int_equal(transfer(&f, (uint32_t)FW_CFG_FILE << 16 | SELECT | READ, 4, BUFFER), 0);
    assert_memory_equal(f.low + BUFFER, "0123\xcc", 5);
    assert_int_equal(transfer(&f, SKIP, 3, 0), 0);
    assert_int_equal(transfer(&f, READ, 5, BUFFER), 0); /* the end, and zeros behind it */
    assert_memory_equal(f.low + BUFFER, "789\0\0\xcc", 6);
    assert_int_equal(transfer(&f, (uint32_t)FW_CFG_FILE << 16 | SELECT, 0, 0), 0);
    assert_int_equal(in(&f, 0x511, 1), '0');
    assert_int_equal(transfer(&f, SKIP, UINT32_MAX, 0), 0);
    assert_int_equal(in(&f, 0x511, 1), 0);
    assert_int_equal(transfer(&f, (uint32_t)0x7777 << 16 | SELECT | READ, 2, BUFFER), 0);
    assert_memory_equal(f.low + BUFFER, "\0\0009", 3);
    assert_int_equal(transfer(&f, READ, 0, UINT64_MAX), 0); /* nothing has no place */
}

/* What a guest cannot have, and what stays as it was. */
static void test_hostile(void **state)
{
    static const struct {
        uint32_t length;
        uint64_t address;
    } wrong[] = {
        {1, RAM_SIZE}, {2, RAM_SIZE - 1},        {UINT32_MAX, 0}, {16, UINT64_MAX - 7},
        {RAM_SIZE, 1}, {FW_CFG_DMA_MOST + 1, 0}, {4, 1ull << 63}, {4, RAM_ABOVE_4G},
    };
    static const uint64_t nowhere[] = {RAM_SIZE, RAM_SIZE - 15, UINT64_MAX, UINT64_MAX - 15, 1ull << 32};
    struct fixture f;
    uint8_t before[RAM_SIZE];

    (void)state;
    fresh(&f);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint32_t control = (uint32_t)FW_CFG_FILE << 16 | SELECT | READ;

        assert_int_equal(transfer(&f, control, wrong[i].length, wrong[i].address), ERROR);
        memset(f.low + DESCRIPTOR, 0xcc, 16);
        for (size_t at = 0; at < RAM_SIZE; at++)
            assert_int_equal(f.low[at], 0xcc);
        assert_int_equal(in(&f, 0x511, 1), '0');
    }
    assert_int_equal(transfer(&f, (uint32_t)FW_CFG_FILE << 16 | SELECT | WRITE, 4, BUFFER), ERROR);
    memcpy(before, f.low, sizeof(before));
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
        start(&f, nowhere[i]);
    assert_memory_equal(before, f.low, sizeof(before));
}

/* More RAM than one descriptor may fill. */
static void test_long_transfer(void **state)
{
    static uint8_t low[FW_CFG_DMA_MOST + 0x101000];
    struct fixture f;

    (void)state;
    fresh(&f);
    f.ram = (struct guest_ram){.low = low, .low_size = sizeof(low)};
    for (uint32_t more = 0; more < 2; more++) {
        put_big(low + DESCRIPTOR, (uint32_t)FW_CFG_FILE << 16 | SELECT | READ, 4);
        put_big(low + DESCRIPTOR + 4, FW_CFG_DMA_MOST + more, 4);
        put_big(low + DESCRIPTOR + 8, 0x100000, 8);
        start(&f, DESCRIPTOR);
        assert_int_equal(low[DESCRIPTOR + 3], more ? ERROR : 0);
    }
}

static void test_limits(void **state)
{
    char name[FW_CFG_NAME + 1];
    struct fixture f;

    (void)state;
    fresh(&f);
    memset(name, 'a', sizeof(name));
    name[FW_CFG_NAME] = '\0';
    assert_false(fw_cfg_add_file(&f.fw, name, file, 1));
    name[FW_CFG_NAME - 1] = '\0';
    assert_true(fw_cfg_add_file(&f.fw, name, file, 1));
    assert_false(fw_cfg_add_file(&f.fw, name, file, 1));
    assert_false(fw_cfg_add_file(&f.fw, "", file, 1));
    assert_false(fw_cfg_add_file(&f.fw, "etc/nothing", NULL, 1));
    assert_true(fw_cfg_add_file(&f.fw, "etc/empty", NULL, 0));
    assert_false(fw_cfg_add_number(&f.fw, FW_CFG_CPUS, 1, 2));
    assert_false(fw_cfg_add_number(&f.fw, FW_CFG_NUMA, 1, 0));
    assert_false(fw_cfg_add_file_number(&f.fw, "etc/long", 1, 9));
    for (unsigned i = f.fw.config.files; i < FW_CFG_FILES; i++) {
        name[0] = (char)('a' + i);
        name[1] = '\0';
        assert_true(fw_cfg_add_file(&f.fw, name, file, 1));
    }
    assert_false(fw_cfg_add_file(&f.fw, "one more", file, 1));
    expect(&f, FW_CFG_FILE_DIRECTORY, "\0\0\0\x20", 4);
}

static void test_saved(void **state)
{
    uint8_t bytes[128];
    struct state out_state = {.bytes = bytes, .size = sizeof(bytes)};
    struct state in_state = {.bytes = bytes, .size = sizeof(bytes), .loads = true};
    struct fixture f, other;

    (void)state;
    fresh(&f);
    fresh(&other);
    expect(&f, FW_CFG_FILE, "012", 3);
    assert_int_equal(device_save(&fw_cfg_class, 0, &f.fw, &out_state), DEVICE_OK);
    assert_int_equal(device_load(&fw_cfg_class, 0, &other.fw, &in_state), DEVICE_OK);
    assert_int_equal(in(&other, 0x511, 1), '3');
    /* Behind the item's end. */
    f.fw.reg.offset = 11;
    out_state.at = in_state.at = 0;
    assert_int_equal(device_save(&fw_cfg_class, 0, &f.fw, &out_state), DEVICE_OK);
    assert_int_equal(device_load(&fw_cfg_class, 0, &other.fw, &in_state), DEVICE_REFUSED);
    assert_int_equal(in(&other, 0x511, 1), '4');
    fw_cfg_class.reset(&other.fw, 0);
    assert_int_equal(in(&other, 0x511, 1), 'Q');
}

static void test_random(void **state)
{
    uint64_t seed = 88172645463325252ull;
    struct fixture f;

    (void)state;
    fresh(&f);
    for (unsigned i = 0; i < 200000; i++) {
        uint16_t port;
        uint8_t size;

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        port = (uint16_t)(0x50e + (seed >> 8) % 14);
        size = (uint8_t)(1u << (seed >> 16) % 3);
        if (seed & 0x80000000)
            (void)in(&f, port, size);
        else
            out(&f, port, size, seed & 0x100000 ? __builtin_bswap32(seed >> 32 & 0x7fff) : seed >> 32 & 0x2f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),     cmocka_unit_test(test_directory),
        cmocka_unit_test(test_ports),     cmocka_unit_test(test_absent),
        cmocka_unit_test(test_transfers), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_saved),
        cmocka_unit_test(test_random),    cmocka_unit_test(test_long_transfer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
