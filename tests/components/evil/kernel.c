/* SPDX-License-Identifier: ISC */
/*
 * The kernel's calls: every number, with selectors that are empty, out of range, of the wrong type, or one of
 * our own with high bits set (a kernel that cuts arguments would take them), and arguments from the edges of
 * everything. Nothing may be granted. What is legal, the calls on our own portals and notification, is left
 * out.
 */
#include "tests/components/evil/evil.h"

#include "base/include/component.h"
#include "base/include/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ARGUMENTS    6

static const uint64_t interesting[] = {
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    9,
    10,
    15,
    16,
    17,
    63,
    64,
    255,
    256,
    511,
    512,
    513,
    4095,
    4096,
    0x10000,
    OBJ_SELECTORS - 1,
    OBJ_SELECTORS,
    OBJ_SELECTORS + 1,
    OBJ_SELECTORS + 2,
    OBJ_SELECTORS + 3,
    0x80000001,
    0xffffffff,
    0x100000001,
    0x100000002,
    0x100000003,
    0x8000000000000001,
    0x8000000000000002,
    0xffffffff00000002,
    HST_PAGES - 1,
    HST_PAGES,
    GST_PAGES,
    0x7fffffffe000,
    0x7fffffffd000,
    0x800000000000,
    0xffff800000000000,
    0xffffffff80000000,
    0xffffffff80000001,
    UINT64_MAX - 4095,
    UINT64_MAX - 1,
    UINT64_MAX,
    IMAGE_BASE,
    THREAD_BASE,
};

static uint64_t call_raw(uint64_t number, const uint64_t argument[ARGUMENTS])
{
    uint64_t rax = number, rdi = argument[0], rsi = argument[1], rdx = argument[2];
    register uint64_t r10 __asm__("r10") = argument[3];
    register uint64_t r8 __asm__("r8") = argument[4];
    register uint64_t r9 __asm__("r9") = argument[5];
    __asm__ volatile("syscall"
                     : "+a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+r"(r10), "+r"(r8), "+r"(r9)
                     :
                     : "rcx", "r11", "memory");
    return rax;
}

static uint64_t argument_pick(struct evil *evil)
{
    switch (evil_random(evil) % 4) {
    case 0:
        return evil_random(evil) % 600;
    case 1:
        return evil_random(evil) >> (evil_random(evil) % 64);
    default:
        return evil_pick(evil, interesting, COUNT(interesting));
    }
}

/* On what is our own, these are our right. */
static bool is_legal(uint64_t number, uint64_t first)
{
    switch (number) {
    case CALL_IPC_CALL:
        return first == CAP_PARENT || first == CAP_CORE;
    case CALL_NT_NARROW:
    case CALL_NT_SIGNAL:
    case CALL_NT_WAIT:
        return first == CAP_NT;
    default:
        return false;
    }
}

static bool is_refused(uint64_t number, uint64_t status)
{
    if (number >= CALLS) {
        return status == STATUS_BAD_CALL;
    }
    switch (status) {
    case STATUS_BAD_CAP:
    case STATUS_BAD_PERM:
    case STATUS_BAD_ARG:
    case STATUS_EXISTS:
    case STATUS_UNSUPPORTED:
        return true;
    default:
        return false;
    }
}

static void call_try(struct evil *evil, uint64_t number, const uint64_t argument[ARGUMENTS])
{
    if (is_legal(number, argument[0])) {
        return;
    }
    evil->calls++;
    uint64_t status = call_raw(number, argument);
    if (!is_refused(number, status) && ++evil->failures <= EVIL_LINES) {
        log_line("evil: call 0x%lx(0x%lx, 0x%lx, 0x%lx, 0x%lx, 0x%lx, 0x%lx) gave status %lu", number,
                 argument[0], argument[1], argument[2], argument[3], argument[4], argument[5], status);
    }
}

/* Each number with each interesting value as first, and as second argument. */
static void sweep(struct evil *evil)
{
    for (uint64_t number = 0; number < CALLS + 8; number++) {
        for (unsigned i = 0; i < 2 * COUNT(interesting); i++) {
            uint64_t argument[ARGUMENTS];
            for (unsigned j = 0; j < ARGUMENTS; j++) {
                argument[j] = argument_pick(evil);
            }
            argument[i % 2] = interesting[i / 2];
            call_try(evil, number, argument);
        }
    }
}

void evil_kernel(struct evil *evil, unsigned calls)
{
    static const uint64_t beyond[] = {CALLS,       CALLS + 1,          0x7f,       0xff,
                                      0x100,       0x80000000,         0xffffffff, 0x100000000,
                                      0x100000001, 0x8000000000000012, UINT64_MAX};
    sweep(evil);
    while (evil->calls < calls) {
        uint64_t argument[ARGUMENTS];
        uint64_t number =
            evil_random(evil) % 16 != 0 ? evil_random(evil) % CALLS : evil_pick(evil, beyond, COUNT(beyond));
        for (unsigned j = 0; j < ARGUMENTS; j++) {
            argument[j] = argument_pick(evil);
        }
        call_try(evil, number, argument);
    }
}
