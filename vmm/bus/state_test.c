/* SPDX-License-Identifier: ISC */
/* The cursor: the bytes of each kind of field, both directions, and every end that comes too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/bus/state.h"

struct all {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    bool yes, no;
    uint8_t bytes[3];
};

static const struct all sample = {0x01, 0x0302, 0x07060504,        0x0f0e0d0c0b0a0908,
                                  true, false,  {0x12, 0x13, 0x14}};
static const uint8_t image[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a,
                                0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 1,    0,    0x12, 0x13, 0x14};

static void fields(struct state *state, struct all *all)
{
    state_u8(state, &all->u8);
    state_u16(state, &all->u16);
    state_u32(state, &all->u32);
    state_u64(state, &all->u64);
    state_bool(state, &all->yes);
    state_bool(state, &all->no);
    state_bytes(state, all->bytes, sizeof(all->bytes));
}

static void test_both_ways(void **context)
{
    uint8_t bytes[sizeof(image)];
    struct all all = sample;
    struct state out = {.bytes = bytes, .size = sizeof(bytes)};
    struct state in = {.bytes = bytes, .size = sizeof(bytes), .loads = true};

    (void)context;
    fields(&out, &all);
    assert_true(state_is_whole(&out));
    assert_memory_equal(bytes, image, sizeof(image));
    all = (struct all){.no = true};
    fields(&in, &all);
    assert_true(state_is_whole(&in));
    assert_int_equal(all.u8, sample.u8);
    assert_int_equal(all.u16, sample.u16);
    assert_int_equal(all.u32, sample.u32);
    assert_true(all.u64 == sample.u64);
    assert_true(all.yes && !all.no);
    assert_memory_equal(all.bytes, sample.bytes, sizeof(all.bytes));
}

static void test_ends(void **context)
{
    uint8_t bytes[sizeof(image) + 1] = {0};

    (void)context;
    for (size_t size = 0; size <= sizeof(bytes); size++) {
        for (unsigned loads = 0; loads < 2; loads++) {
            struct state state = {.bytes = bytes, .size = size, .loads = loads};
            struct all all = sample;

            fields(&state, &all);
            assert_int_equal(state.failed, size < sizeof(image));
            assert_int_equal(state_is_whole(&state), size == sizeof(image));
        }
    }
}

static void test_bool(void **context)
{
    uint8_t byte = 2;
    struct state state = {.bytes = &byte, .size = 1, .loads = true};
    bool field = false;

    (void)context;
    state_bool(&state, &field);
    assert_true(state.failed && !field);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways), cmocka_unit_test(test_ends),
                                              cmocka_unit_test(test_bool)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
