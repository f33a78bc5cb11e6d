/* SPDX-License-Identifier: ISC */
/*
 * Device memory. Every form of forms.c runs on RAM and on device memory with the same registers, operand and
 * flags; both must end alike.
 */
#include "tests/guest/body/forms.h"
#include "tests/guest/body/suites.h"

#define TIMER_INITIAL (LAPIC_BASE + 0x380)
#define LVT_TIMER     0x320u
#define LVT_MASKED    0x10000u
#define ABSENT        0xfd000000u
#define ROUNDS        5u
#define IN_FLAGS      0x8d5u

volatile word_t form_stack;
extern const struct form forms[];
extern const struct form vex_forms[] SOMETIMES;
extern const struct form long_forms[] SOMETIMES;

static uint32_t random_state = 12345;

/* Small and large numbers, and all ones now and then. */
static uint32_t random(void)
{
    random_state = random_state * 1664525 + 1013904223;
    if ((random_state >> 28) == 3)
        return 0xffffffffu;
    return (random_state >> 27 & 1) ? random_state >> 8 & 0xff : random_state ^ random_state >> 16;
}

static void fill(volatile uint8_t *bytes, const volatile uint8_t *from, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        bytes[i] = from[i];
}

/* An exception ends it; then trap.vector says which. */
static void run(const struct form *form, struct form_registers *r, volatile void *operand)
{
    const uint8_t *code = form->code;

    trap.vector = NO_TRAP;
    __asm__ volatile("mov" W " " RSP ", form_stack\n" TRAP_BEGIN "push" W " %3\n popf" W "\n call" W
                     " *%4\n pushf" W "\n pop" W " %3\n" TRAP_END "mov" W " form_stack, " RSP "\n cld"
                     : "+a"(r->ax), "+c"(r->cx), "+d"(r->dx), "+b"(r->flags), "+D"(code), "+S"(operand)
                     :
                     : "memory", "cc" RUN_CLOBBERS);
}

static bool alike(const struct form *form, const struct form_registers *ram,
                  const struct form_registers *device)
{
    return expect(form->name, ram->ax, device->ax) && expect(form->name, ram->cx, device->cx) &&
           expect(form->name, ram->dx, device->dx) &&
           expect(form->name, ram->flags & form->flags, device->flags & form->flags);
}

static bool run_once(const struct form *form)
{
    static volatile uint32_t cells[16];
    struct form_registers ram = {random(), random(), random(), (random() & IN_FLAGS) | 2};
    struct form_registers device = ram;
    volatile uint32_t *operand = mmio32(TIMER_INITIAL);

    if (form->target == FORM_REGISTER) {
        cells[0] = random();
        *operand = cells[0];
    } else {
        operand = mmio32(ABSENT + 0x40);
        fill((volatile uint8_t *)cells, (const volatile uint8_t *)mmio32(ABSENT), sizeof cells);
    }
    run(form, &ram, form->target == FORM_REGISTER ? &cells[0] : &cells[8]);
    run(form, &device, operand);
    if (!expect(form->name, NO_TRAP, trap.vector) || !alike(form, &ram, &device))
        return false;
    return form->target != FORM_REGISTER || expect(form->name, cells[0], *operand);
}

static void run_all(const struct form *table)
{
    lapic_set(LVT_TIMER, LVT_MASKED);
    for (const struct form *form = table; form->name; form++)
        for (unsigned round = 0; round < ROUNDS; round++)
            if (!run_once(form))
                break;
    *mmio32(TIMER_INITIAL) = 0;
}

static void all_forms(void)
{
    run_all(forms);
}

static void vex(void)
{
    if (vex_forms)
        run_all(vex_forms);
    else
        test_skip("no VEX prefix");
}

static void wide(void)
{
    if (long_forms)
        run_all(long_forms);
    else
        test_skip("no 64-bit registers");
}

/* A PC's empty bus gives ones at any width; writes vanish. */
static void absent(void)
{
    volatile uint8_t *at = (volatile uint8_t *)mmio32(ABSENT);

    (void)expect("a byte", 0xff, *at);
    (void)expect("a word", 0xffff, *(volatile uint16_t *)(at + 2));
    (void)expect("a misaligned double word", 0xffffffffu, *(volatile uint32_t *)(at + 5));
    *(volatile uint32_t *)at = 0;
    *at = 0;
    (void)expect("a double word after writes", 0xffffffffu, *(volatile uint32_t *)at);
}

const struct test mmio_tests[] = {
    {"mmio.forms", all_forms}, {"mmio.vex", vex}, {"mmio.wide", wide}, {"mmio.absent", absent}, {NULL, NULL},
};
