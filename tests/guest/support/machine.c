/* SPDX-License-Identifier: ISC */
/* The chips every guest uses: the 8259s and the PM timer; and what C needs of a library. */
#include "tests/guest/guest.h"

#define PIC1       0x20u
#define PIC2       0xa0u
#define PM_TIMER   0x608u
#define TIMER_BITS 0xffffffu

void pic_init(void)
{
    out8(PIC1, 0x11);
    out8(PIC1 + 1, VECTOR_PIC);
    out8(PIC1 + 1, 4);
    out8(PIC1 + 1, 1);
    out8(PIC2, 0x11);
    out8(PIC2 + 1, VECTOR_PIC + 8);
    out8(PIC2 + 1, 2);
    out8(PIC2 + 1, 1);
    out8(PIC1 + 1, 0xfb); /* the cascade is let through */
    out8(PIC2 + 1, 0xff);
}

void pic_mask(unsigned line, bool masked)
{
    uint16_t port = line < 8 ? PIC1 + 1 : PIC2 + 1;
    uint8_t bit = (uint8_t)(1u << (line & 7)), mask = in8(port);

    out8(port, (uint8_t)(masked ? mask | bit : mask & ~bit));
}

void pic_eoi(unsigned line)
{
    if (line >= 8)
        out8(PIC2, 0x20);
    out8(PIC1, 0x20);
}

uint64_t now_ticks(void)
{
    static uint32_t last;
    static uint64_t sum;
    uint32_t now = in32(PM_TIMER) & TIMER_BITS;

    sum += (now - last) & TIMER_BITS;
    last = now;
    return sum;
}

void wait_us(uint32_t us)
{
    uint64_t start = now_ticks(), ticks = ticks_of_us(us);

    while (now_ticks() - start < ticks)
        ;
}

/* By halves, for a 32-bit compiler has no 64-bit division without its library. */
uint64_t divide(uint64_t value, uint32_t by, uint32_t *rest)
{
    uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)value, remainder = high % by;
    uint32_t quotient = high / by;

    __asm__("divl %4" : "=a"(low), "=d"(remainder) : "0"(low), "1"(remainder), "r"(by));
    *rest = remainder;
    return (uint64_t)quotient << 32 | low;
}

void *memcpy(void *to, const void *from, size_t bytes)
{
    void *at = to;

    __asm__ volatile(AS "rep movsb" : "+D"(at), "+S"(from), "+c"(bytes) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t bytes)
{
    void *at = to;

    __asm__ volatile(AS "rep stosb" : "+D"(at), "+c"(bytes) : "a"(byte) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;

    while (*(const volatile char *)(text + length))
        length++;
    return length;
}
