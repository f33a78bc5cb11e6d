/* SPDX-License-Identifier: ISC */
/*
 * Decimal adjustments (APM vol. 3, AAA to DAS), which exist outside of 64-bit mode only, and SALC. Flags that
 * the manual leaves undefined stay, except where the result sets them anyway.
 */
#include "lib/x86/operation.h"

static uint8_t accumulator_low(const struct execution *x)
{
    return (uint8_t)x->cpu.gpr[X86_RAX];
}

/* AAA (argument 0) and AAS (1): one unpacked digit in AL, its carry in AH. */
enum x86_result x86_run_ascii_adjust(struct execution *x, const struct operation *operation)
{
    unsigned ax = (unsigned)x86_register_read(x, X86_RAX, 2);
    bool adjust = (ax & 0x0f) > 9 || (x->cpu.rflags & X86_RFLAGS_AF);

    if (adjust)
        ax = operation->argument ? ax - 0x106 : ax + 0x106;
    x86_register_write(x, X86_RAX, 2, ax & 0xff0f);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_AF, adjust);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_CF, adjust);
    return X86_DONE;
}

/* AAM (argument 0) and AAD (1); the base is the immediate, 10 in assemblers. */
enum x86_result x86_run_ascii_multiply(struct execution *x, const struct operation *operation)
{
    unsigned al = accumulator_low(x);
    unsigned ah = (unsigned)(x->cpu.gpr[X86_RAX] >> 8) & 0xff;
    unsigned base = (uint8_t)x->insn->immediate;

    if (operation->argument) {
        al = (ah * base + al) & 0xff;
        ah = 0;
    } else {
        if (base == 0)
            return x86_raise(x, X86_VECTOR_DE, 0);
        ah = al / base;
        al = al % base;
    }
    x86_register_write(x, X86_RAX, 2, (ah << 8) | al);
    x86_flags_set_result(&x->cpu.rflags, 1, al);
    return X86_DONE;
}

/* DAA (argument 0) and DAS (1): two packed digits in AL. */
enum x86_result x86_run_decimal_adjust(struct execution *x, const struct operation *operation)
{
    bool subtract = operation->argument != 0;
    unsigned old = accumulator_low(x), al = old;
    bool old_carry = (x->cpu.rflags & X86_RFLAGS_CF) != 0;
    bool low = (old & 0x0f) > 9 || (x->cpu.rflags & X86_RFLAGS_AF);
    bool high = old > 0x99 || old_carry;
    bool carry = high;

    if (low) {
        al = subtract ? al - 6 : al + 6;
        carry = carry || al > 0xff;
    }
    if (high)
        al = subtract ? al - 0x60 : al + 0x60;
    x86_register_write(x, X86_RAX, 1, al & 0xff);
    x86_flags_set_result(&x->cpu.rflags, 1, al & 0xff);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_AF, low);
    x86_flag_assign(&x->cpu.rflags, X86_RFLAGS_CF, carry);
    return X86_DONE;
}

/* SALC (D6): AL becomes the carry, spread over all bits. */
enum x86_result x86_run_salc(struct execution *x, const struct operation *operation)
{
    (void)operation;
    x86_register_write(x, X86_RAX, 1, x->cpu.rflags & X86_RFLAGS_CF ? 0xff : 0);
    return X86_DONE;
}
