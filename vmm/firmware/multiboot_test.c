/* SPDX-License-Identifier: ISC */
/* The Multiboot loader with a synthetic program: what is loaded where, the information, and every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/firmware/multiboot.h"

#define MIB      (1u << 20)
#define RAM_SIZE (16 * MIB)
#define PHOFF    52u
#define HEADER   0x100u /* of Multiboot */
#define CODE     0x200u
#define BYTES    0x400u
#define PLACE    (2 * MIB)

static uint8_t low[RAM_SIZE];
static const struct guest_ram ram = {.low = low, .low_size = RAM_SIZE};
static uint8_t image[BYTES];
static struct e820_map map;
static struct multiboot_config config;
static struct guest_entry entry;
static char message[MESSAGE_BYTES];

static void put(uint8_t *bytes, size_t offset, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        bytes[offset + i] = (uint8_t)(value >> i * 8);
}

static uint32_t get(size_t address)
{
    uint32_t value;

    memcpy(&value, low + address, sizeof value);
    return value;
}

static void put_segment(unsigned number, uint32_t type, uint32_t offset, uint32_t address, uint32_t filesz,
                        uint32_t memsz)
{
    size_t at = PHOFF + number * 32;

    put(image, at, type, 4);
    put(image, at + 4, offset, 4);
    put(image, at + 8, 0xdead0000, 4);
    put(image, at + 12, address, 4);
    put(image, at + 16, filesz, 4);
    put(image, at + 20, memsz, 4);
}

static int setup(void **state)
{
    (void)state;
    memset(low, 0xcc, sizeof low);
    memset(image, 0, sizeof image);
    memcpy(image, "\x7f\x45LF\1\1\1", 7);
    put(image, 16, 2, 2);
    put(image, 18, 3, 2);
    put(image, 20, 1, 4);
    put(image, 24, PLACE + 4, 4);
    put(image, 28, PHOFF, 4);
    put(image, 42, 32, 2);
    put(image, 44, 2, 2);
    put_segment(0, 1, CODE, PLACE, 0x100, 0x300);
    put_segment(1, 6, 0, 0, 0xffffffff, 0);
    put(image, HEADER, 0x1badb002, 4);
    put(image, HEADER + 4, 2, 4);
    put(image, HEADER + 8, -(0x1badb002u + 2u), 4);
    memset(image + CODE, 0x90, 0x200);
    assert_true(e820_layout(RAM_SIZE, &map));
    config = (struct multiboot_config){
        .image = image, .size = sizeof image, .command_line = "one two", .map = &map};
    return 0;
}

static void refused(const char *expected)
{
    assert_false(multiboot_load(&ram, &config, &entry, message));
    if (!strstr(message, expected))
        fail_msg("expected \"%s\" in \"%s\"", expected, message);
    assert_null(strchr(message, '\n'));
}

static void test_load(void **state)
{
    (void)state;
    assert_true(multiboot_is(image, sizeof image));
    assert_true(multiboot_load(&ram, &config, &entry, message));
    assert_int_equal(message[0], 0);
    assert_int_equal(entry.rip, PLACE + 4);
    assert_int_equal(entry.rax, MULTIBOOT_MAGIC);
    assert_int_equal(entry.rbx, MULTIBOOT_INFO);
    assert_int_equal(entry.cr0, 0x11);
    assert_int_equal(entry.efer, 0);
    assert_int_equal(entry.cs.attributes, 0xc9b);
    assert_int_equal(entry.cs.limit, UINT32_MAX);
    assert_int_equal(entry.data.attributes, 0xc93);
    assert_int_equal(get(PLACE), 0x90909090);
    assert_int_equal(get(PLACE + 0xfc), 0x90909090);
    assert_int_equal(get(PLACE + 0x100), 0);
    assert_int_equal(get(PLACE + 0x2fc), 0);
    assert_int_equal(get(PLACE + 0x300), 0xcccccccc);
    assert_int_equal(get(PLACE - 4), 0xcccccccc);
}

/* .bss in a segment of its own: some linkers leave any offset there. */
static void test_empty_segments(void **state)
{
    (void)state;
    put_segment(1, 1, UINT32_MAX, PLACE + MIB, 0, 0x100);
    assert_true(multiboot_load(&ram, &config, &entry, message));
    assert_int_equal(get(PLACE + MIB), 0);
    assert_int_equal(get(PLACE + MIB + 0x100), 0xcccccccc);
    put_segment(1, 1, UINT32_MAX, 0, 0, 0);
    assert_true(multiboot_load(&ram, &config, &entry, message));
    put_segment(1, 1, CODE, PLACE + MIB, 1, 0);
    refused("expected segments not shorter in memory than in the file, found 0x1");
}

