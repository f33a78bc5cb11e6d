/* SPDX-License-Identifier: ISC */
/* The lock: exclusion among threads that sleep, no lost wake-up, and who is woken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>

#include "vmm/bus/lock.h"

#define ROUNDS 20000u

struct arena {
    struct lock lock;
    sem_t sleeper[LOCK_THREADS];
    uint64_t plain; /* not atomic: the lock's to guard */
    unsigned inside, worst;
    unsigned woken;
};

static void sleep_until(void *context, unsigned cpu)
{
    struct arena *arena = context;

    sem_wait(&arena->sleeper[cpu]);
}

static void wake_up(void *context, unsigned cpu)
{
    struct arena *arena = context;

    arena->woken = cpu;
    sem_post(&arena->sleeper[cpu]);
}

struct worker {
    struct arena *arena;
    unsigned cpu;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct arena *arena = worker->arena;

    for (unsigned i = 0; i < ROUNDS; i++) {
        lock_take(&arena->lock, worker->cpu);
        if (__atomic_add_fetch(&arena->inside, 1, __ATOMIC_RELAXED) > 1)
            __atomic_store_n(&arena->worst, 2, __ATOMIC_RELAXED);
        arena->plain++;
        __atomic_sub_fetch(&arena->inside, 1, __ATOMIC_RELAXED);
        lock_release(&arena->lock, worker->cpu);
    }
    return NULL;
}

static void set_up(struct arena *arena)
{
    *arena = (struct arena){.lock = {.wait = sleep_until, .wake = wake_up, .context = arena}};
    for (unsigned i = 0; i < LOCK_THREADS; i++)
        sem_init(&arena->sleeper[i], 0, 0);
}

static void test_excludes(void **state)
{
    static struct arena arena;
    struct worker worker[LOCK_THREADS];
    pthread_t thread[LOCK_THREADS];

    (void)state;
    set_up(&arena);
    for (unsigned i = 0; i < LOCK_THREADS; i++) {
        worker[i] = (struct worker){&arena, i};
        assert_int_equal(pthread_create(&thread[i], NULL, work, &worker[i]), 0);
    }
    for (unsigned i = 0; i < LOCK_THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(arena.plain, (uint64_t)LOCK_THREADS * ROUNDS);
    assert_int_equal(arena.worst, 0);
    assert_int_equal(arena.lock.word, 0);
}

/* Who releases wakes the next behind itself, round and round; nobody is woken where nobody waits. */
static void test_wakes_in_turn(void **state)
{
    static struct arena arena;

    (void)state;
    set_up(&arena);
    arena.woken = 99;
    lock_take(&arena.lock, 2);
    assert_int_equal(arena.lock.holder, 2);
    lock_release(&arena.lock, 2);
    assert_int_equal(arena.woken, 99);
    arena.lock.word = LOCK_HELD | 1u << 1 | 1u << 5;
    lock_release(&arena.lock, 2);
    assert_int_equal(arena.woken, 5);
    assert_int_equal(arena.lock.word, 1u << 1 | 1u << 5);
    lock_take(&arena.lock, 5);
    assert_int_equal(arena.lock.word, LOCK_HELD | 1u << 1);
    lock_release(&arena.lock, 5);
    assert_int_equal(arena.woken, 1);
}

static void test_none(void **state)
{
    (void)state;
    lock_take(NULL, 0);
    lock_release(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_excludes),
        cmocka_unit_test(test_wakes_in_turn),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
