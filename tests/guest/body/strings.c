/* SPDX-License-Identifier: ISC */
/*
 * String I/O. The serial line in loop-back mode is a port that gives back in order what was written to it, 16
 * bytes at most; PCI's address register keeps four bytes.
 */
#include "tests/guest/body/suites.h"

#define COM1     0x3f8u
#define FCR      (COM1 + 2)
#define MCR      (COM1 + 4)
#define LSR      (COM1 + 5)
#define TEMT     0x40u
#define LOOP     0x10u
#define PCI      0xcf8u
#define COUNT    13u
#define FORWARD  "cld\n "
#define BACKWARD "std\n "
#define BUFFER   (RAM_SCRATCH + 0xff8) /* crosses a page */

struct string_registers {
    word_t pointer, count;
};

static void loop_back(bool on)
{
    while (!(in8(LSR) & TEMT))
        ;
    out8(MCR, on ? LOOP : 0);
    out8(FCR, 7);
}

static volatile uint8_t *buffer(void)
{
    return (volatile uint8_t *)mmio32(BUFFER);
}

#define OUTS(direction, text, r, port)                                                                       \
    __asm__ volatile(direction text "\n cld"                                                                 \
                     : "+S"((r).pointer), "+c"((r).count)                                                    \
                     : "d"(port)                                                                             \
                     : "memory", "cc")
#define INS(direction, text, r, port)                                                                        \
    __asm__ volatile(direction text "\n cld"                                                                 \
                     : "+D"((r).pointer), "+c"((r).count)                                                    \
                     : "d"(port)                                                                             \
                     : "memory", "cc")

static void prepare(void)
{
    for (unsigned i = 0; i < 32; i++)
        buffer()[i] = (uint8_t)(0x41 + i);
}

static void expect_bytes(const char *what, uint8_t first, int step)
{
    for (unsigned i = 0; i < COUNT; i++)
        if (!expect(what, (uint8_t)(first + (int)i * step), in8(COM1)))
            return;
}

static void out_forward(void)
{
    struct string_registers r = {BUFFER, COUNT};

    prepare();
    loop_back(true);
    OUTS(FORWARD, AS "rep; outsb", r, COM1);
    wait_us(2000);
    expect_bytes("bytes forward", 0x41, 1);
    (void)expect("pointer", BUFFER + COUNT, r.pointer);
    (void)expect("count", 0, r.count);
    r = (struct string_registers){BUFFER, 0};
    OUTS(FORWARD, AS "rep; outsb", r, COM1);
    (void)expect("pointer after none", BUFFER, r.pointer);
    (void)expect("data after none", 0, in8(LSR) & 1u);
    r = (struct string_registers){BUFFER + 2, 7};
    OUTS(FORWARD, AS "outsb", r, COM1);
    wait_us(500);
    (void)expect("one byte", 0x43, in8(COM1));
    (void)expect("pointer after one", BUFFER + 3, r.pointer);
    (void)expect("count after one", 7, r.count);
    loop_back(false);
}

static void out_backward(void)
{
    struct string_registers r = {BUFFER + COUNT, COUNT};

    prepare();
    loop_back(true);
    OUTS(BACKWARD, AS "rep; outsb", r, COM1);
    wait_us(2000);
    expect_bytes("bytes backward", 0x41 + COUNT, -1);
    (void)expect("pointer", BUFFER, r.pointer);
    loop_back(false);
}

static void in_both(void)
{
    struct string_registers r = {BUFFER, COUNT};

    for (unsigned round = 0; round < 2; round++) {
        loop_back(true);
        for (unsigned i = 0; i < COUNT; i++)
            out8(COM1, (uint8_t)(0x61 + i));
        wait_us(2000);
        for (unsigned i = 0; i < 32; i++)
            buffer()[i] = 0;
        r = (struct string_registers){BUFFER + (round ? COUNT - 1 : 0), COUNT};
        if (round == 0)
            INS(FORWARD, AS "rep; insb", r, COM1);
        else
            INS(BACKWARD, AS "rep; insb", r, COM1);
        for (unsigned i = 0; i < COUNT; i++)
            (void)expect(round ? "byte backward" : "byte forward", 0x61 + (round ? COUNT - 1 - i : i),
                         buffer()[i]);
        (void)expect("byte beyond", 0, buffer()[COUNT]);
        (void)expect("pointer", round ? BUFFER - 1 : BUFFER + COUNT, r.pointer);
        (void)expect("count", 0, r.count);
    }
    loop_back(false);
}

