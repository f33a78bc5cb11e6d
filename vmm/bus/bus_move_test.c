/* SPDX-License-Identifier: ISC */
/*
 * Regions that move: which one answers where several meet, what is refused, a comparison with a model that
 * knows each port by itself, and threads that access a region while another one moves it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>

#include "vmm/bus/bus.h"

#define ROUNDS  20000u
#define SERVED  1000u
#define READERS 3u

/* Reads give the device's number. */
struct chip {
    struct bus_region region;
    uint8_t number;
};

static void chip_access(void *device, struct bus_access *access)
{
    const struct chip *chip = device;

    assert_true(access->offset + access->size <= chip->region.length);
    if (!access->write)
        access->value = chip->number;
}

static struct chip chip_of(uint8_t number, uint64_t length)
{
    return (struct chip){.region = {.name = "chip", .length = length, .handler = chip_access},
                         .number = number};
}

static void attach_movable(struct bus *bus, enum bus_kind kind, struct chip *chip)
{
    chip->region.device = chip;
    assert_int_equal(bus_attach_movable(bus, kind, &chip->region), BUS_OK);
}

static uint64_t at(struct bus *bus, enum bus_kind kind, uint64_t address)
{
    return bus_read(bus, kind, address, 1, 0, 0);
}

static void test_precedence(void **state)
{
    static struct bus bus;
    struct chip fixed = chip_of(1, 0x100), first = chip_of(2, 0x1000), second = chip_of(3, 0x4000);
    struct bus_region region = fixed.region;

    (void)state;
    bus_init(&bus);
    region.base = 0xe0000800;
    region.device = &fixed;
    assert_int_equal(bus_attach(&bus, BUS_MMIO, &region), BUS_OK);
    attach_movable(&bus, BUS_MMIO, &first);
    attach_movable(&bus, BUS_MMIO, &second);
    assert_int_equal(at(&bus, BUS_MMIO, 0), 0xff);

    assert_int_equal(bus_move(&bus, BUS_MMIO, &second.region, 0xdffff000, true), BUS_OK);
    assert_int_equal(bus_move(&bus, BUS_MMIO, &first.region, 0xe0000000, true), BUS_OK);
    assert_int_equal(at(&bus, BUS_MMIO, 0xdfffefff), 0xff);
    assert_int_equal(at(&bus, BUS_MMIO, 0xdfffffff), 3);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe0000000), 2);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe00007ff), 2);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe0000800), 1);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe0000900), 2);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe0001000), 3);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe0003000), 0xff);
    assert_int_equal(bus_read(&bus, BUS_MMIO, 0xe00007fe, 4, 0, 0), 0x01010202); /* across two */

    assert_int_equal(bus_move(&bus, BUS_MMIO, &first.region, 0, false), BUS_OK);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe0000000), 3);
    assert_int_equal(bus_move(&bus, BUS_MMIO, &second.region, UINT64_MAX - 0x3fff, true), BUS_OK);
    assert_int_equal(at(&bus, BUS_MMIO, UINT64_MAX), 3);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe0000000), 0xff);
    assert_int_equal(at(&bus, BUS_MMIO, 0xe0000800), 1);
}

