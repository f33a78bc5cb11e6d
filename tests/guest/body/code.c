/* SPDX-License-Identifier: ISC */
/*
 * Code that changes under the processor: immediates, instructions that exit replaced by others of other
 * lengths and by some that do not exit, over a page's end, and by another page at the same address.
 */
#include "tests/guest/body/suites.h"

#define CODE_PAGE (IS_REAL ? 0x2000u : RAM_SCRATCH + 0x2000u)

struct code {
    uint8_t length;
    uint8_t bytes[8];
};

/* Each ends in INC of ECX and RET, which a wrong length would miss. */
static volatile uint8_t *place(uint32_t address, const uint8_t *bytes, unsigned length)
{
    volatile uint8_t *at = (volatile uint8_t *)mmio32(address);
    unsigned i = 0;

    for (; i < length; i++)
        at[i] = bytes[i];
    if (IS_REAL)
        at[i++] = 0x66;
    at[i++] = 0xff; /* INC ECX */
    at[i++] = 0xc1;
    if (IS_REAL)
        at[i++] = 0x66;
    at[i] = 0xc3;
    return at;
}

/* ECX afterwards: 8 if the code behind the instruction ran. */
static uint32_t call(volatile uint8_t *code)
{
    word_t a = 0, c = 7, d = 0x80;

    __asm__ volatile("push" W " " RBX "\n call" W " *%3\n pop" W " " RBX
                     : "+a"(a), "+c"(c), "+d"(d)
                     : "r"(code)
                     : "memory", "cc", "edi");
    return (uint32_t)c;
}

static void immediate(void)
{
    static const uint8_t bytes[] = {0xb8, 1, 0, 0, 0};
    volatile uint8_t *code = (volatile uint8_t *)mmio32(CODE_PAGE);
    unsigned at = 0;
    uint32_t value;

    if (IS_REAL)
        code[at++] = 0x66;
    for (unsigned i = 0; i < sizeof bytes; i++)
        code[at++] = bytes[i];
    if (IS_REAL)
        code[at++] = 0x66;
    code[at] = 0xc3;
    for (unsigned i = 1; i < 200; i++) {
        code[IS_REAL ? 2 : 1] = (uint8_t)i;
        __asm__ volatile("call" W " *%1" : "=a"(value) : "r"(code) : "memory");
        if (!expect("immediate", i, value))
            return;
    }
}

/* Instructions that exit and leave ECX alone, in lengths from one byte on. */
static const struct code variants[] = {
    {2, {0xe6, 0x80}},             /* OUT imm8 */
    {2, {0x90, 0x90}},             /* no exit */
    {1, {0xee}},                   /* OUT DX */
    {2, {0x0f, 0x09}},             /* WBINVD */
    {3, {0x66, 0x0f, 0x09}},       /* prefixed */
    {2, {0xf3, 0x90}},             /* PAUSE */
    {3, {0xf3, 0xf3, 0x90}},       /* prefixed */
    {4, {0x2e, 0x2e, 0xe6, 0x80}}, /* prefixed */
    {2, {0x0f, 0x08}},             /* INVD, as the monitor takes it */
};

static void try_all(const char *what, uint32_t address)
{
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < sizeof variants / sizeof variants[0]; i++)
            if (!expect(what, 8, call(place(address, variants[i].bytes, variants[i].length))))
                return;
}

static void exits(void)
{
    try_all("instructions at one place", CODE_PAGE);
}

static void page_end(void)
{
    for (uint32_t before = 1; before < 6; before++)
        try_all("instructions over a page's end", CODE_PAGE - before);
}

/* An instruction that changes the one behind it, with a jump between, as the manual wants it. */
static void ahead(void)
{
    uint32_t value = 0;

    for (unsigned i = 1; i < 5; i++) {
        __asm__ volatile("movb %b1, 1f + %c2\n jmp 1f\n 1: movl $0x11223344, %0"
                         : "=&a"(value)
                         : "q"(i), "i"(IS_REAL ? 2 : 1)
                         : "memory");
        (void)expect("code ahead", 0x11223300u | i, value);
    }
}

/* The same linear address, another page: CPUID and WBINVD plain in one, prefixed in the other. */
static void remapped(void)
{
    static const uint32_t pages[2] = {RAM_SCRATCH + 0x4000, RAM_SCRATCH + 0x5000};

    if (!HAS_PAGES) {
        test_skip("no pages");
        return;
    }
    (void)place(pages[0], variants[3].bytes, variants[3].length);
    (void)place(pages[1], variants[4].bytes, variants[4].length);
    for (unsigned i = 0; i < 6; i++) {
        window_set(0, pages[i & 1] | PTE_P | PTE_W);
        if (!expect("instruction of the page that is mapped", 8, call(window(0))))
            return;
    }
}

const struct test code_tests[] = {
    {"code.immediate", immediate}, {"code.exits", exits},       {"code.page-end", page_end},
    {"code.ahead", ahead},         {"code.remapped", remapped}, {NULL, NULL},
};
