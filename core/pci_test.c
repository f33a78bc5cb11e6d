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

static struct pci_function read_function(unsigned id)
{
    struct pci_function function;
    pci_function_read(&access, id, &function);
    return function;
}

static void bars(void **state)
{
    const struct pci_bar *bar;
    (void)state;
    struct pci_function function = read_function(SINGLE_ID);
    assert_int_equal(function.id, SINGLE_ID);
    assert_int_equal(function.class_code, 0x10802);
    assert_true(function.on);
    assert_non_null(bar = pci_bar(&function, 0));
    assert_int_equal(bar->base, 0x1febf0000);
    assert_int_equal(bar->bytes, 0x4000);
    assert_non_null(bar = pci_bar(&function, 2));
    assert_int_equal(bar->base, 0xfeb01000);
    assert_int_equal(bar->bytes, 0x1000);
    assert_null(pci_bar(&function, 1)); /* the first one's upper half */
    assert_null(pci_bar(&function, 3)); /* others' registers may be in its page */
    assert_int_equal(function.bar[3].bytes, 0x100);
    assert_null(pci_bar(&function, 4)); /* ports */
    assert_null(pci_bar(&function, 5)); /* nothing */
    assert_null(pci_bar(&function, 6));
    assert_null(pci_bar(&function, UINT64_MAX));
    assert_int_equal(functions[2].word[1], 0x100006); /* all as it was */
    assert_int_equal(functions[2].word[4], 0xfebf0004);
    assert_int_equal(functions[2].word[5], 1);
    assert_int_equal(writes_with_decoding, 0);
    functions[2].word[9] = 0xfec00004; /* 64 bits in the last one */
    functions[2].writable[9] = 0xfffff000;
    functions[2].word[8] = 0xfec00006; /* of no kind */
    functions[2].writable[8] = 0xfffff000;
    function = read_function(SINGLE_ID);
    assert_int_equal(function.bar[4].bytes, 0);
    assert_int_equal(function.bar[5].bytes, 0);
}

/* The bits above are wired: two machines' BARs. */
static void bars_with_wired_bits(void **state)
{
    const struct pci_bar *bar;
    (void)state;
    functions[2].word[4] = 0x15100004;
    functions[2].writable[4] = 0xfff00000;
    functions[2].word[5] = 0x60;
    functions[2].writable[5] = 0x3ff;
    functions[2].word[6] = 0x0eb01000;
    functions[2].writable[6] = 0x0ffff000;
    struct pci_function function = read_function(SINGLE_ID);
    assert_non_null(bar = pci_bar(&function, 0));
    assert_int_equal(bar->base, 0x6015100000);
    assert_int_equal(bar->bytes, 0x100000);
    assert_non_null(bar = pci_bar(&function, 2));
    assert_int_equal(bar->base, 0x0eb01000);
    assert_int_equal(bar->bytes, 0x1000);
    functions[2].word[4] = 0x4; /* 16 GiB: the lower half has no bit */
    functions[2].writable[4] = 0;
    functions[2].word[5] = 0x80;
    functions[2].writable[5] = 0xfffffffc;
    function = read_function(SINGLE_ID);
    assert_non_null(bar = pci_bar(&function, 0));
    assert_int_equal(bar->base, 0x8000000000);
    assert_int_equal(bar->bytes, 0x400000000);
    functions[2].writable[5] = 0; /* none at all */
    function = read_function(SINGLE_ID);
    assert_null(pci_bar(&function, 0));
}

/* Bridges have two, and forward what others are told: they go on meanwhile. */
static void bars_of_bridges(void **state)
{
    (void)state;
    functions[2].word[2] = 0x06040000;
    functions[2].word[3] = 0x10000;
    functions[2].writable[1] = 0;
    struct pci_function function = read_function(SINGLE_ID);
    assert_int_equal(function.bar[0].bytes, 0x4000);
    assert_int_equal(function.bar[2].bytes, 0);
    assert_int_equal(functions[2].word[1], 0x100006);
    functions[2].word[3] = 0x20000; /* CardBus */
    assert_int_equal(read_function(SINGLE_ID).bar[0].bytes, 0);
}

static struct {
    unsigned id, number, other, count;
    const char *found;
} told;

static void tell(const struct pci_function *function, unsigned number, const char *found,
                 const struct pci_function *other)
{
    told.id = function->id;
    told.number = number;
    told.other = other ? other->id : 0;
    told.found = found;
    told.count++;
}

static const char *taken(uint64_t base, uint64_t last)
{
    return base <= 0xfeefffff && last >= 0xfee00000 ? "interrupts" : base < 0x80000000 ? "memory" : NULL;
}

static const struct pci_check check = {taken, tell};

