/* SPDX-License-Identifier: ISC */
/*
 * The ring's rules: order and content across the wrap, signals on the edges only and never missing, and every
 * impossible index or length of a hostile peer answered with a broken ring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lib/ring/ring.h"

#define MEMORY (RING_OVERHEAD + RING_DATA_MINIMUM)

struct pair {
    _Alignas(64) uint8_t memory[MEMORY];
    struct ring in, out; /* producer's and consumer's side */
};

static uint32_t *pair_written(struct pair *pair)
{
    return (uint32_t *)(void *)pair->memory;
}

static uint32_t *pair_taken(struct pair *pair)
{
    return (uint32_t *)(void *)(pair->memory + 64);
}

static void pair_init(struct pair *pair)
{
    memset(pair, 0, sizeof *pair);
    assert_true(ring_init(&pair->in, pair->memory, sizeof pair->memory, true));
    assert_true(ring_init(&pair->out, pair->memory, sizeof pair->memory, false));
}

static void test_init_refuses(void **state)
{
    (void)state;
    _Alignas(64) uint8_t memory[MEMORY + 64];
    struct ring ring;
    bool signal = false;
    assert_false(ring_init(&ring, memory + 1, MEMORY, true));
    assert_false(ring_init(&ring, memory, MEMORY - 1, true));
    assert_true(ring_is_broken(&ring));
    assert_int_equal(ring_write(&ring, "x", 1, &signal), 0);
    assert_int_equal(ring_available(&ring), 0);
    assert_true(ring_init(&ring, memory, MEMORY + 63, true));
    assert_false(ring_is_broken(&ring));
}

static void test_bytes_across_the_wrap(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    uint8_t next_in = 0, next_out = 0;
    for (unsigned int turn = 0; turn < 2000; turn++) {
        uint8_t bytes[RING_DATA_MINIMUM + 8];
        bool signal = false;
        size_t want = turn * 7 % sizeof bytes;
        for (size_t i = 0; i < want; i++) {
            bytes[i] = (uint8_t)(next_in + i);
        }
        size_t done = ring_write(&pair.in, bytes, want, &signal);
        next_in = (uint8_t)(next_in + done);
        done = ring_read(&pair.out, bytes, turn * 5 % sizeof bytes, &signal);
        for (size_t i = 0; i < done; i++) {
            assert_int_equal(bytes[i], next_out);
            next_out++;
        }
    }
    assert_int_not_equal(next_out, 0);
}

/* What a consumer that has gone did not take: across the wrap, and bounded by a hostile index. */
static void test_untaken(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t bytes[RING_DATA_MINIMUM + 8], text[] = "0123456789abcdefghijklmnopqrstuvwxyz0123456789";
    bool signal = false;
    pair_init(&pair);
    assert_int_equal(ring_untaken(&pair.in, bytes, sizeof bytes), 0);
    assert_int_equal(ring_write(&pair.in, text, 40, &signal), 40);
    assert_int_equal(ring_read(&pair.out, bytes, 36, &signal), 36);
    assert_int_equal(ring_write(&pair.in, text, 46, &signal), 46);
    assert_int_equal(ring_untaken(&pair.in, bytes, sizeof bytes), 50);
    assert_memory_equal(bytes, text + 36, 4);
    assert_memory_equal(bytes + 4, text, 46);
    assert_int_equal(ring_untaken(&pair.in, bytes, 6), 6);
    assert_memory_equal(bytes, text + 36, 4);
    assert_memory_equal(bytes + 4, text, 2);
    assert_int_equal(ring_available(&pair.out), 50); /* nothing was taken */
    *pair_taken(&pair) += 51;
    assert_int_equal(ring_untaken(&pair.in, bytes, sizeof bytes), 0);
    assert_true(ring_is_broken(&pair.in));
}

static void test_indices_wrap_at_32_bits(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.in.own = pair.out.own = UINT32_MAX - 3;
    *pair_written(&pair) = *pair_taken(&pair) = UINT32_MAX - 3;
    uint8_t bytes[16];
    bool signal = false;
    assert_int_equal(ring_write(&pair.in, "0123456789", 10, &signal), 10);
    assert_int_equal(ring_available(&pair.in), RING_DATA_MINIMUM - 10);
    assert_int_equal(ring_read(&pair.out, bytes, sizeof bytes, &signal), 10);
    assert_memory_equal(bytes, "0123456789", 10);
    assert_int_equal(*pair_taken(&pair), 6);
}

static void test_signals_on_the_empty_edge(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t bytes[8];
    pair_init(&pair);
    bool signal = false;
    (void)ring_write(&pair.in, "a", 1, &signal);
    assert_true(signal);
    signal = false;
    (void)ring_write(&pair.in, "b", 1, &signal);
    assert_false(signal); /* the consumer has not come yet */
    assert_int_equal(ring_read(&pair.out, bytes, sizeof bytes, &signal), 2);
    assert_false(signal); /* nobody waits for room */
    (void)ring_write(&pair.in, "c", 1, &signal);
    assert_true(signal);
}