static void test_information(void **state)
{
    uint32_t length, address;

    (void)state;
    assert_true(multiboot_load(&ram, &config, &entry, message));
    assert_int_equal(get(MULTIBOOT_INFO), 0x245);
    assert_int_equal(get(MULTIBOOT_INFO + 4), 639);
    assert_int_equal(get(MULTIBOOT_INFO + 8), 15 * 1024 - 64);
    assert_string_equal((char *)low + get(MULTIBOOT_INFO + 16), "one two");
    assert_string_equal((char *)low + get(MULTIBOOT_INFO + 64), "Donjon");
    length = get(MULTIBOOT_INFO + 44);
    address = get(MULTIBOOT_INFO + 48);
    assert_int_equal(length, map.entries * 24);
    for (size_t i = 0; i < map.entries; i++, address += get(address) + 4) {
        assert_int_equal(get(address), 20);
        assert_int_equal(get(address + 4), (uint32_t)map.entry[i].base);
        assert_int_equal(get(address + 8), map.entry[i].base >> 32);
        assert_int_equal(get(address + 12), (uint32_t)map.entry[i].length);
        assert_int_equal(get(address + 20), map.entry[i].type);
    }
    config.command_line = NULL;
    assert_true(multiboot_load(&ram, &config, &entry, message));
    assert_string_equal((char *)low + get(MULTIBOOT_INFO + 16), "");
}

/* A virtual address of a segment is translated; any other is a physical one. */
static void test_entry(void **state)
{
    static const struct {
        uint32_t given, entered;
    } rows[] = {{0xdead0000, PLACE},
                {0xdead02ff, PLACE + 0x2ff},
                {PLACE, PLACE},
                {PLACE + 0x100, PLACE + 0x100},
                {PLACE + 0x2ff, PLACE + 0x2ff}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put(image, 24, rows[i].given, 4);
        assert_true(multiboot_load(&ram, &config, &entry, message));
        assert_int_equal(entry.rip, rows[i].entered);
    }
    put(image, 44, 3, 2); /* the virtual address counts, even if it is another's physical one */
    put_segment(2, 1, CODE, 3 * MIB, 0x10, 0x10);
    put(image, PHOFF + 2 * 32 + 8, PLACE, 4);
    put(image, 24, PLACE + 4, 4);
    assert_true(multiboot_load(&ram, &config, &entry, message));
    assert_int_equal(entry.rip, 3 * MIB + 4);
}

/* Segments in low memory are loaded, and the information makes way for them. */
static void test_low(void **state)
{
    static const struct {
        uint32_t address, size, block;
    } rows[] = {{0x500, 0x300, 0x1000},    {0x7c00, 0x300, 0x1000}, {0xfff, 0x300, 0x2000},
                {0x1000, 0x300, 0x2000},   {0x1230, 0x300, 0x2000}, {0x1fff, 0x300, 0x1000},
                {0x500, 0x9e500, 0x9f000}, {0x9f900, 0x300, 0x1000}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(setup(state), 0);
        put_segment(0, 1, CODE, rows[i].address, 0x100, rows[i].size);
        put(image, 24, rows[i].address + 4, 4);
        assert_true(multiboot_load(&ram, &config, &entry, message));
        assert_int_equal(entry.rip, rows[i].address + 4);
        assert_int_equal(entry.rbx, rows[i].block);
        assert_int_equal(get(rows[i].address), 0x90909090);
        assert_int_equal(get(rows[i].address + rows[i].size - 4), 0);
        assert_int_equal(get(rows[i].block), 0x245);
        assert_string_equal((char *)low + get(rows[i].block + 16), "one two");
    }
    put_segment(0, 1, CODE, 0x500, 0x100, 0x9f700);
    refused("kernel: expected room below 0x9fc00 beside its segments, for bytes, found 0x238");
    put(image, 44, 3, 2); /* in two steps */
    put_segment(0, 1, CODE, 0x2100, 0x100, 0x300);
    put_segment(2, 1, CODE, 0x1000, 0x100, 0x1000);
    put(image, 24, 0x2100, 4);
    config.command_line = NULL;
    assert_true(multiboot_load(&ram, &config, &entry, message));
    assert_int_equal(entry.rbx, 0x3000);
}

static struct multiboot_module modules[MULTIBOOT_MODULES_MAX + 1];

