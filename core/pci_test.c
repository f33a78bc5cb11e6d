/* SPDX-License-Identifier: ISC */
/* PCI configuration space against a small model of some functions. */
#include <cmocka.h>
#include <string.h>

#include "core/pci.h"

#define MANY_ID   0x10u /* 00:02.0 with a function 2 beside it */
#define SINGLE_ID 0x20u /* 00:04.0, which answers for its functions 1 to 7, too */

/* 64 words a function; BARs have masks of the bits that can be written. */
static struct {
    uint32_t word[64], writable[64];
} functions[3];
static unsigned writes_with_decoding; /* to BARs while memory is decoded */

static int function_of(unsigned id)
{
    if (id == MANY_ID || id == MANY_ID + 2)
        return id == MANY_ID ? 0 : 1;
    return (id & ~7u) == SINGLE_ID ? 2 : -1;
}

static uint32_t model_read(unsigned id, unsigned offset)
{
    int f = function_of(id);
    assert_int_equal(offset % 4, 0);
    assert_in_range(offset, 0, 252);
    return f < 0 ? UINT32_MAX : functions[f].word[offset / 4];
}

static void model_write(unsigned id, unsigned offset, uint32_t value)
{
    int f = function_of(id);
    assert_int_not_equal(f, -1);
    assert_in_range(offset, 4, 252);
    uint32_t mask = functions[f].writable[offset / 4];
    writes_with_decoding += offset >= 0x10 && offset < 0x28 && (functions[f].word[1] & 2);
    functions[f].word[offset / 4] = (functions[f].word[offset / 4] & ~mask) | (value & mask);
}

static const struct pci_access access = {model_read, model_write};

static int setup(void **state)
{
    (void)state;
    memset(functions, 0, sizeof functions);
    writes_with_decoding = 0;
    functions[0].word[0] = 0x11112222;
    functions[0].word[3] = 0x800000; /* has others beside it */
    functions[1].word[0] = 0x33334444;
    functions[2].word[0] = 0x55556666;
    functions[2].word[2] = 0x01080205;
    functions[2].word[1] = 0x100006; /* capabilities; memory and master on */
    functions[2].writable[1] = 0xffff;
    functions[2].word[4] = 0xfebf0004; /* 64 bits, 16 KiB, at 0x1febf0000 */
    functions[2].writable[4] = 0xffffc000;
    functions[2].word[5] = 1;
    functions[2].writable[5] = UINT32_MAX;
    functions[2].word[6] = 0xfeb01000; /* 32 bits, 4 KiB */
    functions[2].writable[6] = 0xfffff000;
    functions[2].word[7] = 0xfeb02000; /* 256 bytes */
    functions[2].writable[7] = 0xffffff00;
    functions[2].word[8] = 0xc001; /* ports */
    functions[2].writable[8] = 0xfffffff0;
    return 0;
}

static void labels(void **state)
{
    static const char *const wrong[] = {"",         "00:04", "00:04.",  "0:04.0", "00:04.8", "00:20.0",
                                        "00:04.0x", "01080", "0108022", "01080G", "00-04.0", "00:04,0"};
    bool is_class;
    uint32_t value;
    (void)state;
    assert_true(pci_label("00:04.0", &is_class, &value));
    assert_false(is_class);
    assert_int_equal(value, 0x20);
    assert_true(pci_label("ff:1f.7", &is_class, &value));
    assert_int_equal(value, 0xffff);
    assert_true(pci_label("010802", &is_class, &value));
    assert_true(is_class);
    assert_int_equal(value, 0x10802);
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(pci_label(wrong[i], &is_class, &value));
}

static void finds(void **state)
{
    (void)state;
    assert_int_equal(pci_next(&access, 0), MANY_ID);
    assert_int_equal(pci_next(&access, MANY_ID + 1), MANY_ID + 2);
    assert_int_equal(pci_next(&access, MANY_ID + 3), SINGLE_ID);
    assert_int_equal(pci_next(&access, SINGLE_ID + 1), PCI_FUNCTIONS); /* no shadows */
    assert_int_equal(pci_class(&access, SINGLE_ID), 0x10802);
    assert_true(pci_is_machine(0x60000) && pci_is_machine(0x68000) && pci_is_machine(0x80600));
    assert_false(pci_is_machine(0x10802) || pci_is_machine(0x80500) || pci_is_machine(0x70600));
}

