/* SPDX-License-Identifier: ISC */
/* The code at the reset vector, executed: it writes to the reset control port what makes a reset, by either
 * address. */
#include "vmm/firmware/reset_vector.h"

#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/x86/x86.h"

#define RAM   0x400000u
#define STEPS 16u

static uint8_t *memory;
static uint8_t written[STEPS];
static unsigned writes;

static enum x86_result out(void *context, uint16_t port, unsigned size, uint32_t value,
                           struct x86_fault *fault)
{
    (void)context;
    (void)fault;
    assert_int_equal(port, 0xcf9);
    assert_int_equal(size, 1);
    written[writes++] = (uint8_t)value;
    return X86_DONE;
}

static enum x86_result in(void *context, uint16_t port, unsigned size, uint32_t *value,
                          struct x86_fault *fault)
{
    (void)context, (void)port, (void)size, (void)value, (void)fault;
    fail();
    return X86_DONE;
}

/* Up to what the executor does not do: HLT. */
static void run(uint16_t selector, uint16_t ip)
{
    static const struct x86_ops ops = {.port_in = in, .port_out = out};
    struct x86_cpu cpu = {.rip = ip, .rflags = X86_RFLAGS_ONE, .takes_segments = true};
    struct x86_fault fault;

    writes = 0;
    cpu.segment[X86_CS] = (struct x86_segment){
        .selector = selector, .attributes = 0x9b, .limit = 0xffff, .base = (uint64_t)selector << 4};
    for (unsigned i = 0; i < STEPS; i++) {
        const uint8_t *at = memory + cpu.segment[X86_CS].base + cpu.rip;
        struct x86_insn insn;

        assert_int_equal(x86_decode(X86_MODE_16, at, X86_INSN_MAX, &insn), X86_DECODE_OK);
        if (*at == 0xf4)
            break;
        assert_int_equal(x86_execute(&cpu, &insn, &ops, NULL, &fault), X86_DONE);
    }
    assert_false(cpu.rflags & X86_RFLAGS_IF);
    assert_int_equal(writes, 2);
    assert_int_equal(written[0] & 4, 0);
    assert_int_equal(written[1] & 6, 6);
}

static void resets(void **state)
{
    struct guest_ram ram = {.low_size = RAM};

    (void)state;
    memory = calloc(1, RAM);
    ram.low = memory;
    assert_true(reset_vector_write(&ram));
    run(0xf000, 0xfff0);
    run(0xffff, 0);
    free(memory);
}

static void needs_memory(void **state)
{
    const struct guest_ram ram = {.low_size = 0};

    (void)state;
    assert_false(reset_vector_write(&ram));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(resets), cmocka_unit_test(needs_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