/* Behind the kernel, each on pages of its own, and their list with the strings. */
static void test_modules(void **state)
{
    static const char first[] = "The first module's bytes", second[0x1001];
    uint32_t list;

    (void)state;
    modules[0] = (struct multiboot_module){(const uint8_t *)first, sizeof(first), "first line"};
    modules[1] = (struct multiboot_module){(const uint8_t *)second, sizeof(second), NULL};
    modules[2] = (struct multiboot_module){(const uint8_t *)first, 1, "third"};
    config.module = modules;
    config.modules = 3;
    assert_true(multiboot_load(&ram, &config, &entry, message));
    assert_int_equal(get(MULTIBOOT_INFO), 0x24d);
    assert_int_equal(get(MULTIBOOT_INFO + 20), 3);
    list = get(MULTIBOOT_INFO + 24);
    assert_int_equal(get(list), PLACE + 0x1000);
    assert_int_equal(get(list + 4), PLACE + 0x1000 + sizeof(first));
    assert_string_equal((char *)low + get(list + 8), "first line");
    assert_int_equal(get(list + 12), 0);
    assert_int_equal(get(list + 16), PLACE + 0x2000);
    assert_int_equal(get(list + 20), PLACE + 0x3001);
    assert_string_equal((char *)low + get(list + 24), "");
    assert_int_equal(get(list + 32), PLACE + 0x4000);
    assert_int_equal(get(list + 36), PLACE + 0x4001);
    assert_string_equal((char *)low + get(list + 40), "third");
    assert_memory_equal(low + PLACE + 0x1000, first, sizeof(first));
    assert_memory_equal(low + PLACE + 0x2000, second, sizeof(second));
    assert_int_equal(low[PLACE + 0x4000], 'T');
    assert_int_equal(get(PLACE + 0x2fc), 0); /* the kernel's BSS is whole */
    assert_string_equal((char *)low + get(MULTIBOOT_INFO + 16), "one two");
    put_segment(0, 1, CODE, 0x8000, 0x100, 0x300); /* a low kernel's are from 1 MiB on */
    put(image, 24, 0x8000, 4);
    assert_true(multiboot_load(&ram, &config, &entry, message));
    assert_int_equal(get(get(MULTIBOOT_INFO + 24)), MIB);
}

static void test_module_refusals(void **state)
{
    static char line[MULTIBOOT_COMMAND_MAX + 2];

    (void)state;
    for (size_t i = 0; i <= MULTIBOOT_MODULES_MAX; i++)
        modules[i] = (struct multiboot_module){image, 1, "x"};
    config.module = modules;
    config.modules = MULTIBOOT_MODULES_MAX;
    assert_true(multiboot_load(&ram, &config, &entry, message));
    config.modules++;
    refused("expected at most 0x8 modules, found 0x9");
    config.modules = 2;
    modules[1].size = RAM_SIZE - 0x10000 - PLACE - 0x2000 + 1;
    refused(
        "module 2: expected to fit between 0x202000 and the end of memory 0xff0000; size, found 0xdee001");
    modules[1].size = SIZE_MAX;
    refused("module 2: expected to fit");
    modules[1].size = 1;
    memset(line, 'x', sizeof(line) - 1);
    modules[1].command_line = line;
    refused("command line: expected at most 0x7ff bytes, found 0x800");
    modules[1].command_line = "";
    put_segment(0, 1, CODE, RAM_SIZE - 0x10000 - 0x300, 0x100, 0x300); /* no room behind the kernel */
    put(image, 24, RAM_SIZE - 0x10000 - 0x300, 4);
    refused("module 1: expected to fit between 0xff0000 and the end of memory 0xff0000; size, found 0x1");
}

struct refusal {
    size_t offset;
    uint64_t value;
    size_t width;
    const char *message;
};

#define SEGMENT(field) (PHOFF + (field))