static struct pci_function function_at(unsigned id, uint64_t base, uint64_t bytes)
{
    return (struct pci_function){.id = (uint16_t)id, .on = true, .bars = 6, .bar = {{base, bytes}}};
}

static void bars_have_places_of_their_own(void **state)
{
    static const struct {
        uint64_t base, bytes;
        const char *found; /* NULL: well */
        bool both;         /* the other one is refused, too */
    } rows[] = {
        {0xfeb00000, 0x4000, NULL, false},
        {0xfebf0000, 0x4000, "a BAR", true},
        {0xfebf3000, 0x1000, "a BAR", true},
        {0xfebf3ff0, 0x10, "a BAR", true},
        {0xfebe0000, 0x20000, "a BAR", true},
        {0xfebf4000, 0x4000, NULL, false},
        {0xfebec000, 0x4000, NULL, false},
        {0xfebf4000, 0x8000, "no multiple of its size", false},
        {0, 0x1000, "no address", false},
        {0xfee00000, 0x1000, "interrupts", false},
        {0xfeef0000, 0x10000, "interrupts", false},
        {0xfef00000, 0x1000, NULL, false},
        {0xfec00000, 0x400000, "interrupts", false},
        {0x7ffff000, 0x1000, "memory", false},
        {0x80000000, 0x1000, NULL, false},
        {0xffffffffffffc000, 0x4000, NULL, false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        for (unsigned off = 0; off < 2; off++) {
            struct pci_function two[2] = {function_at(0x20, rows[i].base, rows[i].bytes),
                                          function_at(0x28, 0xfebf0000, 0x4000)};
            bool both = rows[i].both && !off;
            two[0].on = !off; /* what is off takes nothing from others */
            memset(&told, 0, sizeof told);
            pci_functions_check(two, 2, &check);
            assert_int_equal(told.count, (rows[i].found ? 1 : 0) + (both ? 1 : 0));
            assert_int_equal(two[0].refused, rows[i].found ? 1 : 0);
            assert_int_equal(two[1].refused, both ? 1 : 0);
            assert_true(!pci_bar(&two[0], 0) || !rows[i].found);
            if (!rows[i].found)
                continue;
            assert_string_equal(told.found, rows[i].found);
            assert_int_equal(told.id, both ? 0x28 : 0x20);
            assert_int_equal(told.other, both ? 0x20 : rows[i].both ? 0x28 : 0);
        }
    struct pci_function one = function_at(0x20, 0xfebf0000, 0x4000); /* with itself */
    one.bar[3] = (struct pci_bar){0xfebf2000, 0x1000};
    one.on = false;
    pci_functions_check(&one, 1, &check);
    assert_int_equal(one.refused, 9);
}

/* By a way of its own the device can write its registers, as those of configuration space. */
static void moved_bars_do_not_count(void **state)
{
    const struct pci_bar *bar;
    unsigned number = 0;
    uint32_t found = 0;
    (void)state;
    functions[2].word[12] = 0xfeb00001; /* the ROM */
    functions[2].writable[12] = 0xffff0001;
    struct pci_function function = read_function(SINGLE_ID);
    functions[2].word[4] = 0xfee00004;
    functions[2].word[5] = 0;
    functions[2].word[6] = 0x100000;
    functions[2].word[12] = 0x1;
    assert_non_null(bar = pci_bar(&function, 0));
    assert_int_equal(bar->base, 0x1febf0000);
    pci_command(&access, SINGLE_ID, false, false);
    assert_true(pci_restore(&access, &function, &number, &found));
    assert_int_equal(functions[2].word[4], 0xfebf0004);
    assert_int_equal(functions[2].word[5], 1);
    assert_int_equal(functions[2].word[6], 0xfeb01000);
    assert_int_equal(functions[2].word[12], 0xfeb00000);
    assert_int_equal(writes_with_decoding, 0);
    functions[2].word[5] = 2; /* and it does not let go of it */
    functions[2].writable[5] = 0;
    assert_false(pci_restore(&access, &function, &number, &found));
    assert_int_equal(number, 1);
    assert_int_equal(found, 2);
    functions[2].writable[5] = UINT32_MAX;
    functions[2].word[3] |= 0x10000; /* whatever else it says then */
    assert_true(pci_restore(&access, &function, &number, &found));
    assert_int_equal(functions[2].word[5], 1);
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
        cmocka_unit_test_setup(bars_with_wired_bits, setup),
        cmocka_unit_test_setup(bars_of_bridges, setup),
        cmocka_unit_test_setup(bars_have_places_of_their_own, setup),
        cmocka_unit_test_setup(moved_bars_do_not_count, setup),
        cmocka_unit_test_setup(commands, setup),
        cmocka_unit_test_setup(messages, setup),
        cmocka_unit_test_setup(messages_are_counted, setup),
        cmocka_unit_test_setup(nothing_goes_around_caches, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
