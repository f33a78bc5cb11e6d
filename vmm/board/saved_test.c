/* SPDX-License-Identifier: ISC */
/*
 * Saved state, for each part in the machine's list: what is saved and loaded into a fresh part is saved
 * alike, also after I/O of all kinds, and both machines go on alike. What is cut or wrong is refused, and the
 * part is as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/board/parts.h"
#include "vmm/board/saved.h"
#include "vmm/board/test_machine.h"

#define ROUNDS   200u
#define ACCESSES 300u

static struct test_machine source, target;
static uint8_t saved[MACHINE_SAVED_MAX], again[MACHINE_SAVED_MAX];

static int set_up(void **context)
{
    (void)context;
    assert_true(test_machine_init(&source));
    assert_true(test_machine_init(&target));
    return 0;
}

static size_t save(struct test_machine *test, uint8_t *bytes)
{
    struct machine_saved result = machine_save(&test->machine, test->now, bytes, MACHINE_SAVED_MAX);

    assert_int_equal(result.status, DEVICE_OK);
    return result.bytes;
}

static void check_alike(void)
{
    size_t size = save(&source, saved);

    assert_int_equal(save(&target, again), size);
    assert_memory_equal(saved, again, size);
}

static void load_target(void)
{
    size_t size = save(&source, saved);
    struct machine_saved result;

    assert_true(test_machine_init(&target));
    result = machine_load(&target.machine, saved, size);
    if (result.status != DEVICE_OK)
        fail_msg("%s %u: status %d", result.name, result.number, result.status);
    assert_true(result.now == source.now);
    target.now = result.now;
}

static void test_fresh(void **context)
{
    (void)context;
    load_target();
    check_alike();
}

/* Two machines that get the same accesses after one was loaded from the other stay alike. */
static void test_running(void **context)
{
    uint64_t seed = 1;

    (void)context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t same;

        for (unsigned i = 0; i < ACCESSES; i++)
            test_machine_access(&source, &seed);
        load_target();
        check_alike();
        same = seed;
        for (unsigned i = 0; i < ACCESSES; i++) {
            uint64_t mine = seed;

            assert_true(test_machine_access(&source, &seed) == test_machine_access(&target, &mine));
        }
        assert_true(same != seed);
        check_alike();
        if (round % 16 == 15)
            machine_reset(&source.machine, source.now);
    }
}

/* Each part alone: a chunk that ends early, has bytes too many, or is another's. */
static void test_cut(void **context)
{
    uint64_t seed = 7;

    (void)context;
    for (unsigned i = 0; i < ACCESSES; i++)
        test_machine_access(&source, &seed);
    for (const struct part *part = machine_parts; part->class; part++) {
        struct state out = {.bytes = saved, .size = sizeof(saved), .now = source.now};
        struct state before = {.bytes = again, .size = sizeof(again)};
        static uint8_t after_bytes[MACHINE_SAVED_MAX];
        void *device = part_device(part, &target.machine, 0);

        assert_int_equal(device_save(part->class, 0, part_device(part, &source.machine, 0), &out), DEVICE_OK);
        assert_int_equal(device_save(part->class, 0, device, &before), DEVICE_OK);
        for (size_t size = 0; size < out.at + 2; size++) {
            struct state in = {.bytes = saved, .size = size, .now = source.now, .loads = true};
            struct state after = {.bytes = after_bytes, .size = sizeof(after_bytes)};
            enum device_status expected = size < out.at ? DEVICE_CUT : DEVICE_REFUSED;

            if (size == out.at)
                continue;
            if (size > out.at)
                saved[DEVICE_NAME + 8]++; /* the length's lowest byte */
            if (size == out.at + 1)
                assert_int_equal(device_load(part->class, 0, device, &in), expected);
            else
                assert_int_not_equal(device_load(part->class, 0, device, &in), DEVICE_OK);
            assert_int_equal(device_save(part->class, 0, device, &after), DEVICE_OK);
            assert_int_equal(after.at, before.at);
            assert_memory_equal(after_bytes, again, before.at);
        }
    }
}

static void test_header(void **context)
{
    static const struct {
        size_t at;
        enum device_status status;
    } wrong[] = {{0, DEVICE_OTHER},
                 {DEVICE_NAME - 1, DEVICE_OTHER},
                 {DEVICE_NAME, DEVICE_OTHER},
                 {DEVICE_NAME + 4, DEVICE_VERSION},
                 {DEVICE_NAME + 11, DEVICE_CUT}};
    size_t size = save(&source, saved);

    (void)context;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        saved[wrong[i].at] ^= 1;
        assert_int_equal(machine_load(&target.machine, saved, size).status, wrong[i].status);
        saved[wrong[i].at] ^= 1;
    }
    assert_int_equal(machine_load(&target.machine, saved, size).status, DEVICE_OK);
    assert_int_equal(machine_load(&target.machine, saved, size + 1).status, DEVICE_REFUSED);
    assert_int_equal(machine_save(&source.machine, 0, saved, size - 1).status, DEVICE_CUT);
}

