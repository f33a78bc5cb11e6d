/* SPDX-License-Identifier: ISC */
/* Gates, task state and pages of 32-bit protected mode. */
#include "tests/guest/guest.h"

#define GATE_INTERRUPT 0x8e00u
#define GATE_PRESENT   0x8000u
#define TSS_TYPE       0x89u
#define TSS_BYTES      (104u + 0x24) /* with a permission map for ports below 0x100 */

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint32_t base;
};

extern uint8_t stack_top[];
gate_t idt[256];
uint32_t tss[TSS_BYTES / 4];

void gate_set(unsigned vector, word_t handler, unsigned dpl)
{
    uint32_t high = (handler & 0xffff0000u) | GATE_INTERRUPT | dpl << 13;

    idt[vector] = (uint64_t)high << 32 | (uint32_t)SEL_CODE32 << 16 | (handler & 0xffffu);
}

void gate_present(unsigned vector, bool present)
{
    idt[vector] &= ~((uint64_t)GATE_PRESENT << 32);
    if (present)
        idt[vector] |= (uint64_t)GATE_PRESENT << 32;
}

/* The stack of an entry from user mode is the upper half of a place of its own. */
static uint8_t user_entry_stack[4096];

void gates_load(void)
{
    struct table_pointer pointer = {sizeof idt - 1, (uint32_t)(uintptr_t)idt};
    uint32_t base = (uint32_t)(uintptr_t)tss;

    tss[1] = (uint32_t)(uintptr_t)(user_entry_stack + sizeof user_entry_stack);
    tss[2] = SEL_DATA32;
    tss[25] = TSS_BYTES << 16;
    gdt[SEL_TSS / 8] = (uint64_t)(base >> 24) << 56 | (uint64_t)TSS_TYPE << 40 |
                       (uint64_t)(base & 0xffffff) << 16 | (TSS_BYTES - 1);
    __asm__ volatile("lidt %0\n ltr %w1\n lldt %w2" : : "m"(pointer), "r"(SEL_TSS), "r"(0) : "memory");
}

void window_set(unsigned page, pte_t entry)
{
    page_table[page] = entry;
    __asm__ volatile("invlpg %0" : : "m"(*window(page)) : "memory");
}