/* 0x80000000 and what follows address the host bridge; 0xcfc then reads its identity. */
static void wide(void)
{
    volatile uint32_t *words = mmio32(RAM_SCRATCH + 0xffa);
    struct string_registers r = {RAM_SCRATCH + 0xffa, 3};

    words[0] = 0x80000800u;
    words[1] = 0x80000900u;
    words[2] = 0x80000000u;
    OUTS(FORWARD, AS "rep; outsl", r, PCI);
    (void)expect("last address", 0x80000000u, in32(PCI));
    (void)expect("pointer", RAM_SCRATCH + 0xffa + 12, r.pointer);
    r = (struct string_registers){RAM_SCRATCH + 0xffa, 3};
    INS(FORWARD, AS "rep; insl", r, PCI + 4);
    for (unsigned i = 0; i < 3; i++)
        (void)expect("identity", 0x12378086u, words[i]);
    r = (struct string_registers){RAM_SCRATCH + 0xffb, 2};
    INS(FORWARD, AS "rep; insw", r, PCI + 4);
    (void)expect("words", 0x80868086u, *mmio32(RAM_SCRATCH + 0xffb));
    r = (struct string_registers){RAM_SCRATCH + 0xffb + 4, 1};
    INS(BACKWARD, AS "rep; insw", r, PCI + 6);
    (void)expect("a word backward", 0x1237, *mmio32(RAM_SCRATCH + 0xffb + 4) & 0xffff);
    (void)expect("its pointer", RAM_SCRATCH + 0xffb + 2, r.pointer);
}

/* More than any share of an exit, and beside interrupts off. */
static void long_run(void)
{
    struct string_registers r = {RAM_SCRATCH + 3, 5000};
    volatile uint8_t *bytes = (volatile uint8_t *)mmio32(RAM_SCRATCH);
    uint32_t wrong = 0;

    out32(PCI, 0x80000000u);
    for (unsigned i = 0; i < 5100; i++)
        bytes[i] = 0;
    INS(FORWARD, AS "rep; insb", r, PCI + 5);
    for (unsigned i = 3; i < 5003; i++)
        wrong += bytes[i] != 0x80;
    (void)expect("bytes that differ", 0, wrong);
    (void)expect("before", 0, bytes[2]);
    (void)expect("beyond", 0, bytes[5003]);
    (void)expect("pointer", RAM_SCRATCH + 5003, r.pointer);
    r = (struct string_registers){RAM_SCRATCH, 5000};
    OUTS(FORWARD, AS "rep; outsb", r, 0x80);
    (void)expect("count", 0, r.count);
}

/* Another segment than DS, with another base. */
static void segment_override(void)
{
    struct string_registers r = {8, 1};

    prepare();
    loop_back(true);
#define WITH_FS "fs; outsb"
    if (IS_REAL) {
        __asm__ volatile("mov %w0, %%fs" : : "r"(0x8000));
        *(volatile uint8_t *)mmio32(0x80008) = 0x77;
        OUTS(FORWARD, AS WITH_FS, r, COM1);
        __asm__ volatile("mov %w0, %%fs" : : "r"(0));
    } else {
        gdt[SEL_TEST / 8] = 0x00cf93000000ffffull | (uint64_t)(RAM_SCRATCH & 0xffffff) << 16;
        __asm__ volatile("mov %w0, %%fs" : : "r"(SEL_TEST));
        *(volatile uint8_t *)mmio32(RAM_SCRATCH + 8) = 0x77;
        OUTS(FORWARD, AS WITH_FS, r, COM1);
        __asm__ volatile("mov %w0, %%fs" : : "r"(SEL_DATA32));
    }
    wait_us(500);
    (void)expect("byte by FS", 0x77, in8(COM1));
    loop_back(false);
}

const struct test string_tests[] = {
    {"string.out", out_forward},
    {"string.out-backward", out_backward},
    {"string.in", in_both},
    {"string.wide", wide},
    {"string.long", long_run},
    {"string.segment", segment_override},
    {NULL, NULL},
};