/* Any single bit turned: refused, or a state that is saved as it was loaded. */
static void test_bits(void **context)
{
    uint64_t seed = 3;
    size_t size;

    (void)context;
    for (unsigned i = 0; i < ACCESSES; i++)
        test_machine_access(&source, &seed);
    size = save(&source, saved);
    for (size_t bit = 0; bit < size * 8; bit++) {
        struct machine_saved result;

        saved[bit / 8] ^= (uint8_t)(1u << bit % 8);
        result = machine_load(&target.machine, saved, size);
        if (result.status == DEVICE_OK) {
            target.now = result.now;
            assert_int_equal(save(&target, again), size);
            assert_memory_equal(again, saved, size);
        }
        saved[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* One field of each part that cannot be: where it is behind the header, and its bytes from the lowest on. */
static void test_refused(void **context)
{
    static const struct {
        const struct device_class *class;
        size_t at, bytes;
        uint64_t value;
    } wrong[] = {
        {&lapic_class, 0, 1, 1},               /* IRR: vector 0 */
        {&lapic_class, 96, 4, 0x60000},        /* LVT timer: no such mode */
        {&lapic_class, 125, 8, 0xfee00800},    /* the first processor's base: not the first processor */
        {&lapic_class, 165, 4, 4},             /* divider: reserved bit */
        {&lapic_class, 185, 8, 1000},          /* a timer that runs with a count of 0 */
        {&processor_class, 0, 4, 0x800},       /* STARTUP: no such bit */
        {&i82093aa_class, 0, 8, 1u << 12},     /* entry: delivery status */
        {&i82093aa_class, 0, 8, 1u << 14},     /* entry: an edge that waits for its EOI */
        {&i8259_class, 9, 1, 5},               /* step */
        {&i8259_class, 30, 1, 1},              /* output: nothing asks */
        {&i8254_class, 0, 8, UINT64_MAX},      /* tick: to come */
        {&i8254_class, 16, 4, 0},              /* count register */
        {&i8254_class, 16, 4, 0x10001},        /* the same */
        {&mc146818_class, 2 + RTC_D, 1, 0},    /* no battery */
        {&mc146818_class, 258, 8, 1ull << 40}, /* next second */
        {&uart16550_class, 33, 1, 17},         /* bytes in the FIFO */
        {&uart16550_class, 32, 1, 16},         /* first of them */
        {&i8042_class, 34, 1, 0},              /* output port: reset */
        {&i440fx_class, 4, 1, 0},              /* vendor */
        {&piix3_class, 0, 1, 0},               /* the same */
        {&piix3_class, 257, 4, 1u << 2},       /* a slot holds a PIRQ up that is down */
        {&piix3_class, 278, 2, 1u << 9},       /* ISA inputs driven */
        {&piix4_pm_class, 2, 2, 0xffff},       /* enables */
        {&piix4_ide_class, 0, 1, 0},           /* vendor */
        {&piix4_ide_class, 256, 1, 2},         /* bus master: reserved command bit */
        {&piix4_ide_class, 257, 1, 1},         /* active, not started */
        {&piix4_ide_class, 258, 4, 1},         /* table: unaligned */
        {&piix4_ide_class, 280, 1, 2},         /* drive selected */
        {&piix4_ide_class, 281, 1, 1},         /* line: the drive does not ask */
        {&piix4_ide_class, 293, 1, 0x80},      /* status: BSY is the phase's */
        {&piix4_ide_class, 297, 1, 2},         /* phase: data for no command */
        {&vga_class, 9, 1, 3},                 /* part of a colour */
        {&vga_class, 36, 1, 4},                /* sequencer: no such bit */
        {&vga_class, 870, 1, 1},               /* text: not by the registers */
        {&vga_class, 871, 1, 0},               /* vendor */
        {&kvmclock_class, 16, 8, 1},           /* address */
        {&kvmclock_class, 24, 4, 1},           /* version: odd */
        {&fw_cfg_class, 2, 4, 5},              /* behind the item's end */
    };

    (void)context;
    for (const struct part *part = machine_parts; part->class; part++) {
        unsigned refused = 0;

        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            struct state out = {.bytes = saved, .size = sizeof(saved)}, in = {.bytes = saved, .loads = true};
            void *device = part_device(part, &target.machine, 0);

            if (wrong[i].class != part->class)
                continue;
            assert_int_equal(device_save(part->class, 0, device, &out), DEVICE_OK);
            memcpy(again, saved, out.at);
            in.size = out.at;
            memcpy(saved + DEVICE_NAME + 12 + wrong[i].at, &wrong[i].value, wrong[i].bytes);
            if (device_load(part->class, 0, device, &in) != DEVICE_REFUSED)
                fail_msg("%s: field at %zu was taken", part->class->name, wrong[i].at);
            out.at = 0;
            assert_int_equal(device_save(part->class, 0, device, &out), DEVICE_OK);
            assert_memory_equal(saved, again, out.at);
            refused++;
        }
        assert_true(refused > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_fresh, set_up), cmocka_unit_test_setup(test_running, set_up),
        cmocka_unit_test_setup(test_cut, set_up),   cmocka_unit_test_setup(test_header, set_up),
        cmocka_unit_test_setup(test_bits, set_up),  cmocka_unit_test_setup(test_refused, set_up)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