static void test_refusals(void **state)
{
    static struct bus bus;
    static const struct guest_ram ram = {.low_size = 0x40000000, .high_size = 0x1000};
    static const struct {
        uint64_t base;
        enum bus_status status;
    } places[] = {
        {0xc0000000, BUS_OK},       {UINT64_MAX - 0xffe, BUS_INVALID},
        {0, BUS_OVERLAP},           {0x3ffff001, BUS_OVERLAP},
        {0x40000000, BUS_OK},       {0xa0000, BUS_OK},
        {0x9f001, BUS_OVERLAP},     {0xbf001, BUS_OVERLAP},
        {0xfffff000, BUS_OK},       {0xfffff001, BUS_OVERLAP},
        {0x100000fff, BUS_OVERLAP}, {0x100001000, BUS_OK},
    };
    struct chip chip = chip_of(1, 0x1000), ports = chip_of(2, 8), none = {.region = {.length = 1}};

    (void)state;
    bus_init(&bus);
    bus.ram = &ram;
    attach_movable(&bus, BUS_MMIO, &chip);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        uint64_t base = places[i].base;

        assert_int_equal(bus_move(&bus, BUS_MMIO, &chip.region, base, true), places[i].status);
        assert_int_equal(at(&bus, BUS_MMIO, base), places[i].status == BUS_OK ? 1 : 0xff);
        assert_int_equal(chip.region.decodes, places[i].status == BUS_OK);
    }

    attach_movable(&bus, BUS_PORT, &ports);
    assert_int_equal(bus_move(&bus, BUS_PORT, &ports.region, 0xfffc, true), BUS_INVALID);
    assert_int_equal(bus_move(&bus, BUS_PORT, &ports.region, 0xfff8, true), BUS_OK);
    assert_true(bus_port_decodes(&bus, 0xffff, 4));

    assert_int_equal(bus_attach_movable(&bus, BUS_MMIO, &none.region), BUS_INVALID);
    none = chip_of(1, BUS_PORTS + 1);
    assert_int_equal(bus_attach_movable(&bus, BUS_PORT, &none.region), BUS_INVALID);
    none.region.unlocked = true;
    assert_int_equal(bus_attach_movable(&bus, BUS_MMIO, &none.region), BUS_INVALID);
}

#define CHIPS 8
#define SPACE 256u

/* What answers at each port, by the rule in bus.h. */
static uint8_t answer(const struct chip *fixed, const struct chip *chip, unsigned port)
{
    if (port - fixed->region.base < fixed->region.length)
        return fixed->number;
    for (unsigned i = 0; i < CHIPS; i++)
        if (chip[i].region.decodes && port - chip[i].region.base < chip[i].region.length)
            return chip[i].number;
    return 0xff;
}

static void test_random(void **state)
{
    static struct bus bus;
    struct chip fixed = chip_of(99, 16), chip[CHIPS];

    (void)state;
    srand(1);
    bus_init(&bus);
    fixed.region.base = 100;
    fixed.region.device = &fixed;
    assert_int_equal(bus_attach(&bus, BUS_PORT, &fixed.region), BUS_OK);
    for (uint8_t i = 0; i < CHIPS; i++) {
        chip[i] = chip_of(i, 1u << i % 7);
        attach_movable(&bus, BUS_PORT, &chip[i]);
    }
    for (unsigned round = 0; round < 2000; round++) {
        struct chip *moved = &chip[rand() % CHIPS];

        assert_int_equal(bus_move(&bus, BUS_PORT, &moved->region, (unsigned)rand() % SPACE, rand() % 4 != 0),
                         BUS_OK);
        for (unsigned port = 0; port < SPACE + 64; port++) {
            uint8_t expected = answer(&fixed, chip, port);

            assert_int_equal(at(&bus, BUS_PORT, port), expected);
            assert_int_equal(bus_port_decodes(&bus, (uint16_t)port, 1), expected != 0xff);
        }
    }
}

/* Threads. A reader hands the address of its access over as the time, so that the handler, which has the
 * lock, can tell whether the region is there at this moment. An access that finds nothing is made again byte by
 * byte, so up to three more is right as well. */
struct arena {
    struct bus bus;
    struct lock lock;
    sem_t sleeper[LOCK_THREADS];
    struct bus_region region;
    bool ends;
    unsigned stale, served; /* with the lock */
};

static const uint64_t base_of[] = {0xe0000000, 0xe0000800, 0xf0000000, 0xf0001000};

static void sleep_until(void *context, unsigned cpu)
{
    sem_wait(&((struct arena *)context)->sleeper[cpu]);
}

static void wake_up(void *context, unsigned cpu)
{
    sem_post(&((struct arena *)context)->sleeper[cpu]);
}

