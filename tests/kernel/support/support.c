/* SPDX-License-Identifier: ISC */
/* Memory, selectors, threads and child PDs of the kernel's tests. See test.h. */
#include "tests/kernel/support/test.h"

#include <string.h>

#define MAPPED_PAGES 512u
#define RAM_WINDOW   0x40000000ul
#define ELF_WINDOW   0x10200000ul
#define PT_LOAD      1
#define SETTLE_MS    20000u /* then something has leaked, and what counts that says so */

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t size, program_header_size, program_header_count;
};

struct elf_program_header {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, memory_size, align;
};

const struct pd_space own = {.pd = ROOT_PD, .obj = ROOT_OBJ, .hst = ROOT_HST};

uint8_t main_stack[0x8000] __attribute__((aligned(16)));
static uint8_t stacks[THREADS][STACK_SIZE] __attribute__((aligned(16)));
static uint64_t ram_base; /* of the memory for tests; 2 MiB aligned */
static selector next_selector = SELECTOR_FIRST;
static uint64_t seed = 1;
static uint64_t objects_at_start[OBJECT_TYPES];

void thread_begin(void);

#define RAM_BYTES (16 * LARGE)

static void stop(const char *reason)
{
    say("ktest: %s", reason);
    for (;;)
        __asm__ volatile("pause");
}

static void need(enum status status, const char *what)
{
    if (status == STATUS_OK)
        return;
    expect_status(what, status, STATUS_OK);
}

/* The first place from `place` on that no module reaches into; it may lie beyond the region it is looked for
 * in. */
static uint64_t behind_modules(uint64_t place)
{
    for (uint32_t i = 0; i < BOOT->modules; i++) {
        uint64_t base = BOOT->module[i].base, end = base + BOOT->module[i].length;

        if (base >= place + RAM_BYTES || end <= place)
            continue;
        place = (end + LARGE - 1) & ~(LARGE - 1);
        i = UINT32_MAX; /* from the first again: they come in any order */
    }
    return place;
}

/* Free RAM from a multiple of 2 MiB on, wherever the boot loader has put the modules. */
static void find_ram(void)
{
    for (uint32_t i = 0; i < BOOT->regions && !ram_base; i++) {
        const struct boot_region *region = &BOOT->region[i];
        uint64_t place = behind_modules((region->base + LARGE - 1) & ~(LARGE - 1));

        if (region->type == BOOT_REGION_RAM && place && place + RAM_BYTES <= region->base + region->length)
            ram_base = place;
    }
    if (!ram_base)
        stop("no free memory for the tests");
}

void harness_begin(void)
{
    /* Nothing can be said before the ports are there. */
    if (space_copy(ROOT_PORTS, 0, ROOT_PIO, 0, PIO_PORTS, 0) != STATUS_OK)
        __builtin_trap();
    find_ram();
    need(create_nt(SELECTOR_MAIN, ROOT_ACCOUNT), "a notification");
    need(create_nt(SELECTOR_PASS, ROOT_ACCOUNT), "a notification");
    need(space_copy(ROOT_MEM, ram_base / PAGE, ROOT_HST, RAM_WINDOW / PAGE, MAPPED_PAGES,
                    MEM_READ | MEM_WRITE),
         "memory");
    need(space_copy(ROOT_MEM, BOOT->module[0].base / PAGE, ROOT_HST, ELF_WINDOW / PAGE, 1, MEM_READ),
         "the image");
    parameters_begin();
    /* The tables for what the tests use, so that they find the same numbers before and after. */
    for (uint64_t s = SELECTOR_FIRST; s < SELECTOR_END; s += 256) {
        need(create_nt(s, ROOT_ACCOUNT), "selectors");
        need(space_remove(ROOT_OBJ, s, 1), "selectors");
    }
    for (unsigned type = OBJECT_NONE + 1; type < OBJECT_TYPES; type++)
        objects_at_start[type] = objects(type);
}

selector fresh(void)
{
    return next_selector++;
}

uint64_t random(void)
{
    /* xorshift64* */
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * 0x2545f4914f6cdd1dul;
}

