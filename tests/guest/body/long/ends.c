/* SPDX-License-Identifier: ISC */
/*
 * Instructions whose last byte is at 0x7fffffffffff: the fetch of the next one, at an address that is not
 * canonical, is #GP there.
 */
#include "tests/guest/body/ends.h"

#define PAGE    4096u
#define CODE    (RAM_SCRATCH + 0x30000u)
#define TABLES  (RAM_SCRATCH + 0x31000u)
#define FAR_END 0x800000000000ull

extern uint64_t page_level4[];

/* The last page of the lower half. */
static void map(void)
{
    volatile uint64_t *tables = (volatile uint64_t *)mmio32(TABLES);

    tables[511] = (TABLES + PAGE) | PTE_P | PTE_W;
    tables[PAGE / 8 + 511] = (TABLES + 2 * PAGE) | PTE_P | PTE_W;
    tables[2 * PAGE / 8 + 511] = CODE | PTE_P | PTE_W;
    page_level4[255] = TABLES | PTE_P | PTE_W;
}

bool end_runs(const struct end *end)
{
    word_t a = 0, b = ENDS_ABSENT, c = ENDS_MSR, d = ENDS_PORT, si = RAM_SCRATCH;

    map();
    end_place(CODE + PAGE - end->length, end->bytes, end->length);
    TRAP("jmp *%%rdi",
         : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(si)
         : "D"(FAR_END - end->length)
         : "memory", "cc");
    return expect(end->name, VECTOR_GP, trap.vector) && expect(end->name, 0, trap.error) &&
           expect(end->name, FAR_END, trap.ip);
}