static const struct refusal refusals[] = {
    {0, 0x7e, 1, "expected an ELF file (0x464c457f), found 0x464c457e"},
    {4, 2, 1, "expected an ELF32 file (class 1), found 0x2"},
    {5, 2, 1, "expected a little-endian ELF file (data 1), found 0x2"},
    {6, 0, 1, "expected ELF version 1"},
    {20, 2, 4, "expected ELF version 1, found 0x2"},
    {16, 3, 2, "expected an executable ELF file (type 2), found 0x3"},
    {18, 62, 2, "for the 80386 (machine 3), found 0x3e"},
    {42, 31, 2, "program headers of 0x20 bytes, found 0x1f"},
    {44, 0, 2, "expected 0x1 to 0x10 ELF program headers, found 0x0"},
    {44, 17, 2, "expected 0x1 to 0x10 ELF program headers, found 0x11"},
    {28, BYTES - 63, 4, "program headers within the file, found 0x3c1"},
    {28, UINT32_MAX, 4, "program headers within the file, found 0xffffffff"},
    {24, PLACE - 1, 4, "expected the entry in a loaded segment, found 0x1fffff"},
    {24, PLACE + 0x300, 4, "expected the entry in a loaded segment, found 0x200300"},
    {24, 0xdead0300, 4, "expected the entry in a loaded segment, found 0xdead0300"},
    {24, 0, 4, "expected the entry in a loaded segment, found 0x0"},
    {HEADER, 0x1badb003, 4, "expected a Multiboot header (0x1badb002, sum 0) before, found 0x400"},
    {HEADER + 8, 0, 4, "expected a Multiboot header (0x1badb002, sum 0) before, found 0x400"},
    {SEGMENT(4), BYTES - 0xff, 4, "truncated: expected a segment's bytes within the file, at, found 0x301"},
    {SEGMENT(4), UINT32_MAX, 4, "truncated: "},
    {SEGMENT(16), 0x301, 4, "expected segments not shorter in memory than in the file, found 0x301"},
    {SEGMENT(12), MIB - 1, 4, "expected segments in 0x500..0x9fc00 or from 1 MiB on, found 0xfffff"},
    {SEGMENT(12), 0x4ff, 4, "expected segments in 0x500..0x9fc00 or from 1 MiB on, found 0x4ff"},
    {SEGMENT(12), 0x9fc00 - 0x2ff, 4, "expected segments in 0x500..0x9fc00 or from 1 MiB on, found 0x9f901"},
    {SEGMENT(12), 0xa0000, 4, "expected segments in 0x500..0x9fc00 or from 1 MiB on, found 0xa0000"},
    {SEGMENT(12), RAM_SIZE - 0x10000 - 0x2ff, 4,
     "expected segments below 0xff0000 (end of memory), found 0xff0001"},
    {SEGMENT(12), UINT32_MAX, 4, "expected segments below 0xff0000 (end of memory), found 0x1000002ff"},
    {SEGMENT(20), UINT32_MAX, 4, "expected segments below 0xff0000 (end of memory), found 0x1001fffff"},
};

static void test_refusals(void **state)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];

        assert_int_equal(setup(state), 0);
        put(image, r->offset, r->value, r->width);
        refused(r->message);
    }
}

static void test_flags(void **state)
{
    static const struct {
        uint32_t flags;
        const char *message;
    } rows[] = {{1, NULL},
                {3, NULL},
                {0xfffe0000, NULL},
                {4, "expected no Multiboot flags in 0xfffc, found 0x4"},
                {0x8000, "expected no Multiboot flags in 0xfffc, found 0x8000"},
                {0x10000, "expected Multiboot flag 0x10000 clear"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put(image, HEADER + 4, rows[i].flags, 4);
        put(image, HEADER + 8, -(0x1badb002u + rows[i].flags), 4);
        if (rows[i].message)
            refused(rows[i].message);
        else
            assert_true(multiboot_load(&ram, &config, &entry, message));
    }
}

/* The first magic with a sum of 0, on a multiple of four, is the header: its flags count. */
static void test_header(void **state)
{
    (void)state;
    put(image, HEADER - 0x40, 0x1badb002, 4);
    put(image, HEADER - 0x40 + 4, 0xfffc, 4);
    put(image, HEADER - 0x20, 0x1badb002, 4);
    assert_true(multiboot_load(&ram, &config, &entry, message));
    put(image, HEADER - 0x40 + 8, -(0x1badb002u + 0xfffcu), 4);
    refused("expected no Multiboot flags in 0xfffc, found 0xfffc");
    put(image, HEADER - 0x40, 0, 4);
    memmove(image + HEADER + 2, image + HEADER, 12);
    refused("expected a Multiboot header");
}

static void test_sizes(void **state)
{
    static char line[MULTIBOOT_COMMAND_MAX + 2];

    (void)state;
    assert_false(multiboot_is(image, 3));
    assert_false(multiboot_is("MZ..", 4));
    for (config.size = 0; config.size < sizeof image; config.size++)
        if (config.size != CODE + 0x100 && config.size < CODE + 0x100)
            assert_false(multiboot_load(&ram, &config, &entry, message));
    config.size = 51;
    refused("expected an ELF32 file of at least 0x34 bytes, found 0x33");
    config.size = HEADER + 11;
    refused("expected a Multiboot header (0x1badb002, sum 0) before");
    config.size = sizeof image;
    memset(line, 'x', sizeof line - 1);
    config.command_line = line;
    refused("command line: expected at most 0x7ff bytes, found 0x800");
    line[MULTIBOOT_COMMAND_MAX] = 0;
    assert_true(multiboot_load(&ram, &config, &entry, message));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty_segments, setup),
        cmocka_unit_test_setup(test_load, setup),
        cmocka_unit_test_setup(test_information, setup),
        cmocka_unit_test_setup(test_refusals, setup),
        cmocka_unit_test_setup(test_flags, setup),
        cmocka_unit_test_setup(test_sizes, setup),
        cmocka_unit_test_setup(test_header, setup),
        cmocka_unit_test_setup(test_entry, setup),
        cmocka_unit_test_setup(test_low, setup),
        cmocka_unit_test_setup(test_modules, setup),
        cmocka_unit_test_setup(test_module_refusals, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
