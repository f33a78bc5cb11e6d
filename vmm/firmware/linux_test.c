/* SPDX-License-Identifier: ISC */
/* The boot protocol with synthetic kernels: every refusal and its message, placement, boot_params, page
 * tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/firmware/linux.h"

#define MIB      (1u << 20)
#define RAM_SIZE (64 * MIB)
#define PAYLOAD  0x10000u
#define SETUP    (5 * 512u)

static uint8_t low[RAM_SIZE];
static const struct guest_ram ram = {.low = low, .low_size = RAM_SIZE};
static uint8_t kernel[SETUP + PAYLOAD];
static uint8_t initrd[MIB];
static struct e820_map map;
static struct linux_config config;
static struct guest_entry entry;
static char message[MESSAGE_BYTES];

static void put(uint8_t *bytes, size_t offset, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++)
        bytes[offset + i] = (uint8_t)(value >> i * 8);
}

static uint64_t get(const uint8_t *bytes, size_t offset, size_t width)
{
    uint64_t value = 0;

    for (size_t i = width; i-- > 0;)
        value = value << 8 | bytes[offset + i];
    return value;
}

/* A relocatable 64-bit kernel of protocol 2.15 as today's are. */
static int setup(void **state)
{
    (void)state;
    memset(low, 0xcc, sizeof low);
    memset(kernel, 0x90, sizeof kernel);
    memset(kernel, 0, SETUP);
    memset(initrd, 0x5a, sizeof initrd);
    put(kernel, 0x1f1, 4, 1);
    put(kernel, 0x1f4, PAYLOAD / 16, 4);
    put(kernel, 0x1fe, 0xaa55, 2);
    put(kernel, 0x200, 0x6aeb, 2);
    put(kernel, 0x202, 0x53726448, 4);
    put(kernel, 0x206, 0x20f, 2);
    put(kernel, 0x211, 1, 1);
    put(kernel, 0x22c, 0x7fffffff, 4);
    put(kernel, 0x230, 0x200000, 4);
    put(kernel, 0x234, 1, 1);
    put(kernel, 0x236, 1, 2);
    put(kernel, 0x238, 2047, 4);
    put(kernel, 0x250, 0xdeadbeef, 8);
    put(kernel, 0x258, 16 * MIB, 8);
    put(kernel, 0x260, 8 * MIB, 4);
    assert_true(e820_layout(RAM_SIZE, &map));
    config =
        (struct linux_config){kernel, sizeof kernel, initrd, sizeof initrd, "quiet", &map, E820_RSDP, false};
    return 0;
}

static bool load(void)
{
    bool loaded = linux_load(&ram, &config, &entry, message);

    assert_true(memchr(message, 0, sizeof message) != NULL);
    assert_true(loaded == (message[0] == 0));
    assert_null(strchr(message, '\n'));
    return loaded;
}

static void refused(const char *part)
{
    assert_false(load());
    if (!strstr(message, part))
        fail_msg("expected \"%s\" in \"%s\"", part, message);
    setup(NULL);
}

static void entry_64(void **state)
{
    const uint8_t *params = low + LINUX_BOOT_PARAMS;

    (void)state;
    assert_true(load());
    assert_int_equal(entry.rip, 16 * MIB + 0x200);
    assert_int_equal(entry.rsi, LINUX_BOOT_PARAMS);
    assert_true(entry.long_mode);
    assert_true(entry.cr0 == 0x80000011);
    assert_int_equal(entry.cr3, LINUX_PAGE_TABLES);
    assert_int_equal(entry.cr4, 0x20);
    assert_int_equal(entry.efer, 0x500);
    assert_int_equal(entry.cs.selector, 0x10);
    assert_int_equal(entry.cs.attributes, 0xa9b);
    assert_int_equal(entry.data.selector, 0x18);
    assert_memory_equal(low + 16 * MIB, kernel + SETUP, PAYLOAD);
    assert_int_equal(get(params, 0x218, 4), (RAM_SIZE - E820_ACPI_LENGTH - MIB));
    assert_int_equal(get(params, 0x21c, 4), MIB);
    assert_memory_equal(low + get(params, 0x218, 4), initrd, MIB);
    assert_string_equal((char *)low + get(params, 0x228, 4), "quiet");
    assert_int_equal(get(params, 0x210, 1), 0xff);
    assert_int_equal(get(params, 0x214, 4), 16 * MIB);
    assert_int_equal(get(params, 0x250, 8), 0); /* the file's setup_data is not followed */
    assert_int_equal(get(params, 0x70, 8), E820_RSDP);
    assert_int_equal(params[0x1e8], map.entries);
    for (size_t i = 0; i < map.entries; i++) {
        assert_true(get(params, 0x2d0 + 20 * i, 8) == map.entry[i].base);
        assert_true(get(params, 0x2d8 + 20 * i, 8) == map.entry[i].length);
        assert_int_equal(get(params, 0x2e0 + 20 * i, 4), map.entry[i].type);
    }
    assert_int_equal(params[0x0f], 0);
}