static void bars(void **state)
{
    uint64_t base, bytes;
    (void)state;
    assert_true(pci_bar(&access, SINGLE_ID, 0, &base, &bytes));
    assert_int_equal(base, 0x1febf0000);
    assert_int_equal(bytes, 0x4000);
    assert_true(pci_bar(&access, SINGLE_ID, 2, &base, &bytes));
    assert_int_equal(base, 0xfeb01000);
    assert_int_equal(bytes, 0x1000);
    assert_false(pci_bar(&access, SINGLE_ID, 3, &base, &bytes)); /* others' registers may be in its page */
    assert_false(pci_bar(&access, SINGLE_ID, 4, &base, &bytes)); /* ports */
    assert_false(pci_bar(&access, SINGLE_ID, 5, &base, &bytes)); /* nothing */
    assert_false(pci_bar(&access, SINGLE_ID, 6, &base, &bytes));
    assert_int_equal(functions[2].word[1], 0x100006); /* all as it was */
    assert_int_equal(functions[2].word[4], 0xfebf0004);
    assert_int_equal(functions[2].word[5], 1);
    assert_int_equal(writes_with_decoding, 0);
    functions[2].word[3] = 0x10000; /* a bridge */
    assert_false(pci_bar(&access, SINGLE_ID, 0, &base, &bytes));
}

static void commands(void **state)
{
    (void)state;
    pci_command(&access, SINGLE_ID, true, true);
    assert_int_equal(functions[2].word[1] & 0xffff, 0x406);
    pci_command(&access, SINGLE_ID, true, false);
    assert_int_equal(functions[2].word[1] & 0xffff, 0x402);
    pci_command(&access, SINGLE_ID, false, false);
    assert_int_equal(functions[2].word[1] & 0xffff, 0x400);
}

static void messages(void **state)
{
    (void)state;
    functions[2].word[13] = 0x40;
    functions[2].word[16] = 0x00805000 | 0x05; /* MSI of 64 bits at 0x40, then 0x50 */
    for (unsigned i = 16; i < 21; i++)
        functions[2].writable[i] = i == 16 ? 0x710000 : UINT32_MAX;
    functions[2].word[20] = 0x4001; /* power management, then back to 0x40: a ring */
    assert_true(pci_message(&access, SINGLE_ID, 0xfee01000, 0x51));
    assert_int_equal(functions[2].word[16] & 0x710000, 0x10000);
    assert_int_equal(functions[2].word[17], 0xfee01000);
    assert_int_equal(functions[2].word[18], 0);
    assert_int_equal(functions[2].word[19], 0x51);
    pci_quiet(&access, SINGLE_ID);
    assert_int_equal(functions[2].word[16] & 0x10000, 0);
    functions[2].word[20] = 0x11; /* MSI-X is taken first */
    functions[2].writable[20] = 0xc0000000;
    functions[2].word[20] |= 0x40000000;
    assert_true(pci_message(&access, SINGLE_ID, 0xfee01000, 0x51));
    assert_int_equal(functions[2].word[20], 0x80000011);
    pci_quiet(&access, SINGLE_ID);
    assert_int_equal(functions[2].word[20], 0x11);
    functions[2].word[1] &= ~0x100000u; /* no list */
    assert_false(pci_message(&access, SINGLE_ID, 0xfee01000, 0x51));
}

static void messages_are_counted(void **state)
{
    (void)state;
    assert_int_equal(pci_messages(&access, SINGLE_ID), 0);
    functions[2].word[13] = 0x40;
    functions[2].word[16] = 0x00085005; /* MSI, which could have 16; one is used */
    assert_int_equal(pci_messages(&access, SINGLE_ID), 1);
    functions[2].word[20] = 0x00400011; /* MSI-X with 65 */
    assert_int_equal(pci_messages(&access, SINGLE_ID), 65);
}

/* Bit 11 of Device Control is on after a reset, and Device Status beside it is cleared by ones. */
static void nothing_goes_around_caches(void **state)
{
    (void)state;
    functions[2].word[13] = 0x40;
    functions[2].word[16] = 0x10; /* PCI Express */
    functions[2].word[18] = 0x000f2830;
    functions[2].writable[18] = 0xffffffff;
    pci_quiet(&access, SINGLE_ID);
    assert_int_equal(functions[2].word[18], 0x2030);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(labels, setup),
        cmocka_unit_test_setup(finds, setup),
        cmocka_unit_test_setup(bars, setup),
        cmocka_unit_test_setup(commands, setup),
        cmocka_unit_test_setup(messages, setup),
        cmocka_unit_test_setup(messages_are_counted, setup),
        cmocka_unit_test_setup(nothing_goes_around_caches, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