uint64_t now(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

uint64_t milliseconds(uint64_t count)
{
    return BOOT->tsc_hz / 1000 * count;
}

/* With several CPUs, what was destroyed is freed when each of them has been seen to use it no more: wait
 * until there are no more objects than at the start. */
static void settle(void)
{
    uint64_t end = now() + milliseconds(SETTLE_MS);

    for (unsigned type = OBJECT_NONE + 1; BOOT->cpus > 1 && type < OBJECT_TYPES; type++)
        while (objects(type) > objects_at_start[type] && now() < end)
            pass(milliseconds(1));
}

void clean(void)
{
    uint64_t bits, info;

    for (selector s = SELECTOR_FIRST; s < SELECTOR_END; s++) {
        if (cap_info(ROOT_OBJ, s, &info, &bits) == STATUS_OK && (info & 0xff) && (info >> 8 & PERM_DESTROY) &&
            (info & 0xff) != OBJECT_PLATFORM)
            need(destroy(s), "cleaning up");
    }
    need(space_remove(ROOT_OBJ, SELECTOR_FIRST, SELECTOR_END - SELECTOR_FIRST), "cleaning up");
    (void)!nt_wait(SELECTOR_MAIN, 0, &bits);
    next_selector = SELECTOR_FIRST;
    settle();
}

uint64_t ram_page(unsigned index)
{
    return ram_base / PAGE + index;
}

void *ram_map(unsigned index)
{
    return (void *)(RAM_WINDOW + index * PAGE);
}

uint64_t free_pages(void)
{
    uint64_t free_now = 0, all;

    need(platform_control(ROOT_PLATFORM, PLATFORM_FREE_PAGES, 0, &free_now, &all), "free pages");
    return free_now;
}

uint64_t account_free(selector account)
{
    uint64_t free_now = 0, used;

    need(account_info(account, &free_now, &used), "account");
    return free_now;
}

uint64_t objects(enum object_type type)
{
    uint64_t number = 0, none;

    need(platform_control(ROOT_PLATFORM, PLATFORM_OBJECTS, type, &number, &none), "objects");
    return number;
}

/* Our image is mapped from its boot module; a child gets the same pages. */
static void map_image(selector hst)
{
    const struct elf_header *elf = (const struct elf_header *)ELF_WINDOW;
    const struct elf_program_header *ph =
        (const struct elf_program_header *)(ELF_WINDOW + elf->program_headers);

    for (unsigned i = 0; i < elf->program_header_count; i++) {
        unsigned rights = (ph[i].flags & 4 ? MEM_READ : 0) | (ph[i].flags & 2 ? MEM_WRITE : 0) |
                          (ph[i].flags & 1 ? MEM_EXECUTE : 0);

        if (ph[i].type == PT_LOAD && ph[i].memory_size)
            need(space_copy(ROOT_MEM, (BOOT->module[0].base + ph[i].offset) / PAGE, hst, ph[i].address / PAGE,
                            ph[i].memory_size / PAGE, rights),
                 "the image for a child");
    }
}

void child_create_at(const struct pd_space *child, selector obj_account)
{
    need(create_pd(child->pd, ROOT_ACCOUNT), "a child");
    need(create_space(child->obj, obj_account, SPACE_OBJ, child->pd), "a child");
    need(create_space(child->hst, ROOT_ACCOUNT, SPACE_HST, child->pd), "a child");
    map_image(child->hst);
}

struct pd_space child_create(selector account)
{
    struct pd_space child = {.pd = fresh(), .obj = fresh(), .hst = fresh()};

    need(create_pd(child.pd, account), "a child");
    need(create_space(child.obj, account, SPACE_OBJ, child.pd), "a child");
    need(create_space(child.hst, account, SPACE_HST, child.pd), "a child");
    map_image(child.hst);
    return child;
}

void give(const struct pd_space *child, selector from, selector to, unsigned permissions)
{
    need(space_copy(ROOT_OBJ, from, child->obj, to, 1, permissions), "a capability for a child");
}

volatile uint64_t *utcb_of(unsigned slot)
{
    return (volatile uint64_t *)(UTCB_BASE + slot * PAGE);
}

static uint64_t ec_flags(unsigned flags)
{
    return (flags & THREAD_FPU ? EC_FPU : 0) | (uint64_t)(flags >> 8) << EC_CPU_SHIFT;
}

selector thread_start(const struct pd_space *pd, unsigned slot, thread_function *function, uint64_t argument,
                      unsigned priority, unsigned flags)
{
    uint64_t *stack = (uint64_t *)(stacks[slot] + STACK_SIZE) - 2;
    selector ec = fresh(), sc = fresh();

    stack[0] = argument;
    stack[1] = (uint64_t)function;
    need(create_ec(ec, ROOT_ACCOUNT, pd->pd, UTCB_BASE + slot * PAGE, EC_GLOBAL | ec_flags(flags),
                   (uint64_t)stack, (uint64_t)thread_begin),
         "a thread");
    need(create_sc(sc, ROOT_ACCOUNT, ec, priority,
                   flags & THREAD_LONG ? BOOT->tsc_hz * 60 : BOOT->tsc_hz / 1000),
         "a thread's time");
    return ec;
}

selector thread_local_ec(const struct pd_space *pd, unsigned slot, unsigned flags)
{
    selector ec = fresh();

    need(create_ec(ec, ROOT_ACCOUNT, pd->pd, UTCB_BASE + slot * PAGE, ec_flags(flags),
                   (uint64_t)stacks[slot] + STACK_SIZE - 8, 0),
         "a local EC");
    return ec;
}

selector portal(selector ec, portal_function *entry, uint64_t id)
{
    selector pt = fresh();

    need(create_pt(pt, ROOT_ACCOUNT, ec, (uint64_t)entry, id), "a portal");
    return pt;
}

selector notification(void)
{
    selector nt = fresh();

    need(create_nt(nt, ROOT_ACCOUNT), "a notification");
    return nt;
}

void pass(uint64_t ticks)
{
    uint64_t bits;

    (void)!nt_wait(SELECTOR_PASS, now() + ticks, &bits);
}

_Noreturn void reply(uint64_t words)
{
    (void)!system_call_status(CALL_IPC_REPLY, words, 0, 0, 0, 0, 0);
    __builtin_trap();
}

_Noreturn void thread_end(void)
{
    __asm__ volatile("ud2"); /* an EC that dies of a fault needs nothing else to be gone */
    __builtin_unreachable();
}