static void arena_access(void *device, struct bus_access *access)
{
    struct arena *arena = device;

    arena->served++;
    if (!arena->region.decodes || arena->region.base + access->offset - access->now > 3)
        arena->stale++;
    access->value = 0;
}

struct worker {
    struct arena *arena;
    uint8_t cpu;
};

static void *read_all(void *argument)
{
    struct worker *worker = argument;
    struct arena *arena = worker->arena;

    for (unsigned i = 0; !__atomic_load_n(&arena->ends, __ATOMIC_RELAXED); i++) {
        uint64_t address = base_of[i % 4] + (i & 0x7fc);

        (void)bus_read(&arena->bus, BUS_MMIO, address, 4, worker->cpu, address);
    }
    return NULL;
}

static void test_threads(void **state)
{
    static struct arena arena;
    struct worker worker[READERS];
    pthread_t thread[READERS];

    (void)state;
    bus_init(&arena.bus);
    arena.lock = (struct lock){.wait = sleep_until, .wake = wake_up, .context = &arena};
    arena.bus.lock = &arena.lock;
    arena.region =
        (struct bus_region){.name = "moves", .length = 0x1000, .handler = arena_access, .device = &arena};
    assert_int_equal(bus_attach_movable(&arena.bus, BUS_MMIO, &arena.region), BUS_OK);
    for (unsigned i = 0; i < LOCK_THREADS; i++)
        sem_init(&arena.sleeper[i], 0, 0);
    for (unsigned i = 0; i < READERS; i++) {
        worker[i] = (struct worker){&arena, (uint8_t)(i + 1)};
        assert_int_equal(pthread_create(&thread[i], NULL, read_all, &worker[i]), 0);
    }
    for (unsigned i = 0, served = 0; i < ROUNDS || served < SERVED; i++) {
        lock_take(&arena.lock, 0);
        served = arena.served;
        assert_int_equal(bus_move(&arena.bus, BUS_MMIO, &arena.region, base_of[i % 4], i % 5 != 0), BUS_OK);
        lock_release(&arena.lock, 0);
        if (i % 16 == 0)
            sched_yield(); /* the readers may have the same processor */
    }
    __atomic_store_n(&arena.ends, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(arena.stale, 0);
}

/* A mover that has the lock while a reader looks: the reader waits, and then sees the place of that time. */
static void move_away(void *context, unsigned cpu)
{
    struct arena *arena = context;

    if (arena->region.decodes)
        assert_int_equal(bus_move(&arena->bus, BUS_MMIO, &arena->region, 0, false), BUS_OK);
    lock_release(&arena->lock, 7);
    (void)cpu;
}

static void nothing(void *context, unsigned cpu)
{
    (void)context;
    (void)cpu;
}

static void test_looks_again(void **state)
{
    static struct arena arena;

    (void)state;
    bus_init(&arena.bus);
    arena.lock = (struct lock){.wait = move_away, .wake = nothing, .context = &arena};
    arena.bus.lock = &arena.lock;
    arena.region =
        (struct bus_region){.name = "moves", .length = 0x1000, .handler = arena_access, .device = &arena};
    assert_int_equal(bus_attach_movable(&arena.bus, BUS_MMIO, &arena.region), BUS_OK);
    assert_int_equal(bus_move(&arena.bus, BUS_MMIO, &arena.region, 0xe0000000, true), BUS_OK);
    lock_take(&arena.lock, 7);
    assert_int_equal(bus_read(&arena.bus, BUS_MMIO, 0xe0000000, 4, 1, 0xe0000000), 0xffffffff);
    assert_int_equal(arena.served, 0);
    assert_int_equal(arena.lock.word, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence), cmocka_unit_test(test_refusals),    cmocka_unit_test(test_random),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_looks_again),
    };

    return cmocka_run_group_tests_name("bus_move", tests, NULL, NULL);
}