static void test_signals_on_the_full_edge(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t bytes[RING_DATA_MINIMUM + 1] = {0};
    pair_init(&pair);
    bool signal = false;
    assert_int_equal(ring_write(&pair.in, bytes, sizeof bytes, &signal), RING_DATA_MINIMUM);
    signal = false;
    assert_int_equal(ring_read(&pair.out, bytes, 1, &signal), 1);
    assert_true(signal);
    signal = false;
    assert_int_equal(ring_read(&pair.out, bytes, 1, &signal), 1);
    assert_false(signal);
}

static void test_records(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t bytes[RING_DATA_MINIMUM];
    size_t count;
    bool signal = false;
    pair_init(&pair);
    assert_int_equal(ring_get(&pair.out, bytes, sizeof bytes, &count, &signal), RING_EMPTY);
    for (size_t turn = 0; turn < 300; turn++) {
        uint8_t record[20];
        memset(record, (int)turn, sizeof record);
        assert_int_equal(ring_put(&pair.in, record, turn % 20, &signal), RING_OK);
        assert_int_equal(ring_put(&pair.in, record, (turn + 5) % 20, &signal), RING_OK);
        assert_int_equal(ring_get(&pair.out, bytes, sizeof bytes, &count, &signal), RING_OK);
        assert_int_equal(count, turn % 20);
        assert_int_equal(ring_get(&pair.out, bytes, sizeof bytes, &count, &signal), RING_OK);
        assert_int_equal(count, (turn + 5) % 20);
        assert_memory_equal(bytes, record, count);
    }
}

static void test_record_sizes(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t bytes[RING_DATA_MINIMUM] = {0};
    size_t count;
    bool signal = false;
    pair_init(&pair);
    assert_int_equal(ring_put(&pair.in, bytes, RING_DATA_MINIMUM - 3, &signal), RING_TOO_BIG);
    assert_int_equal(ring_put(&pair.in, bytes, RING_DATA_MINIMUM - 4, &signal), RING_OK);
    assert_int_equal(ring_put(&pair.in, bytes, 0, &signal), RING_FULL);
    signal = false;
    assert_int_equal(ring_get(&pair.out, bytes, 10, &count, &signal), RING_TOO_BIG);
    assert_int_equal(count, RING_DATA_MINIMUM - 4);
    assert_true(signal); /* the failed put waits */
    assert_int_equal(ring_get(&pair.out, bytes, 10, &count, &signal), RING_EMPTY);
    assert_int_equal(ring_put(&pair.in, bytes, 0, &signal), RING_OK);
    assert_int_equal(ring_get(&pair.out, NULL, 0, &count, &signal), RING_OK);
}

static void test_hostile_producer_index(void **state)
{
    (void)state;
    static const uint32_t indices[] = {RING_DATA_MINIMUM + 1, UINT32_MAX, 0x80000000u};
    for (size_t i = 0; i < sizeof indices / sizeof indices[0]; i++) {
        struct pair pair;
        uint8_t bytes[8];
        bool signal = false;
        pair_init(&pair);
        *pair_written(&pair) = indices[i];
        assert_int_equal(ring_read(&pair.out, bytes, sizeof bytes, &signal), 0);
        assert_true(ring_is_broken(&pair.out));
        *pair_written(&pair) = 4; /* too late */
        assert_int_equal(ring_read(&pair.out, bytes, sizeof bytes, &signal), 0);
        assert_false(signal);
    }
}

static void test_hostile_consumer_index(void **state)
{
    (void)state;
    struct pair pair;
    bool signal = false;
    pair_init(&pair);
    *pair_taken(&pair) = 1; /* before anything was written */
    assert_int_equal(ring_write(&pair.in, "abc", 3, &signal), 0);
    assert_true(ring_is_broken(&pair.in));
    assert_int_equal(ring_put(&pair.in, "abc", 3, &signal), RING_BROKEN);
}

static void test_hostile_record(void **state)
{
    (void)state;
    struct pair pair;
    uint8_t bytes[RING_DATA_MINIMUM];
    size_t count;
    bool signal = false;
    pair_init(&pair);
    *pair_written(&pair) = 3; /* half a length */
    assert_int_equal(ring_get(&pair.out, bytes, sizeof bytes, &count, &signal), RING_BROKEN);
    pair_init(&pair);
    const uint32_t length = UINT32_MAX - 3;
    memcpy(pair.memory + RING_OVERHEAD, &length, sizeof length);
    *pair_written(&pair) = 8;
    assert_int_equal(ring_get(&pair.out, bytes, sizeof bytes, &count, &signal), RING_BROKEN);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init_refuses),
        cmocka_unit_test(test_bytes_across_the_wrap),
        cmocka_unit_test(test_untaken),
        cmocka_unit_test(test_indices_wrap_at_32_bits),
        cmocka_unit_test(test_signals_on_the_empty_edge),
        cmocka_unit_test(test_signals_on_the_full_edge),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_record_sizes),
        cmocka_unit_test(test_hostile_producer_index),
        cmocka_unit_test(test_hostile_consumer_index),
        cmocka_unit_test(test_hostile_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