/* Walk the tables as a processor does. */
static void page_tables(void **state)
{
    (void)state;
    assert_true(load());
    for (uint64_t address = 0; address < 1ull << 32; address += 2 * MIB) {
        uint64_t pml4e = get(low + entry.cr3, 0, 8);
        uint64_t pdpte = get(low + (pml4e & ~0xfffull), (address >> 30) * 8, 8);
        uint64_t pde = get(low + (pdpte & ~0xfffull), (address >> 21 & 511) * 8, 8);

        assert_int_equal(pml4e & 0xfff, 3);
        assert_int_equal(pdpte & 0xfff, 3);
        assert_true(pde == (address | 0x83));
    }
    assert_int_equal(get(low + entry.cr3, 8, 8), 0);
}

static void gdt(void **state)
{
    (void)state;
    assert_true(load());
    assert_int_equal(entry.gdt_limit, 39);
    assert_true(get(low + entry.gdt_base, 0x10, 8) == 0x00af9b000000ffffull);
    assert_true(get(low + entry.gdt_base, 0x18, 8) == 0x00cf93000000ffffull);
}

static void entry_32(void **state)
{
    (void)state;
    put(kernel, 0x236, 0, 2);
    config.vga_text = true;
    assert_true(load());
    assert_int_equal(entry.rip, 16 * MIB);
    assert_false(entry.long_mode);
    assert_int_equal(entry.cr0, 0x11);
    assert_int_equal(entry.cr4, 0);
    assert_int_equal(entry.efer, 0);
    assert_int_equal(entry.cs.attributes, 0xc9b);
    assert_int_equal(low[LINUX_BOOT_PARAMS + 0x0f], 1);
}

static void old_protocols(void **state)
{
    (void)state;
    put(kernel, 0x206, 0x20b, 2); /* no xloadflags before 2.12 */
    assert_true(load());
    assert_false(entry.long_mode);
    assert_int_equal(get(low + LINUX_BOOT_PARAMS, 0x70, 8), 0); /* no RSDP field before 2.14 */
    setup(NULL);
    put(kernel, 0x206, 0x206, 2); /* no pref_address, init_size */
    put(kernel, 0x200, 0x3aeb, 2);
    put(kernel, 0x214, MIB, 4);
    put(kernel, 0x234, 0, 1);
    assert_true(load());
    assert_int_equal(entry.rip, MIB);
}

static void placement(void **state)
{
    (void)state;
    put(kernel, 0x260, 61 * MIB, 4); /* from 16 MiB up; it never runs from below */
    refused("needs 79 MiB of memory below 3 GiB, has 64 MiB");
    put(kernel, 0x258, UINT64_MAX - 0xfff, 8); /* wild preference */
    refused("expected its address below 3 GiB");
    setup(NULL);
    put(kernel, 0x258, 0, 8);
    assert_true(load());
    assert_int_equal(entry.rip, 2 * MIB + 0x200);
    setup(NULL);
    put(kernel, 0x234, 0, 1);
    put(kernel, 0x260, 60 * MIB, 4);
    refused("needs 78 MiB");
    put(kernel, 0x22c, 32 * MIB - 1, 4);
    assert_true(load());
    assert_int_equal(get(low + LINUX_BOOT_PARAMS, 0x218, 4), 31 * MIB);
    put(kernel, 0x22c, UINT32_MAX, 4);
    assert_true(load());
    config.initrd = NULL;
    config.initrd_size = 0;
    assert_true(load());
    assert_int_equal(get(low + LINUX_BOOT_PARAMS, 0x218, 8), 0);
    put(kernel, 0x1f1, 0, 1); /* 0 setup sectors means 4 */
    assert_true(load());
    assert_int_equal(low[16 * MIB], 0x90);
}

