/* SPDX-License-Identifier: ISC */
/*
 * Instructions whose last byte is the last of the code segment. In 32-bit code the next one is at 0. In real
 * mode it would be at 0x10000, beyond the segment's limit: #GP, whose frame has the low 16 bits. QEMU fetches
 * without a look at the limit and finds UD2 there; INT3 at 0 is for an instruction pointer of 16 bits, which
 * no processor has had since the 80386.
 */
#include "tests/guest/body/ends.h"

#define REAL_CS   0x1000u
#define REAL_BASE 0x10000u
#define SELECTOR  (SEL_TEST + 8 * (SEL_TESTS - 1))
#define SEGMENT   (RAM_SCRATCH + 0x31000u) /* what lies below it is the end of the segment */

static struct frame fault;
static struct __attribute__((packed)) {
    uint32_t offset;
    uint16_t selector;
} far;

static void leave(struct frame *frame)
{
    fault = *frame;
    frame->cs = 0;
    frame->ip = (__typeof__(frame->ip))trap_resume;
}

static bool real(const struct end *end)
{
    static const uint8_t int3[] = {0xcc}, ud2[] = {0x0f, 0x0b};
    word_t a = 0, b = ENDS_ABSENT, c = ENDS_MSR, d = ENDS_PORT, si = RAM_SCRATCH;

    fault.vector = NO_TRAP;
    trap_handlers[VECTOR_GP] = trap_handlers[VECTOR_UD] = trap_handlers[VECTOR_BP] = leave;
    end_place(REAL_BASE, int3, sizeof int3);
    end_place(REAL_BASE + 0x10000, ud2, sizeof ud2);
    end_place(REAL_BASE + 0x10000 - end->length, end->bytes, end->length);
    __asm__ volatile(TRAP_BEGIN "pushw %5\n pushw %w6\n lretw" TRAP_END
                     : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(si)

                     : "i"(REAL_CS), "D"(0x10000u - end->length)
                     : "memory", "cc");
    trap_handlers[VECTOR_GP] = trap_handlers[VECTOR_UD] = trap_handlers[VECTOR_BP] = NULL;
    return (fault.vector == VECTOR_UD || expect(end->name, VECTOR_GP, fault.vector)) &&
           expect(end->name, 0, fault.ip) && expect(end->name, REAL_CS, fault.cs);
}

/* INC EDI, RETF at the segment's beginning. */
static bool wraps(const struct end *end)
{
    static const uint8_t beginning[] = {0x47, 0xcb};
    word_t a = 0, b = ENDS_ABSENT, c = ENDS_MSR, d = ENDS_PORT, si = RAM_SCRATCH, di = 7;

    gdt[SELECTOR / 8] = 0x00cf9b000000ffffull | (uint64_t)SEGMENT << 16;
    end_place(SEGMENT, beginning, sizeof beginning);
    end_place(SEGMENT - end->length, end->bytes, end->length);
    far.offset = 0u - end->length;
    far.selector = SELECTOR;
    TRAP("lcall *%6", : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(si), "+D"(di) : "m"(far) : "memory", "cc");
    return expect(end->name, NO_TRAP, trap.vector) && expect(end->name, 8, di);
}

bool end_runs(const struct end *end)
{
    return IS_REAL ? real(end) : wraps(end);
}
