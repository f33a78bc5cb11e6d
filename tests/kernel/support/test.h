/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the kernel stand on: they are the root task, so that every object is made by hand and
 * nothing between them and the kernel can hide a fault. Here are the console, verdicts, memory, threads and
 * child PDs.
 *
 * A test takes selectors by `fresh`; when it ends, whatever stands there is destroyed and removed, and the
 * kernel's free pages, the account and the numbers of objects have to be what they were.
 */
#pragma once

#include "abi/boot.h"
#include "abi/syscall.h"
#include "base/include/syscall.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE      4096ul
#define LARGE     (2ul << 20)
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define BOOT      ((const struct boot_info *)BOOT_INFO_ADDRESS)
#define ROOT_UTCB ((volatile uint64_t *)ROOT_UTCB_ADDRESS)

/* Selectors: up to here they are the harness's own, from here on a test's, up to the end they are cleaned. */
#define SELECTOR_MAIN  16u /* a notification that is always there */
#define SELECTOR_PASS  17u /* one that nobody signals */
#define SELECTOR_FIRST 32u
#define SELECTOR_END   4096u

/* Addresses in the root task's HST space, and in that of a child, which has the same image. */
#define UTCB_BASE   0x10000000ul
#define WINDOW      0x20000000ul /* 2 MiB for a test's own mappings */
#define WINDOW_LAST 0x30000000ul /* another one */
#define STATE_PAGE  0x10100000ul /* of vCPUs, a page each */
#define THREADS     160u
#define STACK_SIZE  0x2000u

#define THREAD_FPU    1u
#define THREAD_LONG   2u                                /* a turn of a minute, not of a millisecond */
#define THREAD_CPU(n) ((unsigned)(n) % BOOT->cpus << 8) /* the n-th CPU, in a circle */

struct pd_space {
    selector pd, obj, hst;
};
extern const struct pd_space own;

typedef void thread_function(uint64_t argument);
typedef void portal_function(uint64_t id, uint64_t words);

extern uint64_t entry_tsc; /* when the kernel entered us */
void test_main(void);

/* ---- Console and verdicts. */

/* %s, %u (64 bits), %x (64 bits), %c. */
void say(const char *format, ...);

/* Compare; a difference is printed and fails the test. */
bool expect(const char *what, uint64_t got, uint64_t expected);
bool expect_range(const char *what, uint64_t got, uint64_t low, uint64_t high);
bool expect_status(const char *what, enum status got, enum status expected);
const char *status_name(enum status status);

/* The same for the status of a call; if it is as expected, the pair of call and status counts as covered. */
bool expect_call(const char *what, enum call call, enum status got, enum status expected);
void covers(enum call call, enum status status);
/* All pairs that are covered, a line a call: tests/pairs.py compares them with the specification. */
void say_coverage(void);
#define EXPECT_CALL(call, got, status) expect_call(#got, call, got, status)
#define EXPECT(value, expected)        expect(#value, (uint64_t)(value), (uint64_t)(expected))
#define EXPECT_STATUS(call, status)    expect_status(#call, call, status)
#define OK(call)                       expect_status(#call, call, STATUS_OK)

/* One line of a table that is a test of its own. */
void verdict(const char *name, bool good);

struct test {
    const char *name;
    void (*run)(void);
};

/* Run the tests of a table, each with the check that nothing leaks; the parameter `only`: those whose name
 * has this in it. */
void run_tests(const struct test *tests, size_t count);
void totals(uint64_t *passed, uint64_t *failed);

/* ---- Resources. */

void harness_begin(void); /* console, memory, the notification, parameters */

/* ---- Parameters: <ktest NAME="..."> of the configuration. */

void parameters_begin(void);
uint64_t parameter(const char *name, uint64_t otherwise);
const char *parameter_text(const char *name); /* "" without; until the next call */

/* ---- More of it. */

selector fresh(void);
uint64_t random(void); /* the same sequence in every run */
uint64_t now(void);
uint64_t milliseconds(uint64_t count); /* in TSC ticks */

/* Destroy and remove all that stands from SELECTOR_FIRST on. */
void clean(void);

uint64_t ram_page(unsigned index); /* page number of a free page of RAM; from 0 on; index 0 is at 2 MiB */
void *ram_map(unsigned index);     /* mapped for reading and writing, for good; at most 512 */
uint64_t free_pages(void);
uint64_t account_free(selector account);
uint64_t objects(enum object_type type);

/* ---- Children and threads. */

/* A PD with OBJ and HST and our image, paid by `account`. */
struct pd_space child_create(selector account);
/* The same at these selectors, paid by the root's account but for the OBJ space. */
void child_create_at(const struct pd_space *child, selector obj_account);
/* The capability at our selector goes to the child's, with the permissions. */
void give(const struct pd_space *child, selector from, selector to, unsigned permissions);

/* A global EC in the PD with an SC at the next selector. Slot: its stack and UTCB; below THREADS. */
selector thread_start(const struct pd_space *pd, unsigned slot, thread_function *function, uint64_t argument,
                      unsigned priority, unsigned flags);
/* A local EC. */
selector thread_local_ec(const struct pd_space *pd, unsigned slot, unsigned flags);
selector portal(selector ec, portal_function *entry, uint64_t id);
volatile uint64_t *utcb_of(unsigned slot);
/* A notification. */
selector notification(void);

/* Let threads of lower priority run for so long. */
void pass(uint64_t ticks);
_Noreturn void reply(uint64_t words);
/* A thread has nothing more to do: it dies of #UD. */
_Noreturn void thread_end(void);

/* ---- Objects of each type, paid by one account; their spaces, PD and ECs are paid by the root's. */

struct kit {
    selector account, pd, gst, local, global;
};
struct kit kit_create(uint64_t pages);
/* An object at a selector; number: which of the places for UTCBs and state pages it takes. Only one SC and
 * one interrupt can be there at a time. */
enum status kit_make(const struct kit *kit, enum object_type type, selector target, unsigned number);
bool kit_has(enum object_type type); /* vCPUs need a processor that runs them */

void out8(uint16_t port, uint8_t value);
uint8_t in8(uint16_t port);

/* What the kernel has free, and how many objects there are. */
struct numbers {
    uint64_t pages, account, objects[OBJECT_TYPES];
};
void numbers_take(struct numbers *numbers);
/* Take them, giving other CPUs the time to free what they have to until they are as before. */
void numbers_settle(const struct numbers *before, struct numbers *numbers);
/* The test fails where they differ. */
bool numbers_expect(const struct numbers *before, const struct numbers *after);