static void refusals(void **state)
{
    (void)state;
    config.kernel = NULL;
    refused("kernel: none given");
    config.kernel_size = 0x28f;
    refused("at least 0x290 bytes, found 0x28f");
    config.kernel_size = SETUP;
    refused("ends within its setup sectors");
    put(kernel, 0x1fe, 0, 2);
    refused("boot flag 0xaa55 at 0x1fe, found 0x0");
    put(kernel, 0x202, 0x1234, 4);
    refused("found 0x1234");
    put(kernel, 0x206, 0x205, 2);
    refused("boot protocol 2.06 (0x206) or later, found 0x205");
    put(kernel, 0x211, 0, 1);
    refused("loadflags");
    put(kernel, 0x200, 0xe9, 1);
    refused("short jump (0xeb) at 0x200, found 0xe9");
    put(kernel, 0x201, 0x3a, 1);
    refused("header too short for its protocol: end, found 0x23c");
    put(kernel, 0x1f1, 255, 1);
    config.kernel_size = 0x1000;
    refused("setup sectors");
    put(kernel, 0x1f4, 0, 4);
    refused("syssize");
    put(kernel, 0x1f4, PAYLOAD / 16 + 1, 4);
    refused("truncated: expected 0x10010 bytes after the setup sectors, found 0x10000");
    put(kernel, 0x1f4, UINT32_MAX, 4);
    refused("truncated: expected 0xffffffff0");
    put(kernel, 0x230, 0, 4);
    refused("kernel_alignment");
    put(kernel, 0x230, 0x300000, 4);
    refused("kernel_alignment");
    put(kernel, 0x230, 1u << 31, 4);
    refused("kernel_alignment");
    put(kernel, 0x234, 0, 1);
    put(kernel, 0x258, 0x1000, 8);
    refused("not relocatable");
    put(kernel, 0x234, 0, 1);
    put(kernel, 0x258, UINT64_MAX, 8);
    refused("expected its address below 3 GiB");
    put(kernel, 0x260, UINT32_MAX, 4);
    refused("MiB of memory below 3 GiB, has 64 MiB");
    put(kernel, 0x22c, 20 * MIB, 4);
    refused("initrd: expected to fit");
    put(kernel, 0x22c, 0, 4);
    refused("initrd: expected to fit");
    config.initrd_size = SIZE_MAX;
    refused("initrd: expected less than 4 GiB");
    put(kernel, 0x238, 4, 4);
    refused("command line: expected at most 4 bytes, found 5");
}

static void long_command_line(void **state)
{
    static char line[LINUX_COMMAND_MAX + 2];

    (void)state;
    memset(line, 'x', sizeof line - 1);
    put(kernel, 0x238, UINT32_MAX, 4);
    config.command_line = line;
    assert_false(load());
    line[LINUX_COMMAND_MAX] = 0;
    assert_true(load());
    config.command_line = NULL;
    assert_true(load());
    assert_int_equal(low[LINUX_COMMAND_LINE], 0);
}

/* Header bytes at random: refused or loaded, but always within RAM. */
static void random_headers(void **state)
{
    uint64_t seed = 88172645463325252ull;
    unsigned loaded = 0;

    (void)state;
    config.initrd_size = 4096;
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t saved[0x290];

        memcpy(saved, kernel, sizeof saved);
        for (unsigned n = 0; n < 3; n++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            kernel[0x1f1 + seed % 0x73] = (uint8_t)(seed >> 32);
        }
        loaded += load();
        memcpy(kernel, saved, sizeof saved);
    }
    assert_true(loaded > 100);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(entry_64, setup),
        cmocka_unit_test_setup(page_tables, setup),
        cmocka_unit_test_setup(gdt, setup),
        cmocka_unit_test_setup(entry_32, setup),
        cmocka_unit_test_setup(old_protocols, setup),
        cmocka_unit_test_setup(placement, setup),
        cmocka_unit_test_setup(refusals, setup),
        cmocka_unit_test_setup(long_command_line, setup),
        cmocka_unit_test_setup(random_headers, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
