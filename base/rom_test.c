/* SPDX-License-Identifier: ISC */
/* A ROM that changes: whole contents only, whatever the other side writes into the memory and when. */
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/include/rom.h"

#define SIZE 4096u

static _Alignas(64) uint8_t memory[SIZE];
static uint8_t text[SIZE];

static struct rom_header *header(void)
{
    return (struct rom_header *)(void *)memory;
}

static int setup(void **state)
{
    (void)state;
    memset(memory, 0, sizeof(memory));
    memset(text, 0xee, sizeof(text));
    return 0;
}

static void test_versions(void **state)
{
    uint64_t version = 0;
    size_t bytes = 99;

    (void)state;
    assert_false(rom_take(memory, SIZE, &version, text, &bytes)); /* no content yet */
    assert_int_equal(bytes, 99);
    rom_put(memory, SIZE, "first", 5);
    assert_true(rom_take(memory, SIZE, &version, text, &bytes));
    assert_int_equal(bytes, 5);
    assert_memory_equal(text, "first", 5);
    assert_false(rom_take(memory, SIZE, &version, text, &bytes)); /* nothing new */
    rom_put(memory, SIZE, "second one", 10);
    assert_true(rom_take(memory, SIZE, &version, text, &bytes));
    assert_int_equal(bytes, 10);
    assert_memory_equal(text, "second one", 10);
    rom_put(memory, SIZE, "", 0);
    assert_true(rom_take(memory, SIZE, &version, text, &bytes));
    assert_int_equal(bytes, 0);
}

static void test_being_written(void **state)
{
    uint64_t version = 0;
    size_t bytes;

    (void)state;
    rom_put(memory, SIZE, "whole", 5);
    header()->version |= 1;
    assert_false(rom_take(memory, SIZE, &version, text, &bytes));
    assert_int_equal(version, 0);
    /* A server that died while it wrote: the next one's is taken. */
    rom_put(memory, SIZE, "again", 5);
    assert_true(rom_take(memory, SIZE, &version, text, &bytes));
    assert_memory_equal(text, "again", 5);
}

static void test_sizes(void **state)
{
    uint8_t guard[64];
    uint64_t version = 0;
    size_t bytes, most = SIZE - sizeof(struct rom_header);

    (void)state;
    memset(text, 'x', sizeof(text));
    rom_put(memory, SIZE, text, SIZE); /* cut where the memory ends */
    assert_int_equal(header()->bytes, most);
    assert_true(rom_take(memory, SIZE, &version, text, &bytes));
    assert_int_equal(bytes, most);
    memset(guard, 0xaa, sizeof(guard));
    for (unsigned i = 0; i < 3; i++) {
        static const uint64_t wrong[] = {SIZE, UINT64_MAX, 1ull << 63};

        header()->version += 2;
        header()->bytes = wrong[i];
        assert_false(rom_take(memory, SIZE, &version, text, &bytes));
    }
    header()->bytes = most + 1;
    assert_false(rom_take(memory, SIZE, &version, text, &bytes));
    header()->bytes = most;
    assert_true(rom_take(memory, SIZE, &version, text, &bytes));
}

static volatile bool over;

static void *writer(void *context)
{
    uint8_t content[1024];

    for (uint8_t value = 1; !over; value++) {
        memset(content, value, sizeof(content));
        rom_put(memory, SIZE, content, 256u + value);
        for (unsigned i = 0; i < value % 16u; i++)
            sched_yield();
    }
    return context;
}

/* Each content is one byte's value, as often as the value says. */
static void test_never_torn(void **state)
{
    pthread_t thread;
    uint64_t version = 0;
    unsigned taken = 0;

    (void)state;
    over = false;
    assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
    while (taken < 1000) {
        size_t bytes = 0;

        if (!rom_take(memory, SIZE, &version, text, &bytes))
            continue;
        taken++;
        assert_int_equal(bytes, 256u + text[0]);
        for (size_t j = 1; j < bytes; j++)
            assert_true(text[j] == text[0]);
    }
    over = true;
    assert_int_equal(pthread_join(thread, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_versions),
        TEST(test_being_written),
        TEST(test_sizes),
        TEST(test_never_torn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
